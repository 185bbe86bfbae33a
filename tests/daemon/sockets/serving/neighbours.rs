//! Jobs beside one that is up to no good, in one supervisor: each of their clients is answered while it runs, and what
//! instances leave behind is nothing. How long answers take is `cargo xtask bench neighbours`'s to measure: here a busy
//! machine would decide.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::http::client::get;
use super::load::resident;
use super::{PATIENCE, Place, at, comes_back, echo, inetd, process, wait_for_line};
use crate::daemon::life::{open_folder, standing};
use crate::daemon::output::history;
use crate::daemon::process::processes;
use crate::harness::{Job, Supervisor};
use crate::hostile::room;
use crate::hostile::table::{Row, row, rows};

/// Requests while the others run, at least.
const REQUESTS: usize = 300;

/// Guests that run beside the neighbour all at once: bombs, sleepers and what only the kernel can end.
const TOGETHER: &[&str] =
    &["copy_all_memory", "grow_a_table", "many_memories", "open_a_fifo", "p1_sleep", "sleep_for_ever", "start_loop"];

/// A job that is started at once and kept going.
fn going(job: Job) -> Job {
    job.with("RunAtLoad", true).with("KeepAlive", true).with("ThrottleInterval", 1)
}

/// An attack of the corpus.
fn attack(name: &str) -> Job {
    going(Job::new(&crate::hostile::program("hostile"), &[name]))
}

/// One as its row in the table says, and how it ends.
fn guest_of(supervisor: &Supervisor, row: &Row) -> (Job, String) {
    let program = crate::hostile::program(row.payload.as_deref().expect("an attack with a payload"));
    let mut job = limited(going(Job::new(&program, &[&row.name, "ro=/ro"])), row);
    if row.needs.iter().any(|need| need == "ro") {
        job = job.path(&with_a_fifo(supervisor), "/ro", "ReadOnly");
    }
    let limit = row.ends.iter().find_map(|end| end.strip_prefix("limit:")).expect("an attack that a limit ends");
    (job, format!("limit {limit} reached"))
}

/// A native one.
fn native_of(row: &Row) -> (Job, String) {
    let job = limited(going(Job::shell(row.script.as_deref().expect("a script"))), row);
    // What the kernel refuses a native program ends it only if the program cannot do without.
    let refused = row.limits.iter().any(|(key, _)| ["Memory", "Processes"].contains(&key.as_str()));
    let ends = row.limits.iter().find(|_| !refused);
    (job, ends.map_or_else(String::new, |(key, _)| format!("limit {key} reached")))
}

fn limited(job: Job, row: &Row) -> Job {
    row.limits.iter().fold(job, |job, (key, most)| job.limit(key, *most))
}

/// A folder that a job may be granted, whoever its user is.
fn with_a_fifo(supervisor: &Supervisor) -> String {
    let folder = open_folder(&supervisor.sandbox, "data");
    let fifo = supervisor.sandbox.make_fifo("data/fifo");
    fs::set_permissions(fifo, Permissions::from_mode(0o666)).expect("a mode");
    folder
}

/// Every request of the neighbour's clients is answered while the other job runs, which ends as is said.
#[track_caller]
fn answers_beside(job: Job, said: &str) {
    answers_beside_all(Supervisor::new(), &[("attack".to_owned(), job, said.to_owned())]);
}

/// The same of several that run at once, from the start of them to the end of each.
#[track_caller]
fn answers_beside_all(supervisor: Supervisor, others: &[(String, Job, String)]) {
    let place = Place::named(&supervisor.sandbox, "neighbour");
    let mut supervisor = supervisor.with("neighbour", at(&place, Job::guest("answers", &[])));
    for (label, job, _) in others {
        supervisor = supervisor.with(label, job.clone());
    }
    let supervisor = supervisor.start();
    let mut client = place.connect();
    for (label, ..) in others {
        supervisor.logs(&format!(" {label}: started: RunAtLoad"));
    }
    let (start, mut asked) = (Instant::now(), 0);
    while asked < REQUESTS || others.iter().any(|(label, _, said)| !has_ended(&supervisor, label, said)) {
        let answer = get(&mut client, "/hello");
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello\n"), "request {asked}");
        assert!(start.elapsed() < PATIENCE, "not all have ended; there is\n{}", supervisor.log());
        asked += 1;
    }
    assert_eq!(get(&mut client, "/hello").status, 200);
    assert_eq!(standing(&supervisor, "neighbour"), "running, 1 runs");
}

