//! Sockets of WebAssembly jobs, with real clients: each way of serving answers them, and the end, the limits and the
//! silence of one client are nobody else's. What is the same for native jobs is shown in the files beside.

mod activation;
mod drain;
mod handler;
mod http;
mod http_hostile;
mod idle;
mod inetd;
mod limits;
mod load;
mod neighbours;
mod recorded;

use std::io::{ErrorKind, Read};
use std::thread;
use std::time::Instant;

use rustix::process::Signal;

use super::{CAUSE, Client, KINDS, PATIENCE, Place, at, loopback};
use crate::daemon::life::standing;
use crate::harness::{Job, Running, Supervisor};

/// More than a connection or a pipe holds.
const MEBIBYTE: usize = 1 << 20;

/// A supervisor with one job at a place of each kind, under labels of their own.
#[track_caller]
fn served(job: &Job) -> (Supervisor, [(&'static str, Place); 2]) {
    let supervisor = Supervisor::new();
    let [path, port] = KINDS.map(|kind| kind(&supervisor.sandbox));
    let supervisor = supervisor.with("path", at(&path, job.clone())).with("port", at(&port, job.clone()));
    (supervisor.start(), [("path", path), ("port", port)])
}

/// A job whose program has each connection as its input and output.
fn inetd(job: Job) -> Job {
    job.with_in("inetdCompatibility", "Wait", false)
}

/// What comes in goes out.
fn echo() -> Job {
    inetd(Job::guest("echo", &[]))
}

/// The process of a job that runs.
#[track_caller]
fn process(supervisor: &Supervisor, label: &str) -> i64 {
    let row = supervisor.row(label);
    row["pid"].as_i64().unwrap_or_else(|| panic!("there is no process in {row}"))
}

/// Asks until a job stands so. Nothing tells of that moment, and each question lets the supervisor go on.
#[track_caller]
fn wait_until_it_is(supervisor: &Supervisor, label: &str, expected: &str) {
    let start = Instant::now();
    while standing(supervisor, label) != expected {
        assert!(start.elapsed() < PATIENCE, "{label} is not {expected}; there is\n{}", supervisor.log());
    }
}

/// Waits until a job's log has this in some line.
#[track_caller]
fn wait_for_line(supervisor: &Supervisor, label: &str, text: &str) {
    let follow = Running::start(supervisor.wjob_command(&["log", "--follow", "--last", "10000", label]));
    follow.wait_for_output(text);
    follow.signal(Signal::INT);
    follow.end();
}

/// A line goes out and comes back.
#[track_caller]
fn comes_back(client: &mut Client, line: &str) {
    client.say(format!("{line}\n"));
    assert_eq!(client.line(), format!("{line}\n"));
}

/// Sends all of it and hears what comes back meanwhile.
#[track_caller]
fn exchange(client: Client, bytes: &[u8]) -> Vec<u8> {
    let mut other = Client(client.0.try_clone().expect("a descriptor"));
    thread::scope(|scope| {
        scope.spawn(move || {
            other.say(bytes);
            other.end();
        });
        client.bytes()
    })
}

/// What comes before the end, be that a proper one or none: who has said something that was not read is broken off.
#[track_caller]
fn cut_off(mut client: Client) -> String {
    let mut bytes = Vec::new();
    match client.0.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error} instead of an end"),
        _ => String::from_utf8(bytes).expect("text"),
    }
}

/// The one that asks is the first of its folder and is started at once; whoever it asks is not there until then.
#[test]
fn a_job_finds_the_socket_of_another_from_its_first_moment() {
    let supervisor = Supervisor::new();
    let place = Place::on_the_loopback(&supervisor.sandbox);
    let Place::Tcp(address) = &place else { panic!("an address was expected") };
    let asks = Job::guest("probe-connect", &[&address.to_string()]).grant("Connect", format!("tcp://{address}"));
    let supervisor = supervisor.with("a", asks.with("RunAtLoad", true)).with("b", at(&place, echo())).start();
    wait_for_line(&supervisor, "a", &format!("granted: connect: {address} "));
    supervisor.logs(&format!(" b: started: {CAUSE}\n"));
}
