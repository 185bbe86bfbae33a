//! Ends from outside: SIGTERM and SIGINT to `wjob run` end the job with their statuses, a second request ends one
//! that does not listen, and when wjob itself is killed nothing of the job is left.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::process::Signal;

use crate::harness::{Job, Running, Sandbox, pidfd, wait_for_end};

const SIGNALS: [(Signal, i32, &str); 2] = [(Signal::TERM, 143, "SIGTERM"), (Signal::INT, 130, "SIGINT")];

/// A started guest that says nothing: the walls are told just before it begins.
pub fn silent(sandbox: &Sandbox, job: &Job) -> Running {
    let running = sandbox.start(&["--show-walls"], job, &[]);
    running.wait_for_complaint("no-new-privileges");
    running
}

#[test]
fn a_guest_is_stopped() {
    let sandbox = Sandbox::new();
    for (signal, status, name) in SIGNALS {
        for job in [Job::guest("probe-sleep", &["1000"]), Job::guest("probe-spin", &[])] {
            let running = silent(&sandbox, &job);
            running.signal(signal);
            running.end().exits(status).says_only("").complains(name);
        }
    }
}

/// A host call that blocks is ended too.
#[test]
fn a_guest_in_a_host_call_is_stopped() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.make_fifo("data/fifo");
    let job = Job::guest("probe-block", &["/data/fifo"]).path(&sandbox.name("data"), "/data", "ReadOnly");
    let running = silent(&sandbox, &job);
    running.signal(Signal::TERM);
    running.end().exits(143);
}

#[test]
fn a_native_program_hears_the_signal() {
    let sandbox = Sandbox::new();
    let script = "trap 'echo heard; exit 3' TERM INT; echo ready; while :; do sleep 0.1; done";
    for (signal, status, name) in SIGNALS {
        let running = sandbox.start(&[], &Job::shell(script), &[]);
        running.wait_for_output("ready");
        running.signal(signal);
        running.end().exits(status).says_only("ready\nheard\n").complains(name);
    }
}

#[test]
fn a_second_request_ends_one_that_does_not_listen() {
    let sandbox = Sandbox::new();
    // ExitTimeOut 0 is for ever, so nothing but the second request can end it.
    let script = "trap 'echo heard' INT; echo ready; while :; do sleep 0.1; done";
    let job = Job::shell(script).with("ExitTimeOut", 0);
    let running = sandbox.start(&[], &job, &[]);
    running.wait_for_output("ready");
    running.signal(Signal::INT);
    running.wait_for_output("heard");
    running.signal(Signal::INT);
    running.end().exits(130).complains("SIGINT");
}

#[test]
fn one_that_does_not_listen_is_killed_after_exit_timeout() {
    let sandbox = Sandbox::new();
    let job = Job::shell("trap '' TERM; echo ready; while :; do sleep 0.1; done").with("ExitTimeOut", 1);
    let running = sandbox.start(&[], &job, &[]);
    running.wait_for_output("ready");
    running.signal(Signal::TERM);
    running.end().exits(143).complains("SIGTERM");
}

/// All processes below one, by descriptors that stay theirs.
fn descendants(pid: u32) -> Vec<OwnedFd> {
    let mut found = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            found.push(pidfd(child));
            parents.push(child);
        }
    }
    found
}

/// The children of a process.
pub fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the threads of a process");
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<_>>()).collect()
}

#[test]
fn nothing_outlives_a_wjob_that_is_killed() {
    let sandbox = Sandbox::new();
    let guest = Job::guest("probe-spin", &[]);
    let waiting = Job::guest("probe-sleep", &["1000"]);
    let native = Job::shell("trap '' TERM HUP; sleep 1000 & echo ready; while :; do sleep 1000; done");
    for (job, least) in [(guest, 1), (waiting, 1), (native, 4)] {
        let running = if least > 1 { sandbox.start(&[], &job, &[]) } else { silent(&sandbox, &job) };
        if least > 1 {
            running.wait_for_output("ready");
        }
        let number = running.pid();
        let below = descendants(number);
        assert!(below.len() >= least, "{} processes below wjob, expected {least} or more", below.len());
        running.signal(Signal::KILL);
        assert_eq!(running.end().status, -9);
        assert!(below.iter().all(wait_for_end), "a process outlived the wjob that was killed");
        nothing_is_left(&sandbox, number);
    }
}

/// Those that ended by a signal of their own, as by Ctrl-C, leave no more than those that were killed.
#[test]
fn nothing_outlives_a_job_that_is_stopped() {
    let sandbox = Sandbox::new();
    let job = Job::shell("sleep 1000 & setsid sleep 1000 & echo ready; wait").with("ExitTimeOut", 1);
    for (signal, status, _) in SIGNALS {
        let running = sandbox.start(&[], &job, &[]);
        running.wait_for_output("ready");
        let number = running.pid();
        let below = descendants(number);
        assert!(below.len() >= 3, "{} processes below wjob", below.len());
        running.signal(signal);
        running.end().exits(status);
        assert!(below.iter().all(wait_for_end), "a process outlived the job that was stopped");
        nothing_is_left(&sandbox, number);
    }
}

/// No half-written file: neither in the folder for temporary ones nor among the compiled programs.
fn nothing_is_left(sandbox: &Sandbox, number: u32) {
    let names = |folder| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(sandbox.path("tmp")), Vec::<String>::new());
    let halves = names(sandbox.compiled_programs());
    let half = halves.iter().find(|name| name.ends_with(&format!("new-{number}")));
    assert_eq!(half, None, "a half-written compiled program is left");
}

/// What the caller ignores stays ignored (nohup), but the end of children is told all the same.
#[test]
fn ignored_signals_of_the_caller_are_his_and_children_still_end() {
    let sandbox = Sandbox::new();
    let wjob = crate::harness::binary("wjob");
    let wjob = wjob.to_str().expect("a path");
    let ignoring = ["--ignore-signal=CHLD", wjob, "run", "/bin/sh", "-c", "exit 7"];
    let env = std::path::Path::new("/usr/bin/env");
    crate::harness::Running::start(sandbox.command_at(env, &ignoring)).end().exits(7);
    let script = "trap \"\" HUP; \"$@\" & child=$!; read line; kill -HUP $child; kill -TERM $child; wait $child";
    let sleep = crate::harness::guest("probe-sleep");
    let arguments = ["-c", script, "sh", wjob, "run", &sleep, "100"];
    let command = sandbox.command_at(std::path::Path::new("/bin/sh"), &arguments);
    crate::harness::Running::start_with_input(command, b"go\n").end().exits(143);
}
