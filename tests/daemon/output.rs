//! What becomes of what jobs write: it is kept line by line within its bounds, with a record of every run, and neither
//! a flood nor a logger that dies holds a job up. How it is stored is tested in the logger.

use std::fs;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Signal, pidfd_send_signal};
use serde_json::{Value as Json, json};

use super::life::open_folder;
use crate::harness::supervisor::{receive, send};
use crate::harness::{Job, Supervisor, pidfd};

/// Longest wait for a reply; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of output kept of one job in these tests, the least there may be.
const BOUND: usize = 65_536;

/// Asks the logger, on its socket beside the control socket.
fn ask(supervisor: &Supervisor, method: &str, more: bool, parameters: Json) -> UnixStream {
    let mut client = UnixStream::connect(supervisor.sandbox.path("run/log.sock")).expect("the log's socket");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let call = json!({ "method": format!("io.wjob.log.{method}"), "parameters": parameters, "more": more });
    send(&mut client, call.to_string().as_bytes());
    client
}

/// Follows a job's lines until so many are what is waited for; all that came. A logger that leaves meanwhile, as one that
/// is replaced does, is asked once more: the next one has all the lines.
fn follow(supervisor: &Supervisor, label: &str, times: usize, wanted: impl Fn(&Json) -> bool) -> Vec<Json> {
    let call = || ask(supervisor, "Log", true, json!({ "label": label, "follow": true }));
    let (mut client, mut again) = (call(), true);
    let mut lines = Vec::new();
    let mut found = 0;
    while found < times {
        let Some(reply) = receive(&mut client) else {
            let log = supervisor.log();
            assert!(
                again && !log.contains("the logger ended ("),
                "{found} of {times} lines came of {label}; there is {lines:?}, and the supervisor says\n{log}"
            );
            (client, again, lines, found) = (call(), false, Vec::new(), 0);
            continue;
        };
        assert!(reply.get("error").is_none(), "{reply}\n{}", supervisor.log());
        let line = reply["parameters"].clone();
        found += usize::from(wanted(&line));
        lines.push(line);
    }
    lines
}

fn text(line: &Json) -> &str {
    line["text"].as_str().unwrap_or_default()
}

/// The lines a job wrote, once this one is there so many times.
pub fn captured(supervisor: &Supervisor, label: &str, wanted: &str, times: usize) -> Vec<String> {
    let own = |line: &Json| line["stream"] != "wjobd";
    let lines = follow(supervisor, label, times, |line| own(line) && text(line) == wanted);
    lines.iter().filter(|line| own(line)).map(|line| text(line).to_owned()).collect()
}

/// What is kept now, oldest first.
fn kept(supervisor: &Supervisor, parameters: Json) -> Vec<Json> {
    let mut client = ask(supervisor, "Log", true, parameters);
    let mut lines = Vec::new();
    loop {
        let reply = receive(&mut client).expect("a reply");
        assert!(reply.get("error").is_none(), "{reply}");
        if reply["continues"] != true {
            return lines;
        }
        lines.push(reply["parameters"].clone());
    }
}

/// Waits until the log knows that a job's runs ended; its runs.
pub fn history(supervisor: &Supervisor, label: &str, ends: usize) -> Vec<Json> {
    let end = |line: &Json| {
        ["ended: ", "failed: "]
            .iter()
            .any(|word| text(line).trim_start_matches("warning: ").trim_start_matches("error: ").starts_with(word))
    };
    follow(supervisor, label, ends, |line| line["stream"] == "wjobd" && end(line));
    let reply = receive(&mut ask(supervisor, "History", false, json!({ "label": label }))).expect("a reply");
    reply["parameters"]["runs"].as_array().unwrap_or_else(|| panic!("{reply}")).clone()
}

