//! Which job files are loaded: none that others could change, none that is half right, and of one label the first. How
//! a path is checked name by name is tested where it is checked.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use serde_json::{Value as Json, json};

use crate::harness::{Job, Supervisor, is_root, text, texts};

/// A user that nobody is.
const STRANGER: u32 = 12_345;

/// What makes a job file one that is not loaded: given a supervisor and the file's name in its sandbox, which is that
/// of a good job.
type Spoil = fn(&Supervisor, &str);

/// A name of the kind of fault, what makes it, the error and a part of its reason.
type Fault = (&'static str, Spoil, &'static str, &'static str);

const SPOILT: &[Fault] = &[
    ("all-write", |at, name| mode(at, name, 0o666), "UnsafeFile", "mode 666 lets everybody write"),
    ("group-writes", |at, name| mode(at, name, 0o664), "UnsafeFile", "mode 664 lets its group write"),
    ("folder", make_folder, "UnsafeFile", "found a directory; expected a regular file"),
    ("fifo", make_fifo, "UnsafeFile", "found a FIFO; expected a regular file"),
    ("dangling", |at, name| link(at, "nowhere", name), "UnsafeFile", "nowhere: No such file"),
    ("to-itself", |at, name| link(at, name, name), "UnsafeFile", "symbolic links"),
    ("into-open", link_into_open, "UnsafeFile", "open: mode 777 lets everybody write"),
    ("nonsense", |at, name| write(at, name, "nonsense"), "BadJobFile", "a job file is a dictionary"),
    ("half", |at, name| write(at, name, "{ Label = half; Program = "), "BadJobFile", "the end of the file"),
    ("runs-nothing", |at, name| write(at, name, "{ Label = nothing; }"), "BadJobFile", "nothing to run"),
    ("wrong-type", |at, name| write_job(at, name, "RunAtLoad", "yes"), "BadJobFile", "expected true or false"),
    ("other-owner", other_owner, "UnsafeFile", "belongs to user 12345; expected root"),
];

/// Those that this user can make.
fn spoilt() -> impl Iterator<Item = &'static Fault> {
    SPOILT.iter().filter(|(label, ..)| is_root() || *label != "other-owner")
}

fn mode(at: &Supervisor, name: &str, mode: u32) {
    fs::set_permissions(at.sandbox.path(name), Permissions::from_mode(mode)).expect("a mode");
}

fn remove(at: &Supervisor, name: &str) {
    fs::remove_file(at.sandbox.path(name)).expect("a file");
}

fn write(at: &Supervisor, name: &str, content: &str) {
    at.sandbox.write(name, content);
}

fn write_job(at: &Supervisor, name: &str, key: &str, value: &str) {
    at.file(name, "wrong", Job::shell("exit 0").with(key, value));
}

fn make_folder(at: &Supervisor, name: &str) {
    remove(at, name);
    at.sandbox.make_folder(name);
}

fn make_fifo(at: &Supervisor, name: &str) {
    remove(at, name);
    at.sandbox.make_fifo(name);
}

fn link(at: &Supervisor, target: &str, name: &str) {
    remove(at, name);
    at.sandbox.link(&at.sandbox.name(target), name);
}

fn link_into_open(at: &Supervisor, name: &str) {
    at.sandbox.make_folder("open");
    at.file("open/job.plist", "open", Job::shell("exit 0"));
    mode(at, "open", 0o777);
    link(at, "open/job.plist", name);
}

fn other_owner(at: &Supervisor, name: &str) {
    chown(at.sandbox.path(name), Some(STRANGER), None).expect("another owner");
}

fn labels(supervisor: &Supervisor) -> Vec<String> {
    let list = supervisor.call("List", json!({})).expect("a list");
    let rows = list["jobs"].as_array().expect("rows").iter();
    rows.map(|row| row["label"].as_str().expect("a label").to_owned()).collect()
}

/// The file a job was loaded from.
fn origin(supervisor: &Supervisor, label: &str) -> String {
    let job = supervisor.call("Print", json!({ "label": label })).expect("a job");
    job["path"].as_str().expect("a path").to_owned()
}

fn bootstrap(supervisor: &Supervisor, path: &str) -> Result<Json, (String, Json)> {
    supervisor.call("Bootstrap", json!({ "path": path }))
}

