//! What starts jobs, keeps them and ends them, with real processes; each rule in all its cases is tested in the model.
//! Starts by files and folders are in `paths`, what the started process is like in `process`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use plist::Dictionary;
use serde_json::{Value as Json, json};

use super::output::captured;
use crate::harness::{Job, Sandbox, Supervisor};

/// A folder of the sandbox that the job's user can write to, whoever that is.
pub fn open_folder(sandbox: &Sandbox, name: &str) -> String {
    // The sandbox itself lets only its owner in.
    sandbox.make_folder("");
    let folder = sandbox.make_folder(name);
    fs::set_permissions(folder, Permissions::from_mode(0o777)).expect("a mode");
    sandbox.name(name)
}

/// Where a job stands, such as `idle, 1 runs`.
pub fn standing(supervisor: &Supervisor, label: &str) -> String {
    let row = supervisor.row(label);
    format!("{}, {} runs", row["state"].as_str().unwrap_or_default(), row["runs"])
}

/// Why it stands there.
pub fn why(supervisor: &Supervisor, label: &str) -> String {
    supervisor.row(label)["why"].as_str().unwrap_or_default().to_owned()
}

/// The name of the error that a call came to.
fn error(answer: Result<Json, (String, Json)>) -> String {
    answer.expect_err("a call that fails").0
}

#[test]
fn a_job_runs_at_load_and_its_output_is_kept() {
    let job = Job::shell("echo out; echo err >&2; exit 3").with("RunAtLoad", true);
    let supervisor = Supervisor::new().with("a", job).start();
    supervisor.logs(" a: started: RunAtLoad").logs(" a: ended: exit 3");
    let row = supervisor.row("a");
    assert_eq!((&row["state"], &row["status"], &row["runs"]), (&json!("idle"), &json!(3), &json!(1)), "{row}");
    for line in ["out", "err"] {
        assert!(captured(&supervisor, "a", line, 1).iter().any(|kept| kept == line));
    }
}

/// A job with one condition of KeepAlive, started again after a second at the earliest.
fn kept(job: Job, condition: &str, wanted: bool) -> Job {
    job.with_in("KeepAlive", condition, wanted).with("ThrottleInterval", 1)
}

#[test]
fn keep_alive_starts_again_what_ended_as_it_says() {
    let shell = Job::shell;
    let always = shell("exit 0").with("KeepAlive", true).with("ThrottleInterval", 1);
    // A condition on the last end implies a first run, which the first cause of the second job is.
    let jobs = [
        ("always", always, "KeepAlive", 2),
        (
            "success",
            kept(shell("exit 0"), "SuccessfulExit", true),
            "KeepAlive.SuccessfulExit: the last run did succeed",
            2,
        ),
        (
            "failure",
            kept(shell("exit 3"), "SuccessfulExit", false),
            "KeepAlive.SuccessfulExit: the last run did not",
            1,
        ),
        ("signal", kept(shell("kill -SEGV $$"), "Crashed", true), "KeepAlive.Crashed: the last run did crash", 1),
        ("trap", kept(Job::guest("probe-trap", &[]), "Crashed", true), "KeepAlive.Crashed: the last run did crash", 1),
    ];
    let supervisor = jobs.iter().fold(Supervisor::new(), |all, (label, job, ..)| all.with(label, job.clone())).start();
    for (label, _, cause, times) in jobs {
        supervisor.logs_times(&format!(" {label}: started: {cause}"), times);
    }
    supervisor.logs(" signal: ended: ended by SIGSEGV").logs(" trap: ended: trap: ");
    assert_eq!(supervisor.row("trap")["status"], 134);
}

#[test]
fn keep_alive_leaves_alone_what_ended_otherwise() {
    for (script, condition, wanted, end) in [
        ("exit 3", "SuccessfulExit", true, "exit 3"),
        ("exit 0", "SuccessfulExit", false, "exit 0"),
        ("kill -KILL $$", "Crashed", true, "ended by SIGKILL"),
        ("kill -SEGV $$", "Crashed", false, "ended by SIGSEGV"),
    ] {
        let supervisor = Supervisor::new().with("a", kept(Job::shell(script), condition, wanted)).start();
        supervisor.logs(&format!(" a: ended: {end}"));
        assert_eq!(standing(&supervisor, "a"), "idle, 1 runs", "{script} {condition} {wanted}");
    }
}

#[test]
fn another_job_keeps_it_by_being_loaded_or_not() {
    let wants = |loaded: bool| {
        let other = Dictionary::from_iter([("other", loaded)]);
        Job::shell("exit 0").with_in("KeepAlive", "OtherJobEnabled", other)
    };
    let supervisor = Supervisor::new().with("needs", wants(true)).with("lacks", wants(false)).start();
    supervisor.logs(" lacks: started: KeepAlive.OtherJobEnabled: other is not loaded");
    assert_eq!(standing(&supervisor, "needs"), "idle, 0 runs");
    let file = supervisor.file("other.plist", "other", Job::shell("exit 0"));
    supervisor.call("Bootstrap", json!({ "path": file })).expect("it is loaded");
    supervisor.logs(" needs: started: KeepAlive.OtherJobEnabled: other is loaded").logs(" needs: ended: exit 0");
    assert_eq!(standing(&supervisor, "other"), "idle, 0 runs");
}