#[test]
fn lines_of_both_streams_are_kept_whatever_is_in_them() {
    let script = r"printf 'a\377b\n\n\033[31m\n'; echo aside >&2; printf 'no end'";
    let supervisor = Supervisor::new().with("a", Job::shell(script).with("RunAtLoad", true)).start();
    supervisor.logs(" a: ended: exit 0");
    captured(&supervisor, "a", "no end", 1);
    captured(&supervisor, "a", "aside", 1);
    let lines = kept(&supervisor, json!({ "label": "a" }));
    let of = |stream: &str| lines.iter().filter(|line| line["stream"] == stream).map(text).collect::<Vec<_>>();
    assert_eq!(of("out"), ["a\\xffb", "", "\u{1b}[31m", "no end"]);
    assert_eq!(of("error"), ["aside"]);
    assert!(of("wjobd").contains(&"started: RunAtLoad"), "{lines:?}");
    let last = kept(&supervisor, json!({ "label": "a", "grep": "aside", "last": 1 }));
    assert_eq!(last.iter().map(text).collect::<Vec<_>>(), ["aside"]);
}

#[test]
fn a_flood_is_bounded_and_holds_its_job_up_for_nobody() {
    let script = format!("yes {} | head -c 50000000; echo; echo last", "x".repeat(99));
    let supervisor = Supervisor::new().flag(&["--log-job-bytes", &BOUND.to_string()]);
    let supervisor = supervisor.with("a", Job::shell(&script).with("RunAtLoad", true)).start();
    supervisor.logs(" a: ended: exit 0");
    captured(&supervisor, "a", "last", 1);
    let lines = kept(&supervisor, json!({ "label": "a" }));
    let bytes: usize = lines.iter().map(|line| text(line).len()).sum();
    assert!(bytes > BOUND / 8 && bytes <= BOUND, "{bytes} bytes are kept in {} lines", lines.len());
    let files = fs::read_dir(supervisor.sandbox.path("state")).expect("the state").flatten();
    let disk: u64 = files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    assert!(disk < 16 << 20, "{disk} bytes of the disk are used");
}

#[test]
fn every_run_has_its_record() {
    let job = |script| Job::shell(script).with("RunAtLoad", true);
    let denied = Job::guest("probe-read", &["/elsewhere/file"]).with("RunAtLoad", true).with("Debug", true);
    let missing = Job::new("/none/tool", &[]).with("RunAtLoad", true);
    let rows = [
        ("status", job("exit 3"), "exit 3", json!(3), json!([])),
        ("signal", job("kill -KILL $$"), "ended by SIGKILL", json!(-9), json!([])),
        ("denied", denied, "exit 3", json!(3), json!(["reading /elsewhere/file"])),
        ("missing", missing, "/none/tool", Json::Null, json!([])),
    ];
    let supervisor = rows.iter().fold(Supervisor::new(), |all, (label, job, ..)| all.with(label, job.clone())).start();
    for (label, _, words, status, denials) in rows {
        let runs = history(&supervisor, label, 1);
        let [run] = &runs[..] else { panic!("{label}: one run was expected, not {runs:?}") };
        assert_eq!((&run["label"], &run["reason"]), (&json!(label), &json!(["RunAtLoad"])), "{run}");
        assert!(run["outcome"].as_str().is_some_and(|outcome| outcome.contains(words)), "{run}");
        let denied: Vec<&Json> = run["denials"].as_array().expect("denials").iter().map(|one| &one["what"]).collect();
        assert_eq!((&run["status"], &json!(denied)), (&status, &denials), "{run}");
        assert!(run["start"].as_str() <= run["end"].as_str() && run["end"].is_string(), "{run}");
        let ran = !status.is_null();
        assert_eq!((run["cpu_micros"].as_u64() > Some(0), run["peak_memory"].as_u64() > Some(0)), (ran, ran), "{run}");
        let walls = run["walls"].as_array().expect("walls");
        assert_eq!(!walls.is_empty(), ran, "{run}");
        assert!(walls.iter().all(|wall| wall["stands"] == true), "{run}");
    }
    supervisor.call("Kickstart", json!({ "label": "status", "kill": false })).expect("it starts");
    let runs = history(&supervisor, "status", 2);
    assert!(runs.len() == 2 && runs[0]["run"] != runs[1]["run"], "{runs:?}");
    assert!(runs[1]["reason"][0].as_str().is_some_and(|reason| reason.starts_with("operator: ")), "{runs:?}");
}

/// The process of the logger that runs.
fn logger(supervisor: &Supervisor) -> u32 {
    let state = supervisor.call("Supervisor", json!({})).expect("the supervisor's state");
    let words = state["logger"].as_str().unwrap_or_default();
    let pid = words.strip_prefix("running, process ").and_then(|number| number.parse().ok());
    pid.unwrap_or_else(|| panic!("the logger: {words}"))
}

