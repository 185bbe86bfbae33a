//! Limits that end a run, under a supervisor: whatever kind of job meets one, the log, the listed status and the run's
//! record say which, and who held it. That each is held, and to the byte, is shown in the foreground (`limits`); those of
//! one instance among many are in `sockets::serving::recorded`.
//!
//! What the kernel refuses a native program, which may go on, it tells nobody but that: memory, descriptors, processes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value as Json, json};

use super::life::open_folder;
use super::output::history;
use crate::harness::{Job, Supervisor};

const MEBIBYTE: u64 = 1 << 20;
const GUEST: &str = "the WASI wall";
const KERNEL: &str = "the kernel wall";
const SUPERVISOR: &str = "the supervisor";
/// Whoever is first, on a busy machine.
const ANYBODY: &str = "";

/// A job, the limit that ends it, and who holds that.
type Row = (&'static str, Job, &'static str, &'static str);

/// Modules that trap when the last thing they grow is refused, by their names, with what they have and do: each of them is
/// refused by the sum alone.
const GROWING: &[(&str, &str, &str)] = &[
    (
        "memory",
        "",
        "(loop $again (br_if $again (i32.ne (memory.grow $one (i32.const 16)) (i32.const -1)))) unreachable",
    ),
    (
        "table",
        "(table $table 0 externref)",
        "(loop $again (br_if $again (i32.ne (table.grow $table (ref.null extern) (i32.const 65536)) (i32.const -1))))
         unreachable",
    ),
    (
        "memories",
        "(memory $other 1)",
        "(if (i32.eq (memory.grow $one (i32.const 80)) (i32.const -1)) (then (return)))
         (if (i32.eq (memory.grow $other (i32.const 80)) (i32.const -1)) (then (unreachable)))",
    ),
    (
        "memory-and-table",
        "(table $table 0 externref)",
        "(if (i32.eq (memory.grow $one (i32.const 80)) (i32.const -1)) (then (return)))
         (if (i32.eq (table.grow $table (ref.null extern) (i32.const 262144)) (i32.const -1)) (then (unreachable)))",
    ),
];

/// What those come to whose Memory is 8 MiB.
fn growing(supervisor: &Supervisor) -> Vec<Row> {
    let row = |(name, has, does): &(&'static str, &str, &str)| {
        let text = format!(r#"(module (memory $one (export "memory") 1) {has} (func (export "_start") {does}))"#);
        let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let program = supervisor.sandbox.write(&format!("{name}.wasm"), bytes);
        (*name, Job::new(&program, &[]).limit("Memory", 8 * MEBIBYTE), "Memory", GUEST)
    };
    GROWING.iter().map(row).collect()
}

/// Everything else that is limited, for each kind of job that it ends.
fn others(supervisor: &Supervisor) -> Vec<Row> {
    let data = open_folder(&supervisor.sandbox, "data");
    supervisor.sandbox.write("data/file", "");
    let fifo = supervisor.sandbox.make_fifo("data/fifo");
    fs::set_permissions(fifo, Permissions::from_mode(0o666)).expect("a mode");
    let with_data = |job: Job| job.path(&data, "/data", "ReadOnly");
    let spins = || Job::shell("while :; do :; done");
    let writes = || Job::shell("while :; do echo 123456789; done");
    let blocks = with_data(Job::guest("probe-block", &["/data/fifo"]));
    let handles = with_data(Job::guest("probe-handles", &["1000", "/data/file"]));
    vec![
        ("computes", Job::guest("probe-spin", &[]).limit("CPUTime", 1), "CPUTime", GUEST),
        ("native-computes", spins().limit("CPUTime", 1), "CPUTime", KERNEL),
        ("sleeps", Job::guest("probe-sleep", &["1000000"]).limit("RunTime", 1), "RunTime", ANYBODY),
        // A call of the host that does not come back.
        ("blocks", blocks.limit("RunTime", 4), "RunTime", SUPERVISOR),
        ("native-sleeps", Job::shell("exec sleep 1000").limit("RunTime", 1), "RunTime", SUPERVISOR),
        ("handles", handles.limit("Handles", 64), "Handles", GUEST),
        ("writes", Job::guest("probe-output", &["1000000"]).limit("OutputSize", 1000), "OutputSize", GUEST),
        ("native-writes", writes().limit("OutputSize", 1000), "OutputSize", KERNEL),
    ]
}

/// The only run of a job, as `wjob history --json` tells it, once it has ended.
#[track_caller]
fn record(supervisor: &Supervisor, label: &str) -> Json {
    history(supervisor, label, 1);
    let ran = supervisor.wjob(&["history", "--json", label]);
    serde_json::from_slice(&ran.exits(0).stdout).unwrap_or_else(|error| panic!("{error}\n{}", ran.described()))
}

#[test]
fn a_limit_that_ends_a_run_is_named_in_the_log_and_in_the_record() {
    let supervisor = Supervisor::new();
    let rows: Vec<Row> = growing(&supervisor).into_iter().chain(others(&supervisor)).collect();
    for (label, job, ..) in &rows {
        supervisor.job(label, job.clone().with("RunAtLoad", true));
    }
    let supervisor = supervisor.start();
    for (label, _, limit, wall) in rows {
        let words = format!("limit {limit} reached, held by {wall}");
        supervisor.logs(&format!(" {label}: ended: {words}"));
        let run = record(&supervisor, label);
        let outcome = run["outcome"].as_str().unwrap_or_default();
        assert!(outcome.starts_with(&words), "{label}: {outcome:?} is not {words:?}");
        assert_eq!((&run["status"], &supervisor.row(label)["status"]), (&json!(137), &json!(137)), "{run}");
    }
}

/// What `wjob print` says of a job's limits, in the order of the table of limits.
fn told(supervisor: &Supervisor, label: &str) -> Vec<String> {
    let detail = supervisor.call("Print", json!({ "label": label })).expect("the job");
    let lines = detail["limits"].as_array().expect("its limits").iter();
    lines.map(|line| line.as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn of_each_limit_it_is_said_which_wall_holds_it_for_that_job() {
    let limited = |job: Job| job.limit("Memory", 64 * MEBIBYTE).limit("RunTime", 1000).limit("OutputSize", 1000);
    let unheld = Job::shell("exit 0").limit("ConnectionRate", 5).limit("IdleTime", 5);
    let supervisor = Supervisor::new()
        .with("guest", limited(Job::guest("probe-exit", &["0"])).limit("Processes", 5))
        .with("native", limited(Job::shell("exit 0")))
        .with("unheld", unheld)
        .with("missing", Job::new("/usr/bin/no-such-program", &[]).limit("RunTime", 1000))
        .start();
    let rows: [(&str, &[&str]); 4] = [
        (
            "guest",
            &[
                "Memory 67108864: held by the WASI wall (sum over memories and tables) and the kernel wall (RLIMIT_DATA",
                "RunTime 1000: held by the WASI wall (the run is dropped at the deadline) and the supervisor (",
                "OutputSize 1000: held by the WASI wall (the run ends at the first byte too many)",
                "Processes 5: nothing holds it: WebAssembly has no processes",
            ],
        ),
        (
            "native",
            &[
                "Memory 67108864: held by the kernel wall (RLIMIT_DATA, each process for itself; ",
                "RunTime 1000: held by the supervisor (",
                "OutputSize 1000: held by the kernel wall (its worker: ",
            ],
        ),
        (
            "unheld",
            &[
                "ConnectionRate 5: nothing holds it: nobody connects to it",
                "IdleTime 5: nothing holds it, and the job would not be started here: a native program has its ",
            ],
        ),
        ("missing", &["RunTime 1000: what holds it is not known"]),
    ];
    for (label, expected) in rows {
        let lines = told(&supervisor, label);
        assert_eq!(lines.len(), expected.len(), "{label}: {lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{label}: {line:?} is not {expected:?}");
        }
        supervisor.wjob(&["print", label]).exits(0).says(&lines[0]);
    }
}

/// No crash: who wants a job kept that crashed does not get this one again.
#[test]
fn a_limit_is_no_crash() {
    let supervisor = Supervisor::new();
    let kept = |job: Job| job.with_in("KeepAlive", "Crashed", true).with("ThrottleInterval", 0);
    let jobs = [
        ("guest", kept(Job::guest("probe-spin", &[]).limit("CPUTime", 1))),
        ("native", kept(Job::shell("while :; do :; done").limit("CPUTime", 1))),
    ];
    let supervisor = jobs.iter().fold(supervisor, |all, (label, job)| all.with(label, job.clone())).start();
    for (label, _) in jobs {
        supervisor.logs(&format!(" {label}: ended: limit CPUTime reached"));
        let row = supervisor.row(label);
        assert_eq!((&row["state"], &row["runs"]), (&json!("idle"), &json!(1)), "{label}: {row}");
    }
}

/// It was refused, said so itself, and ended as it liked.
#[test]
fn a_limit_that_only_refused_something_is_in_the_record_too() {
    let job = Job::guest("probe-memory", &["64"]).limit("Memory", 32 * MEBIBYTE).with("RunAtLoad", true);
    let below = Job::guest("probe-memory", &["8"]).limit("Memory", 32 * MEBIBYTE).with("RunAtLoad", true);
    let supervisor = Supervisor::new().with("above", job).with("below", below).start();
    let run = record(&supervisor, "above");
    assert_eq!((&run["outcome"], &run["status"]), (&json!("exit 3"), &json!(3)), "{run}");
    let [denial] = &run["denials"].as_array().expect("denials")[..] else { panic!("one denial was expected in {run}") };
    assert_eq!((&denial["kind"], &denial["what"]), (&json!("limit"), &json!("going beyond the limit Memory")));
    assert_eq!(denial["wall"], GUEST);
    assert!(denial["lines"].as_str().is_some_and(|lines| lines.contains("<key>Memory</key>")), "{denial}");
    assert_eq!(record(&supervisor, "below")["denials"], json!([]));
}
