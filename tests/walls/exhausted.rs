//! A user who has no namespace left. A kernel that gives none at all is done without where that may be; but how many are
//! in use somebody else of that user may have seen to, so that what would have had one is refused then. The user has a
//! user namespace of the test's own, in which so few are allowed.

use std::path::Path;

use super::lacking::{AsEver, Both, NONE, REQUIRED, judge};
use super::{run_inside, shared_sandbox};
use crate::harness::{Job, Ran, Running, Sandbox, binary, text};

/// Namespaces of this kind cannot be had any more by whoever runs the rest of the arguments.
const USED_UP: &str = r#"echo 0 > "/proc/sys/user/max_$1_namespaces" && shift && exec "$@""#;

fn without(sandbox: &Sandbox, kind: &str, program: &str, arguments: &[&str]) -> Ran {
    let words = ["--user", "--map-root-user", "/bin/sh", "-c", USED_UP, "sh", kind, program];
    let words = [&words[..], arguments].concat();
    Running::start(sandbox.command_at(Path::new("/usr/bin/unshare"), &words)).end()
}

/// The kind of namespaces, the wall that is made of them, and what comes of a component and of a native program.
const TABLE: &[(&str, &str, Both, Both)] =
    &[("mnt", "mount", REQUIRED, REQUIRED), ("pid", "processes", NONE, REQUIRED), ("net", "network", NONE, REQUIRED)];

#[test]
fn what_has_a_namespace_is_refused_where_too_many_are_in_use_and_best_effort_is_a_word() {
    let sandbox = Sandbox::new();
    if without(&sandbox, "mnt", "/bin/true", &[]).status != 0 {
        return println!("skipped: there is no user namespace to be had in which fewer others are allowed");
    }
    let (guest, native) = (Job::guest("probe-exit", &["4"]), Job::shell("exit 4"));
    let files = [sandbox.job_file(&guest), sandbox.job_file(&native)];
    let wjob = text(&binary("wjob"));
    for (kind, wall, of_guest, of_native) in TABLE {
        for (file, comes) in files.iter().zip([of_guest, of_native]) {
            let ran = without(&sandbox, kind, &wjob, &["run", file]);
            judge(&ran, wall, comes[0]);
            if !matches!(comes[0], AsEver) {
                ran.complains(format!("the {wall} wall: unshare: No space left on device")).complains("--best-effort");
            }
            judge(&without(&sandbox, kind, &wjob, &["run", "--best-effort", file]), wall, comes[1]);
        }
    }
}

/// An ordinary user in the one user namespace that is allowed.
const THE_ONE: &str = r#"echo 1 > /proc/sys/user/max_user_namespaces &&
    exec setpriv --reuid=54321 --regid=54321 --clear-groups --inh-caps=-all --bounding-set=-all \
    unshare --user --map-current-user "$@""#;

#[test]
fn an_ordinary_users_view_is_not_done_without_because_too_many_are_in_use() {
    let Some(sandbox) = shared_sandbox() else { return };
    let grant = format!("{}:/in", sandbox.name("texts"));
    let arguments = ["--ro", &grant, "probe-read.wasm", "/in/a.txt"];
    let ran = run_inside(&sandbox, THE_ONE, &[&["run"][..], &arguments].concat());
    ran.exits(77).says_only("").complains("the mount wall: unshare: No space left on device");
    let ran = run_inside(&sandbox, THE_ONE, &[&["run", "--best-effort"][..], &arguments].concat());
    ran.exits(0).says("granted: read").complains("running without the mount wall: unshare: No space left on device");
}
