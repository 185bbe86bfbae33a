//! No wake-ups when nothing is due, shown by counting them: with two hundred jobs that wait for something, neither the
//! supervisor nor its logger wakes before the one job whose moment comes.

use plist::Dictionary;
use serde_json::json;

use super::processes::waits;
use crate::harness::{Job, Sandbox, Supervisor, text, texts};

/// Jobs of each of the four kinds.
const EACH: usize = 50;
/// Seconds from one moment of the one job to the next.
const INTERVAL: u64 = 3;
/// Most waits of the supervisor from one end of that job's run to the next: for its moment, for its worker's walls,
/// for its last word and for its end, and as many again for a machine that tells these apart. Twice a second would be
/// six more.
const SUPERVISOR: u64 = 8;
/// The same of the logger: two pipes, five messages and the writing of them, each perhaps by itself, and again as
/// many. Whoever looked ten times a second would wait thirty times more.
const LOGGER: u64 = 20;

/// Jobs that have nothing to do for years.
fn fill(supervisor: &Supervisor) {
    let leap_day: Dictionary = [("Month", 2), ("Day", 29), ("Hour", 0), ("Minute", 0)].into_iter().collect();
    let plain = || Job::new("/bin/true", &[]);
    for number in 0..EACH {
        let watched = supervisor.sandbox.write(&format!("watched-{number}"), "");
        let queue = text(&supervisor.sandbox.make_folder(&format!("queue-{number}")));
        for (kind, job) in [
            ("plain", plain()),
            ("watch", plain().with("WatchPaths", texts([watched.as_str()]))),
            ("queue", plain().with("QueueDirectories", texts([queue.as_str()]))),
            ("calendar", plain().with("StartCalendarInterval", leap_day.clone())),
        ] {
            supervisor.job(&format!("{kind}-{number}"), job);
        }
    }
}

#[test]
fn jobs_that_wait_wake_nobody() {
    // Folders on the way to a watched path are watched, and something is made in /tmp all the time.
    let supervisor = Supervisor::of(Sandbox::below("/var/tmp"));
    fill(&supervisor);
    let timer = Job::new("/bin/true", &[]).with("StartInterval", INTERVAL).with("ThrottleInterval", 0);
    let supervisor = supervisor.with("timer", timer).start();
    supervisor.logs(&format!(", {} jobs loaded", 4 * EACH + 1)).logs(" timer: ended: exit 0");
    let state = supervisor.call("Supervisor", json!({})).expect("the supervisor's state");
    let words = state["logger"].as_str().unwrap_or_default();
    let logger: u32 = words.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a logger");
    let processes = [supervisor.process().pid(), logger];
    // Of several times the best one counts: what others do on the way to a watched path wakes too, and so does what waits
    // for a disk.
    let mut least = [u64::MAX; 2];
    for ends in 2..=5 {
        let before = processes.map(waits);
        supervisor.logs_times(" timer: ended: exit 0", ends);
        let after = processes.map(waits);
        least = std::array::from_fn(|at| least[at].min(after[at].saturating_sub(before[at])));
    }
    let started = supervisor.log().matches(": started: ").count();
    assert_eq!(started, 5, "another job than the timer was started:\n{}", supervisor.log());
    assert!(least[0] <= SUPERVISOR && least[1] <= LOGGER, "wjobd and its logger woke {least:?} times in {INTERVAL} s");
}
