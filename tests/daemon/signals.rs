//! What `wjobd` does when it is told something by a signal: SIGHUP reads configuration and folders again, SIGUSR1 tells
//! what there is, SIGTERM ends everything in order and within its time.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::supervisor::Ear;
use crate::harness::{Job, Supervisor, pidfd, wait_for_end};

/// A job that hears a request to end, says so and ends.
fn polite(ear: &Ear) -> Job {
    let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done";
    Job::shell(script).with("StandardOutPath", ear.path.as_str()).with("RunAtLoad", true)
}

/// A job that hears nothing, and may take as long as it likes.
fn deaf(ear: &Ear) -> Job {
    let script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    let job = Job::shell(script).with("StandardOutPath", ear.path.as_str()).with("RunAtLoad", true);
    job.with("ExitTimeOut", 0)
}

/// A supervisor with a configuration file, `daemon.json`, that says nothing yet.
fn configured() -> Supervisor {
    let supervisor = Supervisor::new();
    let file = supervisor.sandbox.write("daemon.json", "{}");
    let jobs = supervisor.sandbox.name("jobs");
    supervisor.flag(&["--config", file.as_str(), "--jobs", jobs.as_str()])
}

fn log_level(supervisor: &Supervisor) -> String {
    let state = supervisor.call("Supervisor", json!({})).expect("an answer");
    state["log_level"].as_str().expect("a level").to_owned()
}

fn labels(supervisor: &Supervisor) -> Vec<String> {
    let list = supervisor.call("List", json!({})).expect("a list");
    let rows = list["jobs"].as_array().expect("rows").iter();
    rows.map(|row| row["label"].as_str().expect("a label").to_owned()).collect()
}

#[test]
fn a_reload_takes_what_is_new_changed_and_gone() {
    let supervisor = Supervisor::new()
        .with("kept", Job::shell("sleep 1000").with("RunAtLoad", true))
        .with("changed", Job::shell("exit 0"))
        .with("removed", Job::shell("exit 0"))
        .with("stopped", Job::shell("sleep 1000").with("RunAtLoad", true))
        .start();
    supervisor.logs("kept: started").logs("stopped: started");
    supervisor.job("new", Job::shell("exit 0").with("RunAtLoad", true));
    supervisor.job("changed", Job::shell("exit 3").with("RunAtLoad", true));
    for gone in ["removed", "stopped"] {
        fs::remove_file(supervisor.sandbox.path(&format!("jobs/{gone}.plist"))).expect("a file");
    }
    supervisor.process().signal(Signal::HUP);
    supervisor.logs("reloaded: 2 jobs loaded, 2 taken out");
    supervisor.logs("new: ended: exit 0").logs("changed: ended: exit 3").logs("stopped: unloaded");
    assert_eq!(labels(&supervisor), ["changed", "kept", "new"]);
    assert_eq!(supervisor.row("kept")["runs"], 1, "what has not changed is left alone");
}

#[test]
fn a_file_that_became_bad_changes_nothing_and_is_named() {
    let supervisor = Supervisor::new().with("a", Job::shell("sleep 1000").with("RunAtLoad", true)).start();
    supervisor.logs("a: started");
    let file = supervisor.sandbox.write("jobs/a.plist", "nonsense");
    supervisor.process().signal(Signal::HUP);
    supervisor.logs("reloaded: 0 jobs loaded, 0 taken out");
    assert!(supervisor.log().contains(&format!("refused: {file}")), "{}", supervisor.log());
    assert_eq!(supervisor.row("a")["runs"], 1);
}

#[test]
fn a_file_with_another_label_is_the_other_job() {
    let supervisor = Supervisor::new().with("before", Job::shell("exit 0")).start();
    supervisor.file("jobs/before.plist", "after", Job::shell("exit 0"));
    supervisor.process().signal(Signal::HUP);
    supervisor.logs("reloaded: ");
    assert_eq!(labels(&supervisor), ["after"]);
}

