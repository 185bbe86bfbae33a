//! A job that is started anew while clients are connected (`wjob kickstart -k`): its new worker accepts at once, and
//! the former one serves to the end what it had. That goes for every way of serving, and nobody notices.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::json;

use super::http::client::{get, head, next, piece, upload};
use super::{Client, PATIENCE, Place, at, comes_back, echo, process, served, wait_until_it_is};
use crate::daemon::life::standing;
use crate::harness::{Job, Supervisor};

/// Clients who come meanwhile.
const MEANWHILE: usize = 20;

/// Starts a job anew while one of its clients goes on and others come.
#[track_caller]
fn anew(supervisor: &Supervisor, label: &str, mut goes_on: impl FnMut(&str), mut meanwhile: impl FnMut()) {
    goes_on("before");
    let before = process(supervisor, label);
    supervisor.call("Kickstart", json!({ "label": label, "kill": true })).expect("it is started anew");
    for round in 0..MEANWHILE {
        meanwhile();
        goes_on(&format!("round {round}"));
    }
    wait_until_it_is(supervisor, label, "running, 2 runs");
    assert_ne!(process(supervisor, label), before, "{label} has no other process");
    assert!(!supervisor.log().contains(&format!(" {label}: ended: ")), "{}", supervisor.log());
}

/// So long that the end of the former worker can only be that of its last client.
fn patient(job: Job) -> Job {
    job.with("ExitTimeOut", 3000)
}

#[track_caller]
fn ended(supervisor: &Supervisor, label: &str) {
    supervisor.logs(&format!(" {label}: ended: its successor took over\n"));
    assert_eq!(standing(supervisor, label), "running, 2 runs");
}

#[test]
fn connections_of_a_handler_and_of_commands_go_on_while_a_new_worker_accepts() {
    let handles = Job::guest("handles", &[]);
    for (job, first) in [(handles, Some("echo\n")), (echo(), None)] {
        let (supervisor, jobs) = served(&patient(job));
        for (label, place) in &jobs {
            let begin = || {
                let mut client = place.connect();
                first.iter().for_each(|line| client.say(line));
                client
            };
            let mut old = begin();
            anew(
                &supervisor,
                label,
                |line| comes_back(&mut old, line),
                || {
                    let mut new = begin();
                    comes_back(&mut new, "new");
                    new.end();
                    assert_eq!(new.rest(), "");
                },
            );
            old.end();
            assert_eq!(old.rest(), "");
            ended(&supervisor, label);
            comes_back(&mut begin(), "after");
        }
    }
}

/// Numbers of connections begin anew with a run, and so tell which worker serves.
#[test]
fn the_new_worker_serves_before_the_old_one_has_ended() {
    let (supervisor, jobs) = served(&patient(Job::guest("handles", &[])));
    for (label, place) in &jobs {
        let mut old = place.connect();
        old.say("echo\n");
        comes_back(&mut old, "before");
        supervisor.call("Kickstart", json!({ "label": label, "kill": true })).expect("it is started anew");
        // The former one accepts until it hears of the other; who comes by then is served like everybody.
        let start = Instant::now();
        while !place.ask("peer").ends_with(" as 1\n") {
            assert!(start.elapsed() < PATIENCE, "no other worker serves; there is\n{}", supervisor.log());
        }
        comes_back(&mut old, "after");
        assert!(!supervisor.log().contains(&format!(" {label}: ended: ")), "{}", supervisor.log());
        old.end();
        assert_eq!(old.rest(), "");
        ended(&supervisor, label);
    }
}

#[test]
fn a_request_under_way_is_answered_to_its_end_while_a_new_worker_answers() {
    let (supervisor, jobs) = served(&patient(Job::guest("answers", &[])));
    for (label, place) in &jobs {
        let mut idle = place.connect();
        assert_eq!(get(&mut idle, "/hello").status, 200);
        let mut old = place.connect();
        old.say(upload("/echo") + &piece("begun"));
        assert_eq!(head(&mut old).status, 200);
        assert_eq!(next(&mut old), b"begun");
        anew(
            &supervisor,
            label,
            |text| {
                old.say(piece(text));
                assert_eq!(next(&mut old), text.as_bytes());
            },
            || assert_eq!(get(&mut place.connect(), "/hello").text(), "hello\n"),
        );
        assert_eq!(idle.rest(), "", "a connection without a request is closed");
        old.say(piece(""));
        assert_eq!(next(&mut old), b"");
        assert_eq!(old.rest(), "", "and so is one whose request was answered");
        ended(&supervisor, label);
        assert_eq!(get(&mut place.connect(), "/hello").status, 200);
    }
}

/// A client whose request is under way, and is so until he says otherwise.
#[track_caller]
pub(super) fn asking(place: &Place) -> Client {
    let mut client = place.connect();
    client.say(upload("/echo") + &piece("begun"));
    assert_eq!(head(&mut client).status, 200);
    assert_eq!(next(&mut client), b"begun");
    client
}