fn has_ended(supervisor: &Supervisor, label: &str, said: &str) -> bool {
    supervisor.log().contains(&format!(" {label}: ended: {said}"))
}

/// Their jobs, under labels of their own, each with how it ends.
fn labelled(supervisor: &Supervisor, names: &[&str]) -> Vec<(String, Job, String)> {
    let named = |name: &&str| {
        let (job, said) = guest_of(supervisor, &row(name));
        ((*name).to_owned(), job, said)
    };
    names.iter().map(named).collect()
}

#[test]
fn a_neighbour_of_bombs_and_sleepers_answers_everybody() {
    let supervisor = Supervisor::new();
    let others = labelled(&supervisor, TOGETHER);
    answers_beside_all(supervisor, &others);
}

#[test]
fn a_neighbour_of_one_that_copies_four_gibibytes_answers_everybody() {
    let Some(_room) = room::take() else { return };
    let supervisor = Supervisor::new();
    let others = labelled(&supervisor, &["copy_four_gibibytes"]);
    answers_beside_all(supervisor, &others);
}

#[test]
fn a_neighbour_of_native_attackers_answers_everybody() {
    let rows = rows();
    let native = rows.iter().filter(|row| row.script.is_some());
    let others: Vec<_> = native
        .map(|row| {
            let (job, said) = native_of(row);
            (row.name.clone(), job, said)
        })
        .collect();
    assert!(!others.is_empty(), "the table has no native attacker");
    answers_beside_all(Supervisor::new(), &others);
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
    answers_beside(attack("recurse_for_ever"), "trap: wasm trap: call stack exhausted");
}

/// Processes that make more of themselves: the shell's goes out once it is refused some, since a shell ends of that, and
/// its first one lives on as something else; the other never tires.
const BOMBS: [(&str, [&str; 3]); 2] = [
    ("shell", ["/bin/sh", "-c", "f() { f | f & }; (f); exec sleep 1000000"]),
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
    // A system may have no Perl.
    let bombs: Vec<_> = BOMBS.into_iter().filter(|(_, words)| Path::new(words[0]).exists()).collect();
    let place = Place::named(&supervisor.sandbox, "neighbour");
    let supervisor = supervisor.with("neighbour", at(&place, echo()));
    let supervisor = bombs.iter().fold(supervisor, |all, (label, words)| all.with(label, bomb(label, *words)));
    let supervisor = supervisor.start();
    bombs.iter().for_each(|(label, _)| _ = supervisor.logs(&format!(" {label}: started: RunAtLoad")));
    let mut client = place.connect();
    comes_back(&mut client, "the first");
    while bombs.iter().any(|(label, _)| !supervisor.log().contains(&format!(" {label}: ended: "))) {
        comes_back(&mut client, "the same");
        comes_back(&mut place.connect(), "another");
    }
    comes_back(&mut client, "the last");
    assert_eq!(standing(&supervisor, "neighbour"), "running, 1 runs");
    bombs.iter().for_each(|(label, _)| went_off_within_its_limits(&supervisor, label));
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

/// How much worker and supervisor may grow, bytes: an instance that left a kilobyte and a half would show.
const GROWTH: u64 = 16 << 20;

/// Started, served and ended, one after the other.
#[test]
fn ten_thousand_instances_that_ended_leave_nothing() {
    const FIRST: usize = 500;
    let (supervisor, place) = served(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    let serve = |count: usize| (0..count).for_each(|_| assert_eq!(place.connect().rest(), ""));
    serve(FIRST);
    let worker = process(&supervisor, "module");
    let processes = [u32::try_from(worker).expect("a process number"), supervisor.process().pid()];
    let (before, memory) = (held(worker), processes.map(resident));
    serve(10_000);
    let after = held(worker);
    assert!(after[0] <= before[0].max(256) && after[1] <= before[1] + 4, "{before:?} became {after:?}");
    for (process, before) in processes.into_iter().zip(memory) {
        let now = resident(process);
        assert!(now <= before + GROWTH, "process {process} had {before} bytes and has {now}");
    }
    assert_eq!(process(&supervisor, "module"), worker, "another process");
}
