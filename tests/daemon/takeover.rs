//! Taking over without loss: a job's new definition from the old one (`wjob reload LABEL`), and a supervisor's program
//! from the one before it (`wjob upgrade`). Nobody who talks to a job notices either, and what was under way goes on.
//! What may not take over, and what else can, is in `programs`; what is served before it does in `meanwhile`.

mod meanwhile;
mod programs;

use std::fs;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plist::Dictionary;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value as Json, json};

use super::life::{open_folder, standing, why};
use super::output::{captured, history};
use super::sockets::{KINDS, Place, at};
use crate::harness::supervisor::{receive, send};
use crate::harness::{Job, Running, Supervisor, guest, pidfd, texts, wait_for_end};

/// Longest wait for anything; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often one takes over from another in a test.
const TIMES: usize = 3;
/// Clients who are served between two of these at least.
const BETWEEN: usize = 50;
/// Paths that change while one takes over from another.
const PATHS: usize = 20;

/// A job that each connection is the standard input and output of.
fn inetd(job: Job) -> Job {
    job.with_in("inetdCompatibility", "Wait", false)
}

/// What comes in goes out, by a guest and by a native program.
fn echoes() -> [(&'static str, Job); 2] {
    [("guest", inetd(Job::guest("echo", &[]))), ("native", inetd(Job::new("/bin/cat", &[])))]
}

/// A supervisor that was not started, with both at places of each kind.
fn with_echoes() -> (Supervisor, Vec<(String, Place)>) {
    let supervisor = Supervisor::new();
    let mut places = Vec::new();
    for (name, job) in echoes() {
        let [_, on_a_port] = KINDS;
        let path = Place::named(&supervisor.sandbox, name);
        for (kind, place) in [("path", path), ("port", on_a_port(&supervisor.sandbox))] {
            let label = format!("{name}-{kind}");
            supervisor.job(&label, at(&place, job.clone()));
            places.push((label, place));
        }
    }
    (supervisor, places)
}

/// One client from the first word to the last.
#[track_caller]
fn is_served(place: &Place, number: usize) {
    let mut client = place.connect();
    client.say(format!("client {number}\n"));
    assert_eq!(client.line(), format!("client {number}\n"));
    client.end();
    assert_eq!(client.rest(), "");
}

/// Says that it is over, also when a test fails, so that nobody waits for its clients.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does something while clients come to each place, one after the other. It is told how many were served by now. A
/// client that is not served fails the test.
fn under_load(places: &[(String, Place)], act: impl FnOnce(&[AtomicUsize])) {
    let (over, counts) = (AtomicBool::new(false), places.iter().map(|_| AtomicUsize::new(0)).collect::<Vec<_>>());
    thread::scope(|scope| {
        for ((_, place), count) in places.iter().zip(&counts) {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    is_served(place, count.load(Ordering::Relaxed));
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _over = Over(&over);
        act(&counts);
    });
}

/// Waits until so many more were served at each place.
#[track_caller]
fn more_are_served(counts: &[AtomicUsize]) {
    let start = Instant::now();
    let before: Vec<usize> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    while counts.iter().zip(&before).any(|(count, before)| count.load(Ordering::Relaxed) < before + BETWEEN) {
        assert!(start.elapsed() < PATIENCE, "clients are not served: {counts:?} after {before:?}");
        thread::yield_now();
    }
}

/// Asks until it is so. Nothing tells of that moment, and each question lets the supervisor go on.
#[track_caller]
fn wait_until(supervisor: &Supervisor, what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it never was so that {what}; there is\n{}", supervisor.log());
    }
}

#[track_caller]
fn upgrade(supervisor: &Supervisor) {
    supervisor.wjob(&["upgrade"]).exits(0).says("wjobd is ").says(" now, ");
}

fn pid(supervisor: &Supervisor, label: &str) -> u32 {
    let row = supervisor.row(label);
    let pid = row["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    pid.unwrap_or_else(|| panic!("there is no process in {row}"))
}

#[test]
fn clients_do_not_notice_that_a_job_is_reloaded() {
    let (supervisor, places) = with_echoes();
    let supervisor = supervisor.start();
    places.iter().for_each(|(_, place)| is_served(place, 0));
    under_load(&places, |counts| {
        for time in 1..=TIMES {
            more_are_served(counts);
            for (label, _) in &places {
                supervisor.wjob(&["reload", label]).exits(0);
            }
            for (label, _) in &places {
                supervisor.logs_times(&format!(" {label}: ended: its successor took over\n"), time);
            }
        }
        more_are_served(counts);
    });
    for (label, _) in &places {
        assert_eq!(standing(&supervisor, label), format!("running, {} runs", TIMES + 1));
    }
    supervisor.logs("guest-path: started: reload: it was running");
}

#[test]
fn a_definition_that_cannot_start_takes_no_client_from_the_one_that_serves() {
    let supervisor = Supervisor::new();
    let places = echoes().map(|(name, _)| (name.to_owned(), Place::named(&supervisor.sandbox, name)));
    for ((label, place), (_, job)) in places.iter().zip(echoes()) {
        supervisor.job(label, at(place, job));
    }
    let supervisor = supervisor.start();
    places.iter().for_each(|(_, place)| is_served(place, 0));
    under_load(&places, |counts| {
        for ((label, place), (_, good)) in places.iter().zip(echoes()) {
            supervisor.job(label, at(place, inetd(Job::new("/usr/bin/no-such-program", &[]))));
            supervisor.wjob(&["reload", label]).exits(0);
            supervisor.logs(&format!(" {label}: failed: "));
            wait_until(&supervisor, "it is misconfigured", || supervisor.state(label) == "misconfigured");
            let why = why(&supervisor, label);
            assert!(why.ends_with("; its former worker serves on"), "{why}");
            more_are_served(counts);
            supervisor.job(label, at(place, good));
            supervisor.wjob(&["reload", label]).exits(0);
            supervisor.logs(&format!(" {label}: ended: its successor took over\n"));
            more_are_served(counts);
        }
    });
}

#[test]
fn clients_and_jobs_do_not_notice_that_the_supervisor_is_replaced() {
    let (supervisor, places) = with_echoes();
    let data = open_folder(&supervisor.sandbox, "data");
    let script = "i=0; until [ -e /data/stop ]; do i=$((i+1)); echo $i; sleep 0.02; done; echo last";
    let writer = Job::shell(script).path(&data, "/data", "ReadWrite").with("RunAtLoad", true);
    let sleeper = Job::guest("probe-sleep", &["1000000"]).with("KeepAlive", true).with("ThrottleInterval", 0);
    let supervisor = supervisor.with("writer", writer).with("sleeper", sleeper).start();
    places.iter().for_each(|(_, place)| is_served(place, 0));
    captured(&supervisor, "writer", "1", 1);
    wait_until(&supervisor, "the sleeper runs", || standing(&supervisor, "sleeper") == "running, 1 runs");
    let labels = ["sleeper", "guest-path", "guest-port"];
    let before = labels.map(|label| pid(&supervisor, label));
    under_load(&places, |counts| {
        for _ in 0..TIMES {
            more_are_served(counts);
            upgrade(&supervisor);
        }
        more_are_served(counts);
    });
    supervisor.logs_times(" info upgraded: wjobd ", TIMES);
    assert_eq!(labels.map(|label| pid(&supervisor, label)), before);
    let state = supervisor.call("Supervisor", json!({})).expect("an answer");
    assert_eq!(state["pid"], supervisor.process().pid(), "{state}");
    for (label, _) in &places {
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
    assert!(!supervisor.log().contains(": ended: "), "{}", supervisor.log());
    supervisor.sandbox.write("data/stop", "");
    let lines = captured(&supervisor, "writer", "last", 1);
    let (last, numbers) = lines.split_last().expect("lines");
    let expected: Vec<String> = (1..=numbers.len()).map(|number| number.to_string()).collect();
    assert_eq!((last.as_str(), numbers), ("last", expected.as_slice()), "each line is kept once");
    supervisor.logs(" writer: ended: exit 0");
    let runs = history(&supervisor, "writer", 1);
    assert!(runs.len() == 1 && runs[0]["status"] == 0, "it is one run: {runs:?}");
}

#[test]
fn what_happens_to_jobs_after_an_upgrade_is_seen() {
    let supervisor = Supervisor::new();
    let kept = Job::guest("probe-sleep", &["1000000"]).with("KeepAlive", true).with("ThrottleInterval", 0);
    let tick = Job::shell("exit 0").with("StartInterval", 1).with("ThrottleInterval", 0);
    let left = Job::shell("sleep 1000 & exit 0").with("RunAtLoad", true).with("AbandonProcessGroup", true);
    let place = Place::named(&supervisor.sandbox, "idle");
    let idle = at(&place, inetd(Job::new("/bin/cat", &[])));
    let supervisor = supervisor.with("kept", kept).with("tick", tick).with("left", left).with("idle", idle).start();
    supervisor.logs(" left: left over: 1 process, worker ").logs(" tick: ended: exit 0");
    wait_until(&supervisor, "one is kept", || standing(&supervisor, "kept") == "running, 1 runs");
    supervisor.call("Disable", json!({ "label": "elsewhere" })).expect("it is decided");
    upgrade(&supervisor);

    let killed = pidfd(pid(&supervisor, "kept"));
    pidfd_send_signal(&killed, Signal::KILL).expect("a process that is there");
    supervisor.logs(" kept: ended: ended by SIGKILL").logs_times(" kept: started: KeepAlive", 2);
    let ticks = supervisor.log().matches(" tick: started: StartInterval").count();
    supervisor.logs_times(" tick: started: StartInterval", ticks + 2);
    is_served(&place, 0);
    supervisor.logs(" idle: started: Sockets: a client is there");
    let overrides = supervisor.call("Overrides", json!({})).expect("an answer");
    assert_eq!(overrides["overrides"], json!([{ "label": "elsewhere", "disabled": true }]));
    let detail = supervisor.call("Print", json!({ "label": "left" })).expect("the job");
    assert!(detail["properties"].to_string().contains("left over"), "{detail}");
    supervisor.call("Bootout", json!({ "label": "left", "wait": true })).expect("it is taken out");
    supervisor.logs(" left: left over processes of left have ended");
    let file = supervisor.file("new.plist", "new", Job::shell("exit 6").with("RunAtLoad", true));
    supervisor.call("Bootstrap", json!({ "path": file })).expect("it is loaded");
    supervisor.logs(" new: ended: exit 6");
}

/// Each path has a job of its own, so that no change can stand for another.
#[test]
fn no_change_of_a_path_is_lost_while_one_takes_over() {
    let supervisor = Supervisor::new();
    let name = |number: usize| format!("watched-{number}");
    for number in 0..PATHS {
        let path = supervisor.sandbox.write(&name(number), "old");
        supervisor.job(&name(number), Job::shell("exit 0").with("WatchPaths", texts([path.as_str()])));
    }
    let supervisor = supervisor.start();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _over = Over(&over);
            for number in 0..PATHS {
                fs::write(supervisor.sandbox.path(&name(number)), "new").expect("a file");
                supervisor.logs(&format!(" {}: started: WatchPaths: ", name(number)));
            }
        });
        while !over.load(Ordering::Relaxed) {
            upgrade(&supervisor);
        }
    });
}

