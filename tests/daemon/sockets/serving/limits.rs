//! Limits on connections: how many at once, from one source and a second, and how long one may be silent. Who is beyond
//! one waits or is sent away, and nobody else notices. Limits on what an instance uses are in `inetd` and `handler`.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{Client, PATIENCE, Place, at, comes_back, cut_off, echo, process, served, wait_for_line};
use crate::daemon::life::standing;
use crate::daemon::sockets::loopback;
use crate::harness::{Job, Supervisor};

#[test]
fn beyond_the_limit_of_instances_a_client_waits_for_the_end_of_another() {
    let (_supervisor, jobs) = served(&echo().limit("Instances", 2));
    for (label, place) in &jobs {
        let mut served = [place.connect(), place.connect()];
        let repeat = |served: &mut [Client; 2]| served.iter_mut().for_each(|client| comes_back(client, "said"));
        repeat(&mut served);
        let mut third = place.connect();
        third.say("third\n");
        // So much is done meanwhile that it would have been answered long ago.
        (0..100).for_each(|_| repeat(&mut served));
        assert!(!third.is_answered(), "{label}: three are served at once");
        let [first, mut second] = served;
        first.end();
        assert_eq!(first.rest(), "");
        assert_eq!(third.line(), "third\n");
        comes_back(&mut second, "still");
    }
}

/// A client with an address of its own.
#[track_caller]
pub(super) fn from(source: Ipv4Addr, address: SocketAddr) -> Client {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket");
    bind(&socket, &SocketAddr::from((source, 0))).expect("an address");
    connect(&socket, &address).expect("a listener");
    Client::of(socket)
}

/// Whether a client gets an answer before its connection is closed.
fn is_served(mut client: Client) -> bool {
    let mut answer = [0];
    client.0.write_all(b"said\n").is_ok() && matches!(client.0.read(&mut answer), Ok(1))
}

#[test]
fn beyond_the_limit_of_its_source_a_client_is_sent_away_and_others_are_served() {
    let supervisor = Supervisor::new();
    let place = Place::on_the_loopback(&supervisor.sandbox);
    let Place::Tcp(address) = place else { panic!("an address was expected") };
    let job = echo().limit("ConnectionsPerSource", 2);
    let supervisor = supervisor.with("a", at(&place, job)).start();
    let source = loopback();
    let mut served = [from(source, address), from(source, address)];
    served.iter_mut().for_each(|client| comes_back(client, "said"));
    for _ in 0..3 {
        assert_eq!(cut_off(from(source, address)), "", "a third is served");
        // Each of them is new: where the one before has been is free only when his end was seen.
        comes_back(&mut from(loopback(), address), "another's");
    }
    served.iter_mut().for_each(|client| comes_back(client, "still"));
    let [first, _second] = served;
    first.end();
    assert_eq!(first.rest(), "");
    // Its client may see the end of a connection a moment before its place is free.
    let start = Instant::now();
    while !is_served(from(source, address)) {
        assert!(start.elapsed() < PATIENCE, "its place is not free again; there is\n{}", supervisor.log());
    }
    assert_eq!(standing(&supervisor, "a"), "running, 1 runs");
}

/// All clients of a path are one user's here.
#[test]
fn on_a_unix_socket_the_source_is_the_user() {
    let supervisor = Supervisor::new();
    let place = Place::in_a_folder(&supervisor.sandbox);
    let _supervisor = supervisor.with("a", at(&place, echo().limit("ConnectionsPerSource", 2))).start();
    let mut served = [place.connect(), place.connect()];
    served.iter_mut().for_each(|client| comes_back(client, "said"));
    assert_eq!(cut_off(place.connect()), "", "a third is served");
    served.iter_mut().for_each(|client| comes_back(client, "still"));
}

/// A second's worth may come at once. For the others there is a least time and, on a busy machine, no longest.
#[test]
fn whoever_comes_too_fast_is_served_later() {
    const RATE: u64 = 10;
    let (_supervisor, jobs) = served(&echo().limit("ConnectionRate", RATE));
    for (label, place) in &jobs {
        let start = Instant::now();
        let waiting = |number: u64| {
            let mut client = place.connect();
            client.say(format!("{number}\n"));
            client
        };
        let clients: Vec<Client> = (0..2 * RATE).map(waiting).collect();
        for (number, mut client) in clients.into_iter().enumerate() {
            assert_eq!(client.line(), format!("{number}\n"));
        }
        assert!(start.elapsed() > Duration::from_millis(500), "{label}: all came within {:?}", start.elapsed());
    }
}

/// How many files a process may have open, now and at most (proc_pid_limits(5)).
#[track_caller]
fn files(process: Pid) -> Rlimit {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).expect("a process that is there");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit of open files");
    let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
    let mut next = || numbers.next().expect("a limit");
    Rlimit { current: next(), maximum: next() }
}

/// No limit of a job's leaves its worker without descriptors; here it has none for a while all the same.
#[test]
fn where_there_is_no_descriptor_left_a_client_waits_and_those_who_are_there_go_on() {
    for (job, first) in [(echo(), ""), (Job::guest("handles", &[]), "echo\n")] {
        let (supervisor, jobs) = served(&job.limit("IdleTime", 86_400));
        for (label, place) in &jobs {
            let mut open = place.connect();
            open.say(first);
            comes_back(&mut open, "said");
            let worker = i32::try_from(process(&supervisor, label)).ok().and_then(Pid::from_raw).expect("a process");
            let before = files(worker);
            let none = Rlimit { current: Some(3), ..before };
            match prlimit(Some(worker), Resource::Nofile, none) {
                Err(Errno::PERM) if rustix::process::geteuid().is_root() => {
                    return println!(
                        "skipped: root lacks CAP_SYS_RESOURCE here, which the limits of others' processes take"
                    );
                }
                changed => changed.expect("a worker of the same user"),
            };
            let mut waits = place.connect();
            waits.say(format!("{first}waited\n"));
            wait_for_line(&supervisor, label, "wjob: accepting pauses: ");
            (0..100).for_each(|_| comes_back(&mut open, "still"));
            assert!(!waits.is_answered(), "{label}: it was accepted without a descriptor");
            prlimit(Some(worker), Resource::Nofile, before).expect("a worker of the same user");
            assert_eq!(waits.line(), "waited\n", "{label}");
            assert_eq!(standing(&supervisor, label), "running, 1 runs");
        }
    }
}

#[test]
fn a_silent_connection_is_closed_whoever_serves_it() {
    let supervisor = Supervisor::new();
    let rows = [("inetd", echo()), ("handler", Job::guest("handles", &[])), ("http", Job::guest("answers", &[]))];
    let places: Vec<Place> = rows.iter().map(|(label, _)| Place::named(&supervisor.sandbox, label)).collect();
    let supervisor = rows
        .iter()
        .zip(&places)
        .fold(supervisor, |all, ((label, job), place)| all.with(label, at(place, job.clone().limit("IdleTime", 1))));
    let supervisor = supervisor.start();
    for ((label, _), place) in rows.iter().zip(&places) {
        assert_eq!(place.connect().rest(), "", "{label}");
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
    for label in ["inetd", "handler"] {
        wait_for_line(&supervisor, label, "wjob: connection 1: it was silent for IdleTime");
    }
}
