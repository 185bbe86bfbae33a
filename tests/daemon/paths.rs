//! What files and folders do to jobs: PathState, WatchPaths, QueueDirectories, and what a job names and is not there.
//! What the watcher sees is tested in the supervisor, what follows from it in the model.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use plist::Dictionary;
use serde_json::json;

use super::life::{open_folder, standing, why};
use crate::harness::{Job, Sandbox, Supervisor, is_root, texts};

/// A job that sees the sandbox's open folder `data` as `/data` and may change it.
fn in_data(sandbox: &Sandbox, script: &str) -> Job {
    Job::shell(script).path(&open_folder(sandbox, "data"), "/data", "ReadWrite")
}

/// Puts an empty file in its place in one step: whoever waits for it may remove it at once.
fn put(sandbox: &Sandbox, name: &str) {
    fs::rename(sandbox.write("aside", ""), sandbox.path(name)).expect("a file in its place");
}

#[test]
fn a_path_keeps_a_job_by_existing_or_not() {
    let supervisor = Supervisor::new();
    let path = supervisor.sandbox.name("data/file");
    let while_it = |exists: bool| Dictionary::from_iter([(path.clone(), exists)]);
    let removes = in_data(&supervisor.sandbox, "rm /data/file").with_in("KeepAlive", "PathState", while_it(true));
    let misses = Job::shell("exit 0").with_in("KeepAlive", "PathState", while_it(false));
    let supervisor = supervisor.with("removes", removes).with("misses", misses).start();
    supervisor.logs(&format!(" misses: started: KeepAlive.PathState: {path} does not exist"));
    assert_eq!(standing(&supervisor, "removes"), "idle, 0 runs");
    put(&supervisor.sandbox, "data/file");
    supervisor.logs(&format!(" removes: started: KeepAlive.PathState: {path} does exist"));
    supervisor.logs(" removes: ended: exit 0");
    assert_eq!(standing(&supervisor, "removes"), "idle, 1 runs", "nothing keeps it any more");
}

#[test]
fn a_watched_path_starts_its_job_whatever_happens_to_it() {
    let supervisor = Supervisor::new();
    let sandbox = &supervisor.sandbox;
    sandbox.write("written", "old");
    sandbox.write("replaced", "old");
    sandbox.write("removed", "old");
    sandbox.write("new", "new");
    let labels = ["written", "made", "replaced", "removed"];
    for label in labels {
        let path = sandbox.name(label);
        supervisor.job(label, Job::shell("exit 0").with("WatchPaths", texts([path.as_str()])));
    }
    let supervisor = supervisor.start();
    for label in labels {
        assert_eq!(standing(&supervisor, label), "idle, 0 runs", "loading starts nothing");
    }
    let sandbox = &supervisor.sandbox;
    sandbox.write("written", "new");
    sandbox.write("made", "new");
    fs::rename(sandbox.path("new"), sandbox.path("replaced")).expect("a file in another's place");
    fs::remove_file(sandbox.path("removed")).expect("a file that is removed");
    for label in labels {
        supervisor.logs(&format!(" {label}: started: WatchPaths: {} changed", sandbox.name(label)));
        supervisor.logs(&format!(" {label}: ended: exit 0"));
    }
}

#[test]
fn after_a_reload_the_new_paths_are_watched_and_the_old_ones_are_not() {
    let supervisor = Supervisor::new();
    let paths = ["one", "other"].map(|name| supervisor.sandbox.write(name, "old"));
    let on = |path: &String| Job::shell("exit 0").with("WatchPaths", texts([path.as_str()]));
    let supervisor = supervisor.with("a", on(&paths[0])).start();
    supervisor.job("a", on(&paths[1]));
    supervisor.call("Reload", json!({ "label": "a" })).expect("a reload");
    // What is seen is seen in order.
    supervisor.sandbox.write("one", "new");
    supervisor.sandbox.write("other", "new");
    supervisor.logs(&format!(" a: started: WatchPaths: {} changed", paths[1]));
    assert!(!supervisor.log().contains(&format!("{} changed", paths[0])), "{}", supervisor.log());
}

/// As bytes they differ, as paths they do not; each job is told of its own.
#[test]
fn one_path_written_in_two_ways_is_each_jobs_own() {
    let supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("folder");
    let plain = supervisor.sandbox.name("folder");
    for (label, path) in
        [("plain", plain.clone()), ("slash", format!("{plain}/")), ("double", plain.replace("/folder", "//folder"))]
    {
        let exists = Dictionary::from_iter([(path, true)]);
        supervisor
            .job(label, Job::shell("exit 0").with_in("KeepAlive", "PathState", exists).with("ThrottleInterval", 100));
    }
    let supervisor = supervisor.start();
    for label in ["plain", "slash", "double"] {
        supervisor.logs(&format!(" {label}: started: KeepAlive.PathState"));
    }
}