#[track_caller]
fn goes_on(client: &mut Client, text: &str) {
    client.say(piece(text));
    assert_eq!(next(client), text.as_bytes());
}

/// The request ends, and all of the answer comes.
#[track_caller]
fn is_answered(mut client: Client) {
    client.say(piece(""));
    assert_eq!(next(&mut client), b"");
    assert_eq!(client.rest(), "");
}

/// Has another worker serve at a place, and waits until the former one takes nobody in any more.
#[track_caller]
fn drained(supervisor: &Supervisor, label: &str, place: &Place) {
    let mut idle = place.connect();
    assert_eq!(get(&mut idle, "/hello").status, 200);
    started_anew(supervisor, label);
    assert_eq!(idle.rest(), "", "a connection without a request is closed");
    wait_until_it_is(supervisor, label, "running, 2 runs");
}

#[track_caller]
fn started_anew(supervisor: &Supervisor, label: &str) {
    supervisor.call("Kickstart", json!({ "label": label, "kill": true })).expect("it is started anew");
}

#[test]
fn however_often_a_job_is_started_anew_each_request_is_answered_to_its_end() {
    let (supervisor, jobs) = served(&patient(Job::guest("answers", &[])));
    for (label, place) in &jobs {
        let mut first = asking(place);
        drained(&supervisor, label, place);
        let mut second = asking(place);
        for _ in 0..2 {
            started_anew(&supervisor, label);
        }
        for round in 0..MEANWHILE {
            goes_on(&mut first, &format!("first {round}"));
            goes_on(&mut second, &format!("second {round}"));
        }
        assert_eq!(standing(&supervisor, label), "stopping, 2 runs");
        is_answered(first);
        supervisor.logs(&format!(" {label}: ended: its successor took over\n"));
        goes_on(&mut second, "still");
        is_answered(second);
        supervisor.logs_times(&format!(" {label}: ended: its successor took over\n"), 2);
        wait_until_it_is(&supervisor, label, "running, 3 runs");
        assert_eq!(get(&mut place.connect(), "/hello").status, 200);
    }
}

#[test]
fn a_request_of_a_worker_that_drains_is_answered_to_its_end_when_the_job_is_taken_out() {
    for shut_down in [false, true] {
        let supervisor = Supervisor::new().flag(&["--shutdown-timeout", "3000"]);
        let place = Place::in_a_folder(&supervisor.sandbox);
        let job = patient(Job::guest("answers", &[]));
        let mut supervisor = supervisor.with("a", at(&place, job)).start();
        let mut old = asking(&place);
        drained(&supervisor, "a", &place);
        if shut_down {
            supervisor.process().signal(Signal::TERM);
        } else {
            supervisor.call("Bootout", json!({ "label": "a", "wait": false })).expect("it was told to go");
        }
        // The one that serves nobody has ended, and so the other was told as well.
        supervisor.logs(" a: ended: stopped by SIGTERM\n");
        for round in 0..MEANWHILE {
            goes_on(&mut old, &format!("round {round}"));
        }
        is_answered(old);
        supervisor.logs_times(" a: ended: stopped by SIGTERM\n", 2).logs(" a: unloaded");
        if shut_down {
            supervisor.ended().exits(0);
        }
    }
}

/// It hears that another takes its place, ends what it has, and takes no more.
#[test]
fn a_job_that_accepts_itself_goes_on_with_those_it_has() {
    let (supervisor, jobs) = served(&patient(Job::guest("accepts", &[])));
    for (label, place) in &jobs {
        let begin = || {
            let mut client = place.connect();
            client.say("echo\n");
            client
        };
        let mut old = begin();
        let new = || {
            let mut new = begin();
            comes_back(&mut new, "new");
            new.end();
            assert_eq!(new.rest(), "");
        };
        anew(&supervisor, label, |line| comes_back(&mut old, line), new);
        old.end();
        assert_eq!(old.rest(), "");
        ended(&supervisor, label);
    }
}

/// Whoever has not been accepted belongs to no worker.
#[test]
fn whoever_waits_while_a_job_is_started_anew_is_served_once() {
    let supervisor = Supervisor::new();
    let place = Place::in_a_folder(&supervisor.sandbox);
    let job = patient(echo()).limit("Instances", 1);
    let supervisor = supervisor.with("a", at(&place, job)).start();
    let mut old = place.connect();
    comes_back(&mut old, "said");
    let mut waiting: Vec<_> = (0..MEANWHILE).map(|_| place.connect()).collect();
    for (number, client) in waiting.iter_mut().enumerate() {
        client.say(format!("{number}\n"));
    }
    supervisor.call("Kickstart", json!({ "label": "a", "kill": true })).expect("it is started anew");
    for (number, mut client) in waiting.into_iter().enumerate() {
        assert_eq!(client.line(), format!("{number}\n"));
        client.end();
        assert_eq!(client.rest(), "");
    }
    comes_back(&mut old, "still");
    old.end();
    assert_eq!(old.rest(), "");
    ended(&supervisor, "a");
}