#[test]
fn at_the_start_bad_files_are_named_and_good_ones_loaded() {
    let supervisor = Supervisor::new().with("good", Job::shell("exit 0").with("RunAtLoad", true));
    for (label, spoil, ..) in spoilt() {
        supervisor.job(label, Job::shell("exit 0").with("RunAtLoad", true));
        spoil(&supervisor, &format!("jobs/{label}.plist"));
    }
    supervisor.file("elsewhere.plist", "linked", Job::shell("exit 0"));
    supervisor.sandbox.link(&supervisor.sandbox.name("elsewhere.plist"), "jobs/linked.plist");
    supervisor.file("jobs/.hidden.plist", "hidden", Job::shell("exit 0"));
    supervisor.file("jobs/other-name.txt", "other-name", Job::shell("exit 0"));
    let supervisor = supervisor.start();
    let log = supervisor.log();
    for (label, _, _, part) in spoilt() {
        let start = format!("error refused: {}", supervisor.sandbox.name(&format!("jobs/{label}.plist")));
        let line = log.lines().find(|line| line.contains(&start));
        assert!(line.is_some_and(|line| line.contains(part)), "{label} lacks {part:?}: {line:?}");
    }
    assert_eq!(labels(&supervisor), ["good", "linked"]);
    supervisor.logs("serving ").logs("2 jobs loaded").logs("good: ended: exit 0");
}

#[test]
fn an_operators_bad_file_is_a_typed_error_and_nothing_of_it_is_loaded() {
    let supervisor = Supervisor::new().start();
    supervisor.sandbox.make_folder("more");
    for (label, spoil, error, part) in spoilt() {
        let name = format!("more/{label}.plist");
        let path = supervisor.file(&name, label, Job::shell("exit 0"));
        spoil(&supervisor, &name);
        let (found, parameters) = bootstrap(&supervisor, &path).expect_err(label);
        assert_eq!(found, format!("io.wjob.{error}"), "{label}: {parameters}");
        assert!(parameters.to_string().contains(part), "{label} lacks {part:?}: {parameters}");
        assert_eq!(parameters["path"], path.as_str(), "{label}");
    }
    assert!(labels(&supervisor).is_empty());

    let good = supervisor.file("more/good.plist", "good", Job::shell("exit 0"));
    let folder = text(&supervisor.sandbox.path("more"));
    let loaded = bootstrap(&supervisor, &folder).expect("what could be loaded");
    assert_eq!(loaded["loaded"], json!(["good"]));
    assert_eq!(loaded["refused"].as_array().map(Vec::len), Some(spoilt().count()), "{loaded}");
    assert_eq!((labels(&supervisor), origin(&supervisor, "good")), (vec!["good".to_owned()], good));
}

#[test]
fn a_folder_that_others_can_change_has_no_job_files() {
    for (open, mode_of_it) in [("above", 0o777), ("above/folder", 0o775)] {
        let supervisor = Supervisor::new();
        supervisor.sandbox.make_folder("above");
        let folder = text(&supervisor.sandbox.make_folder("above/folder"));
        let file = supervisor.file("above/folder/a.plist", "a", Job::shell("exit 0"));
        mode(&supervisor, open, mode_of_it);
        let supervisor = supervisor.flag(&["--jobs", folder.as_str()]).start();
        let blamed = format!("{}: mode {mode_of_it:o} lets", supervisor.sandbox.name(open));
        supervisor.logs(&format!("error refused: {folder} is not trusted: {blamed}"));
        for path in [&file, &folder] {
            let (error, parameters) = bootstrap(&supervisor, path).expect_err("a file that was loaded");
            assert_eq!((error.as_str(), &parameters["path"]), ("io.wjob.UnsafeFile", &json!(path)), "{parameters}");
        }
        assert!(labels(&supervisor).is_empty(), "{open}");
    }
}

#[test]
fn of_one_label_in_two_folders_the_first_counts() {
    let supervisor = Supervisor::new().with("both", Job::shell("exit 1"));
    let second = text(&supervisor.sandbox.make_folder("second"));
    let later = supervisor.file("second/both.plist", "both", Job::shell("exit 2"));
    supervisor.file("second/own.plist", "own", Job::shell("exit 2"));
    let supervisor = supervisor.flag(&["--jobs", second.as_str()]).start();
    assert_eq!(labels(&supervisor), ["both", "own"]);
    assert_eq!(origin(&supervisor, "both"), supervisor.sandbox.name("jobs/both.plist"));
    assert!(!supervisor.log().contains("refused"), "{}", supervisor.log());

    let (error, parameters) = bootstrap(&supervisor, &later).expect_err("a label that is taken");
    assert_eq!(error, "io.wjob.AlreadyLoaded");
    assert_eq!(parameters["path"], origin(&supervisor, "both").as_str());

    remove(&supervisor, "jobs/both.plist");
    supervisor.call("Reload", json!({})).expect("a reload");
    assert_eq!(origin(&supervisor, "both"), later);
}

