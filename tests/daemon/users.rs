//! Whose a job is: accounts and groups in the system domain, users of their own for WebAssembly, and that a user's own
//! supervisor changes nobody. Root and an ordinary user see two sides of the same rules, so every test has both.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::json;

use super::life::{open_folder, standing, why};
use super::output::{captured, history};
use crate::harness::{Job, Supervisor, guest, is_root};

/// The first user id of those that are given to jobs without an account (the default of uid-range).
const FIRST_OWN: u32 = 2_100_000_000;

/// A job file as it stands, as the harness would name a user where there is none.
fn write(supervisor: &Supervisor, label: &str, keys: &str) {
    let text = format!("{{ Label = {label}; RunAtLoad = YES; {keys} }}");
    supervisor.sandbox.write(&format!("jobs/{label}.plist"), text);
}

/// A number in the line of a name in a file such as /etc/passwd.
pub fn number(file: &str, name: &str, at: usize) -> u32 {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let line = text.lines().find(|line| line.split(':').next() == Some(name));
    let field = line.and_then(|line| line.split(':').nth(at)?.parse().ok());
    field.unwrap_or_else(|| panic!("{file} has no {name}"))
}

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The account this process is, if it is one.
fn own_account() -> Option<String> {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut lines = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.get(2).is_some_and(|uid| *uid == own().to_string()));
    found.map(|fields| fields[0].to_owned())
}