/// What stands still of a run that is prepared.
struct Held {
    label: String,
    compiler: OwnedFd,
}

/// Begins a run of a program that nobody has compiled, and has that stand still. Who compiles may be done before: then
/// there is another one.
#[track_caller]
fn held(supervisor: &Supervisor) -> Held {
    let program = fs::read(guest("wordcount")).expect("a component");
    let start = Instant::now();
    for number in 0u8.. {
        assert!(start.elapsed() < PATIENCE, "nobody was met compiling");
        let label = format!("held-{number}");
        // A section without a meaning (core specification, 5.5.3), so that it is another program each time.
        let bytes = [program.as_slice(), &[0, 3, 1, b'n', number]].concat();
        let job = Job::new(&supervisor.sandbox.write(&format!("{label}.wasm"), bytes), &[]).with("RunAtLoad", true);
        let file = supervisor.file(&format!("{label}.plist"), &label, job);
        supervisor.call("Bootstrap", json!({ "path": file })).expect("it is loaded");
        let stopped: Vec<OwnedFd> = workers(supervisor).into_iter().filter_map(stopped).collect();
        // Whatever one of them has said was heard before the second question.
        let [_, row] = [(); 2].map(|()| supervisor.row(&label));
        match <[OwnedFd; 1]>::try_from(stopped) {
            Ok([compiler]) if row["state"] == "starting" && row["pid"].is_null() => return Held { label, compiler },
            Ok(all) => all.iter().for_each(goes_on),
            Err(all) => all.iter().for_each(goes_on),
        }
        supervisor.call("Bootout", json!({ "label": label, "wait": true })).expect("it is taken out");
    }
    unreachable!("patience ends before the numbers do")
}

