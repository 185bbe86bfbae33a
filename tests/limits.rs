//! Limits: each is reached by a job made for it, ends that job with status 137 and is named with the wall that held
//! it; a job that stays below does not notice it. That a limit comes neither early nor late by the clock is not
//! tested here: a busy machine would decide.

use crate::harness::{Job, Ran, Sandbox, is_root};

const MEBIBYTE: u64 = 1 << 20;

/// Ended by a limit, which is named.
#[track_caller]
fn held<'a>(ran: &'a Ran, limit: &str, wall: &str) -> &'a Ran {
    ran.exits(137).complains(format!("limit {limit} reached")).complains(format!("held by {wall}"))
}

const GUEST: &str = "the WASI wall";
const KERNEL: &str = "the kernel wall";
const SUPERVISOR: &str = "the supervisor";

#[test]
fn memory_is_refused_and_the_guest_may_go_on() {
    let sandbox = Sandbox::new();
    let job = |megabytes: &str| Job::guest("probe-memory", &[megabytes]);
    sandbox.run(&job("8").limit("Memory", 32 * MEBIBYTE)).exits(0).says("8 MiB");
    sandbox.run(&job("64").limit("Memory", 32 * MEBIBYTE)).exits(3).says("refused after");
    let by_launchd = job("64").with_in("HardResourceLimits", "Data", 32 * MEBIBYTE);
    sandbox.run(&by_launchd).exits(3).says("refused after");
}

/// A guest that cannot even begin, and one that gives up when memory is refused.
#[test]
fn a_guest_that_dies_of_its_memory_limit_is_no_crash() {
    let sandbox = Sandbox::new();
    held(&sandbox.run(&Job::guest("probe-memory", &["1"]).limit("Memory", 65_536)), "Memory", GUEST);
    let text = r#"(module (memory (export "memory") 1)
        (func (export "_start") (if (i32.eq (memory.grow (i32.const 64)) (i32.const -1)) (then unreachable))))"#;
    let program = sandbox.write("grow.wasm", wat::parse_str(text).expect("a module"));
    sandbox.run(&Job::new(&program, &[]).limit("Memory", 8 * MEBIBYTE)).exits(0);
    held(&sandbox.run(&Job::new(&program, &[]).limit("Memory", MEBIBYTE)), "Memory", GUEST);
}

/// More than its own memory's type allows is nothing that the job could be granted.
#[test]
fn who_gives_up_for_what_no_memory_can_be_has_crashed() {
    let sandbox = Sandbox::new();
    for (name, memory, pages) in [("declared", "1 2", 2), ("addressable", "1", 65_536)] {
        let text = format!(
            r#"(module (memory (export "memory") {memory})
                (func (export "_start") (drop (memory.grow (i32.const {pages}))) unreachable))"#
        );
        let program = sandbox.write(&format!("{name}.wasm"), wat::parse_str(text).expect("a module"));
        let ran = sandbox.run(&Job::new(&program, &[]).limit("Memory", 8 * MEBIBYTE));
        ran.exits(134).does_not_complain("limit Memory reached");
    }
}

/// Whoever goes on after a refusal and then makes a mistake has crashed.
#[test]
fn a_mistake_after_memory_was_refused_is_a_crash() {
    let sandbox = Sandbox::new();
    for (name, then) in [
        ("divides", "(drop (i32.div_u (i32.const 1) (i32.load (i32.const 0))))"),
        ("reaches", "(drop (i32.load (i32.const -8)))"),
        ("calls", "(call_indirect (i32.const 0))"),
        ("recovers", "(drop (memory.grow (i32.const 1))) unreachable"),
    ] {
        let text = format!(
            r#"(module (memory (export "memory") 1) (table 1 funcref)
                (func (export "_start")
                    (if (i32.ne (memory.grow (i32.const 64)) (i32.const -1)) (then (return)))
                    {then}))"#
        );
        let program = sandbox.write(&format!("{name}.wasm"), wat::parse_str(text).expect("a module"));
        sandbox.run(&Job::new(&program, &[]).limit("Memory", 8 * MEBIBYTE)).exits(0);
        let ran = sandbox.run(&Job::new(&program, &[]).limit("Memory", MEBIBYTE));
        ran.exits(134).does_not_complain("limit Memory reached");
    }
}

/// Growing beyond every number fails without anybody being asked, and nothing is given back for it: else each such failure
/// would make room for as much as was taken before it.
#[test]
fn a_failure_to_grow_makes_no_room_for_more() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (table $table i64 2 funcref)
        (func (export "_start")
            (loop $again
                (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (call $exit (i32.const 3))))
                (drop (table.grow $table (ref.null func) (i64.const -1)))
                (if (i32.gt_u (memory.size) (i32.const 1024)) (then (call $exit (i32.const 4))))
                (br $again))))"#;
    let sandbox = Sandbox::new();
    let program = sandbox.write("fails.wasm", wat::parse_str(text).expect("a module"));
    sandbox.run(&Job::new(&program, &[]).limit("Memory", 8 * MEBIBYTE)).exits(3);
    sandbox.run(&Job::new(&program, &[]).limit("Memory", 128 * MEBIBYTE)).exits(4);
}

