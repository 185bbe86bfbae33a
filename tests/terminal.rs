//! What a terminal gets to see: the job's text and colours and nothing a terminal obeys, and what was denied. Pipes
//! and files get every byte as it is.

use std::fs::File;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::harness::{self, Job, Ran, Running, Sandbox, Stream};

/// A terminal: what was written to it is gathered, and the side a program writes to.
struct Terminal {
    seen: Stream,
    side: File,
}

impl Terminal {
    /// A new one that changes nothing by itself (no CR before LF, no echo).
    fn new() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).expect("its other side");
        unlockpt(&master).expect("its other side");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let side = rustix::fs::open(name, flags, Mode::empty()).expect("its other side");
        let mut settings = tcgetattr(&side).expect("its settings");
        settings.make_raw();
        tcsetattr(&side, OptionalActions::Now, &settings).expect("its settings");
        Self { seen: Stream::of(File::from(master)), side: side.into() }
    }

    fn stdio(&self) -> Stdio {
        self.side.try_clone().expect("a descriptor").into()
    }

    /// All that was written, once nobody has it open any more.
    fn whole(self) -> String {
        drop(self.side);
        self.seen.whole().escape_ascii().to_string()
    }
}

/// Runs with standard output on a terminal, and standard error on one too if asked for.
fn on_a_terminal(mut command: Command, errors_too: bool) -> (Ran, String) {
    let terminal = Terminal::new();
    command.stdin(Stdio::null()).stdout(terminal.stdio());
    command.stderr(if errors_too { terminal.stdio() } else { Stdio::piped() });
    let ran = Running::start_as_it_is(command).end();
    (ran, terminal.whole())
}

/// What the probe writes, as it is.
const RAW: &str = "clipboard: \u{1b}]52;c;d2pvYg==\u{7}\ncolour: \u{1b}[31mred\u{1b}[0m\nbell: \u{7}\n";

fn escaped(text: &str) -> String {
    text.as_bytes().escape_ascii().to_string()
}

#[test]
fn a_terminal_is_not_obeyed_for() {
    let sandbox = Sandbox::new();
    let command = sandbox.command("wjob", &["run", &harness::guest("probe-terminal")]);
    let (ran, seen) = on_a_terminal(command, false);
    ran.exits(0);
    for line in [
        "clipboard: \\x1b]52;c;d2pvYg==\\x07\n",
        "colour: \u{1b}[31mred\u{1b}[0m\n",
        "bell: \\x07\n",
        "layout: a\tb!\u{8}?\r\n",
        "eight bit: \\x9b31m\n",
    ] {
        assert!(seen.contains(&escaped(line)), "{line:?} was expected in {seen}\n{}", ran.described());
    }
}

#[test]
fn raw_lets_a_terminal_have_everything() {
    let sandbox = Sandbox::new();
    let command = sandbox.command("wjob", &["run", "--raw", &harness::guest("probe-terminal")]);
    let (ran, seen) = on_a_terminal(command, false);
    ran.exits(0);
    assert!(seen.starts_with(&escaped(RAW)) && seen.contains("eight bit: \\x9b31m"), "{seen}\n{}", ran.described());
}

#[test]
fn a_native_programs_text_is_made_safe_too() {
    let sandbox = Sandbox::new();
    let file = sandbox.job_file(&Job::shell(r"printf 'a\033]52;c;x\007 \033[32mgreen\033[0m\n'"));
    let (ran, seen) = on_a_terminal(sandbox.command("wjob", &["run", &file]), false);
    ran.exits(0);
    assert_eq!(seen, escaped("a\\x1b]52;c;x\\x07 \u{1b}[32mgreen\u{1b}[0m\n"), "{}", ran.described());
    let (ran, seen) = on_a_terminal(sandbox.command("wjob", &["run", "--raw", &file]), false);
    ran.exits(0);
    assert_eq!(seen, escaped("a\u{1b}]52;c;x\u{7} \u{1b}[32mgreen\u{1b}[0m\n"), "{}", ran.described());
}

#[test]
fn pipes_and_files_get_every_byte() {
    let sandbox = Sandbox::new();
    let job = Job::guest("probe-terminal", &[]);
    let piped = sandbox.run(&job);
    piped.exits(0);
    assert!(piped.stdout.starts_with(RAW.as_bytes()), "{}", piped.described());
    assert!(piped.stdout.ends_with(b"layout: a\tb!\x08?\r\neight bit: \x9b31m\n"), "{}", piped.described());
    sandbox.run(&job.with("StandardOutPath", sandbox.name("file"))).exits(0);
    let kept = std::fs::read(sandbox.path("file")).expect("the file");
    assert_eq!(kept, piped.stdout);
}