#[test]
fn changes_while_a_job_runs_lead_to_one_more_run() {
    let supervisor = Supervisor::new();
    let sandbox = &supervisor.sandbox;
    let watched = [sandbox.write("one", "old"), sandbox.write("other", "old")];
    let job = in_data(sandbox, "read line < /data/fifo")
        .with("WatchPaths", texts(watched.iter().map(String::as_str)))
        .with("ThrottleInterval", 1);
    let fifo = sandbox.make_fifo("data/fifo");
    fs::set_permissions(&fifo, Permissions::from_mode(0o644)).expect("a mode");
    // Both ends of it are open, so that nobody waits for the other: a line ends one run.
    let mut lines = File::options().read(true).write(true).open(fifo).expect("a FIFO");
    let supervisor = supervisor.with("a", job).start();
    supervisor.call("Kickstart", json!({ "label": "a", "kill": false })).expect("it starts");
    for name in ["one", "other", "one"] {
        supervisor.sandbox.write(name, "new");
    }
    assert_eq!(supervisor.row("a")["runs"], 1);
    lines.write_all(b"go\n").expect("a FIFO with room");
    let [one, other] = watched;
    supervisor.logs(&format!(" a: started: WatchPaths: {one} changed, WatchPaths: {other} changed"));
    lines.write_all(b"go\n").expect("a FIFO with room");
    supervisor.logs_times(" a: ended: exit 0", 2);
    assert_eq!(standing(&supervisor, "a"), "idle, 2 runs");
}

#[test]
fn a_queue_runs_its_job_until_it_is_empty() {
    let supervisor = Supervisor::new();
    let sandbox = &supervisor.sandbox;
    for (label, script) in [("empties", "rm /data/entry"), ("leaves", "exit 0")] {
        let queue = open_folder(sandbox, label);
        let job = Job::shell(script).path(&queue, "/data", "ReadWrite");
        supervisor.job(label, job.with("QueueDirectories", texts([queue.as_str()])).with("ThrottleInterval", 1));
    }
    let supervisor = supervisor.start();
    let sandbox = &supervisor.sandbox;
    assert_eq!(standing(&supervisor, "empties"), "idle, 0 runs");
    for label in ["empties", "leaves"] {
        put(sandbox, &format!("{label}/entry"));
    }
    let started = |label| format!(" {label}: started: QueueDirectories: {} has entries", sandbox.name(label));
    supervisor.logs(&started("empties")).logs(" empties: ended: exit 0");
    assert_eq!(standing(&supervisor, "empties"), "idle, 1 runs");
    supervisor.logs_times(&started("leaves"), 2);
}

#[test]
fn a_program_that_is_missing_is_started_once_it_is_there() {
    let supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("");
    let program = supervisor.sandbox.name("tool");
    let job = Job::new(&program, &[]).with("RunAtLoad", true).with("ThrottleInterval", 1);
    let supervisor = supervisor.with("a", job).start();
    supervisor.logs(" a: failed: ");
    assert_eq!(supervisor.state("a"), "misconfigured");
    assert!(why(&supervisor, "a").contains(&program), "{}", why(&supervisor, "a"));
    let sandbox = &supervisor.sandbox;
    // In one step, so that it is never there half.
    let made = sandbox.write_program("tool.new", "#!/bin/sh\nexit 4\n");
    fs::rename(made, program).expect("a program in its place");
    supervisor.logs(" a: ended: exit 4");
}

#[test]
fn output_that_has_no_place_is_refused_by_name() {
    let supervisor = Supervisor::new();
    let sandbox = &supervisor.sandbox;
    sandbox.make_folder("");
    // Root's job is another user, to whom a folder of root's is closed. Nobody can write to one that is missing.
    sandbox.make_folder("closed");
    let places = [("missing", "none/out"), ("closed", if is_root() { "closed/out" } else { "none/err" })];
    for ((label, place), key) in places.into_iter().zip(["StandardOutPath", "StandardErrorPath"]) {
        let path = sandbox.name(place);
        supervisor.job(label, Job::shell("exit 0").with("RunAtLoad", true).with(key, path.as_str()));
    }
    let supervisor = supervisor.start();
    for ((label, place), key) in places.into_iter().zip(["StandardOutPath", "StandardErrorPath"]) {
        let path = supervisor.sandbox.name(place);
        supervisor.logs(&format!(" {label}: failed: {key} {path}: "));
        assert_eq!(standing(&supervisor, label), "misconfigured, 1 runs");
        assert!(why(&supervisor, label).contains(&path), "{}", why(&supervisor, label));
    }
}