/// A guest that may not be larger by its own words meets no limit of the job.
#[test]
fn what_a_guests_own_types_forbid_is_no_limit() {
    let text = r#"(module (memory (export "memory") 1 2)
        (func (export "_start") (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))))"#;
    let sandbox = Sandbox::new();
    let program = sandbox.write("bounded.wasm", wat::parse_str(text).expect("a module"));
    sandbox.run(&Job::new(&program, &[]).limit("Memory", 8 * MEBIBYTE)).exits(134).does_not_complain("limit Memory");
}

#[test]
fn a_native_program_is_refused_memory() {
    let sandbox = Sandbox::new();
    // tail keeps all that it is to print.
    let job = Job::shell("head -c 200000000 /dev/zero | tail -c 190000000 > /dev/null");
    sandbox.run(&job).exits(0);
    let ran = sandbox.run(&job.limit("Memory", 16 * MEBIBYTE));
    assert_ne!(ran.status, 0, "{}", ran.described());
}

#[test]
fn computing_ends_at_cpu_time() {
    let sandbox = Sandbox::new();
    held(&sandbox.run(&Job::guest("probe-spin", &[]).limit("CPUTime", 1)), "CPUTime", GUEST);
    let by_launchd = Job::guest("probe-spin", &[]).with_in("SoftResourceLimits", "CPU", 1);
    held(&sandbox.run(&by_launchd), "CPUTime", GUEST);
    held(&sandbox.run(&Job::shell("while :; do :; done").limit("CPUTime", 1)), "CPUTime", KERNEL);
    sandbox.run(&Job::guest("probe-sleep", &["1.5"]).limit("CPUTime", 1)).exits(0);
}

#[test]
fn everything_ends_at_run_time() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.make_fifo("data/fifo");
    let data = sandbox.name("data");
    // Who holds it, the worker or the supervisor a second later, is the busy machine's to decide.
    held(&sandbox.run(&Job::guest("probe-spin", &[]).limit("RunTime", 1)), "RunTime", "");
    held(&sandbox.run(&Job::guest("probe-sleep", &["1000"]).limit("RunTime", 1)), "RunTime", "");
    // A host call that blocks can only be ended from outside.
    let blocked = Job::guest("probe-block", &["/data/fifo"]).path(&data, "/data", "ReadOnly");
    held(&sandbox.run(&blocked.limit("RunTime", 4)), "RunTime", SUPERVISOR);
    held(&sandbox.run(&Job::shell("sleep 1000").limit("RunTime", 1)), "RunTime", SUPERVISOR);
    held(&sandbox.run(&Job::shell("trap '' TERM; sleep 1000").limit("RunTime", 1)), "RunTime", SUPERVISOR);
    sandbox.run(&Job::guest("probe-exit", &["4"]).limit("RunTime", 100)).exits(4);
}

#[test]
fn handles_are_counted() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.write("data/file", "");
    let data = sandbox.name("data");
    let job = |count: &str| Job::guest("probe-handles", &[count, "/data/file"]).path(&data, "/data", "ReadOnly");
    sandbox.run(&job("20")).exits(0).says("20 open");
    sandbox.run(&job("20").limit("Handles", 64)).exits(0).says("20 open");
    let ran = sandbox.run(&job("1000").limit("Handles", 64));
    // Either the guest is told, or it is ended by the limit; a crash it is not.
    match ran.status {
        3 => ran.says("refused after"),
        _ => ran.exits(137).complains("limit Handles reached"),
    };
}

/// A module opens a file so often, closing it each time or never.
const OPENS: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "file")
    (func (export "_start") (local $number i32)
        (loop $next
            (if (call $open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 4)
                    (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 1024))
                (then (call $exit (i32.const 3))))
            CLOSE
            (local.set $number (i32.add (local.get $number) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $number) (i32.const TIMES))))))"#;
const CLOSE: &str = "(drop (call $close (i32.load (i32.const 1024))))";

/// They are counted in the guest's own wall, so that the kernel's is not the first to be met.
#[test]
fn handles_of_a_module_are_counted_too() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.write("data/file", "");
    let data = sandbox.name("data");
    let run = |times: &str, close: &str| {
        let text = OPENS.replace("TIMES", times).replace("CLOSE", close);
        let program = sandbox.write("opens.wasm", wat::parse_str(text).expect("a module"));
        sandbox.run(&Job::new(&program, &[]).path(&data, "/data", "ReadOnly").limit("Handles", 64))
    };
    run("20", "").exits(0);
    run("1000", CLOSE).exits(0);
    held(&run("1000", ""), "Handles", GUEST);
}