/// The workers that a supervisor has now.
fn workers(supervisor: &Supervisor) -> Vec<u32> {
    let own = supervisor.process().pid();
    let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).expect("the list of its children");
    let is_worker = |child: &u32| {
        let words = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        words.starts_with(b"wjob-worker")
    };
    children.split_whitespace().filter_map(|number| number.parse().ok()).filter(is_worker).collect()
}

/// Has a process stand still; `None` = it has ended.
fn stopped(number: u32) -> Option<OwnedFd> {
    let process = pidfd_open(Pid::from_raw(i32::try_from(number).ok()?)?, PidfdFlags::empty()).ok()?;
    pidfd_send_signal(&process, Signal::STOP).ok()?;
    loop {
        // The state stands behind the name (proc_pid_stat(5)).
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        match stat.rsplit_once(") ")?.1.chars().next()? {
            // Below a tracer it is told by another letter.
            'T' | 't' => return Some(process),
            'Z' | 'X' => return None,
            _ => thread::yield_now(),
        }
    }
}

fn goes_on(process: &OwnedFd) {
    // One that has ended need not.
    let _ = pidfd_send_signal(process, Signal::CONT);
}

/// What is compiled, asked or looked up for it ends, and begins anew; the run is the same. Accounts are in `accounts`.
#[test]
fn a_run_that_has_no_worker_yet_is_prepared_by_the_next_one() {
    let supervisor = Supervisor::new().start();
    let Held { label, compiler } = held(&supervisor);
    upgrade(&supervisor);
    assert!(wait_for_end(&compiler), "nobody waits for what was compiled before");
    supervisor.logs(&format!(" {label}: ended: exit "));
    assert_eq!(standing(&supervisor, &label), "idle, 1 runs");
    assert_eq!(supervisor.log().matches(&format!(" {label}: started: ")).count(), 1, "{}", supervisor.log());
}

