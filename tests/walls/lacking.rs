//! A kernel that refuses what one wall is made of: what is refused then and names the wall, what runs without it and says
//! so, and that `wjob info` knows. What becomes of each wall is decided in the model and tried there as data; here it is
//! seen that trying comes to the same. An older landlock and a control group cannot be had in this way.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Job, Ran, Refused, Running, Sandbox, guest, refusing};
use crate::listen::{ask, listening_by, request};

/// What comes of a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Comes {
    /// It is as ever: it has no such wall.
    AsEver,
    /// It runs, and says what it does without.
    Without,
    /// It is refused by the name of the wall.
    Refused,
}

pub(super) use Comes::{AsEver, Without};

/// A run, and the same with `--best-effort`.
pub(super) type Both = [Comes; 2];

/// Used where it is there.
const USED: Both = [Without, Without];
/// Let go by that word.
pub(super) const REQUIRED: Both = [Comes::Refused, Without];
/// Let go by no word.
const ALWAYS: Both = [Comes::Refused, Comes::Refused];
/// Not put up at all.
pub(super) const NONE: Both = [AsEver, AsEver];

/// SECCOMP_SET_MODE_FILTER (seccomp(2)).
const SET_FILTER: u32 = 1;
/// Any pointer but none.
const SOME: u32 = u32::MAX;

/// A wall, the calls that are refused for it not to be there, and what comes of a component and of a native program.
const TABLE: &[(&str, Refused, Both, Both)] = &[
    // These are not there when they are looked for.
    ("landlock", Refused::unknown(libc::SYS_landlock_create_ruleset), REQUIRED, REQUIRED),
    ("seccomp", Refused::unknown(libc::SYS_seccomp), REQUIRED, REQUIRED),
    // These are there until they are tried.
    ("landlock", Refused::forbidden(libc::SYS_landlock_restrict_self), REQUIRED, REQUIRED),
    ("seccomp", Refused::forbidden_with(libc::SYS_seccomp, 0, SET_FILTER), REQUIRED, REQUIRED),
    ("mount", Refused::forbidden(libc::SYS_unshare), USED, REQUIRED),
    // A view that fails half-way may be an earlier run's doing, so that it is not done without unasked.
    ("mount", Refused::forbidden(libc::SYS_fsopen), REQUIRED, REQUIRED),
    ("processes", Refused::forbidden_with_any(libc::SYS_unshare, 0, libc::CLONE_NEWPID as u32), NONE, REQUIRED),
    ("network", Refused::forbidden_with_any(libc::SYS_unshare, 0, libc::CLONE_NEWNET as u32), NONE, REQUIRED),
    ("limits", Refused::forbidden_with_any(libc::SYS_prlimit64, 2, SOME), ALWAYS, ALWAYS),
    (
        "no-new-privileges",
        Refused::forbidden_with(libc::SYS_prctl, 0, libc::PR_SET_NO_NEW_PRIVS as u32),
        ALWAYS,
        ALWAYS,
    ),
    ("capabilities", Refused::forbidden(libc::SYS_capset), ALWAYS, ALWAYS),
];

fn wjob(sandbox: &Sandbox, arguments: &[&str], refused: Refused) -> Ran {
    Running::start(refusing(sandbox.command("wjob", arguments), &[refused])).end()
}

/// A job that leaves with status 4 came to this.
#[track_caller]
pub(super) fn judge(ran: &Ran, wall: &str, comes: Comes) {
    match comes {
        AsEver => ran.exits(4).does_not_complain("wall"),
        Without => ran.exits(4).complains(format!("running without the {wall} wall")),
        Comes::Refused => ran.exits(77).says_only("").complains(format!("the {wall} wall")),
    };
}

#[test]
fn a_kernel_without_a_wall_runs_nothing_that_needs_it_and_says_what_it_does_without() {
    let sandbox = Sandbox::new();
    let (guest, native) = (Job::guest("probe-exit", &["4"]), Job::shell("exit 4"));
    // Compiling has walls too; it is done before.
    sandbox.run(&guest).exits(4).does_not_complain("wall");
    let files = [sandbox.job_file(&guest), sandbox.job_file(&native)];
    for (wall, refused, of_guest, of_native) in TABLE {
        for (file, comes) in files.iter().zip([of_guest, of_native]) {
            judge(&wjob(&sandbox, &["run", file], *refused), wall, comes[0]);
            judge(&wjob(&sandbox, &["run", "--best-effort", file], *refused), wall, comes[1]);
        }
    }
}

/// A program that serves, and what it is asked and answers.
struct Server {
    words: &'static [&'static str],
    program: String,
    native: bool,
    question: String,
    answer: &'static str,
}

