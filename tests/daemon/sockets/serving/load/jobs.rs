//! A thousand jobs that each have a socket and no client: what they take of the supervisor, that it may have more files
//! open than it was started with while its jobs may not, and that whoever comes to any of them is served.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value as Json;

use super::super::{Place, at, inetd, loopback};
use super::resident;
use crate::daemon::output::captured;
use crate::harness::{Job, Running, Sandbox, Supervisor, text};

/// Jobs, half of them on ports and half of them at paths.
const JOBS: usize = 1_000;
/// How their labels begin.
const LABEL: &str = "job-";
/// Every so many of them has a client.
const EVERY: usize = 20;
/// How many files the supervisor is at first told that it may have open: far fewer than its jobs have sockets.
const FILES: usize = 256;
/// Most bytes of an idle job with a socket: what design gives to a job, 10 kB, and as much for its address.
const EACH: u64 = 20_000;
/// Most descriptors of one: its socket, and the folder of a path, by which it is taken away again.
const DESCRIPTORS: usize = 2;
/// What a supervisor with jobs has open that one without has not, beside their sockets.
const MORE: usize = 16;

/// Ports that are free at the same time, on an address that only this test has.
fn ports(number: usize) -> Vec<Place> {
    let address = loopback();
    let held: Vec<TcpListener> = (0..number).map(|_| TcpListener::bind((address, 0)).expect("a free port")).collect();
    held.iter().map(|listener| Place::Tcp(listener.local_addr().expect("its address"))).collect()
}

/// Where each of the jobs is to be found.
fn places(sandbox: &Sandbox) -> Vec<Place> {
    let paths = (0..JOBS / 2).map(|number| Place::named(sandbox, &number.to_string()));
    paths.chain(ports(JOBS / 2)).collect()
}

fn label(number: usize) -> String {
    format!("{LABEL}{number}")
}

/// Starts a supervisor that may have few files open until it asks for more.
fn start_with_few_files(supervisor: &mut Supervisor) {
    let own = supervisor.command();
    let words: Vec<String> =
        std::iter::once(own.get_program()).chain(own.get_args()).map(|word| text(Path::new(word))).collect();
    let script = format!("ulimit -Sn {FILES}; exec \"$@\"");
    let words: Vec<&str> = ["-c", script.as_str(), "sh"].into_iter().chain(words.iter().map(String::as_str)).collect();
    let mut command = supervisor.sandbox.command_at(Path::new("/bin/sh"), &words);
    command.env("XDG_CONFIG_HOME", supervisor.sandbox.path("config"));
    supervisor.adopt(Running::start(command));
}

/// How many descriptors a process has.
fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).expect("a process of the test's own").count()
}

/// How many files a process may have open: now, and if it asks for more.
fn limit_of_files(process: u32) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).expect("a process that is there");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit of open files");
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().expect("the soft limit"), words.next().expect("the hard limit"))
}

/// How many of the thousand are in a state, after so many runs.
#[track_caller]
fn how_many(supervisor: &Supervisor, state: &str, runs: u64) -> usize {
    let list = supervisor.wjob(&["list", "--json"]);
    let list = list.exits(0).output();
    let rows = list.lines().map(|line| serde_json::from_str::<Json>(line).expect("a row"));
    let rows = rows.filter(|row| row["label"].as_str().is_some_and(|label| label.starts_with(LABEL)));
    rows.filter(|row| row["state"] == state && row["runs"] == runs).count()
}

/// With as many jobs as `places`, all loaded.
fn loaded(places: &[Place], supervisor: Supervisor) -> Supervisor {
    for (number, place) in places.iter().enumerate() {
        // Whoever has had a client runs to the end of the test, however long that takes.
        let job = inetd(Job::new("/bin/cat", &[])).with("TimeOut", 3000);
        supervisor.job(&label(number), at(place, job));
    }
    let limits = Job::shell("ulimit -Sn").with("RunAtLoad", true);
    let mut supervisor = supervisor.with("limits", limits);
    start_with_few_files(&mut supervisor);
    supervisor.logs(&format!(", {} jobs loaded", places.len() + 1)).logs(" limits: ended: exit 0");
    supervisor
}

#[test]
fn a_thousand_jobs_listen_and_none_of_them_runs_before_its_client_comes() {
    let without = loaded(&[], Supervisor::new());
    let without = without.process().pid();
    let supervisor = Supervisor::new();
    let places = places(&supervisor.sandbox);
    let supervisor = loaded(&places, supervisor);
    let process = supervisor.process().pid();
    assert_eq!(how_many(&supervisor, "idle", 0), JOBS);

    let (soft, hard) = limit_of_files(process);
    assert_eq!(soft, hard, "it may have as many files open as it can");
    captured(&supervisor, "limits", &FILES.to_string(), 1);
    let more = descriptors(process).saturating_sub(descriptors(without));
    assert!((JOBS..=DESCRIPTORS * JOBS + MORE).contains(&more), "{JOBS} jobs have {more} descriptors");
    let each = resident(process).saturating_sub(resident(without)) / JOBS as u64;
    println!("{each} bytes a job");
    assert!(each <= EACH, "{each} bytes for each of {JOBS} jobs");

    let asked = places.iter().step_by(EVERY);
    for (number, place) in asked.clone().enumerate() {
        let mut client = place.connect();
        client.say(format!("client {number}\n"));
        assert_eq!(client.line(), format!("client {number}\n"), "{place:?}");
    }
    let asked = asked.count();
    assert_eq!((how_many(&supervisor, "running", 1), how_many(&supervisor, "idle", 0)), (asked, JOBS - asked));
}