/// A zone that is so many hours east of Greenwich at all times, as a file of zic(8) has it (RFC 9636, version 1).
fn zone(hours: i32) -> Vec<u8> {
    // One kind of local time, whose name has four bytes.
    let counts = [0, 0, 0, 0, 1, 4].map(u32::to_be_bytes).concat();
    let kind = [&(hours * 3600).to_be_bytes()[..], &[0, 0]].concat();
    [&b"TZif"[..], &[0; 16], counts.as_slice(), kind.as_slice(), b"TST\0"].concat()
}

/// Nobody tells a supervisor of a file that TZ names.
#[test]
fn calendar_times_are_those_of_the_zone_that_the_next_one_finds() {
    let mut supervisor = Supervisor::new();
    let noon = Dictionary::from_iter([("Hour", 12), ("Minute", 0)]);
    supervisor.job("noon", Job::shell("exit 0").with("StartCalendarInterval", noon));
    supervisor.sandbox.write("zone", zone(0));
    let mut command = supervisor.command();
    command.env("TZ", supervisor.sandbox.path("zone"));
    supervisor.adopt(Running::start(command));
    let next = || supervisor.row("noon")["next"].as_str().unwrap_or_default().to_owned();
    let before = next();
    assert!(before.ends_with("T12:00:00Z"), "{before}");
    supervisor.sandbox.write("zone", zone(2));
    upgrade(&supervisor);
    let after = next();
    assert!(after.ends_with("T10:00:00Z"), "{after}, and {before} before");
}

