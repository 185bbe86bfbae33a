//! Mounts for which somebody else's process answers, or never does: whoever asks it waits with it. A supervisor asks
//! nothing of one, be it root's or a third user's, wherever a job file leads there.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use plist::Dictionary;
use serde_json::json;

use super::{ONE, OTHER, is_alone};
use crate::harness::{Job, Running, Supervisor, texts};

/// Puts a FUSE file system, whose process hears what it is asked by standard input, in its place for the command after it.
/// Nothing of the place is asked by mount(8) itself.
const SILENT: &str = r#"mount -i -t fuse -o "$1" none "$2" || exit 99; shift 2; exec "$@" < /dev/null"#;

/// The command of a supervisor in whose view of the machine a user has a file system mounted on a folder, and it has the
/// kernel ask for each permission.
fn beside_a_mount(supervisor: &Supervisor, user: u32, folder: &str, device: &File) -> Command {
    let options = format!("fd=0,rootmode=40000,user_id={user},group_id={user},allow_other,default_permissions");
    let command = supervisor.command();
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "sh", "-c", SILENT, "sh", &options, folder]);
    inside.arg(command.get_program()).args(command.get_args()).env_clear();
    inside.current_dir(supervisor.sandbox.path(""));
    for (name, value) in command.get_envs() {
        inside.env(name, value.unwrap_or_default());
    }
    inside.stdin(device.try_clone().expect("a descriptor")).stdout(Stdio::piped()).stderr(Stdio::piped());
    inside
}

/// Jobs that lead a supervisor into a folder: paths that are watched, one that is missed, and programs.
fn with_jobs(supervisor: Supervisor, folder: &str) -> Supervisor {
    let file = format!("{folder}/file");
    let watched = || Job::shell("exit 0").with("ThrottleInterval", 3000);
    let exists = Dictionary::from_iter([(file.clone(), true)]);
    let missing = Job::new(&supervisor.sandbox.name("none"), &[]).with("StandardOutPath", format!("{folder}/out"));
    let at_once = |job: Job| job.with("RunAtLoad", true).with("ThrottleInterval", 3000);
    supervisor
        .with("changes", watched().with("WatchPaths", texts([file.as_str()])))
        .with("queue", watched().with("QueueDirectories", texts([folder])))
        .with("state", watched().with_in("KeepAlive", "PathState", exists))
        .with("missing", at_once(missing))
        .with("program", at_once(Job::new(&file, &[])))
}

/// It serves, says what it does not look at, and looks there once the mount is gone.
fn is_served_beside_a_silent_mount(supervisor: Supervisor, device: File) {
    supervisor.sandbox.make_folder("");
    supervisor.sandbox.make_folder("mounted");
    supervisor.sandbox.write("mounted/file", "");
    let folder = supervisor.sandbox.name("mounted");
    let mut supervisor = with_jobs(supervisor, &folder);
    supervisor.adopt(Running::start_as_it_is(beside_a_mount(&supervisor, OTHER, &folder, &device)));

    supervisor.logs(" missing: failed: ").logs(" program: failed: ");
    let reason = format!("lies on fuse mounted by uid {OTHER}, which wjobd does not enter");
    supervisor.logs(&format!("a path is not looked at: {folder} {reason}"));
    for label in ["changes", "queue", "state"] {
        assert_eq!(supervisor.row(label)["runs"], 0, "{label}\n{}", supervisor.log());
        supervisor.wjob(&["print", label]).exits(0).says(&reason);
    }
    let socket = Dictionary::from_iter([("SockPathName", folder.as_str())]);
    let file = supervisor.file("socket.plist", "socket", Job::shell("exit 0").with_in("Sockets", "a", socket));
    let (_, why) = supervisor.call("Bootstrap", json!({ "path": file })).expect_err("a place that is taken");
    assert!(why.to_string().contains("a file system is mounted there"), "{why}");
    let within = Dictionary::from_iter([("SockPathName", format!("{folder}/socket"))]);
    let file = supervisor.file("within.plist", "within", Job::shell("exit 0").with_in("Sockets", "a", within));
    let (_, why) = supervisor.call("Bootstrap", json!({ "path": file })).expect_err("a folder that is not entered");
    assert!(why.to_string().contains(&reason), "{why}");

    // Nobody hears questions any more, and whoever asks is told so.
    drop(device);
    let pid = supervisor.process().pid().to_string();
    let words = ["--mount", "--target", pid.as_str(), "umount", "-i", folder.as_str()];
    Running::start(supervisor.sandbox.command_at(Path::new("/usr/bin/nsenter"), &words)).end().exits(0);
    supervisor.logs(" state: started: KeepAlive.PathState: ").logs(" queue: started: QueueDirectories: ");
    let detail = supervisor.call("Print", json!({ "label": "state" })).expect("the job");
    assert!(!detail.to_string().contains("lies on"), "{detail}");
}

#[test]
fn a_mount_of_another_user_that_never_answers_is_not_asked_and_is_looked_at_once_it_is_gone() {
    if is_alone() {
        return;
    }
    for supervisor in [Supervisor::new(), Supervisor::of_user(ONE)] {
        match File::options().read(true).write(true).open("/dev/fuse") {
            Ok(device) => is_served_beside_a_silent_mount(supervisor, device),
            Err(error) => return println!("skipped: nobody can answer for a file system here: /dev/fuse: {error}"),
        }
    }
}
