//! Jobs beside one that is up to no good, in one supervisor: each of their clients is answered while it runs, and what
//! instances leave behind is nothing. How long answers take is `cargo xtask bench neighbours`'s to measure: here a busy
//! machine would decide.

use std::fs;
use std::time::Instant;

use serde_json::json;

use super::http::client::get;
use super::{PATIENCE, Place, at, comes_back, echo, inetd, process, wait_for_line};
use crate::daemon::life::{open_folder, standing};
use crate::daemon::output::history;
use crate::daemon::process::processes;
use crate::harness::{self, Job, Supervisor};

/// Requests while the other runs.
const REQUESTS: usize = 300;

/// An attack of the corpus, started at once and kept going.
fn attack(name: &str) -> Job {
    let program = harness::target().join("hostile/hostile.wasm");
    assert!(program.is_file(), "{} is missing: `cargo xtask test` builds the corpus first", program.display());
    let job = Job::new(&harness::text(&program), &[name]);
    job.with("RunAtLoad", true).with("KeepAlive", true).with("ThrottleInterval", 1)
}

/// Every request of the neighbour's clients is answered while the other job runs, which ends as is said.
#[track_caller]
fn answers_beside(job: Job, said: &str) {
    let supervisor = Supervisor::new();
    let place = Place::named(&supervisor.sandbox, "neighbour");
    let supervisor = supervisor.with("neighbour", at(&place, Job::guest("answers", &[])));
    let supervisor = supervisor.with("attack", job).start();
    supervisor.logs(" attack: started: RunAtLoad");
    let mut client = place.connect();
    for number in 0..REQUESTS {
        let answer = get(&mut client, "/hello");
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello\n"), "request {number}");
    }
    supervisor.logs(said);
    assert_eq!(get(&mut client, "/hello").status, 200);
    assert_eq!(standing(&supervisor, "neighbour"), "running, 1 runs");
}

#[test]
fn a_neighbour_of_one_that_computes_answers_everybody() {
    answers_beside(attack("compute_for_ever").limit("CPUTime", 1), "limit CPUTime reached");
}

#[test]
fn a_neighbour_of_one_that_grows_answers_everybody() {
    answers_beside(attack("grow_for_ever").limit("Memory", 64 << 20), "limit Memory reached");
}

#[test]
fn a_neighbour_of_one_that_writes_answers_everybody() {
    answers_beside(attack("flood_with_lines").limit("OutputSize", 4 << 20), "limit OutputSize reached");
}

#[test]
fn a_neighbour_of_one_that_holds_answers_everybody() {
    answers_beside(attack("hold_pollables_without_end"), "limit Handles reached");
}

#[test]
fn a_neighbour_of_one_that_fails_answers_everybody() {
    answers_beside(attack("recurse_for_ever"), " attack: ended: ");
}

/// Processes that make more of themselves: the shell's goes out once it is refused some, since a shell ends of that, and
/// its first one lives on as something else; the other never tires.
const BOMBS: [(&str, [&str; 3]); 2] = [
    ("shell", ["/bin/sh", "-c", "f() { f | f & }; f; exec sleep 1000000"]),
    ("tireless", ["/usr/bin/perl", "-e", "while (1) { defined(fork()) or $said++ or warn \"fork: $!\\n\" }"]),
];

/// All of them are of one user, and counted in a user namespace of the run's own.
#[test]
fn a_neighbour_of_one_that_forks_answers_everybody() {
    let supervisor = Supervisor::new();
    let marker = format!("wjob-test-bomb-{}", std::process::id());
    let data = open_folder(&supervisor.sandbox, "data");
    let bomb = |label: &str, [program, flag, script]: [&str; 3]| {
        let job = Job::new(program, &[flag, script, &marker]).limit("Processes", 16).limit("RunTime", 2);
        job.with("RunAtLoad", true).with("StandardErrorPath", format!("{data}/{label}"))
    };
    let place = Place::named(&supervisor.sandbox, "neighbour");
    let supervisor = supervisor.with("neighbour", at(&place, echo()));
    let supervisor = BOMBS.into_iter().fold(supervisor, |all, (label, words)| all.with(label, bomb(label, words)));
    let supervisor = supervisor.start();
    BOMBS.iter().for_each(|(label, _)| _ = supervisor.logs(&format!(" {label}: started: RunAtLoad")));
    let mut client = place.connect();
    comes_back(&mut client, "the first");
    while BOMBS.iter().any(|(label, _)| !supervisor.log().contains(&format!(" {label}: ended: "))) {
        comes_back(&mut client, "the same");
        comes_back(&mut place.connect(), "another");
    }
    comes_back(&mut client, "the last");
    assert_eq!(standing(&supervisor, "neighbour"), "running, 1 runs");
    BOMBS.iter().for_each(|(label, _)| went_off_within_its_limits(&supervisor, label));
    let began = Instant::now();
    while !processes(&marker).is_empty() {
        assert!(began.elapsed() < PATIENCE, "{:?} are left", processes(&marker));
    }
}

