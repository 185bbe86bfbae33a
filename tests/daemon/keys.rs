//! Keys that change how a native job ends and what it takes for its root: AbandonProcessGroup, EnableTransactions with
//! TimeOut, RootDirectory. Their tables are tested in the model and in the worker; here they meet real processes.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};

use super::life::{open_folder, standing, why};
use super::output::captured;
use crate::harness::{Job, Sandbox, Supervisor, guest, is_root, pidfd, wait_for_end};

/// What a job has left over, as it is printed.
fn left_over(supervisor: &Supervisor, label: &str) -> Option<String> {
    let detail = supervisor.call("Print", json!({ "label": label })).expect("the job");
    let rows = detail["properties"].as_array().expect("rows").clone();
    let row = rows.into_iter().find(|row| row["name"] == "left over")?;
    row["value"].as_str().map(str::to_owned)
}

/// A supervisor with a job that has ended and left a process, and the worker that stayed for it.
fn with_left_over() -> (Supervisor, OwnedFd) {
    let job = Job::shell("sleep 1000 & exit 0").with("RunAtLoad", true).with("AbandonProcessGroup", true);
    let supervisor = Supervisor::new().with("a", job).start();
    supervisor.logs(" a: left over: 1 process, worker ").logs(" a: ended: exit 0");
    let words = left_over(&supervisor, "a").expect("something left over");
    let worker = words.rsplit(' ').next().and_then(|word| word.parse().ok()).expect("the worker's number");
    (supervisor, pidfd(worker))
}

#[test]
fn what_a_job_abandons_lives_on_and_is_listed_until_it_ends() {
    let supervisor = Supervisor::new();
    let data = open_folder(&supervisor.sandbox, "data");
    let fifo = supervisor.sandbox.make_fifo("data/go");
    fs::set_permissions(&fifo, Permissions::from_mode(0o666)).expect("a mode");
    let job = Job::shell("{ read go < /data/go; } & exit 7").path(&data, "/data", "ReadWrite");
    let supervisor = supervisor.with("a", job.with("RunAtLoad", true).with("AbandonProcessGroup", true)).start();
    supervisor.logs(" a: left over: 1 process, worker ").logs(" a: ended: exit 7");
    assert_eq!(standing(&supervisor, "a"), "idle, 1 runs");
    let words = left_over(&supervisor, "a").unwrap_or_default();
    assert!(words.starts_with("1 process, worker "), "{words}");
    // Open for reading too, so that opening waits for nobody.
    let mut go = fs::File::options().read(true).write(true).open(&fifo).expect("a FIFO");
    go.write_all(b"go\n").expect("it is let go");
    supervisor.logs(" a: left over processes of a have ended");
    assert_eq!(left_over(&supervisor, "a"), None);
}

#[test]
fn a_job_that_abandons_and_leaves_nothing_is_not_listed() {
    let job = Job::shell("exit 0").with("RunAtLoad", true).with("AbandonProcessGroup", true);
    let supervisor = Supervisor::new().with("a", job).start();
    supervisor.logs(" a: ended: exit 0");
    assert_eq!(left_over(&supervisor, "a"), None);
    assert!(!supervisor.log().contains("left over"), "{}", supervisor.log());
}

#[test]
fn what_is_left_over_goes_with_the_job() {
    let (supervisor, worker) = with_left_over();
    supervisor.call("Bootout", json!({ "label": "a", "wait": true })).expect("it is taken out");
    assert!(wait_for_end(&worker));
    supervisor.logs(" a: left over processes of a have ended").logs(" a: unloaded");
}

#[test]
fn what_is_left_over_does_not_outlive_the_supervisor() {
    for orderly in [true, false] {
        let (mut supervisor, worker) = with_left_over();
        let _ = if orderly { supervisor.stop() } else { supervisor.kill() };
        assert!(wait_for_end(&worker), "orderly {orderly}");
    }
}

/// Whether a process with this in its command line is left.
fn is_left(marker: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let mut lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).contains(marker))
}

#[test]
fn without_it_and_in_the_foreground_everything_ends_with_the_program() {
    let marker = format!("wjob-test-abandoned-{}", std::process::id());
    // The job puts the marker together, so that only its child has it whole in its command line.
    let (one, other) = marker.split_at(marker.len() / 2);
    let script = format!("m={one}; sh -c 'while :; do sleep 1000; done' \"$m\"{other} & exit 7");
    let kept = Job::shell(&script).with("RunAtLoad", true).with("AbandonProcessGroup", false);
    let supervisor = Supervisor::new().with("a", kept).start();
    supervisor.logs(" a: ended: exit 7");
    assert!(!is_left(&marker), "something is left running");
    supervisor.sandbox.run(&Job::shell(&script).with("AbandonProcessGroup", true)).exits(7);
    assert!(!is_left(&marker), "something is left running");
}

