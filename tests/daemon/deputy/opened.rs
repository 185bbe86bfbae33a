//! What a job's file names is opened by a process that is the job's user already: what that user may not have, the job
//! has not either, whoever loads the file. What others change on the way to it is in `places`.

use super::{ONE, OTHER, SECRET, Theirs, is_alone};
use crate::daemon::output::{captured, history};
use crate::daemon::users::number;
use crate::daemon::users_of_sockets::CLIENT;
use crate::harness::{self, Job, Supervisor, perl};

/// A job that tries one thing of theirs, and a part of how its run ends: of what cannot be opened, the path.
fn attempts(theirs: &Theirs, guest: &str) -> Vec<(&'static str, Job, String)> {
    let at = |name: &str| theirs.path(name);
    let granted = |job: Job, name: &str, access: &str| job.path(&at(name), "/granted/it", access);
    let writes = "if echo gone > /granted/it; then exit 0; else exit 5; fi";
    let makes = "if echo gone > /granted/it/new; then exit 0; else exit 5; fi";
    vec![
        ("input", Job::new("/bin/cat", &[]).with("StandardInPath", at("secret")), at("secret")),
        ("output", Job::shell("echo gone").with("StandardOutPath", at("secret")), at("secret")),
        ("errors", Job::shell("exit 0").with("StandardErrorPath", at("closed/new")), at("closed/new")),
        ("program", Job::new(&at("program"), &[]), at("program")),
        ("beyond", Job::shell("exit 0").path(&at("closed/inner"), "/granted/it", "ReadOnly"), at("closed/inner")),
        ("reads", granted(Job::new("/bin/cat", &["/granted/it"]), "secret", "ReadOnly"), "exit 1".into()),
        ("writes", granted(Job::shell(writes), "secret", "ReadWrite"), "exit 5".into()),
        ("lists", granted(Job::new("/bin/ls", &["/granted/it"]), "closed", "ReadOnly"), "exit 2".into()),
        ("makes", granted(Job::shell(makes), "closed", "ReadWrite"), "exit 5".into()),
        ("guest", granted(Job::new(guest, &["/granted/it"]), "secret", "ReadOnly"), "exit 3".into()),
    ]
}

/// Each attempt comes to nothing, and nothing of theirs is told or changed.
#[track_caller]
fn come_to_nothing(supervisor: Supervisor, owner: u32) {
    let theirs = Theirs::of(owner, &supervisor.sandbox);
    let bytes = std::fs::read(harness::guest("probe-read")).expect("a guest");
    let guest = supervisor.sandbox.write("probe-read.wasm", bytes);
    let attempts = attempts(&theirs, &guest);
    for (label, job, _) in &attempts {
        supervisor.job(label, job.clone().with("RunAtLoad", true));
    }
    let supervisor = supervisor.start();
    for (label, _, end) in attempts {
        let runs = history(&supervisor, label, 1);
        let outcome = runs[0]["outcome"].as_str().unwrap_or_default();
        assert!(outcome.contains(&end), "{label} of user {owner}: {outcome:?} lacks {end:?}");
        let log = supervisor.wjob(&["log", label]);
        assert!(!log.exits(0).output().contains(SECRET), "{}", log.described());
    }
    theirs.is_untouched();
}

#[test]
fn roots_supervisor_opens_nothing_for_a_job_that_its_user_may_not_have() {
    if is_alone() {
        return;
    }
    // The harness has them run as daemon.
    for owner in [0, number("/etc/passwd", "bin", 2)] {
        come_to_nothing(Supervisor::new(), owner);
    }
}

#[test]
fn a_users_supervisor_opens_nothing_that_its_user_may_not_have() {
    if is_alone() {
        return;
    }
    for owner in [0, OTHER] {
        come_to_nothing(Supervisor::of_user(ONE), owner);
    }
}

/// The kernel asks whoever connects, and that is the job.
#[test]
fn a_socket_that_is_granted_is_still_its_owners_to_open() {
    if is_alone() {
        return;
    }
    for (supervisor, owner) in [(Supervisor::new(), 0), (Supervisor::of_user(ONE), OTHER)] {
        let theirs = Theirs::of(owner, &supervisor.sandbox);
        let socket = theirs.path("socket");
        let job = Job::new(perl(), &["-we", CLIENT, &socket]).grant("Connect", format!("unix://{socket}"));
        let supervisor = supervisor.with("a", job.with("RunAtLoad", true)).start();
        captured(&supervisor, "a", "refused: Permission denied", 1);
    }
}