#[test]
fn a_bad_configuration_changes_nothing_and_a_good_one_counts() {
    let supervisor = configured().start();
    supervisor.job("new", Job::shell("exit 0"));
    for (text, expected) in [
        ("{\"log-level\": \"debug\",}", "a comma after the last member"),
        ("", "an empty file"),
        ("{\"socket\": \"/run/other.sock\"}", "socket is given both"),
    ] {
        supervisor.sandbox.write("daemon.json", text);
        supervisor.process().signal(Signal::HUP);
        supervisor.logs(expected);
    }
    supervisor.logs_times("reload refused: ", 3);
    assert_eq!((log_level(&supervisor), labels(&supervisor).len()), ("info".into(), 0));

    supervisor.sandbox.write("daemon.json", "{\"log-level\": \"debug\", \"worker\": \"/nowhere/wjob\"}");
    supervisor.process().signal(Signal::HUP);
    supervisor.logs("worker has changed and takes a restart").logs("reloaded: 1 jobs loaded, 0 taken out");
    assert_eq!((log_level(&supervisor), labels(&supervisor).len()), ("debug".into(), 1));
}

#[test]
fn its_state_is_told_at_any_level_and_while_a_job_runs() {
    let supervisor = configured();
    let mut ear = Ear::new(&supervisor.sandbox, "ear");
    let supervisor = supervisor.with("busy", polite(&ear)).with("idle", Job::shell("exit 0")).start();
    ear.wait_for("ready");
    supervisor.sandbox.write("daemon.json", "{\"log-level\": \"error\"}");
    supervisor.process().signal(Signal::HUP);
    supervisor.process().signal(Signal::USR1);
    supervisor.logs("info state: 2 jobs, 1 runs, ");
    supervisor.logs("info state: busy: running (RunAtLoad), 1 runs").logs("info state: idle: idle ");
    supervisor.logs(" of busy: worker Some(");
    assert_eq!(log_level(&supervisor), "error");
}

#[test]
fn a_shutdown_ends_every_job_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let supervisor = Supervisor::new();
        let mut ear = Ear::new(&supervisor.sandbox, "ear");
        let supervisor = supervisor.with("a", polite(&ear)).with("b", Job::shell("exit 0"));
        let mut supervisor = supervisor.start();
        ear.wait_for("ready");
        supervisor.process().signal(signal);
        ear.wait_for("bye");
        let ran = supervisor.ended();
        ran.exits(0).complains("stopping: all jobs are stopped").complains("a: ended: ").complains("a: unloaded");
        ran.complains("b: unloaded").does_not_complain("asked again");
        assert!(ran.stderr.ends_with(" info ended\n"), "{}", ran.described());
        assert!(!supervisor.sandbox.path("run/wjob.sock").exists());
    }
}

#[test]
fn a_job_that_hears_nothing_is_killed_when_the_time_is_over() {
    let supervisor = Supervisor::new().flag(&["--shutdown-timeout", "1"]);
    let mut ear = Ear::new(&supervisor.sandbox, "ear");
    let mut supervisor = supervisor.with("deaf", deaf(&ear)).start();
    ear.wait_for("ready");
    let job = supervisor.row("deaf")["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a process");
    let process = pidfd(job);
    supervisor.stop().exits(0).complains("deaf: ended by the end of the supervisor");
    assert!(wait_for_end(&process), "it outlived the supervisor");
}

#[test]
fn while_it_ends_it_takes_nothing_on_and_a_second_request_ends_it_at_once() {
    let supervisor = Supervisor::new();
    let mut ear = Ear::new(&supervisor.sandbox, "ear");
    let mut supervisor = supervisor.with("deaf", deaf(&ear)).start();
    let extra = supervisor.file("extra.plist", "extra", Job::shell("exit 0"));
    ear.wait_for("ready");
    supervisor.process().signal(Signal::TERM);
    supervisor.logs("stopping: all jobs are stopped");
    assert_eq!(supervisor.call("Supervisor", json!({})).expect("an answer")["stopping"], true);
    assert_eq!(supervisor.state("deaf"), "leaving");
    for (method, parameters) in [
        ("Bootstrap", json!({ "path": extra })),
        ("Kickstart", json!({ "label": "deaf", "kill": false })),
        ("Reload", json!({ "label": "deaf" })),
    ] {
        let (error, _) = supervisor.call(method, parameters).expect_err(method);
        assert_eq!(error, "io.wjob.ShuttingDown", "{method}");
    }
    let ran = supervisor.stop();
    ran.exits(0).complains("stopping: asked again: now").complains("deaf: unloaded");
}
