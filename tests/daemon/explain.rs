//! `wjob explain` as a person and a program meet it: what a job may do, what its runs were denied, and what they never
//! used. How each sentence reads is tested in the model.

use serde_json::{Value as Json, json};

use super::life::open_folder;
use super::output::history;
use crate::harness::{Job, Ran, Sandbox, Supervisor};

/// What `--json` explains.
fn explained(ran: &Ran) -> Json {
    ran.exits(0);
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}\n{}", ran.described()))
}

/// A guest that does something with files of `/data`, and is granted a destination that it does not use.
fn guest(name: &str, arguments: &[&str], data: &str) -> Job {
    let job = Job::guest(name, arguments).path(data, "/data", "ReadOnly");
    job.grant("Connect", "tcp://127.0.0.1:9").with("RunAtLoad", true)
}

/// A supervisor that has run a job that reads, one that is refused to write, and a native one.
fn supervisor() -> Supervisor {
    let supervisor = Supervisor::new();
    let data = open_folder(&supervisor.sandbox, "data");
    supervisor.sandbox.write("data/file", "text\n");
    let supervisor = supervisor
        .with("reads", guest("probe-read", &["/data/file"], &data))
        .with("denied", guest("probe-write", &["/data/new", "x"], &data))
        .with("native", Job::shell("cat /data/file").path(&data, "/data", "ReadOnly").with("RunAtLoad", true))
        .start();
    for label in ["reads", "denied", "native"] {
        history(&supervisor, label, 1);
    }
    supervisor
}

#[test]
fn what_was_used_denied_and_never_used_is_known_after_the_run() {
    let supervisor = supervisor();
    let data = supervisor.sandbox.name("data");
    let unused = json!([{ "grant": "connect tcp://127.0.0.1:9", "runs": 1 }]);
    let reads = explained(&supervisor.wjob(&["explain", "--json", "reads"]));
    let past = &reads["past"];
    assert_eq!((&past["runs"], &past["watched"], &past["denied"]), (&json!(1), &json!(1), &json!([])), "{reads}");
    assert_eq!(past["unused"], unused, "{reads}");
    let denied = explained(&supervisor.wjob(&["explain", "--json", "denied"]));
    let [denial] = &denied["past"]["denied"].as_array().expect("denials")[..] else { panic!("{denied}") };
    assert_eq!((&denial["what"], &denial["wall"]), (&json!("changing /data/new"), &json!("the WASI wall")), "{denial}");
    let lines = denial["lines"].as_str().unwrap_or_default();
    assert!(lines.contains(&format!("<string>{data}</string>")) && lines.contains("ReadWrite"), "{lines}");
    assert_eq!((&denial["runs"], &denied["past"]["unused"]), (&json!(1), &unused), "{denied}");
    let native = explained(&supervisor.wjob(&["explain", "--json", "native"]));
    assert_eq!((&native["past"]["runs"], &native["past"]["watched"]), (&json!(1), &json!(0)), "{native}");
    assert_eq!(native["past"]["unused"], json!([]), "nobody knows what it used: {native}");
}

#[test]
fn it_is_said_in_words_with_the_walls_and_the_lines_that_would_allow_it() {
    let supervisor = supervisor();
    let data = supervisor.sandbox.name("data");
    let ran = supervisor.wjob(&["explain", "denied"]);
    ran.exits(0)
        .says(format!("It may read, and not change, {data}, which it sees as /data."))
        .says("WASI wall: preopened for reading")
        .says("kernel wall: the mount wall shows it")
        .says("denied in the last 1 run\n")
        .says("changing /data/new: refused by the WASI wall in 1 run of them, last at ")
        .says("<string>ReadWrite</string>")
        .says("granted and never used\n  connect tcp://127.0.0.1:9: not in 1 run\n");
    supervisor.wjob(&["print", "denied"]).exits(0).says("denied in its current or last run").says("changing /data/new");
    supervisor.wjob(&["explain", "native"]).exits(0).says("the kernel does not tell");
    let native = supervisor.wjob(&["explain", "native"]);
    assert!(!native.output().contains("WASI wall"), "{}", native.described());
}

#[test]
fn the_newest_runs_are_looked_at() {
    let supervisor = supervisor();
    supervisor.call("Kickstart", json!({ "label": "denied", "kill": false })).expect("it starts");
    history(&supervisor, "denied", 2);
    for (most, runs) in [("1", 1), ("5", 2)] {
        let found = explained(&supervisor.wjob(&["explain", "--json", "--runs", most, "denied"]));
        let past = &found["past"];
        assert_eq!((&past["runs"], &past["denied"][0]["runs"]), (&json!(runs), &json!(runs)), "{found}");
        assert_eq!(past["unused"][0]["runs"], json!(runs), "{found}");
    }
}

#[test]
fn a_file_is_explained_without_a_supervisor() {
    let sandbox = Sandbox::new();
    let data = sandbox.name("data");
    let job = guest("probe-read", &["/data/file"], &data).limit("RunTime", 9).grant("Environment", "TZ");
    let file = sandbox.job_file(&job);
    let ran = sandbox.wjob(&["explain", &file]);
    ran.exits(0)
        .says("It runs as whoever runs it.")
        .says(format!("It may read, and not change, {data}, which it sees as /data."))
        .says("It may connect to tcp://127.0.0.1:9.")
        .says("Of the environment it sees TZ, passed on.")
        .says("RunTime is at most 9 seconds")
        .says("what its runs have shown");
    let found = explained(&sandbox.wjob(&["explain", "--json", &file]));
    let about: Vec<&Json> = found["sentences"].as_array().expect("sentences").iter().map(|one| &one["about"]).collect();
    assert!(about.contains(&&json!("Grants.Paths[0]")) && about.contains(&&json!("Limits.RunTime")), "{about:?}");
}

#[test]
fn what_cannot_be_explained_is_refused_with_the_reason() {
    let supervisor = Supervisor::new().start();
    supervisor.wjob(&["explain", "ghost"]).exits(113).complains("there is no job ghost");
    supervisor.wjob(&["explain", "./none.plist"]).exits(65).complains("./none.plist cannot be explained");
    let bad = supervisor.sandbox.write("bad.plist", "{ Label = a; }");
    supervisor.wjob(&["explain", &bad]).exits(65).complains("is no job").complains("wjob check");
    supervisor.wjob(&["explain", "system"]).exits(64).complains("expected a job");
}
