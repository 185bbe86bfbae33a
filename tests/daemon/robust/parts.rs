//! `kill -9` of what a supervisor is made of, its logger and its workers, and a supervisor that is stopped for a while:
//! each is missed and there again, and what it was busy with goes on.

use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use serde_json::json;

use super::processes::{Process, family, parent, stop};
use super::{PATIENCE, history, mark, wait_until_it_runs};
use crate::harness::supervisor::{receive, send};
use crate::harness::{Job, Supervisor};

/// How often the logger is killed.
const KILLS: usize = 3;

/// The lines that are kept of a job, oldest first; followed, they have no end.
fn lines(supervisor: &Supervisor, label: &str, follow: bool) -> impl Iterator<Item = String> {
    let mut client = UnixStream::connect(supervisor.sandbox.path("run/log.sock")).expect("the log's socket");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let call = json!({ "method": "io.wjob.log.Log", "parameters": { "label": label, "follow": follow }, "more": true });
    send(&mut client, call.to_string().as_bytes());
    std::iter::from_fn(move || {
        let reply = receive(&mut client)?;
        reply["parameters"]["text"].as_str().map(str::to_owned)
    })
}

/// Waits until a line is kept that is like this.
#[track_caller]
fn wait_for_line(supervisor: &Supervisor, label: &str, wanted: impl Fn(&str) -> bool) {
    assert!(lines(supervisor, label, true).any(|line| wanted(&line)), "{label} has no such line");
}

fn logger(supervisor: &Supervisor) -> Process {
    let state = supervisor.call("Supervisor", json!({})).expect("the supervisor's state");
    let words = state["logger"].as_str().unwrap_or_default();
    let number = words.rsplit(' ').next().and_then(|number| number.parse().ok());
    number.and_then(Process::of).unwrap_or_else(|| panic!("the logger: {words}"))
}

/// The worker of a job that runs, whichever of the job's processes the list names.
fn worker(supervisor: &Supervisor, label: &str) -> Process {
    let row = supervisor.row(label);
    let listed = row["pid"].as_u64().and_then(|number| u32::try_from(number).ok());
    let mut number = listed.unwrap_or_else(|| panic!("no process: {row}"));
    while let Some(above) = parent(number).filter(|above| *above != supervisor.process().pid()) {
        number = above;
    }
    Process::of(number).unwrap_or_else(|| panic!("no worker: {row}"))
}

#[test]
fn a_logger_that_is_killed_is_missed_and_output_goes_on() {
    let writer = Job::shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done").with("KeepAlive", true);
    let supervisor = Supervisor::new().with("writer", writer).with("after", Job::shell("echo said")).start();
    let number = |line: &str| line.parse::<u32>().unwrap_or_default();
    wait_for_line(&supervisor, "writer", |line| number(line) > 0);
    for time in 1..=KILLS {
        let killed = logger(&supervisor);
        killed.kill();
        killed.ends();
        supervisor.logs_times(" error lost: the logger ended (Signal(9)) and is started again", time);
        // Answered by the next one already.
        let last = lines(&supervisor, "writer", false).map(|line| number(&line)).max().expect("earlier lines");
        wait_for_line(&supervisor, "writer", |line| number(line) > last);
        assert_ne!(logger(&supervisor).number, killed.number);
    }
    // What the last one was told of the writer's run came before this.
    supervisor.call("Kickstart", json!({ "label": "after", "kill": false })).expect("a start");
    wait_for_line(&supervisor, "after", |line| line == "said");
    let runs = history(&supervisor, "writer");
    assert!(runs.len() == 1 && runs[0]["end"].is_null(), "it ran on all the time: {runs:?}");
}

/// Without walls too nothing is left: whoever may kill a worker can also leave its job's processes without one.
#[test]
fn a_worker_that_is_killed_leaves_nothing_and_its_job_comes_back() {
    let mark = mark(2_000_000);
    let shell = Job::new("/bin/sh", &["-c", "sleep $0 & echo ready; sleep $0", &mark]);
    for (label, job, is_shell) in [
        ("guest", Job::guest("probe-sleep", &["1000000"]), false),
        ("walled", shell.clone(), true),
        ("unwalled", shell.with("Isolation", "None"), true),
    ] {
        let job = job.with("KeepAlive", true).with("ThrottleInterval", 0);
        let supervisor = Supervisor::new().with(label, job).start();
        wait_until_it_runs(&supervisor, label);
        if is_shell {
            wait_for_line(&supervisor, label, |line| line == "ready");
        }
        let worker = worker(&supervisor, label);
        let left = family(worker.number);
        worker.kill();
        supervisor.logs(&format!(" {label}: ended: ended by SIGKILL"));
        supervisor.logs_times(&format!(" {label}: started: KeepAlive"), 2);
        left.iter().for_each(Process::ends);
        wait_for_line(&supervisor, label, |line| line.contains("ended by SIGKILL"));
        let runs = history(&supervisor, label);
        assert_eq!((&runs[0]["outcome"], &runs[0]["status"]), (&json!("ended by SIGKILL"), &json!(-9)), "{label}");
    }
}

#[test]
fn a_supervisor_that_was_stopped_goes_on_with_all_that_waits() {
    let job = Job::guest("probe-sleep", &["1000000"]).with("KeepAlive", true).with("ThrottleInterval", 0);
    let supervisor = Supervisor::new().with("guest", job).start();
    wait_until_it_runs(&supervisor, "guest");
    let worker = worker(&supervisor, "guest");
    stop(supervisor.process());
    worker.kill();
    worker.ends();
    let mut client = supervisor.connect();
    send(&mut client, json!({ "method": "io.wjob.List", "parameters": {} }).to_string().as_bytes());
    supervisor.process().signal(Signal::CONT);
    let answer = receive(&mut client).expect("an answer");
    assert_eq!(answer["parameters"]["jobs"][0]["label"], "guest", "{answer}");
    supervisor.logs(" guest: ended: ended by SIGKILL").logs_times(" guest: started: KeepAlive", 2);
}
