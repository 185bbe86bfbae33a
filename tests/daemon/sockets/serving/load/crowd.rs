//! Ten thousand connections on one job, of a component that is handed requests and of one that accepts by itself: all of
//! them stand, each is answered, and who comes beside them is served. What one of them takes is bounded, and is had back
//! when they have left.

use std::io::{BufRead, BufReader};
use std::time::Instant;

use super::super::{Client, PATIENCE, Place, at, comes_back};
use super::descriptors::Share;
use super::requests::{answer, ask};
use super::{AT_ONCE, DAY, resident, standing_open, worker};
use crate::daemon::life::standing;
use crate::harness::{Job, Supervisor};

/// Connections of a crowd.
const CROWD: usize = 10_000;
/// Those of them that are asked once more when all are there.
const SAMPLE: usize = 1_000;
/// Most bytes of a connection on which requests come: a buffer of 8 KiB in each direction, 8 KiB for its task, its timers
/// and its place among what is waited for, 8 KiB for its part of the instances that stay in their pool; and as much again
/// for what the allocator keeps between them.
const OF_REQUESTS: u64 = 64 << 10;
/// Most bytes of a connection that the component has accepted: in its own memory two pieces of 16 KiB (sdk, `CHUNK`) and
/// the work that waits for it, 40 KiB; in the worker's the connection, two streams and two futures with both their ends,
/// 24 KiB.
const ACCEPTED: u64 = 64 << 10;

/// The request and its answer's body.
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const ANSWER: &[u8] = b"hello, world\n";

#[track_caller]
fn is_answered(client: &mut Client) {
    let answer = ask(client, REQUEST).unwrap_or_else(|lost| panic!("no answer came: {lost:?}"));
    assert_eq!((answer.status, answer.body.as_slice()), (200, ANSWER));
}

/// The job `a` on a port, with a first client, who was served and keeps it.
#[track_caller]
fn begun(job: Job, serve: impl FnOnce(&mut Client)) -> (Supervisor, Place, Client) {
    let supervisor = Supervisor::new();
    let place = Place::on_the_loopback(&supervisor.sandbox);
    let supervisor = supervisor.with("a", at(&place, job.limit("IdleTime", DAY))).start();
    let mut first = place.connect();
    serve(&mut first);
    (supervisor, place, first)
}

/// Opens so many connections. Each of them says something, and hears what comes of it before many more are there.
#[track_caller]
fn gather(
    place: &Place,
    number: usize,
    say: impl Fn(usize, &mut Client),
    hear: impl Fn(usize, &mut Client),
) -> Vec<Client> {
    let mut crowd: Vec<Client> = Vec::with_capacity(number);
    while crowd.len() < number {
        let first = crowd.len();
        for one in first..number.min(first + AT_ONCE) {
            let mut client = place.connect();
            say(one, &mut client);
            crowd.push(client);
        }
        for (one, client) in (first..).zip(&mut crowd[first..]) {
            hear(one, client);
        }
    }
    assert_eq!(standing_open(&crowd), number, "some of them were closed");
    crowd
}

/// Has some of a crowd and, beside them, others do something.
fn sample(crowd: &mut [Client], of_the_crowd: impl Fn(usize, &mut Client), beside: impl Fn()) {
    let step = (crowd.len() / SAMPLE).max(1);
    for (turn, (one, client)) in crowd.iter_mut().enumerate().step_by(step).enumerate() {
        of_the_crowd(one, client);
        if turn % AT_ONCE == 0 {
            beside();
        }
    }
    assert_eq!(standing_open(crowd), crowd.len(), "some of them were closed");
}

/// What a crowd has added to the worker's memory, which is no more than so many bytes for each of it.
#[track_caller]
fn added(supervisor: &Supervisor, before: u64, crowd: &[Client], each: u64) -> u64 {
    let added = resident(worker(supervisor)).saturating_sub(before);
    let of_one = added / crowd.len() as u64;
    println!("{} connections take {added} bytes, {of_one} each", crowd.len());
    assert!(of_one <= each, "{of_one} bytes for each of {} connections", crowd.len());
    added
}

#[test]
fn ten_thousand_connections_on_which_requests_come() {
    let share = Share::of(CROWD);
    let (supervisor, place, _first) = begun(Job::guest("http_hello", &[]), is_answered);
    let process = worker(&supervisor);
    let before = resident(process);
    let ask_without_waiting = |_: usize, client: &mut Client| client.say(REQUEST);
    let hear = |one: usize, client: &mut Client| {
        let answer = answer(client).unwrap_or_else(|lost| panic!("connection {one}: {lost:?}"));
        assert_eq!((answer.status, answer.body.as_slice(), answer.is_last), (200, ANSWER, false));
    };
    let mut crowd = gather(&place, share.number(), ask_without_waiting, hear);
    let added = added(&supervisor, before, &crowd, OF_REQUESTS);
    sample(&mut crowd, |_, client| is_answered(client), || is_answered(&mut place.connect()));
    drop(crowd);
    let start = Instant::now();
    while resident(process).saturating_sub(before) > added / 2 {
        assert!(start.elapsed() < PATIENCE, "of {added} bytes {} are kept", resident(process).saturating_sub(before));
        is_answered(&mut place.connect());
    }
    assert_eq!((standing(&supervisor, "a").as_str(), worker(&supervisor)), ("running, 1 runs", process));
}

/// The memory of a component does not shrink; when it has had no client for a while, its run ends and all of it is gone.
#[test]
fn ten_thousand_connections_that_a_component_accepts() {
    let share = Share::of(CROWD);
    // Itself, two streams and two futures are a connection's handles; the rest is for whoever comes and goes meanwhile.
    let handles = 10 * CROWD as u64;
    let job = Job::guest("accepts", &[]).limit("Handles", handles).with("TimeOut", 1);
    let beside = |place: &Place| {
        let mut client = place.connect();
        client.say("echo\n");
        comes_back(&mut client, "beside");
        client.end();
        assert_eq!(client.rest(), "");
    };
    let (supervisor, place, first) = begun(job, |client| {
        client.say("echo\n");
        comes_back(client, "first");
    });
    let process = worker(&supervisor);
    let before = resident(process);
    let say = |one: usize, client: &mut Client| client.say(format!("echo\nclient {one}\n"));
    let hear = |one: usize, client: &mut Client| {
        let mut line = String::new();
        // There is no more than this line, so nothing is lost with what was read ahead.
        BufReader::new(&client.0).read_line(&mut line).expect("a line");
        assert_eq!(line, format!("client {one}\n"));
    };
    let mut crowd = gather(&place, share.number(), say, hear);
    added(&supervisor, before, &crowd, ACCEPTED);
    sample(&mut crowd, |one, client| comes_back(client, &format!("client {one} again")), || beside(&place));
    assert_eq!((standing(&supervisor, "a").as_str(), worker(&supervisor)), ("running, 1 runs", process));
    drop((first, crowd));
    supervisor.logs(" a: ended: stopped\n");
    beside(&place);
    assert_eq!(standing(&supervisor, "a"), "running, 2 runs");
}