/// The pieces are one line in the log, which shows what goes on as one.
#[test]
fn a_line_that_is_half_written_when_the_supervisor_is_replaced_is_shown_whole() {
    let supervisor = Supervisor::new();
    let data = open_folder(&supervisor.sandbox, "data");
    let script = "printf 'first\\nhalf a '; until [ -e /data/go ]; do sleep 0.02; done; echo line; echo last";
    let job = Job::shell(script).path(&data, "/data", "ReadWrite").with("RunAtLoad", true);
    let supervisor = supervisor.with("a", job).start();
    // Both came by one write, so that the logger who has kept this line has the half of the next one.
    captured(&supervisor, "a", "first", 1);
    upgrade(&supervisor);
    // The logger of before may still be ending, and who follows it is let go with it.
    let kept = || supervisor.wjob(&["log", "a"]).output().contains("half a ");
    wait_until(&supervisor, "the half is kept", kept);
    supervisor.sandbox.write("data/go", "");
    let ended = || supervisor.wjob(&["log", "a"]).output().contains("last");
    wait_until(&supervisor, "the job has ended", ended);
    supervisor.wjob(&["log", "a"]).exits(0).says(" out: half a line\n");
}

/// Whether there is something to be read.
fn has_said(client: &impl std::os::fd::AsFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(client, PollFlags::IN)], Some(&now)).expect("a socket") > 0
}

#[test]
fn clients_of_the_supervisor_keep_their_connections_and_get_their_answers() {
    let deaf = Job::shell("trap '' TERM; echo ready; while :; do sleep 1000; done");
    let deaf = deaf.with("RunAtLoad", true).with("ExitTimeOut", 1000);
    let supervisor = Supervisor::new().with("a", deaf).start();
    captured(&supervisor, "a", "ready", 1);
    let call = |method: &str, parameters: Json, more: bool| {
        let mut client = supervisor.connect();
        let call = json!({ "method": format!("io.wjob.{method}"), "parameters": parameters, "more": more });
        send(&mut client, call.to_string().as_bytes());
        client
    };
    let mut waits = call("Bootout", json!({ "label": "a", "wait": true }), false);
    let mut watches = call("Events", json!({}), true);
    // It watches once it was told of anything.
    while !has_said(&watches) {
        supervisor.call("Disable", json!({ "label": "b" })).expect("it is decided");
    }
    upgrade(&supervisor);
    let told = std::iter::from_fn(|| receive(&mut watches)).find(|event| event["parameters"]["what"] == "upgraded");
    let told = told.expect("it watches on");
    assert!(told["parameters"]["detail"].as_str().is_some_and(|detail| detail.starts_with("wjobd ")), "{told}");
    assert!(!has_said(&waits), "the job is there still");
    supervisor.call("Kill", json!({ "label": "a", "signal": 9 })).expect("it is killed");
    let answer = receive(&mut waits).expect("an answer");
    assert!(answer.get("error").is_none(), "{answer}");
}