/// The numbers of a line of /proc/PID/status of a job that runs.
pub fn status(supervisor: &Supervisor, label: &str, name: &str) -> Vec<u32> {
    let pid = supervisor.row(label)["pid"].clone();
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the status of a process");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.expect("a line").split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Says that it is there, and stays.
pub const STAYS: &str = "echo ready; exec sleep 1000";

/// A supervisor with a job that runs.
fn running(job: Job) -> Supervisor {
    let supervisor = Supervisor::new().with("a", job.with("RunAtLoad", true)).start();
    captured(&supervisor, "a", "ready", 1);
    supervisor
}

#[test]
fn a_native_job_is_the_user_and_group_it_names() {
    if !is_root() {
        let supervisor = running(Job::shell(STAYS));
        assert_eq!(status(&supervisor, "a", "Uid"), [own(); 4]);
        return;
    }
    let user = |name| number("/etc/passwd", name, 2);
    let (first, group) = (number("/etc/passwd", "bin", 3), number("/etc/group", "daemon", 2));
    let bin = || Job::shell(STAYS).with("UserName", "bin");
    for (job, uid, gid, has, has_not) in [
        (bin(), user("bin"), first, Some(first), None),
        (bin().with("GroupName", "daemon"), user("bin"), group, Some(first), None),
        (bin().with("GroupName", "daemon").with("InitGroups", false), user("bin"), group, Some(group), Some(first)),
        (Job::shell(STAYS).with("UserName", "root"), 0, 0, None, None),
        (Job::shell(STAYS).with("UserName", "root").with("GroupName", "daemon"), 0, group, Some(group), None),
    ] {
        let supervisor = running(job);
        assert_eq!((status(&supervisor, "a", "Uid"), status(&supervisor, "a", "Gid")), (vec![uid; 4], vec![gid; 4]));
        let groups = status(&supervisor, "a", "Groups");
        assert!(has.is_none_or(|group| groups.contains(&group)), "{groups:?} without {has:?}");
        assert!(has_not.is_none_or(|group| !groups.contains(&group)), "{groups:?} with {has_not:?}");
    }
}

#[test]
fn a_user_that_is_not_to_be_had_is_named() {
    let account = r#"ProgramArguments = ("/bin/sh", "-c", "exit 0");"#;
    let system: &[(&str, &str)] = &[
        ("UserName = wjob-test-ghost;", "UserName is wjob-test-ghost: there is no such user"),
        ("UserName = bin; GroupName = wjob-test-ghost;", "GroupName is wjob-test-ghost: there is no such group"),
        ("UserName = nobody;", "65534"),
        ("", "UserName is missing"),
        ("GroupName = daemon;", "GroupName is daemon: a group without a user would be root's"),
    ];
    let own_domain: &[(&str, &str)] = &[
        ("UserName = root;", "UserName is root: a user's own supervisor changes no job's user"),
        ("UserName = daemon;", "UserName is daemon: a user's own supervisor changes no job's user"),
        ("UserName = wjob-test-ghost;", "UserName is wjob-test-ghost: a user's own supervisor changes no job's user"),
        ("GroupName = daemon;", "GroupName is daemon: a user's own supervisor changes no job's group"),
        ("Nice = \"-1\";", "Nice is -1: a user's own supervisor raises no job's priority"),
    ];
    let rows = if is_root() { system } else { own_domain };
    for (keys, expected) in rows {
        let supervisor = Supervisor::new();
        write(&supervisor, "a", &format!("{account} {keys}"));
        let supervisor = supervisor.start();
        supervisor.logs(" a: failed: ");
        assert_eq!(standing(&supervisor, "a"), "misconfigured, 1 runs", "{keys}");
        assert!(why(&supervisor, "a").contains(expected), "{keys}: {}", why(&supervisor, "a"));
    }
}

/// A file of the domain's folder is loaded, whoever the domain is; its own user may be named.
#[test]
fn a_users_own_supervisor_runs_jobs_as_that_user() {
    let supervisor = Supervisor::new();
    let data = open_folder(&supervisor.sandbox, "data");
    let keys = |label: &str| format!(r#"Program = "/usr/bin/id"; StandardOutPath = "{data}/{label}";"#);
    let named = own_account();
    write(&supervisor, "plain", &keys("plain"));
    if let Some(name) = &named {
        write(&supervisor, "named", &format!("{} UserName = \"{name}\";", keys("named")));
    } else {
        println!("skipped: user {} has no account to name", own());
    }
    let supervisor = supervisor.start();
    let expected = format!("uid={}", own());
    if is_root() {
        supervisor.logs(" plain: failed: UserName is missing");
    } else {
        supervisor.logs(" plain: ended: exit 0");
        assert!(supervisor.sandbox.read("data/plain").starts_with(&expected));
    }
    if named.is_some() {
        supervisor.logs(" named: ended: exit 0");
        assert!(supervisor.sandbox.read("data/named").starts_with(&expected));
    }
    assert_eq!(supervisor.row("plain")["runs"], 1);
}

/// A guest without UserName that leaves a file: its owner is who it ran as.
fn guest_job(supervisor: &Supervisor, label: &str) {
    let data = open_folder(&supervisor.sandbox, "data");
    let program = guest("probe-exit");
    let keys = format!(r#"ProgramArguments = ("{program}", "0"); StandardOutPath = "{data}/{label}";"#);
    write(supervisor, label, &keys);
}

/// Whose file it is; it is taken away, so that the next run makes it anew.
fn owner(supervisor: &Supervisor, label: &str) -> u32 {
    let path = supervisor.sandbox.path("data").join(label);
    let owner = fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).uid();
    fs::remove_file(path).expect("a file that can be removed");
    owner
}

/// More programs than are compiled at once, and each is, in its turn; what the history says of a run that had to wait
/// is complete all the same.
#[test]
fn programs_are_compiled_a_few_at_a_time() {
    let supervisor = Supervisor::new();
    let labels: Vec<String> = (0..6).map(|number| format!("job-{number}")).collect();
    for label in &labels {
        let program =
            supervisor.sandbox.write(&format!("{label}.wasm"), fs::read(guest("probe-exit")).expect("a guest"));
        let keys = format!(r#"ProgramArguments = ("{program}", "0"); Config = {{ a = {label}; }};"#);
        write(&supervisor, label, &keys);
    }
    let supervisor = supervisor.start();
    for label in &labels {
        supervisor.logs(&format!(" {label}: ended: exit 0"));
        let runs = history(&supervisor, label, 1);
        assert!(runs[0]["pid"].as_u64().is_some_and(|pid| pid > 1), "{runs:?}");
    }
}

#[test]
fn a_guest_without_a_user_has_one_of_its_own_and_keeps_it() {
    let mut supervisor = Supervisor::new();
    guest_job(&supervisor, "one");
    guest_job(&supervisor, "other");
    supervisor.start_again();
    supervisor.logs(" one: ended: exit 0").logs(" other: ended: exit 0");
    let (one, other) = (owner(&supervisor, "one"), owner(&supervisor, "other"));
    supervisor.call("Kickstart", json!({ "label": "one", "kill": false })).expect("it starts");
    supervisor.logs_times(" one: ended: exit 0", 2);
    assert_eq!(owner(&supervisor, "one"), one, "after a second run");
    supervisor.stop().exits(0);
    // A label that comes first now takes nobody's place.
    guest_job(&supervisor, "new");
    supervisor.start_again();
    let labels = ["new", "one", "other"];
    for label in labels {
        supervisor.logs(&format!(" {label}: ended: exit 0"));
    }
    let owners = labels.map(|label| owner(&supervisor, label));
    if !is_root() {
        assert_eq!((owners, one, other), ([own(); 3], own(), own()));
        return;
    }
    assert_eq!(owners[1..], [one, other], "after a restart");
    assert!(one >= FIRST_OWN && other >= FIRST_OWN && owners[0] >= FIRST_OWN, "{owners:?}");
    assert!(one != other && !owners[1..].contains(&owners[0]), "{owners:?}");
}

/// Code that was compiled for one user is not run as another; for the same user it is compiled once.
#[test]
fn compiled_code_is_its_users_alone() {
    let supervisor = Supervisor::new();
    let users = if is_root() { ["daemon", "daemon", "bin"].map(Some) } else { [None; 3] };
    for (label, user) in ["first", "same", "other"].into_iter().zip(users) {
        let job = Job::guest("probe-exit", &["0"]);
        supervisor.job(label, user.into_iter().fold(job, |job, user| job.with("UserName", user)));
    }
    let supervisor = supervisor.start();
    for label in ["first", "same", "other"] {
        supervisor.call("Kickstart", json!({ "label": label, "kill": false })).expect("it starts");
        supervisor.logs(&format!(" {label}: ended: exit 0"));
    }
    let log = supervisor.log();
    let compiled = ["first", "same", "other"].map(|label| log.contains(&format!(" {label}: compiling ")));
    assert_eq!(compiled, [true, false, is_root()], "{log}");
}
