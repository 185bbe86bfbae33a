//! Conversations, over a real socket and with a real database.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::Shutdown;

use serde_json::{Value, json};
use wjob_model::control::{DenialRow, GrantUse};
use wjob_model::record::{Began, HistoryQuery, INTERFACE, LogLine, LogQuery, RunRow};
use wjob_model::varlink::{Answer, call};

use super::*;
use crate::batch::{Entry, Record, Source};
use crate::scene::Scene;

/// One with three lines and a run in it.
fn scene() -> Scene {
    let mut scene = Scene::new();
    for (second, label, source, text) in
        [(1, "a", Source::Out, "one"), (2, "b", Source::Error, "two"), (3, "", Source::Supervisor, "three\u{0}")]
    {
        scene.line(second, label, source, text);
    }
    let began = Began { run: 7, label: "a".into(), causes: Vec::new(), pid: 1, wall_ms: 1 };
    scene.keeper.record(Record::Began(began), scene.now);
    scene.later();
    scene
}

impl Scene {
    fn line(&mut self, second: i64, label: &str, source: Source, text: &str) {
        let (time, label, run, text) = (second * 1_000_000, Arc::from(label), Some(7), text.as_bytes().to_vec());
        self.keeper.line(Entry { time, label, run, source, continued: false, text }, self.now);
    }

    fn say(&self, caller: Caller, said: &[u8]) -> Vec<Answer> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        thread::scope(|scope| {
            // A client that is left before it has said all is told by an error, which is no fault of the test's.
            scope.spawn(|| (&ours).write_all(said).and_then(|()| ours.shutdown(Shutdown::Write)).is_ok());
            client::serve(theirs, caller, &self.desk);
        });
        let mut bytes = Vec::new();
        let _ = (&ours).read_to_end(&mut bytes);
        answers(&bytes)
    }

    fn ask(&self, method: &str, parameters: Value, more: bool) -> Vec<Answer> {
        self.say(Caller::Owner, &call(&format!("{INTERFACE}.{method}"), &parameters, more))
    }
}

fn answers(bytes: &[u8]) -> Vec<Answer> {
    let messages = bytes.split_inclusive(|byte| *byte == 0);
    messages.map(|message| Answer::parse(message.strip_suffix(b"\0").unwrap()).unwrap()).collect()
}

fn texts(answers: &[Answer]) -> Vec<&str> {
    answers.iter().filter_map(|answer| answer.parameters["text"].as_str()).collect()
}

fn fault(answers: &[Answer]) -> &str {
    answers.last().and_then(|answer| answer.error.as_deref()).unwrap_or("none")
}

#[test]
fn lines_are_told_in_order_and_the_stream_has_an_end() {
    let scene = scene();
    let found = scene.ask("Log", json!({}), true);
    let first = json!({ "time": "1970-01-01T00:00:01.000000Z", "label": "a", "run": 7, "stream": "out",
        "text": "one", "continued": false });
    assert_eq!((&found[0].parameters, found[0].continues), (&first, true));
    assert_eq!(found[2].parameters.get("label"), None);
    assert_eq!(found[2].parameters["stream"], "wjobd");
    assert_eq!(found[3], Answer { parameters: json!({}), continues: false, error: None });
    assert_eq!(found.len(), 4);
}

#[test]
fn only_lines_that_are_wanted_are_told() {
    let scene = scene();
    for (wanted, expected) in [
        (json!({}), &["one", "two", "three\0"][..]),
        (json!({ "label": "a" }), &["one"]),
        (json!({ "label": "" }), &["three\0"]),
        (json!({ "label": "nobody", "last": 1 }), &[]),
        (json!({ "last": 2 }), &["two", "three\0"]),
        (json!({ "last": 0 }), &[]),
        (json!({ "last": 9, "follow": false }), &["one", "two", "three\0"]),
        (json!({ "grep": "o" }), &["one", "two"]),
        (json!({ "grep": "o", "last": 1 }), &["two"]),
        (json!({ "grep": "o*" }), &[]),
        (json!({ "since": "1970-01-01T00:00:02Z" }), &["two", "three\0"]),
        (json!({ "since": "1970-01-01T01:00:02+01:00", "label": "b" }), &["two"]),
    ] {
        assert_eq!(texts(&scene.ask("Log", wanted.clone(), true)), expected, "{wanted}");
    }
}

