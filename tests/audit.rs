//! `wjob audit` as a person, a script and a build meet it: what a grant costs, which walls it goes by, its statuses.
//! The rules themselves are tested in the model, over data.

use serde_json::{Value as Json, json};

use crate::harness::{Job, Ran, Sandbox, Supervisor};

/// The status for a score above what is allowed.
const TOO_EXPOSED: i32 = 79;

/// The audits of `--json` output, one in each line.
fn audits(ran: &Ran) -> Vec<Json> {
    ran.exits(0);
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    ran.output().lines().map(parse).collect()
}

/// The audit of a job by its file.
fn of_file(sandbox: &Sandbox, job: &Job) -> Json {
    let all = audits(&sandbox.wjob(&["audit", "--json", &sandbox.job_file(job)]));
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap_or_default()
}

/// The audit of a job that is loaded.
fn of_label(supervisor: &Supervisor, label: &str) -> Json {
    audits(&supervisor.wjob(&["audit", "--json", label])).into_iter().next().unwrap_or_default()
}

fn score(audited: &Json) -> f64 {
    audited["score"].as_f64().unwrap_or_else(|| panic!("no score in {audited}"))
}

/// A line of an audit.
fn line<'a>(audited: &'a Json, id: &str) -> &'a Json {
    let mut lines = audited["findings"].as_array().into_iter().flatten();
    lines.find(|line| line["id"] == id).unwrap_or_else(|| panic!("no line {id} in {audited}"))
}

fn guest() -> Job {
    Job::guest("probe-exit", &["0"])
}

#[test]
fn a_grant_raises_the_score_and_its_line_says_so() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    let data = sandbox.name("data");
    let before = of_file(&sandbox, &guest());
    assert!(score(&before) < 1.0, "{before}");
    assert_eq!((&before["level"], &before["walls"]), (&json!("SAFE"), &json!("expected")));
    for (job, id, part) in [
        (guest().path(&data, "/in", "ReadOnly"), "paths-read", data.as_str()),
        (guest().path(&data, "/in", "ReadWrite"), "paths-change", data.as_str()),
        (guest().grant("Connect", "tcp://127.0.0.1:80"), "connect", "tcp://127.0.0.1:80"),
        (guest().grant("Connect", "udp://127.0.0.1:53"), "udp", "the WASI wall alone"),
        (guest().grant("Bind", "tcp://127.0.0.1:0"), "bind", "tcp://127.0.0.1:0"),
        (guest().grant("Environment", "TZ"), "environment", "TZ"),
        (guest().with_in("Grants", "Control", "Operate"), "control", "Operate"),
    ] {
        let after = of_file(&sandbox, &job);
        // The score is rounded up to a tenth; a line that weighs little may not be seen in it.
        assert!(score(&after) >= score(&before), "{id}: {after}");
        let points = |audited| line(audited, id)["points"].as_f64();
        assert!(points(&before) == Some(0.0) && points(&after) > Some(0.0), "{id}: {after}");
        let words = line(&after, id)["words"].as_str().unwrap_or_default();
        assert!(words.contains(part), "{words} lacks {part}");
    }
}

#[test]
fn what_the_kernel_does_not_hold_nothing_holds_around_a_native_program() {
    let sandbox = Sandbox::new();
    for (job, held) in [(guest(), "guest"), (Job::shell("true"), "none")] {
        let audited = of_file(&sandbox, &job.grant("Connect", "udp://127.0.0.1:53"));
        for id in ["addresses", "udp"] {
            assert_eq!(line(&audited, id)["held"], held, "{id}: {audited}");
        }
    }
}

#[test]
fn a_person_reads_each_line_what_would_lower_it_and_the_score() {
    let sandbox = Sandbox::new();
    let file = sandbox.job_file(&Job::shell("true").with("Isolation", "None"));
    let ran = sandbox.wjob(&["audit", &file]);
    ran.exits(0).says("Held by").says("no wall stands around it").says("lower it").says("Isolation: remove it");
    ran.says("com.example.test: 10.0 of 10, UNSAFE; its walls are those expected of a run here\n");
    let missing = sandbox.job_file(&Job::new("/no/such/program", &[]));
    sandbox.wjob(&["audit", &missing]).exits(0).complains("it is judged as a native program");
}

