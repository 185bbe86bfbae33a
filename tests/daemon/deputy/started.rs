//! What a worker is started with, and what its program gains on the way: nothing of a job's environment reaches the
//! worker's own start, no program gets rights by its mode, and each user's jobs are that user's processes alone.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::time::{Duration, Instant};

use plist::Dictionary;

use super::{ONE, OTHER, is_alone};
use crate::daemon::output::captured;
use crate::daemon::users::{STAYS, number};
use crate::harness::supervisor::Ear;
use crate::harness::{Job, Running, Supervisor, text};

/// Longest wait for a job to run; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);
/// Variables by which a library, the loader or the allocator of a program does something else than it would, or more.
const VARIABLES: &[&str] = &[
    "LD_PRELOAD",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_DEBUG",
    "LD_DEBUG_OUTPUT",
    "GLIBC_TUNABLES",
    "GCONV_PATH",
    "MALLOC_CHECK_",
    "RUST_BACKTRACE",
    "TOKIO_WORKER_THREADS",
    "WJOB_SOCKET",
];

/// A line of /proc/PID/status.
fn line(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.expect("a line").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A process of a job that runs, and all that it was made by, up to its supervisor.
#[track_caller]
fn workers(supervisor: &Supervisor, label: &str) -> Vec<u32> {
    let row = supervisor.row(label);
    let pid = row["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    let first = pid.unwrap_or_else(|| panic!("there is no process in {row}"));
    let parent = |pid: &u32| line(*pid, "PPid").parse().ok();
    let own = supervisor.process().pid();
    std::iter::successors(Some(first), parent).take_while(|pid| *pid != own && *pid > 1).collect()
}

/// The variables a process was started with; `None` = not even root may see them here.
#[track_caller]
fn variables(pid: u32) -> Option<String> {
    match fs::read(format!("/proc/{pid}/environ")) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => None,
        Err(error) => panic!("process {pid}: {error}"),
    }
}

#[test]
fn nothing_of_a_jobs_environment_reaches_the_workers_own_start() {
    if is_alone() {
        return;
    }
    let supervisor = Supervisor::new();
    let value = supervisor.sandbox.name("evil.so");
    let environment: Dictionary = VARIABLES.iter().map(|name| (*name, value.as_str())).collect();
    let with = |job: Job| job.with("EnvironmentVariables", environment.clone()).with("RunAtLoad", true);
    let mut ear = Ear::new(&supervisor.sandbox, "ear");
    // It says so itself: what its loader complains of is on another descriptor.
    let native = with(Job::shell(STAYS)).with("StandardOutPath", ear.path.as_str());
    let guest = with(Job::guest("probe-sleep", &["1000000"]));
    let supervisor = supervisor.with("native", native).with("guest", guest).start();
    ear.wait_for("ready");
    let start = Instant::now();
    while supervisor.state("guest") != "running" {
        assert!(start.elapsed() < PATIENCE, "the guest does not run; there is\n{}", supervisor.log());
    }
    for (label, program) in [("native", true), ("guest", false)] {
        let mut processes = workers(&supervisor, label);
        assert!(!processes.is_empty(), "{label} has no process");
        if program {
            // The program has them, since the file says so.
            let of_program = variables(processes.remove(0));
            assert!(of_program.is_none_or(|found| found.contains("LD_PRELOAD=")), "{label}");
            assert!(!processes.is_empty(), "{label} has no worker");
        }
        for pid in processes {
            match variables(pid) {
                Some(found) => assert_eq!(found, "", "{label}: process {pid}"),
                None => println!("skipped: /proc/{pid}/environ is closed to root here"),
            }
            let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
            assert!(!maps.contains(&value), "{label}: process {pid} has loaded it");
        }
    }
}

/// Who it runs as says the program itself, which belongs to root and would be root by its mode.
#[test]
fn a_program_that_would_change_its_user_does_not() {
    if is_alone() {
        return;
    }
    let (uid, gid) = (number("/etc/passwd", "daemon", 2), number("/etc/passwd", "daemon", 3));
    let supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("");
    let folder = text(&supervisor.sandbox.make_folder("programs"));
    let program = supervisor.sandbox.name("programs/id");
    // Not copied here: what this process has open for writing, nobody can execute.
    let copy = supervisor.sandbox.command_at("/bin/cp".as_ref(), &["/usr/bin/id", &program]);
    Running::start(copy).end().exits(0);
    fs::set_permissions(&program, Permissions::from_mode(0o6755)).expect("a mode");
    let script = r#"echo "$(/granted/id -u) $(/granted/id -g)""#;
    let itself = |option: &str| Job::new(&program, &[option]).with("RunAtLoad", true);
    let started = Job::shell(script).path(&folder, "/granted", "Execute").with("RunAtLoad", true);
    let supervisor = supervisor.with("user", itself("-u")).with("group", itself("-g")).with("started", started).start();
    captured(&supervisor, "user", &uid.to_string(), 1);
    captured(&supervisor, "group", &gid.to_string(), 1);
    captured(&supervisor, "started", &format!("{uid} {gid}"), 1);
    for label in ["user", "group", "started"] {
        supervisor.logs(&format!(" {label}: ended: exit 0"));
    }
}

/// The same program and the same label; each is its own user's from the first process on, and so is what they write.
#[test]
fn two_users_jobs_share_no_process() {
    if is_alone() {
        return;
    }
    let mut seen = Vec::new();
    let supervisors = [ONE, OTHER].map(|user| {
        let supervisor = Supervisor::of_user(user);
        let ear = Ear::new(&supervisor.sandbox, "ear");
        let job = Job::shell("echo $$ > /granted/made; echo ready; exec sleep 1000").with("RunAtLoad", true);
        let made = supervisor.sandbox.make_folder("made");
        chown(&made, Some(user), Some(user)).expect("an owner");
        let job = job.path(&text(&made), "/granted", "ReadWrite").with("StandardOutPath", ear.path.as_str());
        (supervisor.with("same", job).start(), ear, user)
    });
    for (supervisor, mut ear, user) in supervisors {
        ear.wait_for("ready");
        let processes = workers(&supervisor, "same");
        assert!(!processes.is_empty());
        for pid in processes {
            assert_eq!(line(pid, "Uid"), [user; 4].map(|user| user.to_string()).join(" "), "process {pid}");
            assert!(!seen.contains(&pid), "process {pid} serves both");
            seen.push(pid);
        }
        let owner = fs::metadata(supervisor.sandbox.path("made/made")).expect("what it made").uid();
        assert_eq!(owner, user);
    }
}
