//! `wjob run PROGRAM`: statuses come through unchanged, what is no program is refused with its reason, and the other
//! verbs answer. What a program is granted is tried in `grants`, job files in `run_files`.

use std::fs;
use std::os::unix::process::CommandExt;

use serde_json::Value;

use crate::harness::{self, Job, LABEL, Running, Sandbox, text};

/// A preview 1 module that leaves with a status.
fn module_that_exits(status: u8) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") i32.const {status} call $exit))"#
    ))
    .expect("a module")
}

#[test]
fn a_components_status_is_the_runs() {
    let sandbox = Sandbox::new();
    for status in [0, 1, 2, 3, 42, 64, 78, 127, 128, 255] {
        let ran = sandbox.wjob(&["run", &harness::guest("probe-exit"), &status.to_string()]);
        ran.exits(status).says_only("");
        assert_eq!(ran.stderr, "", "a plain exit needs no words\n{}", ran.described());
    }
}

#[test]
fn a_modules_status_is_the_runs() {
    let sandbox = Sandbox::new();
    for status in [0, 3, 255] {
        let program = sandbox.write("module.wasm", module_that_exits(status));
        sandbox.wjob(&["run", &program]).exits(status.into());
    }
}

/// A preview 1 module that copies `file` of its first folder to standard output, and leaves with 3 if there is none.
const COPYING_MODULE: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "\00\01\00\00\40\00\00\00")
    (data (i32.const 64) "file")
    (func (export "_start")
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4)
                (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0))
            (then (call $exit (i32.const 3))))
        (drop (call $read (i32.load (i32.const 0)) (i32.const 16) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 20) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)))))"#;

#[test]
fn a_module_reaches_what_is_granted_and_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.write("data/file", "hello\n");
    let program = sandbox.write("module.wasm", wat::parse_str(COPYING_MODULE).expect("a module"));
    let job = Job::new(&program, &[]);
    sandbox.run(&job.clone().path(&sandbox.name("data"), "/data", "ReadOnly")).exits(0).says_only("hello\n");
    sandbox.make_folder("empty");
    sandbox.run(&job.clone().path(&sandbox.name("empty"), "/data", "ReadOnly")).exits(3).says_only("");
    sandbox.run(&job).exits(3).says_only("");
}