#[test]
fn a_running_job_whose_first_file_goes_or_comes_is_put_in_its_place() {
    let stays = || Job::shell("echo ready; exec sleep 1000").with("RunAtLoad", true);
    let supervisor = Supervisor::new().with("a", stays());
    let second = text(&supervisor.sandbox.make_folder("second"));
    let later = supervisor.file("second/a.plist", "a", stays());
    let supervisor = supervisor.flag(&["--jobs", second.as_str()]).start();
    supervisor.logs(" a: started: RunAtLoad");
    remove(&supervisor, "jobs/a.plist");
    let loaded = supervisor.call("Reload", json!({})).expect("a reload");
    assert_eq!((&loaded["loaded"], &loaded["removed"]), (&json!(["a"]), &json!([])), "{loaded}");
    supervisor.logs(&format!(" a: loaded: {later}"));
    supervisor.logs_times(" a: started: ", 2);
    assert_eq!(origin(&supervisor, "a"), later);
    let first = supervisor.job("a", stays());
    supervisor.call("Reload", json!({})).expect("a reload");
    supervisor.logs_times(" a: started: ", 3);
    assert_eq!(origin(&supervisor, "a"), first);
}

#[test]
fn a_folder_that_is_no_longer_one_of_the_domains_takes_its_jobs_along() {
    let supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("kept");
    supervisor.sandbox.make_folder("dropped");
    for label in ["kept", "dropped"] {
        supervisor.file(&format!("{label}/{label}.plist"), label, Job::shell("exit 0"));
    }
    let operators = supervisor.file("own.plist", "operators", Job::shell("exit 0"));
    let folder = |name: &str| supervisor.sandbox.name(name);
    let both = json!({ "jobs": [folder("kept"), folder("dropped")] }).to_string();
    let one = json!({ "jobs": [folder("kept")] }).to_string();
    let file = supervisor.sandbox.write("daemon.json", both);
    let supervisor = supervisor.flag(&["--config", &file]).start();
    bootstrap(&supervisor, &operators).expect("it is loaded");
    assert_eq!(labels(&supervisor), ["dropped", "kept", "operators"]);
    supervisor.sandbox.write("daemon.json", one);
    let loaded = supervisor.call("Reload", json!({})).expect("a reload");
    assert_eq!(loaded["removed"], json!(["dropped"]));
    assert_eq!(labels(&supervisor), ["kept", "operators"]);
}

/// In one folder it is a mistake: nobody can want that the names of files decide.
#[test]
fn of_one_label_in_one_folder_the_second_is_refused_by_name() {
    let supervisor = Supervisor::new().with("a", Job::shell("exit 1"));
    let second = supervisor.file("jobs/b.plist", "a", Job::shell("exit 2"));
    let supervisor = supervisor.start();
    assert_eq!(origin(&supervisor, "a"), supervisor.sandbox.name("jobs/a.plist"));
    let log = supervisor.log();
    let line = log.lines().find(|line| line.contains("refused: "));
    assert!(line.is_some_and(|line| line.contains(&second) || line.contains("a is loaded already")), "{log}");
}

/// The log from a place on: whether every job was loaded before one was started.
fn loaded_before_started(log: &str, jobs: usize) -> bool {
    let started = log.find(": started: ").unwrap_or(log.len());
    log[..started].matches(": loaded: ").count() == jobs
}

#[test]
fn everything_is_loaded_before_anything_starts() {
    let mut supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("more");
    for number in 0..5 {
        let job = || Job::shell("exit 0").with("RunAtLoad", true);
        supervisor = supervisor.with(&format!("first-{number}"), job());
        supervisor.file(&format!("more/{number}.plist"), &format!("second-{number}"), job());
    }
    let supervisor = supervisor.start();
    for number in 0..5 {
        supervisor.logs(&format!("first-{number}: ended: exit 0"));
    }
    let before = supervisor.log();
    assert!(loaded_before_started(&before, 5), "{before}");
    bootstrap(&supervisor, &supervisor.sandbox.name("more")).expect("a folder that is loaded");
    for number in 0..5 {
        supervisor.logs(&format!("second-{number}: started: RunAtLoad"));
    }
    let log = supervisor.log();
    assert!(loaded_before_started(&log[before.len()..], 5), "{log}");
}

#[test]
fn jobs_for_other_hosts_are_left_out_in_words() {
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut supervisor = Supervisor::new();
    for (label, key, hosts, loaded) in [
        ("here", "LimitLoadToHosts", ["elsewhere.example", own.as_str()], true),
        ("there", "LimitLoadToHosts", ["elsewhere.example", "nowhere.example"], false),
        ("not-here", "LimitLoadFromHosts", ["elsewhere.example", own.as_str()], false),
        ("not-there", "LimitLoadFromHosts", ["elsewhere.example", "nowhere.example"], true),
    ] {
        supervisor = supervisor.with(label, Job::shell("exit 0").with(key, texts(hosts))).start();
        let said = supervisor.log().contains(&format!("{label}: not loaded: LimitLoadToHosts"));
        assert_eq!((labels(&supervisor).contains(&label.to_owned()), said), (loaded, !loaded), "{label}");
        supervisor.stop().exits(0);
    }
}
