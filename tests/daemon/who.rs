//! Who may call what, with callers that the kernel tells apart: jobs with and without a Control grant, other users. The
//! whole table is walked in the model; here is what makes a caller one of its columns.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value as Json, json};

use super::caller::{Caller, GONE, PLAIN, answers};
use crate::harness::{Job, Supervisor, is_root};

/// A user that nobody is.
const STRANGER: u32 = 12_345;
/// What only those are to see who may see everything.
const SECRET: &str = "sesame";

/// What the domain's owner gets for [`attempts`].
const EVERYTHING: &str = "yyyyyyryyyyyyyy";
/// What a job without grant gets.
const NOTHING: &str = "nnnnnnnnnnnnnnn";

/// One call of each kind, about the job `target`, which is not running, and about one that is not loaded.
fn attempts(supervisor: &Supervisor) -> Vec<Json> {
    let call = |method: &str, parameters: Json| json!({ "method": method, "parameters": parameters });
    let target = json!({ "label": "target" });
    vec![
        call("io.wjob.List", json!({})),
        call("io.wjob.Print", target.clone()),
        call("io.wjob.Blame", target.clone()),
        call("io.wjob.Audit", target.clone()),
        call("io.wjob.Overrides", json!({})),
        call("io.wjob.Kickstart", json!({ "label": "target", "kill": false })),
        call("io.wjob.Kill", json!({ "label": "quiet", "signal": 15 })),
        call("io.wjob.Disable", json!({ "label": "quiet" })),
        call("io.wjob.Enable", json!({ "label": "quiet" })),
        call("io.wjob.Enable", json!({ "label": "absent" })),
        call("io.wjob.Reload", json!({})),
        call("io.wjob.Supervisor", json!({})),
        call("io.wjob.Bootstrap", json!({ "path": supervisor.sandbox.name("extra.plist") })),
        call("io.wjob.Bootout", json!({ "label": "extra", "wait": true })),
        call("io.wjob.Upgrade", json!({})),
    ]
}

/// A letter for each answer: y done, n not permitted, r not running, - no such job.
fn letters(answers: &[Json]) -> String {
    let letter = |answer: &Json| match answer["error"].as_str() {
        None => 'y',
        Some("io.wjob.NotPermitted") => 'n',
        Some("io.wjob.NotRunning") => 'r',
        Some("io.wjob.NoSuchJob") => '-',
        Some(_) => '?',
    };
    answers.iter().map(letter).collect()
}

/// A supervisor with two jobs, a file of a third one, and a folder for what callers write.
fn supervisor() -> Supervisor {
    let secret: plist::Dictionary = [("SECRET", SECRET)].into_iter().collect();
    let target = Job::shell(&format!("echo {SECRET}")).with("EnvironmentVariables", secret);
    let supervisor = Supervisor::new().with("target", target).with("quiet", Job::shell("exit 0"));
    supervisor.file("extra.plist", "extra", Job::shell("exit 0"));
    let answers = supervisor.sandbox.make_folder("answers");
    fs::set_permissions(answers, Permissions::from_mode(0o777)).expect("a mode");
    supervisor.start()
}

/// Loads a job that calls, waits for its end, and tells what it was answered.
fn answers_to(supervisor: &Supervisor, label: &str, job: Job) -> Vec<Json> {
    let written = format!("answers/{label}");
    let job = job.with("StandardErrorPath", supervisor.sandbox.name(&written));
    let file = supervisor.file(&format!("{label}.plist"), label, job);
    supervisor.call("Bootstrap", json!({ "path": file })).expect("a job that is loaded");
    supervisor.logs(&format!("{label}: ended: "));
    let written = supervisor.sandbox.read(&written);
    let answers = answers(&written);
    assert_eq!(answers.len(), attempts(supervisor).len(), "{written}");
    answers
}

#[test]
fn a_jobs_process_has_its_grant_and_nothing_more() {
    let supervisor = supervisor();
    let caller = Caller::new(&supervisor);
    let job = || caller.job(PLAIN, &attempts(&supervisor));
    for (label, job, expected) in [
        ("nothing", job(), NOTHING),
        ("observes", job().with_in("Grants", "Control", "Observe"), "yyynynnnnnnnnnn"),
        ("operates", job().with_in("Grants", "Control", "Operate"), "yyynyyryy-nnnnn"),
    ] {
        let answers = answers_to(&supervisor, label, job);
        assert_eq!(letters(&answers), expected, "{label}: {answers:?}");
        assert!(!Json::Array(answers).to_string().contains(SECRET), "{label} saw an environment or arguments");
    }
    supervisor.logs("target: started: operator").logs("quiet: enabled");
    assert!(!supervisor.log().contains("extra: loaded"), "{}", supervisor.log());
}

/// The job is of the domain's owner: only that it is a job keeps it from everything.
#[test]
fn a_job_cannot_lose_what_shows_that_it_is_one() {
    let supervisor = supervisor();
    let caller = Caller::new(&supervisor);
    let calls = attempts(&supervisor);
    let fifo = supervisor.sandbox.make_fifo("answers/fifo");
    for (label, job) in [
        ("plain", caller.job(PLAIN, &calls)),
        ("one-that-is-gone-connected", caller.job(GONE, &calls)),
        ("without-parents", caller.detached_job(&fifo, &calls)),
    ] {
        let job = if is_root() { job.with("UserName", "root") } else { job };
        let answers = answers_to(&supervisor, label, job);
        assert_eq!(letters(&answers), NOTHING, "{label}: {answers:?}");
    }
}

#[test]
fn other_users_see_which_jobs_the_system_has_and_reach_no_users_supervisor() {
    let supervisor = supervisor();
    if is_root() {
        let caller = Caller::new(&supervisor);
        let ran = caller.start_as(STRANGER, PLAIN, &attempts(&supervisor)).end();
        let answers = answers(&ran.exits(0).stderr);
        assert_eq!(letters(&answers), "yynnnnnnnnnnnnn", "{}", ran.described());
        for hidden in [SECRET, &supervisor.sandbox.name("")] {
            assert!(!ran.stderr.contains(hidden), "{hidden} was seen\n{}", ran.described());
        }
        assert_eq!(answers[1]["parameters"]["row"]["label"], "target", "{}", ran.described());
    } else {
        assert_eq!((supervisor.sandbox.mode("run"), supervisor.sandbox.mode("run/wjob.sock")), (0o700, 0o600));
        let owner = fs::metadata(supervisor.socket()).expect("the control socket").uid();
        assert_eq!(owner, rustix::process::geteuid().as_raw());
    }
}

#[test]
fn the_domains_owner_may_everything() {
    let supervisor = supervisor();
    let answer = |call: &Json| {
        let method = call["method"].as_str().and_then(|method| method.rsplit('.').next()).expect("a method");
        match supervisor.call(method, call["parameters"].clone()) {
            Ok(parameters) => json!({ "parameters": parameters }),
            Err((error, parameters)) => json!({ "error": error, "parameters": parameters }),
        }
    };
    let answers: Vec<Json> = attempts(&supervisor).iter().map(answer).collect();
    assert_eq!(letters(&answers), EVERYTHING, "{answers:?}");
    assert!(answers[1].to_string().contains(SECRET), "{}", answers[1]);
}
