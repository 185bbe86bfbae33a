//! Jobs with control groups, in a folder that plays cgroupfs: a group of each run with its limits, the worker in it before
//! it is told anything, an end for want of memory told as the limit that it is, and a run without where there is none to
//! be had. That a kernel holds what is written there is not seen here: no machine with such a tree was at hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};
use serde_json::{Value as Json, json};

use super::output::{captured, history};
use super::users::STAYS;
use crate::harness::{Job, Running, Sandbox, Supervisor, is_root, pidfd};

const MEBIBYTE: u64 = 1 << 20;
/// Longest wait; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder that plays the group that is the supervisor's to divide.
fn tree(sandbox: &Sandbox) -> String {
    sandbox.make_folder("cgroup");
    for (file, text) in [("controllers", "cpu memory pids\n"), ("procs", ""), ("subtree_control", "")] {
        sandbox.write(&format!("cgroup/cgroup.{file}"), text);
    }
    sandbox.name("cgroup")
}

/// A supervisor with such a folder, which was not started yet.
fn supervisor() -> Supervisor {
    let supervisor = Supervisor::new();
    let tree = tree(&supervisor.sandbox);
    supervisor.flag(&["--cgroup", &tree])
}

/// Stays, and may use so much.
fn limited() -> Job {
    Job::shell(STAYS).limit("Memory", 64 * MEBIBYTE).with("RunAtLoad", true)
}

/// The groups of a job's runs.
fn groups(supervisor: &Supervisor, label: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(supervisor.sandbox.path("cgroup")).expect("the folder").flatten();
    let of_job = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with(&format!("job-{label}-"))
    };
    entries.map(|entry| entry.path()).filter(of_job).collect()
}

/// The one group of a job that runs.
#[track_caller]
fn group(supervisor: &Supervisor, label: &str) -> PathBuf {
    let groups = groups(supervisor, label);
    let [group] = &groups[..] else { panic!("{label} has not one group but {groups:?}") };
    group.clone()
}

fn read(group: &Path, file: &str) -> String {
    fs::read_to_string(group.join(file)).unwrap_or_else(|error| panic!("{}/{file}: {error}", group.display()))
}

/// The parent of a process.
fn parent(process: u32) -> u32 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("the status of a process");
    let line = text.lines().find_map(|line| line.strip_prefix("PPid:"));
    line.and_then(|line| line.trim().parse().ok()).expect("its parent")
}

/// What was read back of the group of a job's run.
fn wall(supervisor: &Supervisor, label: &str) -> Option<Json> {
    let detail = supervisor.call("Print", json!({ "label": label })).expect("the job");
    let walls = detail["walls"].as_array().cloned().unwrap_or_default();
    walls.into_iter().find(|row| row["wall"] == "cgroup")
}

#[test]
fn a_run_is_in_a_group_of_its_own_with_its_limits() {
    let native = limited().limit("Processes", 8);
    let guest = Job::guest("probe-sleep", &["1000"]).limit("Memory", 64 * MEBIBYTE).with("RunAtLoad", true);
    let free = Job::shell(STAYS).with("RunAtLoad", true);
    let supervisor = supervisor().with("native", native).with("guest", guest).with("free", free).start();
    captured(&supervisor, "native", "ready", 1);
    captured(&supervisor, "free", "ready", 1);
    assert_eq!(groups(&supervisor, "free"), Vec::<PathBuf>::new(), "it has nothing for a group to hold");
    assert_eq!(supervisor.sandbox.read("cgroup/cgroup.subtree_control"), "+memory +pids");
    let own = group(&supervisor, "native");
    let (program, worker) = (pid(&supervisor, "native"), read(&own, "cgroup.procs"));
    assert_eq!(parent(parent(program)).to_string(), worker, "the worker with all that it makes");
    let memory: u64 = read(&own, "memory.max").parse().expect("a number");
    assert!((64 * MEBIBYTE..256 * MEBIBYTE).contains(&memory), "{memory}");
    assert_eq!((read(&own, "memory.swap.max"), read(&own, "memory.oom.group")), ("0".into(), "1".into()));
    // The worker and the init of its process table are counted with the job's own.
    assert_eq!(read(&own, "pids.max"), "10");
    let told = wall(&supervisor, "native").expect("its group");
    assert_eq!(told["stands"], true, "{told}");
    assert!(told["found"].as_str().is_some_and(|found| found.contains(&format!("memory.max {memory}"))), "{told}");
    wait_until_it_runs(&supervisor, "guest");
    assert_eq!(read(&group(&supervisor, "guest"), "cgroup.procs"), pid(&supervisor, "guest").to_string());
    assert_eq!(wall(&supervisor, "guest").expect("its group")["stands"], true);
}

