//! Every example is run as its README says, and does what it shows: nothing in `examples` is only text.
//! What the commands of the READMEs look like to a reader is not judged here.

use std::fs;

use crate::harness::{self, Ran, Sandbox};

/// A sandbox whose home holds the folders that the examples name, as their READMEs have the reader make them.
fn prepared() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.make_folder("home/wjob-wordcount/texts");
    sandbox.make_folder("home/wjob-wordcount/result");
    for text in ["garden.txt", "harbour.txt"] {
        let from = harness::root().join("examples/wordcount/texts").join(text);
        fs::copy(from, sandbox.path("home/wjob-wordcount/texts").join(text)).expect("a text");
    }
    sandbox
}

fn run(sandbox: &Sandbox, example: &str) -> Ran {
    let file = harness::root().join("examples").join(example).join(format!("{example}.plist"));
    sandbox.wjob(&["run", file.to_str().expect("a path")])
}

#[test]
fn hello_greets() {
    run(&Sandbox::new(), "hello").exits(0).says_only("hello, world\n");
}

#[test]
fn wordcount_writes_its_result_where_it_may() {
    let sandbox = prepared();
    run(&sandbox, "wordcount").exits(0).says_only("46 words, 28 different, in 2 texts\n");
    let counts = sandbox.read("home/wjob-wordcount/result/counts.txt");
    assert!(counts.starts_with("11 the\n3 and\n3 boats\n"), "{counts}");
}

#[test]
fn a_native_program_works_behind_the_same_grants() {
    let sandbox = prepared();
    run(&sandbox, "native").exits(0).says_only("");
    let sorted = sandbox.read("home/wjob-wordcount/result/sorted.txt");
    let lines: Vec<&str> = sorted.lines().collect();
    assert_eq!(lines.len(), 5, "{sorted}");
    assert!(lines.is_sorted(), "{sorted}");
}

#[test]
fn every_example_has_a_test() {
    let folders = fs::read_dir(harness::root().join("examples")).expect("the examples");
    let mut names: Vec<String> =
        folders.filter_map(|entry| entry.expect("an example").file_name().into_string().ok()).collect();
    names.sort();
    assert_eq!(names, ["hello", "native", "wordcount"]);
}
