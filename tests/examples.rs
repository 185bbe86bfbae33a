//! Every example is run as its README says, and does what it shows: nothing in `examples` is only text.
//! What the commands of the READMEs look like to a reader is not judged here.

use std::fs;

use rustix::process::Signal;

use crate::harness::{self, Ran, Sandbox};
use crate::listen::{ask, listening, request};

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

/// What an example answers that listens on a port of its own: any that is free takes the place of the one in its file.
fn answers(sandbox: &Sandbox, example: &str, port: &str, questions: &[&str]) -> Vec<String> {
    let file = harness::root().join("examples").join(example).join(format!("{example}.plist"));
    let text = fs::read_to_string(file).expect("a job file");
    let [port, programs] = [format!("<string>{port}</string>"), "../../target/wasm32-wasip2/guest".into()];
    assert!(text.contains(&port) && text.contains(&programs), "{text}");
    let text = text.replace(&port, "<string>0</string>").replace(&programs, &harness::text(&harness::guest_folder()));
    let file = sandbox.write(&format!("{example}.plist"), text);
    let (running, addresses) = listening(sandbox, &[&file], 1);
    let answers = questions.iter().map(|question| ask(&addresses[0], question)).collect();
    running.signal(Signal::TERM);
    running.end().exits(143);
    answers
}

#[test]
fn echo_sends_back_what_it_is_sent() {
    let questions = ["hello\n", "no end of a line", ""];
    assert_eq!(answers(&Sandbox::new(), "echo", "7007", &questions), questions);
}

#[test]
fn finger_tells_what_users_plan_and_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.make_folder("home/wjob-finger/plans");
    sandbox.write("home/wjob-finger/plans/ada", "Back on Monday.\n");
    sandbox.write("home/wjob-finger/secret", "Nobody is to read this.\n");
    let rows = [
        ("ada\r\n", "Back on Monday.\r\n"),
        ("\r\n", "ada\r\n"),
        ("/W ada\r\n", "Back on Monday.\r\n"),
        ("../secret\r\n", "../secret: no such user.\r\n"),
        ("grace\r\n", "grace: no such user.\r\n"),
    ];
    let expected = rows.map(|(_, answer)| answer);
    assert_eq!(answers(&sandbox, "finger", "7079", &rows.map(|(question, _)| question)), expected);
}

#[test]
fn http_hello_answers_requests() {
    for answer in answers(&Sandbox::new(), "http-hello", "8080", &[&request("/"), &request("/elsewhere")]) {
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\ncontent-type: text/plain\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nhello, world\n"), "{answer}");
    }
}

#[test]
fn time_udp_tells_the_time() {
    for time in answers(&Sandbox::new(), "time-udp", "7037", &["\n", "what time is it?"]) {
        let shape: String = time.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00Z\n", "{time}");
    }
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
    assert_eq!(names, ["echo", "finger", "hello", "http-hello", "native", "time-udp", "wordcount"]);
}
