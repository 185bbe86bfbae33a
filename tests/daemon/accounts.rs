//! Accounts that are in no file: the machine's name service is asked, by its own programs, and may hang. Another name
//! service is put in its place for one supervisor, which only root can do; an ordinary user's asks the real one (users).

use std::os::fd::OwnedFd;
use std::process::Command;

use serde_json::json;

use super::life::standing;
use super::output::captured;
use super::users::{STAYS, status};
use crate::harness::supervisor::Ear;
use crate::harness::{Job, Running, Supervisor, is_root, pidfd, wait_for_end};

/// Knows an account and a group besides those of the files; asked for another it says who it is, and hangs.
const GETENT: &str = r#"#!/bin/sh
case "$1 $2" in
    "passwd elsewhere") echo "elsewhere:x:4711:4712::/srv/elsewhere:/bin/sh" ;;
    "group outside") echo "outside:x:4714:" ;;
    "passwd hangs") echo "asked $$." > EAR; exec sleep 1000 ;;
    *) grep "^$2:" "/etc/$1" ;;
esac
"#;
const ID: &str = "#!/bin/sh\necho 4712 4713\n";
const SWITCH: &str = "passwd: files elsewhere\ngroup: files elsewhere\n";

/// Puts files in the places of others, for the command after them and what that starts.
const IN_PLACE: &str = r#"while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 99; shift 2; done; shift; exec "$@""#;

/// The command of a supervisor in whose view of the machine the name service is the test's.
fn elsewhere(supervisor: &Supervisor, ear: &Ear) -> Command {
    let getent = GETENT.replace("EAR", &ear.path);
    let own = [("getent", getent.as_str(), "/usr/bin/getent"), ("id", ID, "/usr/bin/id")];
    with_files(supervisor, own.into_iter().chain([("switch", SWITCH, "/etc/nsswitch.conf")]))
}

/// The command of a supervisor in whose view of the machine files of its sandbox, by their names and what they hold, are
/// in the places of others.
pub fn with_files<'a>(
    supervisor: &Supervisor,
    files: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
) -> Command {
    let command = supervisor.command();
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "sh", "-c", IN_PLACE, "sh"]);
    for (name, text, place) in files {
        let file = supervisor.sandbox.write_program(name, text);
        inside.args([&file, place]);
    }
    inside.arg("--").arg(command.get_program()).args(command.get_args()).env_clear();
    inside.current_dir(supervisor.sandbox.path(""));
    for (name, value) in command.get_envs() {
        inside.env(name, value.unwrap_or_default());
    }
    inside
}

fn start(mut supervisor: Supervisor, ear: &Ear) -> Supervisor {
    supervisor.adopt(Running::start(elsewhere(&supervisor, ear)));
    supervisor
}

/// What hears who is asked, a supervisor that looks up the account of its job `a`, which takes long, and who is asked.
fn looking_up() -> (Ear, Supervisor, OwnedFd) {
    let job = Job::shell("true").with("UserName", "hangs").with("RunAtLoad", true);
    let supervisor = Supervisor::new().flag(&["--account-seconds", "600"]).with("a", job);
    let mut ear = Ear::new(&supervisor.sandbox, "ear");
    let supervisor = start(supervisor, &ear);
    ear.wait_for("asked ");
    let asked = pidfd(ear.wait_for(".").parse().expect("a number"));
    (ear, supervisor, asked)
}

#[test]
fn an_account_of_another_source_is_found() {
    if !is_root() {
        return println!("skipped: only root puts another name service in the place of the machine's");
    }
    let job = Job::shell(STAYS).with("UserName", "elsewhere").with("GroupName", "outside").with("RunAtLoad", true);
    let supervisor = Supervisor::new().with("a", job);
    let ear = Ear::new(&supervisor.sandbox, "ear");
    let supervisor = start(supervisor, &ear);
    captured(&supervisor, "a", "ready", 1);
    assert_eq!((status(&supervisor, "a", "Uid"), status(&supervisor, "a", "Gid")), (vec![4711; 4], vec![4714; 4]));
    assert_eq!(status(&supervisor, "a", "Groups"), [4712, 4713, 4714]);
}

#[test]
fn a_name_service_that_hangs_costs_one_job_its_start_and_leaves_nothing() {
    if !is_root() {
        return println!("skipped: only root puts another name service in the place of the machine's");
    }
    let job = || Job::shell("true").with("UserName", "hangs").with("RunAtLoad", true);
    let supervisor = Supervisor::new().flag(&["--account-seconds", "10"]).with("late", job());
    let mut ear = Ear::new(&supervisor.sandbox, "ear");
    let supervisor = start(supervisor, &ear);
    supervisor.logs("late: failed: looking up the account hangs: it took too long").logs("account-seconds");
    ear.wait_for("asked ");
    supervisor.job("other", Job::shell("true").with("RunAtLoad", true));
    supervisor.call("Bootstrap", json!({ "path": supervisor.sandbox.name("jobs/other.plist") })).expect("is loaded");
    supervisor.logs("other: ended: exit 0");
}

#[test]
fn an_account_that_is_looked_up_is_asked_for_again_when_the_supervisor_is_replaced() {
    if !is_root() {
        return println!("skipped: only root puts another name service in the place of the machine's");
    }
    let (mut ear, supervisor, asked) = looking_up();
    supervisor.wjob(&["upgrade"]).exits(0);
    assert!(wait_for_end(&asked), "who was asked before is not waited for any more");
    ear.wait_for("asked ");
    assert_eq!(standing(&supervisor, "a"), "starting, 1 runs");
}

#[test]
fn a_job_whose_account_is_looked_up_can_be_ended() {
    if !is_root() {
        return println!("skipped: only root puts another name service in the place of the machine's");
    }
    let (_ear, supervisor, asked) = looking_up();
    assert_eq!(standing(&supervisor, "a"), "starting, 1 runs");
    supervisor.call("Bootout", json!({ "label": "a", "wait": true })).expect("it is taken out");
    assert!(wait_for_end(&asked), "who was asked is not waited for any more");
}