/// A preview 1 module whose calls are each told apart from success by the status: what no other program here asks of the
/// system, so that the list of system calls is not shorter than what guests may ask for.
const RARE_CALLS: &str = r#"(module
    (import "wasi_snapshot_preview1" "clock_res_get" (func $resolution (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_readlink"
        (func $readlink (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_datasync" (func $datasync (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_sync" (func $sync (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_advise" (func $advise (param i32 i64 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $size (param i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "\00\01\00\00\04\00\00\00")
    (data (i32.const 64) "file")
    (data (i32.const 80) "link")
    (func $well (param $status i32) (param $errno i32)
        (if (local.get $errno) (then (call $exit (local.get $status)))))
    (func (export "_start") (local $file i32)
        (call $well (i32.const 1) (call $resolution (i32.const 0) (i32.const 0)))
        (call $well (i32.const 2) (call $resolution (i32.const 1) (i32.const 0)))
        (call $well (i32.const 3) (call $readlink (i32.const 3) (i32.const 80) (i32.const 4)
            (i32.const 256) (i32.const 64) (i32.const 8)))
        (call $well (i32.const 4) (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4)
            (i32.const 0) (i64.const 0x1fffffff) (i64.const 0) (i32.const 0) (i32.const 0)))
        (local.set $file (i32.load (i32.const 0)))
        (call $well (i32.const 5) (call $pwrite (local.get $file) (i32.const 16) (i32.const 1) (i64.const 2) (i32.const 8)))
        (call $well (i32.const 6) (call $pread (local.get $file) (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 8)))
        (call $well (i32.const 7) (call $advise (local.get $file) (i64.const 0) (i64.const 4) (i32.const 3)))
        (call $well (i32.const 8) (call $size (local.get $file) (i64.const 100)))
        (call $well (i32.const 9) (call $datasync (local.get $file)))
        (call $well (i32.const 10) (call $sync (local.get $file)))
        (call $well (i32.const 11) (call $renumber (local.get $file) (i32.const 3)))
        (call $exit (i32.const 0))))"#;

#[test]
fn calls_that_few_programs_make_are_let_through() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.write("data/file", "hello\n");
    sandbox.link("file", "data/link");
    let program = sandbox.write("module.wasm", wat::parse_str(RARE_CALLS).expect("a module"));
    let job = Job::new(&program, &[]).path(&sandbox.name("data"), "/data", "ReadWrite");
    sandbox.run(&job).exits(0).says_only("");
    assert_eq!(sandbox.read("data/file").len(), 100);
}

/// The name says nothing about what a program is.
#[test]
fn the_kind_is_read_from_the_bytes() {
    let sandbox = Sandbox::new();
    let program = sandbox.write("module.sh", module_that_exits(5));
    sandbox.wjob(&["run", &program]).exits(5);
    let program = sandbox.write("component", fs::read(harness::guest("probe-exit")).expect("a guest"));
    sandbox.wjob(&["run", &program, "6"]).exits(6);
}

#[test]
fn traps_and_panics_are_crashes() {
    let sandbox = Sandbox::new();
    let trap = sandbox.wjob(&["run", &harness::guest("probe-trap")]);
    trap.exits(134).says_only("").complains("unreachable").complains("trap");
    let panic = sandbox.wjob(&["run", &harness::guest("probe-panic")]);
    panic.exits(134).complains("probe-panic panics on purpose").complains("trap");
}

#[test]
fn a_command_of_wasi_0_3_runs() {
    let sandbox = Sandbox::new();
    let guest = harness::guest("probe_run3");
    sandbox.wjob(&["run", &guest]).exits(0).says_only("hello from 0.3\n");
    sandbox.wjob(&["run", &guest, "fail"]).exits(1).says_only("hello from 0.3\n");
}

/// What tools of other languages make: patch versions side by side, both releases in one component, imports that nobody
/// offers and nobody calls, and exports beside the command.
fn component_of_other_tools(status: u8) -> String {
    format!(
        r#"(component
            (import "wasi:cli/environment@0.2.9" (instance
                (export "get-arguments" (func (result (list string))))))
            (import "wasi:sockets/network@0.2.9" (instance (export "network" (type (sub resource)))))
            (import "wasi:http/types@0.2.10" (instance (export "fields" (type (sub resource)))))
            (import "wasi:clocks/monotonic-clock@0.3.0" (instance (export "now" (func (result u64)))))
            (import "wasi:keyvalue/store@0.2.0-draft" (instance (export "nobody-has-it" (func))))
            (core module $program (func (export "run") (result i32) (i32.const {status})))
            (core instance $instance (instantiate $program))
            (func $run (result (result)) (canon lift (core func $instance "run")))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $command))
            (instance $more (export "init" (func $run)))
            (export "exports" (instance $more)))"#
    )
}

#[test]
fn a_component_may_import_more_than_it_uses_and_export_more_than_a_command() {
    let sandbox = Sandbox::new();
    for status in [0, 1] {
        let component = wat::parse_str(component_of_other_tools(status)).expect("a component");
        let program = sandbox.write("component.wasm", component);
        sandbox.wjob(&["run", &program]).exits(status.into()).says_only("");
    }
}

#[test]
fn what_is_logged_is_a_line_on_standard_error_and_counts_as_output() {
    let sandbox = Sandbox::new();
    let job = Job::guest("probe-logging", &["net", "one\ntwo"]);
    let ran = sandbox.run(&job);
    ran.exits(0).says_only("granted: logging: 7 bytes\n");
    assert_eq!(ran.stderr, "<warn> net: one\\ntwo\n", "{}", ran.described());
    let ran = sandbox.run(&job.limit("OutputSize", 6));
    ran.exits(137).says_only("").complains("<warn>").complains("limit OutputSize reached");
}

#[test]
fn standard_input_comes_through() {
    let sandbox = Sandbox::new();
    let input: Vec<u8> = (0..200_000u32).map(|number| (number % 251) as u8).collect();
    let command = sandbox.command("wjob", &["run", &harness::guest("probe-stdin")]);
    let ran = Running::start_with_input(command, &input).end();
    ran.exits(0);
    assert!(ran.stdout == input, "{} of {} bytes came back, or others", ran.stdout.len(), input.len());
}

fn json(sandbox: &Sandbox, name: &str) -> Value {
    let text = sandbox.read(name);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_status_file_says_whose_the_status_is() {
    let sandbox = Sandbox::new();
    let missing = Job::new(&sandbox.name("missing.wasm"), &[]);
    let over_its_limit = Job::guest("probe-output", &["100"]).limit("OutputSize", 10);
    for (job, status, by) in [
        (Job::guest("probe-exit", &["0"]), 0, "job"),
        (Job::guest("probe-exit", &["78"]), 78, "job"),
        (Job::shell("kill -TERM $$"), 143, "job"),
        (Job::guest("probe-trap", &[]), 134, "wjob"),
        (over_its_limit, 137, "wjob"),
        (missing, 78, "wjob"),
        (Job::bare(), 65, "wjob"),
    ] {
        let file = sandbox.name("status.json");
        let ran = sandbox.run_with(&["--status-file", &file], &job, &[]);
        ran.exits(status);
        assert!(sandbox.path("status.json").is_file(), "no status was written\n{}", ran.described());
        let told = json(&sandbox, "status.json");
        assert_eq!((&told["status"], &told["by"]), (&Value::from(status), &Value::from(by)), "{}", ran.described());
        if status != 65 {
            assert_eq!(told["label"], LABEL, "{told}");
        }
        fs::remove_file(&file).expect("the status file");
    }
    let names = fs::read_dir(sandbox.path("")).expect("the sandbox").map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("status.json")).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn what_is_no_command_is_refused_with_its_reason() {
    let sandbox = Sandbox::new();
    let guest = fs::read(harness::guest("probe-exit")).expect("a guest");
    let assembled = |text: &str| wat::parse_str(text).expect("a program");
    for (what, bytes, reasons) in [
        ("empty", Vec::new(), &["an empty file"][..]),
        ("text", b"Dear reader,\n".to_vec(), &["Dear rea"]),
        ("truncated", guest[..guest.len() / 2].to_vec(), &["no valid component"]),
        ("magic number only", guest[..8].to_vec(), &["wasi:cli/run"]),
        ("another version", b"\0asm\x07\0\0\0".to_vec(), &["version"]),
        ("reactor", assembled(r#"(module (func (export "_initialize")))"#), &["_start"]),
        (
            "made for Emscripten",
            assembled(r#"(module (import "env" "emscripten_memcpy_js" (func)) (func (export "_start")))"#),
            &["env", "emscripten_memcpy_js"],
        ),
        (
            "draft before preview 1",
            assembled(r#"(module (import "wasi_unstable" "proc_exit" (func (param i32))) (func (export "_start")))"#),
            &["wasi_unstable"],
        ),
        (
            "unknown import",
            assembled(r#"(component (import "example:foo/bar@1.0.0" (instance (export "f" (func)))))"#),
            &["example:foo/bar@1.0.0"],
        ),
        ("no command", assembled("(component)"), &["wasi:cli/run"]),
    ] {
        let program = sandbox.write("program.wasm", bytes);
        let ran = sandbox.run(&Job::new(&program, &[]));
        assert_eq!(ran.status, 78, "{what}\n{}", ran.described());
        ran.says_only("").complains(format!("{LABEL} was not run"));
        reasons.iter().for_each(|reason| {
            ran.complains(reason);
        });
    }
}

#[test]
fn what_is_no_file_is_refused_and_hangs_nothing() {
    let sandbox = Sandbox::new();
    let fifo = sandbox.make_fifo("fifo");
    let folder = text(&sandbox.make_folder("folder"));
    let missing = sandbox.name("missing.wasm");
    for path in [&fifo, &folder, &missing] {
        sandbox.run(&Job::new(path, &[])).exits(78).complains(path);
        let ran = sandbox.wjob(&["run", path]);
        ran.complains(path);
        assert!([65, 78].contains(&ran.status), "{}", ran.described());
    }
    sandbox.run(&Job::new("no-such-program-anywhere", &[])).exits(78).complains("no-such-program-anywhere");
}

#[test]
fn the_property_list_of_the_options_comes_to_the_same() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.make_folder("out");
    sandbox.write("data/file", "hello\n");
    let guest = harness::guest("probe-args");
    #[rustfmt::skip]
    let options = [
        "--ro", "data:/data", "--rw", "out:/out", "--connect", "tcp://127.0.0.1:9", "--bind", "udp://127.0.0.1:0",
        "--env", "A=1 < 2 & 3", "--memory", "64M", "--run-time", "60", "--cwd", "/data",
    ];
    let words = [&["run"][..], &options, &[guest.as_str(), "--", "--one", "two <&> three"]].concat();
    let direct = sandbox.wjob(&words);
    direct.exits(0).says("--one\ntwo <&> three\nA=1 < 2 & 3\n");
    let printing = [&["run", "--print-plist"][..], &words[1..]].concat();
    let printed = sandbox.wjob(&printing);
    printed.exits(0).says("<plist version=\"1.0\">").says("<integer>67108864</integer>");
    printed.says("<string>tcp://127.0.0.1:9</string>").says("<string>udp://127.0.0.1:0</string>").says("ReadWrite");
    let file = sandbox.write("printed.plist", &printed.stdout);
    sandbox.wjob(&["run", &file]).exits(0).says_only(direct.output());
}

#[test]
fn options_for_a_program_are_refused_with_a_job_file() {
    let sandbox = Sandbox::new();
    let job = Job::guest("probe-exit", &["0"]);
    for options in [
        &["--ro", "/usr"][..],
        &["--rw", "/usr"],
        &["--connect", "tcp://127.0.0.1:1"],
        &["--bind", "tcp://127.0.0.1:0"],
        &["--user", "root"],
        &["--instance-reuse", "2"],
        &["--env", "A"],
        &["--cwd", "/usr"],
        &["--memory", "1M"],
        &["--run-time", "1"],
        &["--limit", "Instances=1"],
        &["--print-plist"],
    ] {
        sandbox.run_with(options, &job, &[]).exits(64).complains("job file");
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let sandbox = Sandbox::new();
    for words in [
        &[][..],
        &["run"],
        &["nonsense"],
        &["run", "--no-such-option", "x"],
        &["run", "--memory", "many", "x"],
        &["run", "--limit", "Instances", "x"],
        &["new"],
        &["new", "hello", "--template", "nonsense"],
        &["run", "--cwd", "not-absolute", "/bin/echo"],
        &["completions", "no-such-shell"],
    ] {
        let ran = sandbox.wjob(words);
        ran.exits(64);
        assert!(!ran.stderr.is_empty(), "{}", ran.described());
    }
    sandbox.wjob(&["--help"]).exits(0).says("run");
    sandbox.wjob(&["--version"]).exits(0).says("wjob ");
}

/// The names of the walls that wjob itself lists.
fn walls(sandbox: &Sandbox) -> Vec<String> {
    let ran = sandbox.wjob(&["info", "--json"]);
    let info: Value = serde_json::from_slice(&ran.exits(0).stdout).unwrap_or_else(|_| panic!("{}", ran.described()));
    let walls = info["walls"].as_array().cloned().unwrap_or_default();
    walls.iter().filter_map(|wall| wall["wall"].as_str().map(str::to_owned)).collect()
}

#[test]
fn info_tells_walls_and_places() {
    let sandbox = Sandbox::new();
    let names = walls(&sandbox);
    for name in ["user", "processes", "network", "mount", "limits", "no-new-privileges", "capabilities", "landlock"] {
        assert!(names.iter().any(|wall| wall == name), "{name} is not among {names:?}");
    }
    let ran = sandbox.wjob(&["info", "--json"]);
    let info: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    for key in ["version", "build", "uid", "landlockAbi", "cache", "state"] {
        assert!(!info[key].is_null(), "{key} is missing\n{}", ran.described());
    }
    assert_eq!(info["uid"], rustix::process::geteuid().as_raw());
    let words = sandbox.wjob(&["info"]);
    names.iter().for_each(|name| {
        words.exits(0).says(name);
    });
}

/// A native job without grants of the network has every wall there is, but a control group, for which it would have to
/// have a limit and wjob a group to divide; a guest has no need of two more of them.
#[test]
fn show_walls_names_every_wall() {
    let sandbox = Sandbox::new();
    let all = walls(&sandbox);
    let native = sandbox.run_with(&["--show-walls"], &Job::shell("exit 4"), &[]);
    let guest = sandbox.run_with(&["--show-walls"], &Job::guest("probe-exit", &["4"]), &[]);
    for ran in [&native, &guest] {
        ran.exits(4).says_only("").does_not_complain("FALLEN");
    }
    for wall in all.iter().filter(|wall| *wall != "cgroup") {
        native.complains(format!("wjob: {wall} "));
        if !["processes", "network"].contains(&wall.as_str()) {
            guest.complains(format!("wjob: {wall} "));
        }
    }
}

#[test]
fn statuses_are_explained() {
    let sandbox = Sandbox::new();
    for (status, word) in [("64", "command line"), ("65", "property list"), ("134", "trap"), ("137", "limit")] {
        sandbox.wjob(&["error", status]).exits(0).says(status).says(word);
    }
    let all = sandbox.wjob(&["error"]);
    for status in ["64", "65", "69", "77", "78", "113", "119", "130", "134", "137", "143"] {
        all.exits(0).says(status);
    }
}

#[test]
fn completions_and_the_manual_are_printed() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish"] {
        sandbox.wjob(&["completions", shell]).exits(0).says("completions").says("status-file");
    }
    let manual = sandbox.wjob(&["man"]);
    manual.exits(0).says(".TH wjob 1").says("ProgramArguments").says(".SH \"EXIT STATUS\"");
    assert!(manual.stdout.starts_with(b"."), "no roff request at the beginning\n{}", manual.described());
}

/// A role is no verb: only a supervisor starts a worker.
#[test]
fn a_worker_started_by_hand_says_what_it_is() {
    let sandbox = Sandbox::new();
    let program = harness::binary("wjob");
    sandbox.link(&text(&program), "wjob-worker");
    let by_link = sandbox.command_at(&sandbox.path("wjob-worker"), &["run", "x"]);
    let mut by_name = sandbox.command("wjob", &["run", "x"]);
    by_name.arg0("wjob-worker");
    for command in [by_link, by_name] {
        Running::start(command).end().exits(64).says_only("").complains("part of wjob").complains("wjob run");
    }
}