#[test]
fn an_interval_comes_round_again_and_again() {
    let job = Job::shell("exit 0").with("StartInterval", 1).with("ThrottleInterval", 1);
    let supervisor = Supervisor::new().with("a", job).start();
    supervisor.logs_times(" a: started: StartInterval", 2);
    assert!(supervisor.row("a")["next"].is_string());
}

#[test]
fn a_calendar_time_says_when_it_comes_next() {
    let entry = |fields: &[(&str, i32)]| {
        let entry = Dictionary::from_iter(fields.iter().copied());
        Job::shell("exit 0").with("StartCalendarInterval", entry)
    };
    let supervisor = Supervisor::new()
        .with("daily", entry(&[("Hour", 3), ("Minute", 30)]))
        .with("never", entry(&[("Month", 2), ("Day", 30)]))
        .start();
    let row = supervisor.row("daily");
    assert!(row["next"].as_str().is_some_and(|next| next.ends_with(":00Z")), "{row}");
    assert!(why(&supervisor, "daily").contains("StartCalendarInterval"), "{row}");
    assert_eq!(supervisor.row("never")["next"], Json::Null);
    assert_eq!(standing(&supervisor, "daily"), "idle, 0 runs");
}

#[test]
fn launch_only_once_is_once() {
    let job = Job::shell("exit 0").with("KeepAlive", true).with("LaunchOnlyOnce", true);
    let supervisor = Supervisor::new().with("a", job).start();
    supervisor.logs(" a: ended: exit 0");
    assert_eq!(standing(&supervisor, "a"), "finished, 1 runs");
    let (name, parameters) =
        supervisor.call("Kickstart", json!({ "label": "a", "kill": false })).expect_err("an error");
    assert_eq!(name, "io.wjob.Failed");
    assert!(parameters["why"].as_str().is_some_and(|why| why.contains("LaunchOnlyOnce")), "{parameters}");
}

/// An operator is not held back, so that nothing here has to wait for a throttle.
#[test]
fn what_holds_a_job_back_is_said() {
    let job = Job::shell("exit 1").with("KeepAlive", true).with("ThrottleInterval", 3000);
    let supervisor = Supervisor::new().with("a", job).start();
    supervisor.logs(" a: ended: exit 1");
    assert_eq!(standing(&supervisor, "a"), "waiting, 1 runs");
    assert_eq!(why(&supervisor, "a"), "ThrottleInterval; wanted by KeepAlive");
    supervisor.call("Kickstart", json!({ "label": "a", "kill": false })).expect("it starts");
    supervisor.logs_times(" a: ended: exit 1", 2);
    assert_eq!(standing(&supervisor, "a"), "waiting, 2 runs");
    assert_eq!(why(&supervisor, "a"), "it failed several times in a row; wanted by KeepAlive");
    let detail = supervisor.call("Print", json!({ "label": "a" })).expect("the job");
    assert_eq!((&detail["failures"], detail["row"]["next"].is_string()), (&json!(2), true), "{detail}");
}

#[test]
fn what_was_enabled_and_disabled_counts_after_a_restart() {
    let job = || Job::shell("exit 0").with("RunAtLoad", true);
    let mut supervisor = Supervisor::new().with("off", job().with("Disabled", true)).with("on", job()).start();
    supervisor.logs(" on: ended: exit 0");
    assert_eq!(standing(&supervisor, "off"), "disabled, 0 runs");
    let kickstart = supervisor.call("Kickstart", json!({ "label": "off", "kill": false }));
    assert_eq!(error(kickstart), "io.wjob.JobDisabled");
    supervisor.call("Enable", json!({ "label": "off" })).expect("it is enabled");
    supervisor.call("Disable", json!({ "label": "on" })).expect("it is disabled");
    let now = (standing(&supervisor, "off"), standing(&supervisor, "on"));
    assert_eq!(now, ("idle, 0 runs".into(), "disabled, 1 runs".into()), "enabling starts nothing");
    supervisor.stop().exits(0);
    supervisor.start_again();
    supervisor.logs(" off: ended: exit 0");
    assert_eq!(standing(&supervisor, "on"), "disabled, 0 runs");
}

/// Says that it is there and stays.
const STAYS: &str = "echo ready; exec sleep 1000";