#[test]
fn bad_calls_are_told_what_is_bad() {
    let scene = scene();
    for (method, parameters, more, expected) in [
        ("Log", json!({}), false, "org.varlink.service.ExpectedMore"),
        ("Log", json!({ "since": "yesterday" }), true, "org.varlink.service.InvalidParameter"),
        ("Log", json!({ "last": -1 }), true, "org.varlink.service.InvalidParameter"),
        ("Log", json!({ "lable": "a" }), true, "org.varlink.service.InvalidParameter"),
        ("History", json!({ "last": -1 }), false, "org.varlink.service.InvalidParameter"),
        ("Else", json!({}), false, "org.varlink.service.MethodNotFound"),
        ("else.Log", json!({}), false, "org.varlink.service.InterfaceNotFound"),
    ] {
        assert_eq!(fault(&scene.ask(method, parameters.clone(), more)), expected, "{method} {parameters}");
    }
    let long = vec![b'x'; (1 << 20) + 1];
    for (said, expected) in [(&b"{}\0"[..], 1), (b"[]\0{}\0", 2), (&long, 1), (b"", 0), (b"{\"half", 0)] {
        let found = scene.say(Caller::Owner, said);
        assert_eq!(found.len(), expected);
        assert!(found.iter().all(|answer| answer.error.is_some()), "{found:?}");
    }
}

#[test]
fn a_stranger_is_told_that_it_may_not() {
    let scene = scene();
    let said = [call("io.wjob.log.History", &json!({}), false), call("io.wjob.log.Log", &json!({}), true)].concat();
    let found = scene.say(Caller::Stranger, &said);
    assert_eq!((found.len(), fault(&found)), (1, "org.varlink.service.PermissionDenied"));
    for caller in [Caller::Owner, Caller::Root] {
        assert_eq!((scene.say(caller, &said).len(), fault(&scene.say(caller, &said))), (5, "none"));
    }
}

#[test]
fn runs_are_told_in_one_reply() {
    let scene = scene();
    let found = scene.ask("History", json!({ "label": "a" }), false);
    assert_eq!((found.len(), &found[0].parameters["runs"][0]["run"]), (1, &json!(7)));
    let none = scene.ask("History", json!({ "label": "b", "last": 1 }), false);
    assert_eq!(none[0].parameters, json!({ "runs": [] }));
}

#[test]
fn a_follower_gets_what_comes() {
    let mut scene = scene();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let desk = Arc::clone(&scene.desk);
    let served = thread::spawn(move || client::serve(theirs, Caller::Owner, &desk));
    let wanted = json!({ "label": "a", "last": 0, "follow": true });
    (&ours).write_all(&call("io.wjob.log.Log", &wanted, true)).unwrap();
    // Whether the client asked already or not, the last of these comes after it did.
    let mut buffer = vec![0; 1 << 16];
    ours.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let length = loop {
        scene.line(4, "a", Source::Out, "more");
        scene.later();
        if let Ok(length) = (&ours).read(&mut buffer) {
            break length;
        }
    };
    let found = answers(&buffer[..length]);
    assert!(!found.is_empty() && texts(&found).iter().all(|text| *text == "more"), "{found:?}");
    assert!(found.iter().all(|answer| answer.continues));
    drop(ours);
    scene.desk.news.announce();
    assert!(served.join().is_ok());
}

/// The names of a list in brackets that follows these words in the interface file.
fn fields(words: &str) -> BTreeSet<String> {
    let text = include_str!("../io.wjob.log.varlink");
    let lines: Vec<&str> = text.lines().map(|line| line.split('#').next().unwrap()).collect();
    let text = lines.join(" ");
    let (_, after) = text.split_once(words).unwrap_or_else(|| panic!("{words:?} is not in the file"));
    let (list, _) = after.split_once(')').unwrap();
    list.split(',').map(|field| field.split(':').next().unwrap().trim().to_owned()).collect()
}

fn names(value: Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_interface_file_has_what_is_said() {
    let text = || Some("x".to_owned());
    let query = LogQuery { label: text(), since: text(), grep: text(), last: Some(1), follow: true };
    let (time, stream, line) = ("x".into(), "x".into(), "x".into());
    let line = LogLine { time, label: text(), run: Some(1), stream, text: line, continued: true };
    let run = RunRow {
        run: 1,
        label: "x".into(),
        reason: Vec::new(),
        pid: 1,
        start: "x".into(),
        end: text(),
        outcome: text(),
        status: Some(1),
        cpu_micros: 1,
        peak_memory: 1,
        walls: Vec::new(),
        denials: Vec::new(),
        more_denials: 0,
        grants: Some(Vec::new()),
    };
    let denial =
        DenialRow { time: "x".into(), kind: "x".into(), what: "x".into(), wall: "x".into(), lines: "x".into() };
    for (words, value) in [
        ("method Log(", json!(query)),
        ("-> (", json!(line)),
        ("type Run (", json!(run)),
        ("type DenialRow (", json!(denial)),
        ("type GrantUse (", json!(GrantUse { grant: "x".into(), used: true })),
        ("method History(", json!(HistoryQuery { label: text(), last: Some(1) })),
    ] {
        assert_eq!(fields(words), names(value), "{words}");
    }
}