fn servers() -> [Server; 3] {
    let of_guest = |name: &str, question: &str, answer: &'static str| Server {
        words: &[],
        program: guest(name),
        native: false,
        question: question.to_owned(),
        answer,
    };
    let (program, question) = ("/bin/cat".to_owned(), "hello\n".to_owned());
    [
        of_guest("answers", &request("/hello"), "hello\n"),
        of_guest("handles", "nonsense\n", "unknown\n"),
        Server { words: &["--inetd"], program, native: true, question, answer: "hello\n" },
    ]
}

impl Server {
    fn command(&self, sandbox: &Sandbox, options: &[&str]) -> Command {
        let listens = ["--listen", "tcp://127.0.0.1:0", &self.program];
        sandbox.command("wjob", &[&["run"][..], options, self.words, &listens].concat())
    }

    /// It listens, a client is served, and it is ended; what it said.
    #[track_caller]
    fn serves(&self, command: Command) -> Ran {
        let (running, addresses) = listening_by(command, 1);
        let told = ask(&addresses[0], &self.question);
        assert!(told.ends_with(self.answer), "{}: {told:?}", self.program);
        running.signal(Signal::INT);
        let ran = running.end();
        ran.exits(130);
        ran
    }

    #[track_caller]
    fn judge(&self, command: Command, wall: &str, comes: Comes) {
        let ran = match comes {
            AsEver | Without => self.serves(command),
            Comes::Refused => Running::start(command).end(),
        };
        match comes {
            AsEver => ran.does_not_complain("wall"),
            Without => ran.complains(format!("running without the {wall} wall")),
            Comes::Refused => ran.exits(77).says_only("").complains(format!("the {wall} wall")),
        };
    }
}

/// What serves has the same walls: a component that is asked by HTTP, one that is given connections, and a program that
/// is started for each.
#[test]
fn what_serves_serves_nobody_where_a_wall_is_missing_that_it_needs() {
    let sandbox = Sandbox::new();
    for server in servers() {
        // Compiling has walls too; it is done before.
        server.judge(server.command(&sandbox, &[]), "no", AsEver);
        for (wall, refused, of_guest, of_native) in TABLE {
            let comes = if server.native { of_native } else { of_guest };
            for (options, comes) in [&[][..], &["--best-effort"]].into_iter().zip(comes) {
                server.judge(refusing(server.command(&sandbox, options), &[*refused]), wall, *comes);
            }
        }
    }
}

/// What nothing runs without is not said to be let go by a word.
#[test]
fn advice_is_given_that_helps() {
    let sandbox = Sandbox::new();
    let file = sandbox.job_file(&Job::shell("exit 4"));
    for (_, refused, _, of_native) in TABLE {
        let ran = wjob(&sandbox, &["run", &file], *refused);
        match of_native[1] {
            Without => ran.exits(77).complains("--best-effort"),
            _ => ran.exits(77).does_not_complain("--best-effort").complains("every kernel has it"),
        };
    }
}

#[test]
fn info_knows_what_is_refused_when_it_is_tried() {
    let sandbox = Sandbox::new();
    for (name, refused, ..) in TABLE {
        let ran = wjob(&sandbox, &["info", "--json"], *refused);
        let info: Value =
            serde_json::from_slice(&ran.exits(0).stdout).unwrap_or_else(|_| panic!("{}", ran.described()));
        let walls = info["walls"].as_array().cloned().unwrap_or_default();
        let wall = walls.iter().find(|wall| wall["wall"] == *name).unwrap_or_else(|| panic!("{name}: {info}"));
        assert_eq!(wall["available"], false, "{wall}");
        assert!(wall["why"].as_str().is_some_and(|why| !why.is_empty()), "{wall}");
    }
}

/// What was never compiled, here or anywhere.
fn new_program(sandbox: &Sandbox) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time after 1970");
    let unique = format!("{} {}", std::process::id(), now.as_nanos());
    let text =
        format!(r#"(module (memory (export "memory") 1) (data (i32.const 0) "{unique}") (func (export "_start")))"#);
    sandbox.write("new.wasm", wat::parse_str(text).expect("a module"))
}

/// Compiling has walls of its own, which the same word lets go.
#[test]
fn a_program_is_not_compiled_without_a_wall_unless_that_is_said() {
    let sandbox = Sandbox::new();
    let program = new_program(&sandbox);
    let refused = Refused::forbidden(libc::SYS_landlock_restrict_self);
    let ran = wjob(&sandbox, &["run", &program], refused);
    ran.exits(77).complains("the compile role: the landlock wall: ").complains("--best-effort");
    let ran = wjob(&sandbox, &["run", "--best-effort", &program], refused);
    ran.exits(0).complains("running without the landlock wall");
}