#[test]
fn a_score_above_what_is_allowed_fails_and_is_shown_all_the_same() {
    let sandbox = Sandbox::new();
    let native = sandbox.job_file(&Job::shell("true"));
    let ran = sandbox.wjob(&["audit", "--fail-above", "1", &native]);
    ran.exits(TOO_EXPOSED).says("com.example.test: ").complains("com.example.test is too exposed");
    sandbox.wjob(&["audit", "--fail-above", "10", &native]).exits(0);
    let unwalled = sandbox.job_file(&Job::shell("true").with("Isolation", "None"));
    sandbox.wjob(&["audit", "--fail-above", "9.9", &unwalled]).exits(TOO_EXPOSED);
    sandbox.wjob(&["audit", "--fail-above", "10", &unwalled]).exits(0);
    for number in ["11", "five", "NaN"] {
        sandbox.wjob(&["audit", "--fail-above", number, &native]).exits(64).complains("from 0 to 10");
    }
}

#[test]
fn a_file_with_errors_is_not_judged() {
    let sandbox = Sandbox::new();
    let bad = sandbox.write("bad.plist", "{ Label = bad; Isolation = Perhaps; }");
    sandbox.wjob(&["audit", &bad]).exits(65).says_only("").complains("refused for its errors");
    sandbox.wjob(&["audit", "./missing.plist"]).exits(65).says_only("").complains("cannot be read");
}

#[test]
fn all_jobs_of_a_supervisor_are_ranked_by_the_walls_that_were_read_back() {
    let supervisor = Supervisor::new()
        .with("closed", guest())
        .with("native", Job::shell("exit 0").with("RunAtLoad", true))
        .with("open", Job::shell("exit 0").with("Isolation", "None"))
        .start();
    supervisor.logs(" native: ended: exit 0");
    let ranks = audits(&supervisor.wjob(&["audit", "--json"]));
    let rank = |audited: &Json| (audited["label"].clone(), audited["level"].clone(), audited["walls"].clone());
    let expected = [
        (json!("open"), json!("UNSAFE"), json!("expected")),
        (json!("native"), json!("OK"), json!("read back")),
        (json!("closed"), json!("SAFE"), json!("expected")),
    ];
    assert_eq!(ranks.iter().map(rank).collect::<Vec<_>>(), expected, "{ranks:#?}");
    supervisor.wjob(&["audit"]).exits(0).says("Most of it").says("10.0   UNSAFE  open").says("no wall stands");
    supervisor.wjob(&["audit", "native"]).exits(0).says("its walls were read back from its current or last run");
    supervisor.wjob(&["audit", "ghost"]).exits(113).complains("there is no job ghost");
    supervisor.wjob(&["audit", "--fail-above", "9"]).exits(TOO_EXPOSED).complains("open is too exposed");
    supervisor.wjob(&["audit", "--fail-above", "9", "closed"]).exits(0);
}

#[test]
fn a_loaded_job_is_judged_as_it_is_now() {
    let supervisor =
        Supervisor::new().with("a", guest()).with("b", Job::shell("exit 0").with("RunAtLoad", true)).start();
    supervisor.logs(" b: ended: exit 0");
    let before = ["a", "b"].map(|label| of_label(&supervisor, label));
    assert_eq!(line(&before[1], "wall-network")["badness"], 0, "{}", before[1]);
    supervisor.job("a", guest().grant("Connect", "udp://127.0.0.1:53"));
    supervisor.job("b", Job::shell("exit 0").grant("Connect", "tcp://127.0.0.1:9"));
    for (label, before) in ["a", "b"].into_iter().zip(&before) {
        supervisor.wjob(&["reload", label]).exits(0);
        let after = of_label(&supervisor, label);
        assert!(score(&after) > score(before), "{after}");
    }
    assert_eq!(line(&of_label(&supervisor, "a"), "udp")["held"], "guest");
    // The network that its last run had to itself the next one will not have.
    let network = of_label(&supervisor, "b");
    assert_eq!(line(&network, "wall-network")["badness"], 10, "{network}");
}

#[test]
fn without_a_supervisor_it_is_said() {
    let supervisor = Supervisor::new();
    for arguments in [&["audit"][..], &["audit", "a"], &["audit", "--json"]] {
        supervisor.wjob(arguments).exits(69).says_only("").complains("no supervisor answers").complains("wjobd");
    }
}