/// What a trap, a label or a denial says of the job is as untrusted as its output.
#[test]
fn what_wjob_says_of_a_job_is_made_safe() {
    let sandbox = Sandbox::new();
    let job = Job::guest("probe-read", &["/a\u{9b}31mb\u{202e}c"]);
    let ran = sandbox.run_with(&["--explain"], &job, &[]);
    ran.exits(3).complains("denied: reading /a");
    assert!(!ran.stderr.contains(['\u{9b}', '\u{202e}', '\u{1b}']), "{}", ran.described());
}

/// Each kind of denial: the probe, what is said, and a line that would allow it.
const DENIALS: &[(&str, &[&str], &str, &str)] = &[
    ("probe-read", &["/etc/passwd"], "reading /etc/passwd", "<string>/etc/passwd</string>"),
    ("probe-write", &["/srv/file", "x"], "changing /srv/file", "ReadWrite"),
    // Without any grant of its kind there is no socket, and the address is never named.
    ("probe-connect", &["127.0.0.1:9"], "making a tcp socket", "<string>tcp://HOST:PORT</string>"),
    ("probe-udp", &["127.0.0.1:9"], "making a udp socket", "<string>udp://HOST:PORT</string>"),
    ("probe-bind", &["127.0.0.1:9999"], "making a tcp socket", "<string>tcp://HOST:PORT</string>"),
    ("probe-udp-bind", &["127.0.0.1:9999"], "making a udp socket", "<string>udp://HOST:PORT</string>"),
    ("probe-lookup", &["example.com"], "looking up example.com", "<string>tcp://example.com:*</string>"),
    ("probe-http", &["http://127.0.0.1:9/"], "a request to http://127.0.0.1:9", "<string>http://127.0.0.1:9</string>"),
];

#[test]
fn denials_are_explained_when_asked_for() {
    let sandbox = Sandbox::new();
    let mut silent = Vec::new();
    for (probe, arguments, what, line) in DENIALS {
        let ran = sandbox.run_with(&["--explain"], &Job::guest(probe, arguments), &[]);
        ran.exits(3);
        if !ran.stderr.contains(&format!("wjob: denied: {what}")) || !ran.stderr.contains(line) {
            silent.push(ran.described());
        }
    }
    assert!(silent.is_empty(), "denied without the explanation:\n{}", silent.join("\n\n"));
}

#[test]
fn a_denied_address_is_named_beside_a_grant_of_another() {
    let sandbox = Sandbox::new();
    for (probe, key, grant, what, line) in [
        ("probe-connect", "Connect", "tcp://127.0.0.1:8", "connecting to tcp://127.0.0.1:9", "tcp://127.0.0.1:9"),
        ("probe-udp", "Connect", "udp://127.0.0.1:8", "connecting to udp://127.0.0.1:9", "udp://127.0.0.1:9"),
        ("probe-bind", "Bind", "tcp://127.0.0.1:8", "binding tcp://127.0.0.1:9", "tcp://127.0.0.1:9"),
        ("probe-udp-bind", "Bind", "udp://127.0.0.1:8", "binding udp://127.0.0.1:9", "udp://127.0.0.1:9"),
    ] {
        let job = Job::guest(probe, &["127.0.0.1:9"]).grant(key, grant.to_owned());
        let ran = sandbox.run_with(&["--explain"], &job, &[]);
        ran.exits(3)
            .complains(format!("wjob: denied: {what}: not granted"))
            .complains(format!("<string>{line}</string>"));
    }
}

#[test]
fn denials_are_explained_on_a_terminal_and_not_otherwise() {
    let sandbox = Sandbox::new();
    let job = Job::guest("probe-read", &["/etc/passwd"]);
    sandbox.run(&job).exits(3).does_not_complain("denied").does_not_complain("<key>");
    let file = sandbox.job_file(&job);
    let (ran, seen) = on_a_terminal(sandbox.command("wjob", &["run", &file]), true);
    ran.exits(3);
    assert!(seen.contains("wjob: denied: reading /etc/passwd"), "{seen}\n{}", ran.described());
    assert!(seen.contains("<string>/etc/passwd</string>"), "{seen}\n{}", ran.described());
}

/// A guest that is denied a thousand times is reported once.
#[test]
fn each_kind_of_denial_is_told_once() {
    let sandbox = Sandbox::new();
    let text = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 64) "etc/passwd")
        (func (export "_start") (local $n i32)
            (loop $again
                (drop (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 10)
                    (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $n) (i32.const 1000))))))"#;
    let program = sandbox.write("program.wasm", wat::parse_str(text).expect("a module"));
    let ran = sandbox.run_with(&["--explain"], &Job::new(&program, &[]), &[]);
    ran.exits(0);
    assert_eq!(ran.stderr.matches("wjob: denied: ").count(), 1, "{}", ran.described());
}
