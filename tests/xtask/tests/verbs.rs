//! `cargo xtask demo`, `test` and `dist` where every program of the machine is a script that notes how it was called:
//! which commands they give, in which order, what they say and what they leave. Nothing is built or fetched; that the
//! commands work is shown whenever somebody gives them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

/// The verbs that need the WebAssembly target.
const VERBS: [&str; 3] = ["demo", "test", "dist"];

/// One machine at a time: a script that is being written cannot be executed, and a process that is started at that
/// moment by another test holds it open.
static TURN: Mutex<()> = Mutex::new(());

/// A repository, and the programs of the machine it is on.
struct Machine {
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// What a verb came to.
struct Ran {
    succeeded: bool,
    stdout: String,
    stderr: String,
}

impl Machine {
    /// One with cargo, rustup and a compiler that has no library for WebAssembly; each program succeeds.
    fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let machine = Self { folder: tempfile::tempdir().expect("a temporary folder"), _turn: turn };
        const BUILT: &str = "target/wasm32-wasip2/guest";
        for folder in ["programs", "tests/xtask", "target/debug", "built", "guests/hostile/modules", BUILT] {
            fs::create_dir_all(machine.path(folder)).expect("a folder");
        }
        for (file, text) in [("attacks.json", "[]"), ("modules/loop.wat", "(module)"), ("README", "")] {
            fs::write(machine.path("guests/hostile").join(file), text).expect("a corpus");
        }
        for name in ["hostile.wasm", "hostile3.wasm"] {
            fs::write(machine.path(BUILT).join(name), name).expect("a component of the corpus");
        }
        for name in ["cargo", "rustc", "rustup"] {
            machine.program(name, "");
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a program there that notes its call and then does what the script says.
    fn program(&self, name: &str, script: &str) {
        self.executable(&format!("programs/{name}"), name, script);
    }

    fn executable(&self, file: &str, name: &str, script: &str) {
        let calls = self.path("calls");
        let text = format!("#!/bin/sh\necho \"{name} $*\" >> '{}'\n{script}\n", calls.display());
        fs::write(self.path(file), text).expect("a script");
        fs::set_permissions(self.path(file), Permissions::from_mode(0o755)).expect("a mode");
    }

    /// Has cargo tell that it built these, by the name of the target and the name of the file.
    fn builds(&self, guests: &[(&str, &str)], binaries: &[(&str, &str)]) {
        let lines = |built: &[(&str, &str)]| {
            let line = |(target, file): &(&str, &str)| {
                let path = self.path("built").join(file);
                fs::write(&path, file).expect("a built file");
                let (kind, path) = if target.contains('_') {
                    ("filenames", format!("[\"{}\"]", path.display()))
                } else {
                    ("executable", format!("\"{}\"", path.display()))
                };
                format!("{{\"target\":{{\"name\":\"{target}\"}},\"profile\":{{\"test\":false}},\"{kind}\":{path}}}\n")
            };
            built.iter().map(line).collect::<String>()
        };
        fs::write(self.path("guests.json"), lines(guests)).expect("a file");
        fs::write(self.path("binaries.json"), lines(binaries)).expect("a file");
        let folder = self.folder.path().display();
        let script = format!(
            "case \"$*\" in *--bins*) exec /bin/cat '{folder}/binaries.json';; *) exec /bin/cat '{folder}/guests.json';; esac"
        );
        self.program("cargo", &script);
    }

    /// Runs a verb.
    fn xtask(&self, words: &[&str]) -> Ran {
        let programs = self.path("programs");
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(words)
            .env_clear()
            .env("PATH", &programs)
            .env("CARGO", programs.join("cargo"))
            .env("RUSTC", programs.join("rustc"))
            .env("CARGO_MANIFEST_DIR", self.path("tests/xtask"))
            .output()
            .expect("xtask was built");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Ran { succeeded: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The calls, in their order; of those that build the guests without the names of the packages.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        calls.lines().map(|line| line.split(" --package ").next().unwrap_or(line).to_owned()).collect()
    }

    /// The names in a folder, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Ran {
    #[track_caller]
    fn fails(&self, parts: &[&str]) {
        assert!(!self.succeeded, "it succeeded\n{}", self.stderr);
        self.tells(parts);
    }

    #[track_caller]
    fn tells(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} was expected in\n{}", self.stderr);
        }
    }
}

const LOOKED: &str = "rustc --print target-libdir --target wasm32-wasip2";
const ADDED: &str = "rustup target add wasm32-wasip2";
const GUESTS: &str = "cargo build --profile guest --target wasm32-wasip2";

#[test]
fn a_target_that_cannot_be_added_ends_every_verb_with_what_to_do() {
    for verb in VERBS {
        let machine = Machine::new();
        machine.program("rustup", "exit 1");
        machine.xtask(&[verb]).fails(&[
            "error: the Rust target wasm32-wasip2 could not be added",
            "why: `rustup target add wasm32-wasip2` ended with exit status: 1",
            "do:  see its message above; it needs the network once",
        ]);
        assert_eq!(machine.calls(), [LOOKED, ADDED], "{verb}");
    }
}

#[test]
fn without_rustup_it_is_said_where_the_target_can_be_had() {
    for verb in VERBS {
        let machine = Machine::new();
        fs::remove_file(machine.path("programs/rustup")).expect("rustup is there");
        machine.xtask(&[verb]).fails(&[
            "error: the Rust target wasm32-wasip2 is missing",
            "why: rustup, which could add it, cannot be started",
            "do:  install Rust with rustup (https://rustup.rs), or your distribution's package",
        ]);
        assert_eq!(machine.calls(), [LOOKED], "{verb}");
    }
}

#[test]
fn without_strace_it_is_said_where_it_can_be_had() {
    let machine = Machine::new();
    machine.xtask(&["minimal"]).fails(&[
        "error: what workers do cannot be looked at",
        "why: strace cannot be started",
        "do:  install the package strace (`apt install strace` on Debian), version 5.9 or later",
    ]);
    assert!(machine.calls().is_empty(), "{:?}", machine.calls());
}

#[test]
fn a_build_that_fails_ends_every_verb_and_is_named() {
    for verb in VERBS {
        let machine = Machine::new();
        machine.program("cargo", "exit 101");
        machine.xtask(&[verb]).fails(&["building the guests ... failed after", "failed: exit status: 101", GUESTS]);
        assert_eq!(machine.calls(), [LOOKED, ADDED, GUESTS], "{verb}");
    }
}

#[test]
fn demo_sets_everything_up_and_shows_what_the_example_prints() {
    let machine = Machine::new();
    machine.executable("target/debug/wjob", "wjob", "echo 'hello, world'");
    let ran = machine.xtask(&["demo"]);
    ran.tells(&[
        "[1/4] looking for the WebAssembly target ...",
        "[2/4] building the guests ...",
        "[3/4] building wjob and wjobd ...",
        "[4/4] running the example ...",
        "$ target/debug/wjob run examples/hello/hello.plist",
    ]);
    assert!(ran.succeeded, "{}", ran.stderr);
    assert_eq!(ran.stdout, "hello, world\n");
    let expected = [LOOKED, ADDED, GUESTS, "cargo build --bins", "wjob run examples/hello/hello.plist"];
    assert_eq!(machine.calls(), expected);
}

#[test]
fn a_target_that_is_there_is_not_added_again() {
    let machine = Machine::new();
    machine.program("rustc", &format!("echo '{}'", machine.path("built").display()));
    machine.executable("target/debug/wjob", "wjob", "exit 3");
    machine.xtask(&["demo"]).fails(&["`target/debug/wjob run examples/hello/hello.plist` failed: exit status: 3"]);
    assert!(!machine.calls().contains(&ADDED.to_owned()), "{:?}", machine.calls());
}

#[test]
fn dist_lays_everything_out_under_its_name_and_nothing_old() {
    let machine = Machine::new();
    machine.builds(
        &[("hello", "hello.wasm"), ("http_hello", "http_hello.wasm"), ("probe-read", "probe-read.wasm")],
        &[("wjob", "wjob"), ("wjobd", "wjobd")],
    );
    fs::create_dir_all(machine.path("target/dist/guests")).expect("a folder");
    fs::write(machine.path("target/dist/guests/old.wasm"), "").expect("a file");
    let ran = machine.xtask(&["dist"]);
    assert!(ran.succeeded, "{}", ran.stderr);
    ran.tells(&["[1/3]", "[2/3] building the guests", "[3/3] building wjob and wjobd"]);
    assert_eq!(machine.names("target/dist/guests"), ["hello.wasm", "http-hello.wasm", "probe-read.wasm"]);
    assert_eq!(machine.names("target/dist/bin"), ["wjob", "wjobd"]);
    assert_eq!(machine.names("target/dist/hostile"), ["attacks.json", "hostile.wasm", "hostile3.wasm", "loop.wasm"]);
    assert_eq!(fs::read(machine.path("target/dist/guests/http-hello.wasm")).expect("the guest"), b"http_hello.wasm");
    let files = ["guests/hello.wasm", "guests/http-hello.wasm", "guests/probe-read.wasm", "bin/wjob", "bin/wjobd"];
    let files = files.map(|file| format!("{}\n", machine.path("target/dist").join(file).display()));
    assert_eq!(ran.stdout, files.concat());
    let builds: Vec<String> = machine.calls().into_iter().filter(|call| call.starts_with("cargo ")).collect();
    assert_eq!(builds.len(), 2, "{builds:?}");
    assert!(builds[1].starts_with("cargo build --release --bins"), "{builds:?}");
}

#[test]
fn a_wrong_word_is_answered_with_the_right_ones() {
    for (words, part) in [
        (&["nonsense"][..], "the verbs are demo, test, hostile, minimal, dist, fuzz, bench and help"),
        (&["demo", "more"], "demo takes no arguments"),
        (&["dist", "more"], "dist takes no arguments"),
        (&["minimal", "--jsn"], "minimal does not know \"--jsn\""),
        (&["bench"], "the benches are run, idle, connections, http, cold, takeover and neighbours"),
    ] {
        let machine = Machine::new();
        machine.xtask(words).fails(&[part]);
        assert!(machine.calls().is_empty(), "{words:?}: {:?}", machine.calls());
    }
}
