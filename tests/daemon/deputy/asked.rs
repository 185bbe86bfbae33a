//! What others ask a supervisor and its logger for: by the verbs, by sockets that are not theirs, and by a job that has
//! no walls. The whole table of calls is walked in the model; here each verb is somebody's who has no right to it.

use plist::Dictionary;

use super::{ONE, OTHER, SECRET, is_alone};
use crate::daemon::life::standing;
use crate::daemon::output::history;
use crate::daemon::private_sockets::{path, private};
use crate::daemon::users_of_sockets::client;
use crate::harness::{Job, Ran, Running, Supervisor, text};

/// The exit status of a verb that is not permitted.
const NOT_PERMITTED: i32 = 77;

/// What only the domain's owner and root may, each about the job `target` or a file.
const OWNERS: &[&[&str]] = &[
    &["log", "target"],
    &["log"],
    &["history", "target"],
    &["events"],
    &["blame", "target"],
    &["audit", "target"],
    &["explain", "target"],
    &["print-disabled"],
    &["kickstart", "target"],
    &["kickstart", "-k", "target"],
    &["kill", "SIGKILL", "target"],
    &["enable", "target"],
    &["disable", "target"],
    &["reload"],
    &["reload", "target"],
    &["bootstrap", "FILE"],
    &["bootout", "target"],
    &["upgrade"],
];
/// What everybody may in the system's domain.
const EVERYBODYS: &[&[&str]] = &[&["list"], &["list", "--json"], &["print", "target"], &["print", "--json", "target"]];

/// A supervisor with a job that has run and said something.
fn with_target(supervisor: Supervisor) -> Supervisor {
    let secret: Dictionary = [("SECRET", SECRET)].into_iter().collect();
    let target = Job::shell(&format!("echo {SECRET}")).with("EnvironmentVariables", secret).with("RunAtLoad", true);
    let supervisor = supervisor.with("target", target);
    supervisor.file("extra.plist", "extra", Job::shell("exit 0"));
    let supervisor = supervisor.start();
    history(&supervisor, "target", 1);
    supervisor
}

/// A verb as another user, asked of that supervisor.
fn asked_by(user: u32, supervisor: &Supervisor, words: &[&str]) -> Ran {
    let file = supervisor.sandbox.name("extra.plist");
    let words: Vec<&str> = words.iter().map(|word| if *word == "FILE" { file.as_str() } else { *word }).collect();
    let mut command = supervisor.sandbox.command_as(user, &supervisor.sandbox.programs().join("wjob"), &words);
    command.env("WJOB_SOCKET", supervisor.socket());
    Running::start(command).end()
}

/// That each of these comes to this status, tells no secret and changes nothing.
#[track_caller]
fn come_to(status: i32, user: u32, supervisor: &Supervisor, verbs: &[&[&str]]) {
    for words in verbs {
        let ran = asked_by(user, supervisor, words);
        ran.exits(status);
        assert!(!ran.output().contains(SECRET), "a secret was told\n{}", ran.described());
        ran.does_not_complain(SECRET);
    }
    assert_eq!(standing(supervisor, "target"), "idle, 1 runs");
    supervisor.wjob(&["print", "extra"]).exits(113);
}

#[test]
fn a_stranger_is_told_labels_and_states_of_the_system_and_nothing_else() {
    if is_alone() {
        return;
    }
    let supervisor = with_target(Supervisor::new());
    come_to(NOT_PERMITTED, ONE, &supervisor, OWNERS);
    come_to(0, ONE, &supervisor, EVERYBODYS);
    asked_by(ONE, &supervisor, &["list"]).says("target");
}

#[test]
fn a_users_supervisor_answers_no_other_user() {
    if is_alone() {
        return;
    }
    let supervisor = with_target(Supervisor::of_user(ONE));
    come_to(NOT_PERMITTED, OTHER, &supervisor, OWNERS);
    come_to(NOT_PERMITTED, OTHER, &supervisor, EVERYBODYS);
    asked_by(ONE, &supervisor, &["log", "target"]).exits(0).says(SECRET);
}

/// The number is typed, and whoever answers would be believed.
#[test]
fn nobody_asks_in_another_users_name() {
    if is_alone() {
        return;
    }
    let supervisor = with_target(Supervisor::of_user(ONE));
    for words in [["list", "user/59997"], ["print", "user/59997/target"], ["log", "user/59997/target"]] {
        asked_by(OTHER, &supervisor, &words).exits(NOT_PERMITTED);
    }
}

/// It is another user than root, whose the log is, and it has no walls.
#[test]
fn a_job_reads_no_log_of_another_by_its_label() {
    if is_alone() {
        return;
    }
    let supervisor = with_target(Supervisor::new());
    let program = text(&supervisor.sandbox.programs().join("wjob"));
    let socket = supervisor.socket();
    let names: Dictionary = [("WJOB_SOCKET", socket.as_str())].into_iter().collect();
    for verb in ["log", "history", "print", "kickstart"] {
        let label = format!("asks-for-{verb}");
        let job = Job::new(&program, &[verb, "target"]).with("EnvironmentVariables", names.clone());
        let job = job.with("UserName", "bin").with("Isolation", "None").with("RunAtLoad", true);
        let file = supervisor.file(&format!("{label}.plist"), &label, job);
        supervisor.wjob(&["bootstrap", &file]).exits(0);
        supervisor.logs(&format!(" {label}: ended: exit {NOT_PERMITTED}"));
        let log = supervisor.wjob(&["log", &label]);
        assert!(!log.exits(0).output().contains(SECRET), "{}", log.described());
    }
    assert_eq!(standing(&supervisor, "target"), "idle, 1 runs");
}

/// Neither its folder nor the socket itself lets them in, whoever's supervisor it is.
#[test]
fn a_private_socket_is_no_other_users_to_reach() {
    if is_alone() {
        return;
    }
    for supervisor in [Supervisor::new(), Supervisor::of_user(ONE)] {
        let supervisor = supervisor.with("a", private(Job::new("/bin/cat", &[]))).start();
        let socket = path(&supervisor, "a");
        assert_eq!(client(&socket, OTHER, OTHER, &[]).output(), "refused: Permission denied\n");
        assert_eq!(client(&socket, 0, 0, &[]).output(), "hello\n", "root reaches everything");
    }
}