#[test]
fn output_ends_at_its_size_to_the_byte() {
    let sandbox = Sandbox::new();
    let guest = |bytes: &str| Job::guest("probe-output", &[bytes]);
    sandbox.run(&guest("1000").limit("OutputSize", 1000)).exits(0);
    for size in [0, 1, 999, 70_000] {
        let ran = sandbox.run(&guest("1000000").limit("OutputSize", size));
        assert_eq!(held(&ran, "OutputSize", "").stdout.len() as u64, size, "{}", ran.described());
    }
    sandbox.run(&Job::shell("echo 123456789").limit("OutputSize", 10)).exits(0).says_only("123456789\n");
    let ran = sandbox.run(&Job::shell("while :; do echo 123456789; done").limit("OutputSize", 1005));
    held(&ran, "OutputSize", "");
    assert_eq!(ran.output(), format!("{}12345", "123456789\n".repeat(100)));
    // No native program has a WASI wall around it.
    ran.does_not_complain(GUEST);
}

/// Standard output and standard error share one budget, which is never overdrawn.
#[test]
fn both_outputs_count() {
    let sandbox = Sandbox::new();
    let errors = sandbox.name("errors");
    let job = Job::shell("echo 1234; echo 1234 >&2; while :; do echo more; done")
        .limit("OutputSize", 10)
        .with("StandardErrorPath", errors);
    let ran = sandbox.run(&job);
    held(&ran, "OutputSize", "");
    assert_eq!(ran.stdout.len() + sandbox.read("errors").len(), 10, "{}", ran.described());
}

#[test]
fn a_rate_delays_and_loses_nothing() {
    let sandbox = Sandbox::new();
    let whole = sandbox.run(&Job::guest("probe-output", &["30000"]));
    let paced = sandbox.run(&Job::guest("probe-output", &["30000"]).limit("OutputRate", 20_000));
    paced.exits(0);
    assert!(whole.stdout.len() == 30_000 && paced.stdout == whole.stdout, "{}", paced.described());
    let native = Job::shell("head -c 30000 /dev/zero").limit("OutputRate", 20_000);
    assert_eq!(sandbox.run(&native).exits(0).stdout, [0; 30_000]);
}

#[test]
fn launchds_resource_limits_are_the_kernels() {
    let sandbox = Sandbox::new();
    let job = Job::shell("ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -St")
        .with_in("SoftResourceLimits", "NumberOfFiles", 100)
        .with_in("HardResourceLimits", "NumberOfFiles", 200)
        .with_in("SoftResourceLimits", "CPU", 77);
    sandbox.run(&job).exits(0).says_only("100\n200\n0\n77\n");
    let impossible = Job::shell("exit 0").with_in("SoftResourceLimits", "NumberOfFiles", 200).with_in(
        "HardResourceLimits",
        "NumberOfFiles",
        100,
    );
    sandbox.run(&impossible).exits(65);
}

#[test]
fn files_end_at_their_size() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    let data = sandbox.name("data");
    // SIGXFSZ, 25, is what setrlimit(2) says.
    let job = Job::shell("exec head -c 100000 /dev/zero > /data/file").path(&data, "/data", "ReadWrite");
    sandbox.run(&job.clone().with_in("SoftResourceLimits", "FileSize", 4096)).exits(128 + 25).complains("SIGXFSZ");
    assert_eq!(sandbox.read("data/file").len(), 4096);
    sandbox.run(&job).exits(0);
    assert_eq!(sandbox.read("data/file").len(), 100_000);
}

#[test]
fn processes_are_counted_or_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    let many = Job::shell("n=0; while [ $n -lt 40 ]; do sleep 1000 & n=$((n+1)); done; echo all");
    let ran = sandbox.run(&many.clone().limit("Processes", 8));
    if is_root() {
        // The kernel does not count the processes of root.
        ran.exits(77).says_only("").complains("Processes").complains("uid 0");
    } else {
        assert_ne!(ran.status, 0, "{}", ran.described());
        assert!(!ran.output().contains("all"), "{}", ran.described());
        sandbox.run(&Job::shell("sh -c true; echo all").limit("Processes", 8)).exits(0).says_only("all\n");
    }
    sandbox.run(&many).exits(0).says_only("all\n");
}

/// Each process alone stays below the limit; the run as a whole does not.
#[test]
fn processor_time_is_the_runs_and_not_each_processs() {
    let sandbox = Sandbox::new();
    let script = "while :; do sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'; done";
    let ran = sandbox.run(&Job::shell(script).limit("CPUTime", 1));
    held(&ran, "CPUTime", "the kernel wall");
}