const BEGIN: &str = "printf %s + >&$WJOB_TRANSACTIONS; ";
const END: &str = "printf %s - >&$WJOB_TRANSACTIONS; ";

/// Counts its work as told, says that it is ready, and answers SIGTERM with a status of its own.
fn counting(work: &str) -> Job {
    let script = format!("trap 'exit 4' TERM; {work}echo ready; while :; do sleep 1000 & wait; done");
    Job::shell(&script).with("EnableTransactions", true).with("RunAtLoad", true)
}

#[test]
fn a_job_is_asked_to_stop_only_while_it_has_work_open() {
    let cases = [
        (String::new(), "stopped", 143, 0),
        (BEGIN.into(), "exit 4", 4, 1),
        (format!("{BEGIN}{END}"), "stopped", 143, 0),
        (format!("{BEGIN}{BEGIN}{END}"), "exit 4", 4, 1),
        (format!("{END}{END}"), "stopped", 143, 0),
        // Whoever closes it counts no more.
        (format!("{BEGIN}{END}exec 3>&-; "), "exit 4", 4, 1),
    ];
    let name = |number: usize| format!("job-{number}");
    let jobs = cases.iter().enumerate();
    let supervisor = jobs.fold(Supervisor::new(), |all, (number, (work, ..))| all.with(&name(number), counting(work)));
    let supervisor = supervisor.start();
    for (number, (work, end, status, failures)) in cases.iter().enumerate() {
        let label = name(number);
        captured(&supervisor, &label, "ready", 1);
        supervisor.call("Kill", json!({ "label": label, "signal": 15 })).expect("it is signalled");
        supervisor.logs(&format!(" {label}: ended: {end}\n"));
        let detail = supervisor.call("Print", json!({ "label": label })).expect("the job");
        let found = (&detail["row"]["status"], &detail["failures"]);
        assert_eq!(found, (&json!(status), &json!(failures)), "{work}: {detail}");
    }
}

#[test]
fn a_job_is_ended_once_it_has_no_work_any_more_and_not_before_it_had_some() {
    let supervisor = Supervisor::new()
        .with("worked", counting(&format!("{BEGIN}{END}")).with("TimeOut", 1))
        .with("works", counting(BEGIN).with("TimeOut", 1))
        .with("waits", counting("").with("TimeOut", 1))
        .start();
    supervisor.logs(" worked: ended: stopped\n");
    assert_eq!(standing(&supervisor, "worked"), "idle, 1 runs");
    // Once more the same time, after which the others would surely have been ended too.
    supervisor.call("Kickstart", json!({ "label": "worked", "kill": false })).expect("it is started");
    supervisor.logs_times(" worked: ended: stopped\n", 2);
    for label in ["works", "waits"] {
        assert_eq!(standing(&supervisor, label), "running, 1 runs", "{label}");
    }
}

#[test]
fn the_descriptor_is_there_for_jobs_that_ask_for_it() {
    let job = || Job::shell("echo \"<$WJOB_TRANSACTIONS>\"").with("RunAtLoad", true);
    let supervisor = Supervisor::new()
        .with("plain", job())
        .with("counts", job().with("EnableTransactions", true))
        .with("pressed", job().with("EnablePressuredExit", true))
        .start();
    for (label, expected) in [("plain", "<>"), ("counts", "<3>"), ("pressed", "<3>")] {
        captured(&supervisor, label, expected, 1);
    }
    let row = supervisor.row("counts");
    assert_eq!(row["runs"], Json::from(1), "{row}");
}

/// Copies a file of the host to a place in `root`, with everything above it.
fn copy(sandbox: &Sandbox, from: &Path, to: &str) {
    let mut folder = "root".to_owned();
    let mut names: Vec<&str> = to.trim_start_matches('/').split('/').collect();
    let file = names.pop().expect("a name");
    for name in names {
        folder = format!("{folder}/{name}");
        sandbox.make_folder(&folder);
    }
    sandbox.write_program(&format!("{folder}/{file}"), fs::read(from).expect("a file of the host"));
}

/// The libraries of a program, as the loader finds them.
fn libraries(program: &Path) -> Vec<String> {
    let listed = Command::new("ldd").arg(program).output().expect("ldd");
    let words = String::from_utf8_lossy(&listed.stdout).into_owned();
    words.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned).collect()
}

