//! Property lists as others wrote them, loaded together into one supervisor: all of them are taken, and those start
//! that start by launchd's rules, written here once more as a table of keys. What each list says of its process is of
//! another machine, so the program is `true` and nothing of this machine is bound or written to.

use std::fs;
use std::path::Path;

use plist::{Dictionary, Value};
use serde_json::{Value as Json, json};
use wjob_model::spec::{self, Context};

use crate::harness::{self, Job, Supervisor, texts};

/// Where programs lie that only macOS has.
const MACOS: &[&str] =
    &["/System/", "/Library/", "/Applications/", "/Users/", "/usr/libexec/", "/opt/homebrew/", "/var/jb/"];

/// Keys that name what this machine lacks or what is not the tests' to take: users, places, addresses and names.
/// WatchPaths, QueueDirectories and PathState stay, and are judged by what is here.
const LEFT_OUT: &[&str] = &[
    "Program",
    "ProgramArguments",
    "UserName",
    "GroupName",
    "StandardInPath",
    "StandardOutPath",
    "StandardErrorPath",
    "WorkingDirectory",
    "RootDirectory",
    "Sockets",
    "inetdCompatibility",
    "MachServices",
];

/// A job file: its label and its keys.
struct List {
    label: String,
    keys: Dictionary,
}

impl List {
    fn is(&self, key: &str, value: bool) -> bool {
        self.keys.get(key).and_then(Value::as_boolean) == Some(value)
    }

    fn condition(&self, key: &str) -> Option<&Value> {
        self.keys.get("KeepAlive")?.as_dictionary()?.get(key)
    }

    /// Names and wanted values of a condition of several.
    fn conditions(&self, key: &str) -> Vec<(&str, bool)> {
        let names = self.condition(key).and_then(Value::as_dictionary).into_iter().flatten();
        names.filter_map(|(name, value)| Some((name.as_str(), value.as_boolean()?))).collect()
    }

    fn queues(&self) -> Vec<&str> {
        let queues = self.keys.get("QueueDirectories").and_then(Value::as_array).into_iter().flatten();
        queues.filter_map(Value::as_string).collect()
    }

    fn job(&self) -> Job {
        self.keys.iter().fold(Job::bare(), |job, (key, value)| job.with(key, value.clone()))
    }
}

/// What starts a job when it is loaded: the key, and whether it wants this list started among these labels.
type Rule = (&'static str, fn(&List, &[String]) -> bool);

const STARTS: &[Rule] = &[
    ("RunAtLoad", |list, _| list.is("RunAtLoad", true)),
    ("KeepAlive", |list, _| list.is("KeepAlive", true)),
    ("OnDemand", |list, _| list.is("OnDemand", false) && !list.keys.contains_key("KeepAlive")),
    // A condition on how it ended implies a first run.
    ("KeepAlive.SuccessfulExit", |list, _| list.condition("SuccessfulExit").is_some()),
    ("KeepAlive.Crashed", |list, _| list.condition("Crashed").is_some()),
    ("KeepAlive.PathState", |list, _| {
        list.conditions("PathState").iter().any(|(path, wanted)| Path::new(path).exists() == *wanted)
    }),
    ("KeepAlive.OtherJobEnabled", |list, labels| {
        let loaded = |label: &str| labels.iter().any(|known| known == label);
        list.conditions("OtherJobEnabled").iter().any(|(label, wanted)| loaded(label) == *wanted)
    }),
    ("QueueDirectories", |list, _| {
        list.queues().iter().any(|path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()))
    }),
];

/// What holds back all of them.
const HOLDS: &[Rule] = &[
    ("Disabled", |list, _| list.is("Disabled", true)),
    ("KeepAlive.AfterInitialDemand", |list, _| list.condition("AfterInitialDemand").is_some()),
];

/// Causes that may come at any time, whatever was loaded when.
const ANY_TIME: &[&str] = &["StartInterval", "StartCalendarInterval", "WatchPaths"];

/// Labels of those that start when these lists are loaded together.
fn starting(lists: &[List]) -> Vec<String> {
    let labels: Vec<String> = lists.iter().map(|list| list.label.clone()).collect();
    let any = |rules: &[Rule], list: &List| rules.iter().any(|(_, holds)| holds(list, &labels));
    let starting = lists.iter().filter(|list| any(STARTS, list) && !any(HOLDS, list));
    starting.map(|list| list.label.clone()).collect()
}

/// Loads them all into one supervisor; all are listed, and those start that are expected and no others.
fn load_together(lists: &[List], expected: &[String]) {
    let supervisor = Supervisor::new();
    for list in lists {
        supervisor.job(&list.label, list.job());
    }
    let supervisor = supervisor.start();
    for label in expected {
        supervisor.logs(&format!(" {label}: started: ")).logs(&format!(" {label}: ended: exit 0"));
    }
    let jobs = supervisor.call("List", json!({})).expect("the list");
    let rows = jobs["jobs"].as_array().expect("rows");
    let mut labels: Vec<&str> = rows.iter().filter_map(|row| row["label"].as_str()).collect();
    let mut all: Vec<&str> = lists.iter().map(|list| list.label.as_str()).collect();
    labels.sort_unstable();
    all.sort_unstable();
    assert_eq!(labels, all, "what was loaded; the log is\n{}", supervisor.log());
    let log = supervisor.log();
    let unexpected: Vec<&Json> = rows.iter().filter(|row| is_unexpected(row, expected, &log)).collect();
    assert!(unexpected.is_empty(), "started all the same: {unexpected:?}\n{log}");
}

