//! What happens while a supervisor waits for its logger to end, before its program is replaced: everybody is served, and
//! nothing that is written or noted meanwhile is lost, however the logger ends and whether another program comes or not.

use std::iter;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::process::{Signal, pidfd_send_signal};
use serde_json::json;

use super::{PATIENCE, goes_on, stopped, wait_until};
use crate::daemon::life::{open_folder, standing};
use crate::daemon::output::{captured, history};
use crate::harness::{Job, Ran, Running, Supervisor};

/// How the logger stands, in the supervisor's words.
fn words(supervisor: &Supervisor) -> String {
    let state = supervisor.call("Supervisor", json!({})).expect("the supervisor's state");
    state["logger"].as_str().unwrap_or_default().to_owned()
}

/// How often a program has taken over.
fn upgrades(supervisor: &Supervisor) -> usize {
    supervisor.log().matches(" info upgraded: ").count()
}

/// A replacement that waits for a logger, which stands still.
struct Waiting {
    asked: Running,
    logger: OwnedFd,
    words: String,
}

impl Waiting {
    /// Asks for one. The logger has its time to end; where that is over before anybody could look, there is another try.
    #[track_caller]
    fn of(supervisor: &Supervisor) -> Self {
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < PATIENCE, "no logger was waited for; there is\n{}", supervisor.log());
            wait_until(supervisor, "a logger runs", || words(supervisor).starts_with("running, "));
            let number: Option<u32> = words(supervisor).rsplit(' ').next().and_then(|number| number.parse().ok());
            let logger = number.and_then(stopped).expect("a logger");
            let before = upgrades(supervisor);
            let asked = Running::start(supervisor.wjob_command(&["upgrade"]));
            let waits = || words(supervisor).starts_with("ending for the next one, ");
            wait_until(supervisor, "it waits", || waits() || upgrades(supervisor) > before);
            let words = words(supervisor);
            if words.starts_with("ending ") {
                return Self { asked, logger, words };
            }
            asked.end().exits(0);
        }
    }

    /// Whether the same logger is still waited for.
    fn lasts(&self, supervisor: &Supervisor) -> bool {
        words(supervisor) == self.words
    }

    /// Sends the logger a signal; what whoever has asked is told.
    #[track_caller]
    fn ends(self, signal: Signal) -> Ran {
        // One whose time was over is gone.
        let _ = pidfd_send_signal(&self.logger, signal);
        self.asked.end()
    }
}

/// Has a line written and a job run while the logger is waited for, which then gets this signal. Whether it was waited
/// for all the time: on a machine that is too busy for that, its time was over before, and it was killed.
#[track_caller]
fn is_served(supervisor: &Supervisor, end: Signal, round: usize) -> bool {
    let waiting = Waiting::of(supervisor);
    supervisor.wjob(&["list"]).exits(0).says("writer");
    supervisor.sandbox.write(&format!("data/{round}"), "");
    supervisor.call("Kickstart", json!({ "label": "other", "kill": false })).expect("a start");
    supervisor.logs_times(" other: ended: exit 6", round);
    let second = supervisor.wjob(&["upgrade"]);
    let lasts = waiting.lasts(supervisor);
    waiting.ends(end).exits(0).says("wjobd is ");
    if lasts {
        second.exits(71).complains("another upgrade is under way");
    }
    // So that nothing of it is lost with the next logger either, which is killed in the middle of anything.
    captured(supervisor, "writer", &round.to_string(), 1);
    captured(supervisor, "other", "said", round);
    history(supervisor, "other", round);
    lasts
}

#[test]
fn everybody_is_served_and_nothing_is_lost_while_the_logger_ends() {
    let supervisor = Supervisor::new();
    let data = open_folder(&supervisor.sandbox, "data");
    let script = "i=1; echo ready; while :; do until [ -e /data/$i ]; do sleep 0.02; done; echo $i; i=$((i+1)); done";
    let writer = Job::shell(script).path(&data, "/data", "ReadOnly").with("RunAtLoad", true);
    let supervisor = supervisor.with("writer", writer).with("other", Job::shell("echo said; exit 6")).start();
    captured(&supervisor, "writer", "ready", 1);
    let mut rounds = 0;
    for end in [Signal::CONT, Signal::KILL] {
        let start = Instant::now();
        loop {
            rounds += 1;
            if is_served(&supervisor, end, rounds) {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "it waited for no logger long enough\n{}", supervisor.log());
        }
    }
    let numbers = (1..=rounds).map(|number| number.to_string());
    let expected: Vec<String> = iter::once("ready".to_owned()).chain(numbers).collect();
    let lines = captured(&supervisor, "writer", &rounds.to_string(), 1);
    assert_eq!(lines, expected, "each line is kept once");
    let runs = history(&supervisor, "other", rounds);
    assert!(runs.len() == rounds && runs.iter().all(|run| run["status"] == 6), "each run is kept once: {runs:?}");
    assert_eq!(standing(&supervisor, "writer"), "running, 1 runs");
}

/// Then no other program comes, and another logger keeps what the one that ends was not told.
#[test]
fn a_supervisor_that_is_stopped_while_its_logger_ends_keeps_how_its_jobs_do() {
    let script = "trap 'echo last; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    let mut supervisor = Supervisor::new().with("a", Job::shell(script).with("RunAtLoad", true)).start();
    captured(&supervisor, "a", "ready", 1);
    let Waiting { asked, logger, .. } = Waiting::of(&supervisor);
    supervisor.process().signal(Signal::TERM);
    let told = asked.end();
    if told.status == 0 {
        // That is right only when the logger's time was over before.
        supervisor.logs("it was not done within 15 s");
    } else {
        told.exits(124).complains("the supervisor is shutting down");
    }
    goes_on(&logger);
    supervisor.ended().exits(0).complains(" a: ended: stopped by SIGTERM");
    supervisor.start_again();
    captured(&supervisor, "a", "last", 1);
    let runs = history(&supervisor, "a", 1);
    assert!(runs.iter().any(|run| run["outcome"] == "stopped by SIGTERM"), "{runs:?}");
}
