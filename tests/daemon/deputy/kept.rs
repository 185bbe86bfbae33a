//! What is kept for each user, and for no other: what jobs write and how they end, and compiled code, which is one
//! account's and not that of whoever has its number later.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{ONE, OTHER, SECRET, is_alone};
use crate::daemon::accounts::with_files;
use crate::daemon::output::history;
use crate::harness::{self, Job, Running, Supervisor};

/// A job of one label in each of two users' domains, and of one that is loaded in one of them alone.
#[test]
fn what_jobs_write_and_how_they_end_is_told_in_their_own_domain_alone() {
    if is_alone() {
        return;
    }
    let said = |word: &str| Job::shell(&format!("echo {word}; exit 3")).with("RunAtLoad", true);
    let one = Supervisor::of_user(ONE).with("same", said(SECRET)).with("alone", said(SECRET)).start();
    let other = Supervisor::of_user(OTHER).with("same", said("nothing")).start();
    let system = Supervisor::new().with("same", Job::shell("exit 0").with("RunAtLoad", true)).start();
    for (supervisor, outcome) in [(&one, "exit 3"), (&other, "exit 3"), (&system, "exit 0")] {
        let runs = history(supervisor, "same", 1);
        assert_eq!((runs.len(), &runs[0]["outcome"]), (1, &json!(outcome)), "{runs:?}");
    }
    history(&one, "alone", 1);
    one.wjob(&["log", "same"]).exits(0).says(SECRET);
    for supervisor in [&other, &system] {
        let whole = supervisor.wjob(&["log"]);
        assert!(!whole.exits(0).output().contains(SECRET), "{}", whole.described());
        for verb in ["log", "history", "print", "kickstart"] {
            supervisor.wjob(&[verb, "alone"]).exits(113);
        }
    }
}

/// A job of a program, and a supervisor that has its own copy of that.
fn with_program(supervisor: Supervisor) -> Supervisor {
    let bytes = fs::read(harness::guest("probe-exit")).expect("a guest");
    let program = supervisor.sandbox.write("program.wasm", bytes);
    supervisor.with("a", Job::new(&program, &["6"]).with("RunAtLoad", true))
}

/// Runs it once to its end; whether it was compiled for that.
#[track_caller]
fn compiles(supervisor: &Supervisor) -> bool {
    supervisor.logs(" a: ended: exit 6");
    supervisor.log().contains(" a: compiling ")
}

/// Everything that one has is put where the other would keep his own, in his name, and with one's key it would be taken.
#[test]
fn compiled_code_that_another_has_put_there_is_not_run() {
    if is_alone() {
        return;
    }
    let mut one = with_program(Supervisor::of_user(ONE)).start();
    assert!(compiles(&one), "it was never compiled before");
    one.stop().exits(0);
    one.start_again();
    assert!(!compiles(&one), "what it keeps it finds");
    one.stop().exits(0);
    let mut other = with_program(Supervisor::of_user(OTHER));
    let words = [one.sandbox.name("cache"), other.sandbox.name("cache"), OTHER.to_string()];
    let [from, to, user] = words.each_ref().map(String::as_str);
    let plant = ["-c", r#"cp -a "$1" "$2" && chown -R "$3:$3" "$2""#, "sh", from, to, user];
    Running::start(other.sandbox.command_at(Path::new("/bin/sh"), &plant)).end().exits(0);
    assert_ne!(fs::read_dir(other.sandbox.path("cache/objects")).expect("the planted code").count(), 0);
    other.start_again();
    assert!(compiles(&other), "another's code was run");
    other.stop().exits(0);
    other.start_again();
    assert!(!compiles(&other), "its own is found");
}

/// Accounts as the machine has them, and one more of this name.
fn accounts(name: &str) -> String {
    let own = fs::read_to_string("/etc/passwd").expect("accounts");
    format!("{}\n{name}:x:{ONE}:{ONE}::/nonexistent:/bin/false\n", own.trim_end())
}

/// A supervisor on a machine on which user [`ONE`] has this name, with a job of that user.
#[track_caller]
fn start_with_account(supervisor: &mut Supervisor, name: &str) {
    let program = supervisor.sandbox.name("program.wasm");
    supervisor.job("a", Job::new(&program, &["6"]).with("UserName", name).with("RunAtLoad", true));
    let accounts = accounts(name);
    let files = [
        ("passwd", accounts.as_str(), "/etc/passwd"),
        ("nsswitch", "passwd: files\ngroup: files\n", "/etc/nsswitch.conf"),
    ];
    let command = with_files(supervisor, files);
    supervisor.adopt(Running::start(command));
}

#[test]
fn an_account_that_has_anothers_number_gets_nothing_of_what_was_kept_for_that() {
    if is_alone() {
        return;
    }
    let mut supervisor = with_program(Supervisor::new());
    for (name, compiled) in [("first", true), ("first", false), ("second", true), ("second", false)] {
        start_with_account(&mut supervisor, name);
        assert_eq!(compiles(&supervisor), compiled, "{name}");
        supervisor.stop().exits(0);
    }
}
