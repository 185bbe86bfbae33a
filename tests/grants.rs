//! Every kind of grant, given and not given, through the probe that tries it: one list, walked. What a grant opens is
//! granted, anything beside it is denied, and what was denied has changed nothing.
//! Addresses and names are in `network`, native programs in `native`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixListener;

use plist::{Dictionary, Value};
use wjob_model::keys::{self, Available};

use crate::harness::{self, Job, Ran, Sandbox, VARIABLE};
use crate::network;

/// A grant of a case.
#[derive(Clone, Copy)]
enum Grant {
    /// None at all.
    Nothing,
    /// The sandbox's path, seen at the other, with this access.
    Path(&'static str, &'static str, &'static str),
    /// A plain string in Paths: readable, at the same path.
    Same(&'static str),
    /// The same folder, in which the job starts.
    Within(&'static str, &'static str),
    /// A variable of the caller's.
    Environment(&'static str),
    /// A name and a value of Config.
    Setting(&'static str, &'static str),
}

use Grant::{Environment, Nothing, Path, Same, Setting, Within};

/// What a probe comes to.
#[derive(Clone, Copy)]
enum Outcome {
    /// It says so, with this in its line.
    Granted(&'static str),
    /// It says so.
    Denied,
}

use Outcome::{Denied, Granted};

/// A grant, and a probe under it. `{data}` in an argument is the folder's path on the host.
struct Case(Grant, &'static str, &'static [&'static str], Outcome);

const READ_ONLY: Grant = Path("data", "/data", "ReadOnly");
const READ_WRITE: Grant = Path("data", "/data", "ReadWrite");
const ONE_FILE: Grant = Path("data/file", "/one/file", "ReadOnly");
const ONE_FILE_TO_WRITE: Grant = Path("data/file", "/one/file", "ReadWrite");
const AT_THE_ROOT: Grant = Path("data", "/", "ReadOnly");

const HELLO: Outcome = Granted("6 bytes: \"hello\\n\"");

/// Reading, with and without a grant.
const READS: &[Case] = &[
    Case(READ_ONLY, "probe-read", &["/data/file"], HELLO),
    Case(READ_WRITE, "probe-read", &["/data/file"], HELLO),
    Case(Same("data"), "probe-read", &["{data}/file"], HELLO),
    Case(Path("data", "/a/b/c", "ReadOnly"), "probe-read", &["/a/b/c/file"], HELLO),
    Case(AT_THE_ROOT, "probe-read", &["/file"], HELLO),
    Case(ONE_FILE, "probe-read", &["/one/file"], HELLO),
    Case(Same("data/file"), "probe-read", &["{data}/file"], HELLO),
    Case(READ_ONLY, "probe-read", &["/data/folder/../file"], HELLO),
    Case(READ_ONLY, "probe-read", &["/data/inside"], HELLO),
    Case(Nothing, "probe-read", &["{data}/file"], Denied),
    Case(Nothing, "probe-read", &["/etc/passwd"], Denied),
    // Seen at another path, it is not seen at its own.
    Case(READ_ONLY, "probe-read", &["{data}/file"], Denied),
    Case(READ_ONLY, "probe-read", &["/etc/passwd"], Denied),
    Case(READ_ONLY, "probe-read", &["/data/../secret/file"], Denied),
    Case(READ_ONLY, "probe-read", &["/data/folder/../../secret/file"], Denied),
    Case(READ_ONLY, "probe-read", &["/data/outside"], Denied),
    Case(READ_ONLY, "probe-read", &["/data/outside-too"], Denied),
    Case(READ_ONLY, "probe-read", &["/data/outside-folder/file"], Denied),
    Case(READ_WRITE, "probe-read", &["/data/outside"], Denied),
    Case(AT_THE_ROOT, "probe-read", &["/../secret/file"], Denied),
    Case(AT_THE_ROOT, "probe-read", &["/etc/passwd"], Denied),
    Case(AT_THE_ROOT, "probe-read", &["/outside-too"], Denied),
    Case(ONE_FILE, "probe-read", &["/one/other"], Denied),
    Case(ONE_FILE, "probe-read", &["{data}/file"], Denied),
    Case(READ_ONLY, "probe-stat", &["/data/file"], Granted("file, 6 bytes")),
    Case(READ_ONLY, "probe-stat", &["/data/folder"], Granted("folder")),
    Case(ONE_FILE, "probe-stat", &["/one/file"], Granted("file, 6 bytes")),
    Case(Nothing, "probe-stat", &["{data}/file"], Denied),
    Case(READ_ONLY, "probe-stat", &["/data/../secret"], Denied),
    Case(READ_ONLY, "probe-stat", &["/data/outside"], Denied),
    Case(
        READ_ONLY,
        "probe-list",
        &["/data"],
        Granted("7 names: file folder inside other outside outside-folder outside-too"),
    ),
    Case(AT_THE_ROOT, "probe-list", &["/folder"], Granted("0 names")),
    Case(ONE_FILE, "probe-list", &["/one"], Granted("1 names: file")),
    Case(Nothing, "probe-list", &["{data}"], Denied),
    Case(Nothing, "probe-list", &["/"], Denied),
    Case(READ_ONLY, "probe-list", &["/data/outside-folder"], Denied),
    Case(Nothing, "probe-cwd", &["file"], Denied),
    Case(READ_ONLY, "probe-cwd", &["file"], Denied),
    Case(Within("data", "/data"), "probe-cwd", &["file"], HELLO),
    Case(Environment(VARIABLE.0), "probe-environment", &[VARIABLE.0], Granted(VARIABLE.1)),
    Case(Nothing, "probe-environment", &[VARIABLE.0], Denied),
    Case(Environment("HOME"), "probe-environment", &[VARIABLE.0], Denied),
    Case(Environment("WJOB_TEST_NOT_SET"), "probe-environment", &["WJOB_TEST_NOT_SET"], Denied),
    Case(Setting("colour", "blue"), "probe-config", &["colour"], Granted("config: blue")),
    Case(Setting("colour", "blue"), "probe-config", &["Colour"], Denied),
    Case(Setting("colour", "blue"), "probe-environment", &["colour"], Denied),
    Case(Nothing, "probe-config", &["colour"], Denied),
    Case(Environment(VARIABLE.0), "probe-config", &[VARIABLE.0], Denied),
];

/// Everything that changes something. Each is granted to ReadWrite, and denied to all that is less.
const CHANGES: &[(&str, &[&str])] = &[
    ("probe-write", &["/data/file", "new"]),
    ("probe-write", &["/data/new", "new"]),
    ("probe-write", &["/data/folder/new", "new"]),
    ("probe-append", &["/data/file", "more"]),
    ("probe-truncate", &["/data/file"]),
    ("probe-remove", &["/data/file"]),
    ("probe-remove", &["/data/inside"]),
    ("probe-rename", &["/data/file", "/data/new"]),
    ("probe-rename", &["/data/folder", "/data/new"]),
    ("probe-rename", &["/data/file", "/data/other"]),
    ("probe-link", &["/data/file", "/data/new"]),
    ("probe-mkdir", &["/data/new"]),
    ("probe-times", &["/data/file"]),
];

/// Changes that reach beyond a folder granted ReadWrite, or beside a file.
const CHANGES_BEYOND: &[Case] = &[
    Case(READ_WRITE, "probe-write", &["/data/../secret/file", "new"], Denied),
    Case(READ_WRITE, "probe-write", &["/data/outside", "new"], Denied),
    Case(READ_WRITE, "probe-append", &["/data/outside-too", "new"], Denied),
    Case(READ_WRITE, "probe-truncate", &["/data/outside"], Denied),
    Case(READ_WRITE, "probe-write", &["/data/outside-folder/new", "new"], Denied),
    Case(READ_WRITE, "probe-remove", &["/data/outside-folder/file"], Denied),
    Case(READ_WRITE, "probe-rename", &["/data/file", "/data/../secret/new"], Denied),
    Case(READ_WRITE, "probe-link", &["/data/../secret/file", "/data/new"], Denied),
    Case(READ_WRITE, "probe-mkdir", &["/data/../new"], Denied),
    Case(READ_WRITE, "probe-times", &["/data/outside"], Denied),
    Case(ONE_FILE, "probe-append", &["/one/file", "more"], Denied),
    Case(ONE_FILE, "probe-truncate", &["/one/file"], Denied),
    Case(ONE_FILE, "probe-times", &["/one/file"], Denied),
    Case(ONE_FILE_TO_WRITE, "probe-write", &["/one/new", "new"], Denied),
    Case(ONE_FILE_TO_WRITE, "probe-mkdir", &["/one/new"], Denied),
    Case(ONE_FILE_TO_WRITE, "probe-remove", &["/one/file"], Denied),
    Case(ONE_FILE_TO_WRITE, "probe-rename", &["/one/file", "/one/new"], Denied),
];

/// A folder to grant, and beside it one that never is.
fn furnished() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data/folder");
    sandbox.make_folder("secret");
    sandbox.write("data/file", "hello\n");
    sandbox.write("data/other", "other\n");
    sandbox.write("secret/file", "secret\n");
    sandbox.link("file", "data/inside");
    sandbox.link("../secret/file", "data/outside");
    sandbox.link(&sandbox.name("secret/file"), "data/outside-too");
    sandbox.link("../secret", "data/outside-folder");
    sandbox
}

fn attempt(sandbox: &Sandbox, grant: Grant, probe: &str, arguments: &[&str]) -> Ran {
    let data = sandbox.name("data");
    let arguments: Vec<String> = arguments.iter().map(|argument| argument.replace("{data}", &data)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let job = Job::guest(probe, &arguments);
    let job = match grant {
        Nothing => job,
        Path(host, guest, access) => job.path(&sandbox.name(host), guest, access),
        Same(host) => job.grant("Paths", sandbox.name(host)),
        Within(host, guest) => job.path(&sandbox.name(host), guest, "ReadOnly").with("WorkingDirectory", guest),
        Environment(name) => job.grant("Environment", name),
        Setting(name, value) => job.with_in("Config", name, value),
    };
    sandbox.run(&job)
}

fn judge(ran: &Ran, outcome: Outcome) {
    match outcome {
        Granted(detail) => ran.exits(0).says("granted: ").says(detail),
        Denied => ran.exits(3).says("denied: "),
    };
    assert!(!ran.output().contains("secret\n"), "a secret was told\n{}", ran.described());
}

#[test]
fn reading_is_granted_where_a_grant_is_and_nowhere_else() {
    let sandbox = furnished();
    let before = sandbox.snapshot("data");
    for Case(grant, probe, arguments, outcome) in READS {
        judge(&attempt(&sandbox, *grant, probe, arguments), *outcome);
    }
    assert_eq!(sandbox.snapshot("data"), before, "reading changed something");
}

#[test]
fn a_read_only_grant_lets_nothing_be_changed() {
    let sandbox = furnished();
    let before = sandbox.snapshot("");
    for (probe, arguments) in CHANGES {
        let ran = attempt(&sandbox, READ_ONLY, probe, arguments);
        judge(&ran, Denied);
        assert_eq!(without_job_files(&sandbox), stripped(&before), "it was denied and done\n{}", ran.described());
    }
}

#[test]
fn without_a_grant_nothing_can_be_changed() {
    let sandbox = furnished();
    let before = sandbox.snapshot("");
    for (probe, arguments) in CHANGES {
        let own_path: Vec<String> = arguments.iter().map(|argument| argument.replacen("/data", "{data}", 1)).collect();
        let own_path: Vec<&str> = own_path.iter().map(String::as_str).collect();
        let ran = attempt(&sandbox, Nothing, probe, &own_path);
        judge(&ran, Denied);
        assert_eq!(without_job_files(&sandbox), stripped(&before), "it was denied and done\n{}", ran.described());
    }
}

#[test]
fn a_read_write_grant_lets_everything_be_changed() {
    for (probe, arguments) in CHANGES {
        let sandbox = furnished();
        let (data, secret) = (sandbox.snapshot("data"), sandbox.snapshot("secret"));
        let ran = attempt(&sandbox, READ_WRITE, probe, arguments);
        judge(&ran, Granted(""));
        assert_ne!(sandbox.snapshot("data"), data, "it was granted and not done\n{}", ran.described());
        assert_eq!(sandbox.snapshot("secret"), secret, "something else was done too\n{}", ran.described());
    }
}

#[test]
fn no_change_reaches_beyond_its_grant() {
    let sandbox = furnished();
    let before = sandbox.snapshot("");
    for Case(grant, probe, arguments, outcome) in CHANGES_BEYOND {
        let ran = attempt(&sandbox, *grant, probe, arguments);
        judge(&ran, *outcome);
        assert_eq!(without_job_files(&sandbox), stripped(&before), "it was denied and done\n{}", ran.described());
    }
}

#[test]
fn a_file_granted_for_writing_is_written_to() {
    let sandbox = furnished();
    judge(&attempt(&sandbox, ONE_FILE_TO_WRITE, "probe-append", &["/one/file", "more"]), Granted("4 bytes"));
    judge(&attempt(&sandbox, ONE_FILE_TO_WRITE, "probe-times", &["/one/file"]), Granted(""));
    assert_eq!(sandbox.read("data/file"), "hello\nmore");
    judge(&attempt(&sandbox, ONE_FILE_TO_WRITE, "probe-truncate", &["/one/file"]), Granted(""));
    assert_eq!(sandbox.read("data/file"), "");
}

/// Two folders of one job keep their own rights.
#[test]
fn each_of_several_grants_has_its_own_access() {
    let sandbox = furnished();
    sandbox.make_folder("work");
    let job = |probe: &str, arguments: &[&str]| {
        Job::guest(probe, arguments).path(&sandbox.name("data"), "/in", "ReadOnly").path(
            &sandbox.name("work"),
            "/out",
            "ReadWrite",
        )
    };
    sandbox.run(&job("probe-write", &["/out/new", "made"])).exits(0);
    assert_eq!(sandbox.read("work/new"), "made");
    sandbox.run(&job("probe-read", &["/in/file"])).exits(0);
    for (probe, arguments) in [
        ("probe-write", ["/in/new", "made"]),
        ("probe-rename", ["/in/file", "/out/file"]),
        ("probe-link", ["/in/file", "/out/file"]),
        ("probe-rename", ["/out/new", "/in/new"]),
    ] {
        sandbox.run(&job(probe, &arguments)).exits(3).says("denied: ");
    }
    assert!(!sandbox.path("data/new").exists() && !sandbox.path("work/file").exists());
}

/// wasi:config knows strings and no dictionaries.
#[test]
fn settings_are_text_and_inner_ones_have_their_names_joined_by_dots() {
    let sandbox = Sandbox::new();
    let inner: Dictionary = [("deep", Value::from(-3)), ("wet", Value::from(true))].into_iter().collect();
    for (name, expected) in [
        ("pond.deep", Some("-3")),
        ("pond.wet", Some("true")),
        ("colour", Some("<b> & \"c\"")),
        ("pond", None),
        ("deep", None),
    ] {
        let job = Job::guest("probe-config", &[name]).with_in("Config", "pond", inner.clone());
        let ran = sandbox.run(&job.with_in("Config", "colour", "<b> & \"c\""));
        match expected {
            Some(value) => ran.exits(0).says_only(format!("granted: config: {value}\n")),
            None => ran.exits(3).says_only(format!("denied: config: {name} is not set\n")),
        };
    }
}

#[test]
fn grants_that_contradict_or_reach_too_far_are_refused() {
    let sandbox = furnished();
    let data = sandbox.name("data");
    let folder = sandbox.name("data/folder");
    let home = sandbox.name("home");
    let job = || Job::guest("probe-exit", &["0"]);
    for (what, job) in [
        ("two at one place", job().path(&data, "/x", "ReadOnly").path(&folder, "/x", "ReadOnly")),
        ("read-only in read-write", job().path(&data, "/x", "ReadWrite").path(&folder, "/y", "ReadOnly")),
        ("the kernel's tree", job().path("/proc", "/x", "ReadOnly")),
        ("all of the disk", job().path("/", "/x", "ReadOnly")),
        ("a folder that holds wjob's own", job().path(&home, "/x", "ReadOnly")),
        ("no such access", job().path(&data, "/x", "Write")),
        ("a relative path", job().path("data", "/x", "ReadOnly")),
        ("a transport nobody knows", job().grant("Connect", "gopher://127.0.0.1:70")),
        ("no destination", job().grant("Connect", "tcp://0.0.0.0:80")),
        ("a name to bind", job().grant("Bind", "tcp://localhost:80")),
    ] {
        let ran = sandbox.run(&job);
        assert_eq!(ran.status, 65, "{what}\n{}", ran.described());
        ran.complains("error[");
    }
}

#[test]
fn a_granted_path_that_is_missing_is_named() {
    let sandbox = furnished();
    let missing = sandbox.name("missing");
    let ran = sandbox.run(&Job::guest("probe-exit", &["0"]).path(&missing, "/x", "ReadOnly"));
    ran.exits(78).complains(&missing);
}

/// What could hang a worker, or lead out of the files.
#[test]
fn what_is_neither_file_nor_folder_is_no_path_to_grant() {
    let sandbox = furnished();
    let fifo = sandbox.make_fifo("fifo");
    let _socket = UnixListener::bind(sandbox.path("socket")).expect("a socket");
    for (path, found) in [(fifo, "a FIFO"), (sandbox.name("socket"), "a socket")] {
        for access in ["ReadOnly", "ReadWrite"] {
            let ran = sandbox.run(&Job::guest("probe-exit", &["0"]).path(&path, "/x", access));
            ran.exits(78).complains(&path).complains(format!("expected a file or a directory, found {found}"));
        }
    }
}

/// The command line's grants and limits are the job file's.
#[test]
fn grants_on_the_command_line_are_the_same() {
    let sandbox = furnished();
    let data = sandbox.name("data");
    let (at, whole) = (format!("{data}:/data"), format!("{data}:/"));
    let variable = format!("{}=set here", VARIABLE.0);
    for (options, probe, arguments, status) in [
        (&["--ro", at.as_str()][..], "probe-read", &["/data/file"][..], 0),
        (&["--ro", "data:/data"], "probe-read", &["/data/file"], 0),
        (&["--ro", data.as_str()], "probe-read", &["/data/file"], 3),
        (&["--ro", at.as_str()], "probe-append", &["/data/file", ""], 3),
        (&["--rw", at.as_str()], "probe-append", &["/data/file", ""], 0),
        (&["--env", VARIABLE.0], "probe-environment", &[VARIABLE.0], 0),
        (&["--env", variable.as_str()], "probe-environment", &[VARIABLE.0], 0),
        (&[], "probe-environment", &[VARIABLE.0], 3),
        (&["--ro", whole.as_str()], "probe-read", &["/file"], 0),
        (&["--ro", whole.as_str()], "probe-read", &["/etc/passwd"], 3),
        (&["--ro", at.as_str(), "--cwd", "/data"], "probe-cwd", &["file"], 0),
        (&["--bind", "tcp://127.0.0.1:0"], "probe-bind", &["127.0.0.1:0"], 0),
        (&["--bind", "udp://127.0.0.1:0"], "probe-bind", &["127.0.0.1:0"], 3),
        (&["--memory", "32M"], "probe-memory", &["8"], 0),
        (&["--memory", "32M"], "probe-memory", &["64"], 3),
        (&["--run-time", "1"], "probe-sleep", &["1000"], 137),
        (&["--limit", "OutputSize=3"], "probe-output", &["10"], 137),
    ] {
        let guest = harness::guest(probe);
        let words = [&["run"][..], options, &[guest.as_str()], arguments].concat();
        sandbox.wjob(&words).exits(status);
    }
}

/// The lists of this file and of its neighbours, which name every probe that is tried.
const CASES: &[&str] = &[
    include_str!("grants.rs"),
    include_str!("limits.rs"),
    include_str!("network.rs"),
    include_str!("run_files.rs"),
    include_str!("run_programs.rs"),
    include_str!("stopping.rs"),
    include_str!("terminal.rs"),
];

#[test]
fn every_probe_is_tried_by_some_case() {
    let sources = harness::root().join("guests");
    let (folder, extension) = if sources.is_dir() { (sources, "rs") } else { (harness::guest_folder(), "wasm") };
    let mut probes = 0;
    for entry in fs::read_dir(&folder).expect("the folder of the guests") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if !stem.starts_with("probe") || path.extension().is_none_or(|found| found != extension) {
            continue;
        }
        probes += 1;
        let quoted = format!("\"{stem}\"");
        assert!(CASES.iter().any(|source| source.contains(&quoted)), "no case tries {stem}");
    }
    assert!(probes > 20, "{} holds {probes} probes only", folder.display());
}

/// Each kind of grant and the probe that tries it, or the tests that do where it takes a supervisor.
const KINDS: &[(&str, Tried)] = &[
    ("Grants.Paths", Tried::By("probe-read")),
    ("Grants.Connect", Tried::By("probe-connect")),
    ("Grants.Bind", Tried::By("probe-bind")),
    ("Grants.Environment", Tried::By("probe-environment")),
    ("Grants.Users", Tried::In(include_str!("daemon/users_of_sockets.rs"))),
    ("Grants.Control", Tried::In(include_str!("daemon/who.rs"))),
    ("Config", Tried::By("probe-config")),
];

/// What tries a kind of grant.
enum Tried {
    /// A probe of the tables here and in `network`.
    By(&'static str),
    /// These tests.
    In(&'static str),
}

/// The probes of the tables, and what they come to: granted or not.
fn tried() -> BTreeSet<(&'static str, bool)> {
    let cases = READS.iter().chain(CHANGES_BEYOND);
    let cases = cases.map(|Case(_, probe, _, outcome)| (*probe, matches!(outcome, Granted(_))));
    // Each change is tried under both kinds of access.
    let changes = CHANGES.iter().flat_map(|(probe, _)| [(*probe, true), (*probe, false)]);
    cases.chain(changes).chain(network::tried()).collect()
}

#[test]
fn every_probe_of_a_table_is_granted_once_and_denied_once() {
    let tried = tried();
    for (probe, granted) in &tried {
        let missing = if *granted { "denied" } else { "granted" };
        assert!(tried.contains(&(*probe, !granted)), "no case shows {probe} {missing}");
    }
}

#[test]
fn every_kind_of_grant_is_tried() {
    let tried = tried();
    let config = keys::find("Config").into_iter();
    for key in keys::children("Grants").chain(config).filter(|key| key.available != Available::NotYet) {
        match KINDS.iter().find(|(path, _)| *path == key.path) {
            Some((_, Tried::By(probe))) => assert!(tried.contains(&(*probe, true)), "{} is tried by no case", key.path),
            Some((_, Tried::In(tests))) => {
                assert!(tests.contains(&format!("\"{}\"", key.name())), "{} is in no test", key.path);
            }
            None => panic!("{} has no row: which probe tries it, granted and denied?", key.path),
        }
    }
}

/// The sandbox without the job files that the runs themselves need, and without its own time of change.
fn without_job_files(sandbox: &Sandbox) -> String {
    stripped(&sandbox.snapshot(""))
}

fn stripped(snapshot: &str) -> String {
    let kept = snapshot.lines().skip(1).filter(|line| !line.contains("/job-"));
    kept.collect::<Vec<_>>().join("\n")
}

/// Whoever can write to wjob's own folders can have any code run: no link and no stdio path leads there.
#[test]
fn nothing_that_a_job_names_reaches_wjobs_own_folders() {
    let sandbox = Sandbox::with_own_caches();
    let state = if harness::is_root() { "/var/lib/wjob".to_owned() } else { sandbox.name("caches/state/wjob") };
    sandbox.run(&Job::guest("probe-args", &[])).exits(0);
    sandbox.link(&state, "link");
    let inside = format!("{state}/cache.key");
    let job = Job::guest("probe-read", &["/in/cache.key"]);
    sandbox.run(&job.clone().path(&sandbox.name("link"), "/in", "ReadOnly")).exits(78).complains("which is wjob's own");
    sandbox
        .run(&Job::guest("probe-stdin", &[]).with("StandardInPath", inside))
        .exits(78)
        .complains("which is wjob's own");
}