#[test]
fn a_logger_that_is_killed_holds_nobody_up_and_loses_nothing_that_waits_in_a_pipe() {
    let supervisor = Supervisor::new();
    let data = open_folder(&supervisor.sandbox, "data");
    let script = "while [ ! -e /data/go ]; do echo line; sleep 0.01; done; echo after";
    let job = Job::shell(script).path(&data, "/data", "ReadOnly").with("RunAtLoad", true);
    let supervisor = supervisor.with("a", job).start();
    captured(&supervisor, "a", "line", 3);
    let killed = logger(&supervisor);
    pidfd_send_signal(pidfd(killed), Signal::KILL).expect("a logger that can be killed");
    supervisor.logs(" lost: the logger ended (Signal(9))");
    supervisor.sandbox.write("data/go", "");
    supervisor.logs(" a: ended: exit 0");
    let runs = history(&supervisor, "a", 1);
    let [run] = &runs[..] else { panic!("one run was expected, not {runs:?}") };
    assert_eq!((&run["outcome"], &run["status"]), (&json!("exit 0"), &json!(0)), "{run}");
    assert_ne!(logger(&supervisor), killed);
    let lines = kept(&supervisor, json!({ "label": "a" }));
    assert!(lines.iter().any(|line| text(line) == "after"), "the end of {} lines is lost", lines.len());
}

#[test]
fn a_database_that_cannot_be_read_is_set_aside() {
    let mut supervisor = Supervisor::new().with("a", Job::shell("echo kept").with("RunAtLoad", true)).start();
    captured(&supervisor, "a", "kept", 1);
    supervisor.stop().exits(0);
    let rubbish = "no database".repeat(1000);
    supervisor.sandbox.write("state/log.db", &rubbish);
    supervisor.start_again();
    captured(&supervisor, "a", "kept", 1);
    assert_eq!(history(&supervisor, "a", 1).len(), 1, "the earlier run went with it");
    was_set_aside(&supervisor, &rubbish);
}

/// What was there has another name now, and the log says so.
#[track_caller]
fn was_set_aside(supervisor: &Supervisor, rubbish: &str) {
    let files = fs::read_dir(supervisor.sandbox.path("state")).expect("the state").flatten().map(|file| file.path());
    let aside = files.filter(|path| path.to_string_lossy().contains("log.db.corrupt-"));
    let aside: Vec<_> = aside.map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
    assert!(aside.iter().any(|text| text == rubbish), "it was not set aside");
    let said = kept(supervisor, json!({ "label": "" }));
    assert!(said.iter().any(|line| text(line).contains("set aside as log.db.corrupt-")), "{said:?}");
}

/// The logger has its walls by then, which leave it what it takes to begin a database and to set one aside.
#[test]
fn a_database_that_cannot_be_opened_at_first_is_opened_or_set_aside_later() {
    let rubbish = "no database".repeat(1000);
    for later in [None, Some(&rubbish)] {
        let mut supervisor = Supervisor::new().with("a", Job::shell("echo kept").with("RunAtLoad", true)).start();
        supervisor.stop().exits(0);
        let database = supervisor.sandbox.path("state/log.db");
        fs::remove_file(&database).expect("a database");
        fs::create_dir(&database).expect("something else in its place");
        supervisor.start_again();
        supervisor.logs(" error the logger: unable to open database file");
        if let Some(rubbish) = later {
            supervisor.sandbox.write("state/rubbish", rubbish);
        }
        match later {
            None => fs::remove_dir(&database).expect("what is empty"),
            // At no moment is there a place for one that could be opened.
            Some(_) => {
                let rubbish = supervisor.sandbox.path("state/rubbish");
                renameat_with(CWD, rubbish, CWD, &database, RenameFlags::EXCHANGE).expect("another name for both");
            }
        }
        supervisor.logs(" info the logger: what is written is kept again");
        captured(&supervisor, "a", "kept", 1);
        if let Some(rubbish) = later {
            was_set_aside(&supervisor, rubbish);
        }
    }
}