/// A folder to be a job's root: a shell, something that stays, and all that a view is put together on. `link` leads to
/// its own `/etc`, and `up` out of it.
pub fn root_with_a_shell(sandbox: &Sandbox) -> String {
    open_folder(sandbox, "root/data");
    for folder in ["root", "root/bin", "root/dev", "root/etc", "root/in", "root/proc", "root/tmp", "outside"] {
        sandbox.make_folder(folder);
    }
    for device in ["null", "zero", "full", "random", "urandom"] {
        sandbox.write(&format!("root/dev/{device}"), "");
    }
    sandbox.write("root/etc/name", "inside\n");
    sandbox.link("/etc", "root/link");
    sandbox.link("../../outside", "root/up");
    let busybox = Path::new("/bin/busybox");
    let shell = if busybox.exists() { busybox } else { Path::new("/bin/sh") };
    for (program, place) in [(shell, "/bin/sh"), (Path::new("/bin/sleep"), "/bin/sleep")] {
        for library in libraries(program) {
            copy(sandbox, Path::new(&library), &library);
        }
        copy(sandbox, program, place);
    }
    sandbox.name("root")
}

/// A user's own supervisor gives no job another root.
fn is_refused_to_users(supervisor: &Supervisor, label: &str) -> bool {
    if is_root() {
        return false;
    }
    supervisor.logs(&format!(" {label}: failed: RootDirectory is "));
    assert_eq!(supervisor.state(label), "misconfigured");
    let why = why(supervisor, label);
    assert!(why.contains("a user's own supervisor changes no job's root"), "{why}");
    true
}

#[test]
fn a_native_job_in_another_root_sees_that_and_cannot_change_it() {
    const LOOKS: &str = "read one < /etc/name; read other < /in/name; echo $one $other $PWD; \
        (: > /new) 2>/dev/null || echo sealed; : > /tmp/new && echo tmp; : < /dev/null && echo null; \
        [ -e /proc/self ] && echo proc; [ -e /up ] || echo closed";
    let supervisor = Supervisor::new();
    let root = root_with_a_shell(&supervisor.sandbox);
    let job = Job::new("/bin/sh", &["-c", LOOKS])
        .with("RootDirectory", root)
        .with("WorkingDirectory", "/data")
        .with("StandardOutPath", "out")
        .with("RunAtLoad", true)
        .path("/link", "/in", "ReadOnly");
    let supervisor = supervisor.with("a", job).start();
    if is_refused_to_users(&supervisor, "a") {
        return;
    }
    supervisor.logs(" a: ended: exit 0");
    let said = supervisor.sandbox.read("root/data/out");
    assert_eq!(said, "inside inside /data\nsealed\ntmp\nnull\nproc\nclosed\n");
}

#[test]
fn a_root_that_cannot_be_one_is_refused_with_the_reason() {
    let supervisor = Supervisor::new();
    let root = root_with_a_shell(&supervisor.sandbox);
    fs::remove_dir(supervisor.sandbox.path("root/tmp")).expect("a folder");
    let job = |root: &str| Job::shell("exit 0").with("RootDirectory", root).with("RunAtLoad", true);
    let missing = format!("{root}/missing");
    let supervisor = supervisor
        .with("lacks", job(&root))
        .with("unwalled", job(&root).with("Isolation", "None"))
        .with("missing", job(&missing))
        .with("leads-out", job(&root).path("/up", "/in", "ReadOnly"))
        .start();
    if is_refused_to_users(&supervisor, "lacks") {
        return;
    }
    for (label, why) in [
        ("lacks", format!("RootDirectory {root}: nothing can be shown at /tmp in it: ")),
        ("unwalled", "the job was not started: RootDirectory is shown by the mount wall".into()),
        ("missing", format!("the job was not started: program {missing}: RootDirectory cannot be opened: ")),
    ] {
        supervisor.logs(&format!(" {label}: failed: {why}"));
        assert_eq!(supervisor.state(label), "misconfigured", "{label}");
    }
    supervisor.logs(" leads-out: failed: RootDirectory ");
    supervisor.sandbox.make_folder("root/tmp");
    supervisor.call("Kickstart", json!({ "label": "leads-out", "kill": false })).expect("it is started");
    supervisor.logs(&format!(" leads-out: failed: granted path {root}/up: "));
}

#[test]
fn a_guest_in_another_root_has_its_program_and_its_grants_there() {
    let supervisor = Supervisor::new();
    let root = root_with_a_shell(&supervisor.sandbox);
    copy(&supervisor.sandbox, Path::new(&guest("probe-read")), "/probe.wasm");
    let job = |grant: &str| {
        let job = Job::new("/probe.wasm", &["/granted/name"]).with("RootDirectory", root.as_str());
        job.with("RunAtLoad", true).path(grant, "/granted", "ReadOnly")
    };
    let supervisor = supervisor.with("a", job("/link")).with("b", job("/up")).start();
    if is_refused_to_users(&supervisor, "a") {
        return;
    }
    supervisor.logs(" a: ended: exit 0").logs(&format!(" b: failed: granted path {root}/up: "));
}

#[test]
fn in_the_foreground_the_root_is_the_callers() {
    let sandbox = Sandbox::new();
    let job = Job::shell("exit 0").with("RootDirectory", "/srv/other");
    sandbox.run(&job).exits(77).says_only("").complains("RootDirectory is /srv/other");
}