#[test]
fn an_operator_loads_starts_and_ends_a_job() {
    let supervisor = Supervisor::new().start();
    let file = supervisor.file("a.plist", "a", Job::shell(STAYS));
    let bootstrap = || supervisor.call("Bootstrap", json!({ "path": file }));
    let kickstart = |kill: bool| supervisor.call("Kickstart", json!({ "label": "a", "kill": kill }));
    let kill = || supervisor.call("Kill", json!({ "label": "a", "signal": 15 }));
    assert_eq!(bootstrap().expect("it is loaded")["loaded"], json!(["a"]));
    let (name, parameters) = bootstrap().expect_err("it is loaded already");
    assert_eq!((name.as_str(), &parameters["path"]), ("io.wjob.AlreadyLoaded", &json!(file)));
    assert_eq!(kickstart(false).expect("it starts")["running"], false);
    captured(&supervisor, "a", "ready", 1);
    assert_eq!(kickstart(false).expect("it runs")["running"], true);
    assert_eq!(standing(&supervisor, "a"), "running, 1 runs");
    kickstart(true).expect("it starts anew");
    supervisor.logs(" a: ended: stopped by SIGTERM").logs_times(" a: started: operator: user ", 2);
    captured(&supervisor, "a", "ready", 2);
    kill().expect("it is signalled");
    supervisor.logs(" a: ended: ended by SIGTERM");
    assert_eq!(error(kill()), "io.wjob.NotRunning");
}

#[test]
fn a_reload_puts_the_new_file_in_the_place_of_the_old_one() {
    let supervisor = Supervisor::new().with("a", Job::shell(STAYS).with("RunAtLoad", true)).start();
    captured(&supervisor, "a", "ready", 1);
    supervisor.job("a", Job::shell("exit 6"));
    supervisor.call("Reload", json!({ "label": "a" })).expect("it is reloaded");
    supervisor.logs(" a: started: reload: it was running").logs(" a: ended: exit 6");
    assert_eq!(standing(&supervisor, "a"), "idle, 1 runs");
    supervisor.sandbox.write("jobs/a.plist", "{ Label = a; }");
    let reload = supervisor.call("Reload", json!({ "label": "a" }));
    assert_eq!(error(reload), "io.wjob.BadJobFile");
    assert_eq!(standing(&supervisor, "a"), "idle, 1 runs", "what cannot be read takes nobody's place");
}

/// Hears no request to end.
const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 1000; done";

#[test]
fn bootout_waits_and_exit_timeout_ends_what_does_not_listen() {
    let job = Job::shell(DEAF).with("RunAtLoad", true).with("ExitTimeOut", 1);
    let supervisor = Supervisor::new().with("a", job).start();
    captured(&supervisor, "a", "ready", 1);
    supervisor.call("Bootout", json!({ "label": "a", "wait": true })).expect("it is taken out");
    assert_eq!(error(supervisor.call("Print", json!({ "label": "a" }))), "io.wjob.NoSuchJob");
    supervisor.logs(" a: ended: stopped by SIGTERM").logs(" a: unloaded");
    assert_eq!(error(supervisor.call("Bootout", json!({ "label": "a", "wait": true }))), "io.wjob.NoSuchJob");
}

#[test]
fn bootout_without_waiting_answers_while_the_job_leaves() {
    let job = Job::shell(DEAF).with("RunAtLoad", true).with("ExitTimeOut", 1000);
    let supervisor = Supervisor::new().with("a", job).start();
    captured(&supervisor, "a", "ready", 1);
    supervisor.call("Bootout", json!({ "label": "a", "wait": false })).expect("it was told to go");
    assert_eq!(standing(&supervisor, "a"), "leaving, 1 runs");
    let file = supervisor.sandbox.name("jobs/a.plist");
    assert_eq!(error(supervisor.call("Bootstrap", json!({ "path": file }))), "io.wjob.AlreadyLoaded");
    supervisor.call("Kill", json!({ "label": "a", "signal": 9 })).expect("it is killed");
    supervisor.logs(" a: unloaded");
    supervisor.call("Bootstrap", json!({ "path": file })).expect("its place is free");
}

/// Whenever it comes, the kill is what ended the run, and nothing else is blamed.
#[test]
fn a_job_that_is_killed_while_it_starts_is_reported_by_that() {
    let supervisor = Supervisor::new().with("a", Job::shell("exec sleep 1000")).start();
    for number in 1..=30 {
        supervisor.call("Kickstart", json!({ "label": "a", "kill": false })).expect("it is started");
        supervisor.call("Kill", json!({ "label": "a", "signal": 9 })).expect("it is killed");
        supervisor.logs_times(" a: ended: ended by SIGKILL", number);
    }
}

/// Runs that begin and end at the same moment use each other's descriptor numbers again.
#[test]
fn jobs_that_come_and_go_all_at_once_are_told_apart() {
    let labels: Vec<String> = (0..8).map(|number| format!("job-{number}")).collect();
    let supervisor = Supervisor::new();
    for label in &labels {
        supervisor.job(label, Job::shell("exit 0").with("KeepAlive", true).with("ThrottleInterval", 0));
    }
    let supervisor = supervisor.start();
    for label in &labels {
        supervisor.logs_times(&format!(" {label}: ended: exit 0"), 30);
        assert_eq!(supervisor.row(label)["status"], 0);
    }
    assert!(!supervisor.log().contains(": failed: "), "{}", supervisor.log());
}
