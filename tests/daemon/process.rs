//! What a started process is like: its priority, its umask, its limits, its environment, what is said of it, and that
//! nothing of it is left. The walls around it are the same as under `wjob run`, whose tests they have.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};

use super::life::open_folder;
use super::output::captured;
use crate::harness::{Job, Supervisor, VARIABLE, is_root, pidfd};
use crate::run_files::may_raise_priorities;

/// Longest wait for a process to come to a state; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);

/// The processes that have this in their command lines.
pub fn processes(marker: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let marked = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(marker)
    };
    numbers.filter(marked).collect()
}

/// A field of a process by its number in proc_pid_stat(5), from 3 on.
fn field(pid: u32, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(number - 3).map(str::to_owned)
}

/// A text that is only in the command lines of one test's processes.
fn marker(name: &str) -> String {
    format!("wjob-test-{name}-{}", std::process::id())
}

#[test]
fn priorities_are_those_of_the_file() {
    const STAYS: &str = "echo ready; while :; do sleep 1000; done";
    let job = |name| Job::new("/bin/sh", &["-c", STAYS, &marker(name)]).with("RunAtLoad", true);
    let raises = is_root() && may_raise_priorities();
    // Field 19 is the nice value, 41 the policy: 5 is SCHED_IDLE.
    for (name, job, number, expected) in [
        ("nice", job("nice").with("Nice", 15), 19, "15"),
        ("background", job("background").with("ProcessType", "Background"), 41, "5"),
        ("sooner", job("sooner").with("Nice", if raises { -3 } else { 16 }), 19, if raises { "-3" } else { "16" }),
        ("standard", job("standard").with("ProcessType", "Standard"), 41, "0"),
    ] {
        let supervisor = Supervisor::new().with("a", job).start();
        captured(&supervisor, "a", "ready", 1);
        // A child of it has its name until it has begun its own program.
        let pid = supervisor.row("a")["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a process");
        assert_eq!(field(pid, number).as_deref(), Some(expected), "{name}");
    }
}

/// Runs a job to its end with its output in a file; what it wrote.
fn written(supervisor: Supervisor, job: Job) -> (Supervisor, String) {
    let out = format!("{}/out", open_folder(&supervisor.sandbox, "data"));
    let job = job.with("RunAtLoad", true).with("StandardOutPath", out);
    let supervisor = supervisor.with("a", job).start();
    supervisor.logs(" a: ended: exit 0");
    let text = supervisor.sandbox.read("data/out");
    (supervisor, text)
}

#[test]
fn what_it_makes_has_the_umask_of_the_file() {
    let supervisor = Supervisor::new();
    let data = open_folder(&supervisor.sandbox, "data");
    let job = Job::shell("umask; : > /data/made").with("Umask", "027").path(&data, "/data", "ReadWrite");
    let (supervisor, text) = written(supervisor, job);
    assert_eq!(text.trim_start_matches('0'), "27\n");
    assert_eq!((supervisor.sandbox.mode("data/made"), supervisor.sandbox.mode("data/out")), (0o640, 0o640));
}

#[test]
fn its_resource_limits_are_the_kernels() {
    let job = Job::shell("ulimit -Sn; ulimit -Hn; ulimit -St")
        .with_in("SoftResourceLimits", "NumberOfFiles", 100)
        .with_in("HardResourceLimits", "NumberOfFiles", 200)
        .with_in("SoftResourceLimits", "CPU", 77);
    assert_eq!(written(Supervisor::new(), job).1, "100\n200\n77\n");
}

/// What launchd sets for a job whose user it switched to, here daemon; a user's own job has what his supervisor has.
fn variables_of_the_user(supervisor: &Supervisor) -> Vec<String> {
    if !is_root() {
        return vec![format!("HOME={}", supervisor.sandbox.name("home"))];
    }
    let accounts = fs::read_to_string("/etc/passwd").expect("accounts");
    let account = accounts.lines().find(|line| line.starts_with("daemon:")).expect("the account daemon");
    let fields: Vec<&str> = account.split(':').collect();
    let (home, shell) = (fields[5], fields[6]);
    vec![format!("HOME={home}"), "USER=daemon".into(), "LOGNAME=daemon".into(), format!("SHELL={shell}")]
}

#[test]
fn its_environment_is_the_users_and_what_the_file_says() {
    let plain = Job::new("/usr/bin/env", &[]);
    let more = plain.clone().with_in("EnvironmentVariables", "ONE", "1").with_in("EnvironmentVariables", "PATH", "/x");
    let standard = "PATH=/usr/bin:/bin:/usr/sbin:/sbin";
    let granted = format!("{}={}", VARIABLE.0, VARIABLE.1);
    for (job, own) in [
        (plain, vec![standard.to_owned()]),
        (more.grant("Environment", VARIABLE.0), vec!["ONE=1".into(), "PATH=/x".into(), granted]),
    ] {
        let (supervisor, text) = written(Supervisor::new(), job);
        let expected: BTreeSet<String> = variables_of_the_user(&supervisor).into_iter().chain(own).collect();
        assert_eq!(text.lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    }
}

#[test]
fn a_job_with_debug_is_logged_in_detail() {
    let job = Job::guest("probe-read", &["/elsewhere/file"]).with("RunAtLoad", true);
    let supervisor = Supervisor::new().with("loud", job.clone().with("Debug", true)).with("quiet", job).start();
    supervisor
        .logs(" loud: denied: reading /elsewhere/file")
        .logs(" loud: ended: exit 3")
        .logs(" quiet: ended: exit 3");
    assert!(!supervisor.log().contains(" quiet: denied"), "{}", supervisor.log());
}

/// The process of a job that is stopped, once there is one: the one that is listed, or its child.
fn stopped(supervisor: &Supervisor, label: &str) -> u32 {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let listed = supervisor.row(label)["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let children = |pid: u32| fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let below = listed.map(children).unwrap_or_default();
        let mut family = listed.into_iter().chain(below.split_whitespace().filter_map(|word| word.parse().ok()));
        // Below a tracer it is told by the small letter (proc_pid_stat(5)).
        if let Some(pid) = family.find(|pid| matches!(field(*pid, 3).as_deref(), Some("T" | "t"))) {
            return pid;
        }
    }
    panic!("no process of {label} was stopped; the log is\n{}", supervisor.log());
}

#[test]
fn a_job_that_waits_for_a_debugger_is_stopped_before_it_begins() {
    let job = Job::shell("exit 5").with("RunAtLoad", true).with("WaitForDebugger", true);
    let supervisor = Supervisor::new().with("a", job).start();
    let pid = stopped(&supervisor, "a");
    assert_eq!(supervisor.state("a"), "running");
    pidfd_send_signal(pidfd(pid), Signal::CONT).expect("it goes on");
    supervisor.logs(" a: ended: exit 5");
}

#[test]
fn what_it_left_running_ends_with_it() {
    let marker = marker("left");
    // The job puts the marker together, so that only its children have it whole in their command lines.
    let (one, other) = marker.split_at(marker.len() / 2);
    let script = format!(
        "m={one}; m=\"$m\"{other}; deaf='trap \"\" HUP TERM; : > /tmp/up; while :; do sleep 1000; done'; \
         setsid sh -c 'while :; do sleep 1000; done' \"$m\" & sh -c \"$deaf\" \"$m\" & \
         while [ ! -e /tmp/up ]; do sleep 0.01; done; exit 7"
    );
    let supervisor = Supervisor::new().with("a", Job::shell(&script).with("RunAtLoad", true)).start();
    supervisor.logs(" a: ended: exit 7");
    assert_eq!(processes(&marker), Vec::<u32>::new());
}