/// Whether a job that was not to start did, through no timer and no change.
fn is_unexpected(row: &Json, expected: &[String], log: &str) -> bool {
    let label = row["label"].as_str().unwrap_or_default();
    let start = format!(" {label}: started: ");
    let causes: Vec<&str> = log.lines().filter_map(|line| line.split_once(&start)).map(|(_, cause)| cause).collect();
    let by_chance =
        !causes.is_empty() && causes.iter().all(|cause| ANY_TIME.iter().any(|any_time| cause.starts_with(any_time)));
    row["runs"] != 0 && !by_chance && !expected.iter().any(|known| known == label)
}

/// The program a list names.
fn program(keys: &Dictionary) -> Option<&str> {
    let first = keys.get("ProgramArguments").and_then(Value::as_array).and_then(|arguments| arguments.first());
    keys.get("Program").or(first).and_then(Value::as_string)
}

/// A list of others as it can be loaded here; `None` = it has errors, or it is for macOS alone.
fn list(path: &Path, known: &[List]) -> Option<List> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    spec::load(&bytes, &Context { folder: "/jobs", home: "/root", uid: 0 }).job?;
    let mut keys = Value::from_reader(std::io::Cursor::new(&bytes)).ok()?.into_dictionary()?;
    if program(&keys).is_none_or(|program| MACOS.iter().any(|folder| program.starts_with(folder))) {
        return None;
    }
    let mut label = keys.get("Label")?.as_string()?.to_owned();
    if known.iter().any(|list| list.label == label) {
        // Another version of the same job: both are loaded, so one needs a name of its own.
        label = format!("{label}.{}", path.file_stem().unwrap_or_default().to_string_lossy());
    }
    keys.retain(|key, _| !LEFT_OUT.iter().any(|name| name.eq_ignore_ascii_case(key)));
    keys.insert("ProgramArguments".into(), texts(["/bin/true"]));
    Some(List { label, keys })
}

#[test]
fn lists_of_others_load_together_and_start_by_their_keys() {
    let folder = harness::root().join("../shared/plists");
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|name| name == "plist")).collect();
    paths.sort();
    let mut lists: Vec<List> = Vec::new();
    for path in &paths {
        lists.extend(list(path, &lists));
    }
    if paths.is_empty() {
        println!("skipped: there are no property lists of others in {}", folder.display());
        return;
    }
    let expected = starting(&lists);
    assert!(lists.len() > 100 && expected.len() > 50, "{} of {} lists start", expected.len(), lists.len());
    load_together(&lists, &expected);
}

/// A list of a test's own, and whether it starts.
fn row(label: &str, job: &[(&str, Value)], starts: bool) -> (List, bool) {
    let mut keys: Dictionary = job.iter().cloned().collect();
    keys.insert("ProgramArguments".into(), texts(["/bin/true"]));
    (List { label: label.into(), keys }, starts)
}

/// A dictionary with one entry.
fn one(name: &str, value: impl Into<Value>) -> Value {
    let value: Value = value.into();
    Value::Dictionary(Dictionary::from_iter([(name, value)]))
}

#[test]
fn every_rule_of_the_table_holds() {
    let sandbox = harness::Sandbox::new();
    sandbox.make_folder("empty");
    let (there, missing) = (sandbox.name(""), sandbox.name("missing"));
    let empty = sandbox.name("empty");
    let yes = || Value::Boolean(true);
    let no = || Value::Boolean(false);
    let kept = |condition: &str, value: Value| [("KeepAlive", one(condition, value))];
    let path = |path: &str, wanted: bool| kept("PathState", one(path, wanted));
    let other = |label: &str, wanted: bool| kept("OtherJobEnabled", one(label, wanted));
    let rows = [
        row("nothing", &[], false),
        row("at-load", &[("RunAtLoad", yes())], true),
        row("not-at-load", &[("RunAtLoad", no())], false),
        row("always", &[("KeepAlive", yes())], true),
        row("never", &[("KeepAlive", no())], false),
        row("not-on-demand", &[("OnDemand", no())], true),
        row("on-demand", &[("OnDemand", yes())], false),
        row("after-success", &kept("SuccessfulExit", yes()), true),
        row("after-failure", &kept("SuccessfulExit", no()), true),
        row("after-crash", &kept("Crashed", yes()), true),
        row("after-any-end", &kept("Crashed", no()), true),
        row("while-there", &path(&there, true), true),
        row("while-gone", &path(&there, false), false),
        row("while-missing", &path(&missing, false), true),
        row("until-missing", &path(&missing, true), false),
        row("with-other", &other("nothing", true), true),
        row("without-other", &other("nothing", false), false),
        row("with-none", &other("no-such-job", true), false),
        row("without-none", &other("no-such-job", false), true),
        row("full", &[("QueueDirectories", texts([empty.as_str(), there.as_str()]))], true),
        row("empty", &[("QueueDirectories", texts([empty.as_str(), missing.as_str()]))], false),
        row("watching", &[("WatchPaths", texts([empty.as_str(), missing.as_str()]))], false),
        row("interval", &[("StartInterval", Value::from(86_400))], false),
        row("calendar", &[("StartCalendarInterval", one("Month", 2))], false),
        row("disabled", &[("Disabled", yes()), ("RunAtLoad", yes())], false),
        row("later", &[("KeepAlive", one("AfterInitialDemand", true)), ("RunAtLoad", yes())], false),
    ];
    let named = rows.iter().filter(|(_, starts)| *starts).map(|(list, _)| list.label.clone()).collect::<Vec<_>>();
    let lists: Vec<List> = rows.into_iter().map(|(list, _)| list).collect();
    assert_eq!(starting(&lists), named, "the table itself");
    load_together(&lists, &named);
}