/// It had as many processes as it may and was refused more by the kernel, and its time ended it.
#[track_caller]
fn went_off_within_its_limits(supervisor: &Supervisor, label: &str) {
    let runs = history(supervisor, label, 1);
    let [run] = &runs[..] else { panic!("{label}: one run was expected: {runs:?}") };
    assert_eq!(run["outcome"], "limit RunTime reached, held by the supervisor", "{label}: {run}");
    assert_eq!(supervisor.row(label)["status"], json!(137), "{label}");
    let errors = supervisor.sandbox.read(&format!("data/{label}"));
    assert!(errors.contains("fork"), "{label}: nobody was refused a process: {errors:?}");
}

/// Says whether its memory, but for its own first page's data, holds anything; then it fills all of it.
const TRACES: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 16)
    (table $table 1000 funcref)
    (global $left (mut i32) (i32.const 0))
    (data (i32.const 0) "\10\00\00\00\06\00\00\00")
    (data (i32.const 16) "fresh\0adirty\0a")
    (func (export "_start") (local $at i32)
        (local.set $at (i32.const 1024))
        (if (global.get $left) (then (i32.store (i32.const 0) (i32.const 22))))
        (loop $next
            (if (i64.ne (i64.load (local.get $at)) (i64.const 0))
                (then (i32.store (i32.const 0) (i32.const 22))))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 1048576))))
        (global.set $left (i32.const 1))
        (memory.fill (i32.const 1024) (i32.const 0x5a) (i32.const 1047552))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 512)))))"#;

/// A supervisor with a module that serves each connection, and where.
fn served(text: &str) -> (Supervisor, Place) {
    let supervisor = Supervisor::new();
    let module = supervisor.sandbox.write("module.wasm", wat::parse_str(text).expect("a module"));
    let place = Place::named(&supervisor.sandbox, "module");
    let supervisor = supervisor.with("module", at(&place, inetd(Job::new(&module, &[]))));
    (supervisor.start(), place)
}

/// More of them than a pool has places, so that each place is used again and again.
#[test]
fn a_fresh_instance_finds_nothing_of_the_one_before() {
    let (supervisor, place) = served(TRACES);
    for number in 0..REQUESTS {
        assert_eq!(place.connect().rest(), "fresh\n", "connection {number}");
    }
    assert_eq!(standing(&supervisor, "module"), "running, 1 runs");
}

/// How many descriptors there is room for in a process, which grows with them and never shrinks, and how many threads it
/// has. Anybody may see that much (proc_pid_status(5)).
fn held(process: i64) -> [usize; 2] {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process that is there");
    ["FDSize:", "Threads:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of its own");
        line.trim().parse().expect("a number")
    })
}

#[test]
fn a_thousand_instances_that_trapped_leave_nothing() {
    const FIRST: usize = 20;
    let (supervisor, place) = served(r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#);
    let trap = |count: usize| (0..count).for_each(|_| assert_eq!(place.connect().rest(), ""));
    trap(FIRST);
    wait_for_line(&supervisor, "module", &format!("wjob: connection {FIRST}: trap: "));
    let worker = process(&supervisor, "module");
    let before = held(worker);
    trap(1000);
    wait_for_line(&supervisor, "module", &format!("wjob: connection {}: trap: ", FIRST + 1000));
    let after = held(process(&supervisor, "module"));
    assert!(after[0] <= before[0].max(256) && after[1] <= before[1] + 4, "{before:?} became {after:?}");
    assert_eq!(process(&supervisor, "module"), worker, "another process");
}
