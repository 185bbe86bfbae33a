//! Commands that know nothing of networks: each connection is the standard input and output of an instance of its own,
//! and whatever that comes to ends this connection alone. Handlers and limits on connections are in the files beside.

use super::{CAUSE, Client, MEBIBYTE, Place, at, comes_back, echo, exchange, inetd, process, served, wait_for_line};
use crate::daemon::life::standing;
use crate::harness::{Job, Supervisor, guest};

/// Connections of one test, one after the other.
const IN_TURN: usize = 100;
/// Connections that are open at the same time.
const AT_ONCE: usize = 20;

/// Bytes that are one client's only, and not all of them text.
fn payload(number: usize) -> Vec<u8> {
    let unit = [format!("client {number}").as_bytes(), b"\0\r\n\xff"].concat();
    unit.repeat(500)
}

#[test]
fn the_first_connection_starts_the_job_and_each_one_has_an_instance_of_its_own() {
    let (supervisor, jobs) = served(&echo());
    for (label, place) in &jobs {
        assert_eq!(standing(&supervisor, label), "idle, 0 runs");
        for number in 0..IN_TURN {
            let returned = exchange(place.connect(), &payload(number));
            assert!(returned == payload(number), "{label}: client {number} has other bytes than its own");
        }
        supervisor.logs(&format!(" {label}: started: {CAUSE}\n"));
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}

/// All of them are there before anybody serves, with what they say first; then each is answered while all are open.
#[test]
fn those_who_come_together_wait_together_and_are_served_together() {
    let (supervisor, jobs) = served(&echo());
    for (label, place) in &jobs {
        let line = |number: usize, round: usize| format!("client {number}, round {round}\n");
        let mut clients: Vec<Client> = (0..AT_ONCE).map(|_| place.connect()).collect();
        for round in 0..3 {
            for (number, client) in clients.iter_mut().enumerate() {
                client.say(line(number, round));
            }
            for (number, client) in clients.iter_mut().enumerate() {
                assert_eq!(client.line(), line(number, round), "{label}");
            }
        }
        for client in clients {
            client.end();
            assert_eq!(client.rest(), "");
        }
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}

#[test]
fn a_mebibyte_goes_through_one_connection() {
    let (_supervisor, jobs) = served(&echo());
    let bytes: Vec<u8> = (0..MEBIBYTE).map(|at| (at % 251) as u8).collect();
    for (label, place) in &jobs {
        assert!(exchange(place.connect(), &bytes) == bytes, "{label}: other bytes came back");
    }
}

/// Greets and ends, as a core module of WASI 0.1 does.
const MODULE: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\08\00\00\00\0f\00\00\00")
    (data (i32.const 8) "hello from 0.1\0a")
    (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

#[test]
fn commands_of_every_release_serve_so() {
    let supervisor = Supervisor::new();
    let module = supervisor.sandbox.write("module.wasm", wat::parse_str(MODULE).expect("a module"));
    let rows = [("0.1", module), ("0.3", guest("probe_run3"))];
    let places: Vec<Place> = rows.iter().map(|(release, _)| Place::named(&supervisor.sandbox, release)).collect();
    let supervisor = rows.iter().zip(&places).fold(supervisor, |all, ((release, program), place)| {
        all.with(release, at(place, inetd(Job::new(program, &[]))))
    });
    let supervisor = supervisor.start();
    for ((release, _), place) in rows.iter().zip(&places) {
        for _ in 0..2 {
            assert_eq!(place.connect().rest(), format!("hello from {release}\n"));
        }
        assert_eq!(standing(&supervisor, release), "running, 1 runs");
    }
}

/// A program that comes to no good end, its argument, the limit that is its end, and what the job's log says of that.
type Row = (&'static str, Option<&'static str>, Option<(&'static str, u64)>, Option<&'static str>);

const ENDS: &[Row] = &[
    ("probe-trap", None, None, Some("trap: ")),
    ("probe-panic", None, None, Some("trap: ")),
    // A status is the program's own affair, as it is under inetd.
    ("probe-exit", Some("3"), None, None),
    ("probe-spin", None, Some(("CPUTime", 1)), Some("limit CPUTime reached")),
    // It cannot even begin.
    ("probe-memory", Some("1"), Some(("Memory", 65_536)), Some("limit Memory reached")),
    ("probe-sleep", Some("1000"), Some(("RunTime", 1)), Some("limit RunTime reached")),
];

#[test]
fn an_instance_that_comes_to_no_good_end_ends_its_connection_and_nothing_else() {
    let supervisor = Supervisor::new();
    let places: Vec<Place> = ENDS.iter().map(|(program, ..)| Place::named(&supervisor.sandbox, program)).collect();
    let supervisor = ENDS.iter().zip(&places).fold(supervisor, |all, ((program, argument, limit, _), place)| {
        let job = inetd(Job::guest(program, argument.as_slice()));
        let job = limit.iter().fold(job, |job, (key, value)| job.limit(key, *value));
        all.with(program, at(place, job))
    });
    let supervisor = supervisor.start();
    for ((program, .., words), place) in ENDS.iter().zip(&places) {
        let first = [place.connect(), place.connect()];
        for client in first {
            assert_eq!(client.rest(), "", "{program}");
        }
        let before = process(&supervisor, program);
        assert_eq!(place.connect().rest(), "", "{program}");
        for (number, words) in (1..=3).flat_map(|number| words.map(|words| (number, words))) {
            wait_for_line(&supervisor, program, &format!("wjob: connection {number}: {words}"));
        }
        assert_eq!(process(&supervisor, program), before, "{program} has another process");
        assert_eq!(standing(&supervisor, program), "running, 1 runs", "{program}");
    }
    wait_for_line(&supervisor, "probe-panic", "connection 2: probe-panic panics on purpose");
}

/// Whoever is still connected has ExitTimeOut, as a run has that hears.
#[test]
fn connections_end_with_a_job_that_is_taken_out() {
    let (supervisor, jobs) = served(&echo().with("ExitTimeOut", 1));
    for (label, place) in &jobs {
        let mut client = place.connect();
        comes_back(&mut client, "said");
        let bootout = serde_json::json!({ "label": label, "wait": true });
        supervisor.call("Bootout", bootout).expect("it is taken out");
        assert_eq!(client.rest(), "");
        place.bind().unwrap_or_else(|error| panic!("{place:?} is not free: {error}"));
    }
}