fn pid(supervisor: &Supervisor, label: &str) -> u32 {
    let row = supervisor.row(label);
    let pid = row["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    pid.unwrap_or_else(|| panic!("there is no process in {row}"))
}

/// Nothing tells of that moment, and each question lets the supervisor go on.
#[track_caller]
fn wait_until_it_runs(supervisor: &Supervisor, label: &str) {
    let start = Instant::now();
    while wall(supervisor, label).is_none() {
        assert!(start.elapsed() < PATIENCE, "{label} does not run; there is\n{}", supervisor.log());
    }
}

/// What the kernel says of a group whose processes it has ended for want of memory.
const RAN_OUT: &str = "low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n";

#[test]
fn an_end_for_want_of_the_jobs_own_memory_is_its_limit_and_another_is_none() {
    let supervisor = supervisor().with("a", limited()).with("b", limited()).start();
    let limit = "limit Memory reached, held by the kernel wall";
    for (label, events, expected) in [("a", RAN_OUT, limit), ("b", "oom 0\noom_kill 1\n", "ended by SIGKILL")] {
        captured(&supervisor, label, "ready", 1);
        fs::write(group(&supervisor, label).join("memory.events"), events).expect("a file");
        let worker = parent(parent(pid(&supervisor, label)));
        pidfd_send_signal(pidfd(worker), Signal::KILL).expect("a worker that can be ended");
        supervisor.logs(&format!(" {label}: ended: {expected}"));
        let runs = history(&supervisor, label, 1);
        assert_eq!(runs[0]["outcome"], expected, "{runs:?}");
    }
}

/// Of a program alone, whose init and worker were spared.
#[test]
fn a_program_that_is_ended_alone_is_told_alike() {
    let supervisor = supervisor().with("a", limited()).start();
    captured(&supervisor, "a", "ready", 1);
    fs::write(group(&supervisor, "a").join("memory.events"), RAN_OUT).expect("a file");
    pidfd_send_signal(pidfd(pid(&supervisor, "a")), Signal::KILL).expect("a program that can be ended");
    supervisor.logs(" a: ended: limit Memory reached, held by the kernel wall");
}

/// The program was refused it, did something else and went on; the group alone knows.
#[test]
fn a_process_that_was_refused_is_in_the_record() {
    let job = || limited().limit("Processes", 8);
    let supervisor = supervisor().with("above", job()).with("below", job()).start();
    for (label, events, expected) in [("above", "max 3\n", 1), ("below", "max 0\n", 0)] {
        captured(&supervisor, label, "ready", 1);
        fs::write(group(&supervisor, label).join("pids.events"), events).expect("a file");
        pidfd_send_signal(pidfd(pid(&supervisor, label)), Signal::KILL).expect("a program that can be ended");
        let runs = history(&supervisor, label, 1);
        let denials = runs[0]["denials"].as_array().expect("denials").clone();
        assert_eq!(denials.len(), expected, "{runs:?}");
        for denial in denials {
            let found = (&denial["what"], &denial["wall"]);
            assert_eq!(found, (&json!("going beyond the limit Processes"), &json!("the kernel wall")), "{denial}");
        }
    }
}

#[test]
fn the_processes_of_root_are_counted_where_a_group_does() {
    if !is_root() {
        return println!("skipped: only root's supervisor has jobs of root's");
    }
    let job = || Job::shell(STAYS).limit("Processes", 8).with("UserName", "root").with("RunAtLoad", true);
    let with = supervisor().with("a", job()).start();
    captured(&with, "a", "ready", 1);
    assert_eq!(read(&group(&with, "a"), "pids.max"), "10");
    let without = Supervisor::new().with("a", job()).start();
    without.logs("the limit Processes cannot be held here: the kernel does not count the processes of uid 0");
}

#[test]
fn a_group_that_is_not_to_be_had_is_done_without_and_said() {
    let supervisor = supervisor().with("a", limited().with("RunAtLoad", false)).start();
    fs::remove_dir_all(supervisor.sandbox.path("cgroup")).expect("a folder");
    supervisor.call("Kickstart", json!({ "label": "a", "kill": false })).expect("it starts");
    captured(&supervisor, "a", "ready", 1);
    supervisor.logs(" a: without the cgroup wall: cgroup.procs: No such file");
    let told = wall(&supervisor, "a").expect("a row");
    assert_eq!(told["stands"], false, "{told}");
    assert!(told["found"].as_str().is_some_and(|found| found.starts_with("missing: cgroup.procs: ")), "{told}");
}

#[test]
fn a_folder_that_is_no_group_is_told_at_the_start_and_jobs_run_all_the_same() {
    let supervisor = Supervisor::new();
    let folder = supervisor.sandbox.make_folder("empty");
    let folder = folder.to_str().expect("a path").to_owned();
    let supervisor = supervisor.flag(&["--cgroup", &folder]).with("a", limited()).start();
    supervisor.logs(&format!("jobs get no control groups: {folder}/cgroup.controllers: No such file"));
    captured(&supervisor, "a", "ready", 1);
    assert_eq!(wall(&supervisor, "a"), None);
}

/// The supervisor starts the jobs, and whoever asks is seldom in the same group.
#[test]
fn info_tells_of_the_supervisors_group_and_without_one_of_its_own() {
    let with = supervisor().start();
    let folder = with.sandbox.name("cgroup");
    with.wjob(&["info"]).exits(0).says(format!("yes, of the supervisor of {}: {folder}", domain(&with)));
    let info: Json = serde_json::from_slice(&with.wjob(&["info", "--json"]).stdout).expect("JSON");
    assert_eq!((&info["cgroup"], &info["supervisor"]["cgroup"]), (&json!(folder), &json!(folder)), "{info}");
    let supervisor = Supervisor::new();
    let folder = supervisor.sandbox.make_folder("empty");
    let folder = folder.to_str().expect("a path").to_owned();
    let without = supervisor.flag(&["--cgroup", &folder]).start();
    let words = format!("no, of the supervisor of {}: {folder}/cgroup.controllers: No such file", domain(&without));
    without.wjob(&["info"]).exits(0).says(words);
    let alone = Sandbox::new();
    let mut command = alone.command("wjob", &["info"]);
    command.env("WJOB_SOCKET", alone.name("nobody.sock"));
    Running::start(command).end().exits(0).says(", of this process: ");
}

fn domain(supervisor: &Supervisor) -> String {
    let told = supervisor.call("Supervisor", json!({})).expect("an answer");
    told["domain"].as_str().expect("its domain").to_owned()
}
