//! `wjob audit --attack FILE`: the corpus against a user's own job. A few attacks stand for all of them here: each that is
//! contained is run by a test of its own, and what the verb adds is which of them a job can be tried with, what its
//! limits would end, and that nothing of the job's own is touched.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Job, Ran, Sandbox};

/// The attacks that are tried.
const FEW: &[&str] = &[
    "leave_by_dot_dot",
    "truncate_read_only",
    "write_without_rights_of_its_own",
    "compute_for_ever",
    "grow_for_ever",
    "sleep_for_ever",
    "hold_pollables_without_end",
    "recurse_for_ever",
    "connect_without_a_grant",
    "request_from_another_port",
    "recurse",
];

/// A corpus of those alone. Gives its folder.
fn corpus(sandbox: &Sandbox) -> String {
    let table: Value = serde_json::from_str(include_str!("../../guests/hostile/attacks.json")).expect("the table");
    let few = |row: &&Value| row["name"].as_str().is_some_and(|name| FEW.contains(&name));
    let rows: Vec<&Value> = table.as_array().expect("a list").iter().filter(few).collect();
    assert_eq!(rows.len(), FEW.len(), "the table has all of them");
    if !sandbox.path("corpus").exists() {
        sandbox.make_folder("corpus");
        sandbox.write("corpus/attacks.json", serde_json::to_string(&rows).expect("JSON"));
        for name in ["hostile", "recurse"] {
            sandbox.link(&super::program(name), &format!("corpus/{name}.wasm"));
        }
    }
    sandbox.name("corpus")
}

fn audit(sandbox: &Sandbox, job: &Job, options: &[&str]) -> Ran {
    let (corpus, file) = (corpus(sandbox), sandbox.job_file(job));
    let words = [&["audit", "--corpus", &corpus, "--attack", &file][..], options].concat();
    sandbox.wjob(&words)
}

/// What is said of each attack.
fn told(ran: &Ran) -> BTreeMap<String, Value> {
    let output = ran.output().into_owned();
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        (row["attack"].as_str().expect("a name").to_owned(), row)
    };
    output.lines().map(row).collect()
}

#[test]
fn a_job_with_limits_and_a_folder_contains_what_it_is_tried_with() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("data");
    sandbox.write("data/file", "as it was\n");
    let before = sandbox.snapshot("data");
    let job = Job::guest("probe-exit", &["0"]).path(&sandbox.name("data"), "/data", "ReadOnly");
    let job = job.limit("CPUTime", 60).limit("Memory", 64 << 20);
    let ran = audit(&sandbox, &job, &["--json"]);
    let told = told(ran.exits(0));
    let left_out = ["write_without_rights_of_its_own", "request_from_another_port"];
    for (name, row) in &told {
        let expected = match name.as_str() {
            // The job limits how long it computes, and not how long it sleeps.
            "sleep_for_ever" => Value::Bool(false),
            name if left_out.contains(&name) => Value::Null,
            _ => Value::Bool(true),
        };
        assert_eq!(row["contained"], expected, "{row}\n{}", ran.described());
    }
    assert_eq!(told.len(), FEW.len(), "{}", ran.described());
    assert_eq!(told["compute_for_ever"]["wall"], "limits");
    assert_eq!(told["truncate_read_only"]["wall"], "wasi");
    assert_eq!(sandbox.snapshot("data"), before, "the job's own folder was touched");
}

#[test]
fn a_job_without_limits_is_told_which_would_end_an_attack() {
    let sandbox = Sandbox::new();
    let ran = audit(&sandbox, &Job::guest("probe-exit", &["0"]), &[]);
    ran.exits(0).says("compute_for_ever").says("one of these would: CPUTime, RunTime").says("left out");
    ran.says("no folder is granted ReadOnly").says("0 got through");
}

/// What contains an attack is a wall, and not that the attack is missing.
#[test]
fn a_corpus_without_a_program_contains_nothing() {
    let sandbox = Sandbox::new();
    let job = Job::guest("probe-exit", &["0"]).limit("RunTime", 5);
    corpus(&sandbox);
    std::fs::remove_file(sandbox.path("corpus/recurse.wasm")).expect("its link");
    let ran = audit(&sandbox, &job, &["--json"]);
    ran.exits(69).complains("corpus/recurse.wasm").complains("the attack recurse").complains("xtask dist");
    assert_eq!(ran.output(), "", "{}", ran.described());
    sandbox.write("corpus/recurse.wasm", b"\0asm\x01\0\0\0\xff");
    let ran = audit(&sandbox, &job, &["--json"]);
    let told = told(ran.exits(0));
    assert_eq!(told["recurse"]["wall"], "compiler", "{}", ran.described());
}

#[test]
fn what_cannot_be_attacked_is_said() {
    let sandbox = Sandbox::new();
    let unwalled = Job::shell("exit 0").with("Isolation", "None");
    audit(&sandbox, &unwalled, &[]).exits(78).complains("Isolation None");
    audit(&sandbox, &Job::bare(), &[]).exits(65).complains("wjob check");
    let file = sandbox.job_file(&Job::guest("probe-exit", &["0"]));
    let nowhere = sandbox.wjob(&["audit", "--attack", &file, "--corpus", "/no/such/folder"]);
    nowhere.exits(69).complains("/no/such/folder/attacks.json");
}
