//! Clients that are slow on purpose, five thousand of them: half a request, then a byte now and then; and those that never
//! read what they are sent. Each costs a bounded amount and has an end, or its share, and others are served all along.

use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::super::http::client::get;
use super::super::limits::from;
use super::super::{Client, PATIENCE, Place, at, comes_back, loopback};
use super::descriptors::Share;
use super::{AT_ONCE, DAY, ended, resident, standing_open, worker};
use crate::daemon::life::standing;
use crate::harness::{Job, Supervisor};

/// Slow clients of one test.
const SLOW: usize = 5_000;
/// Every so many of them sends another byte when the others are looked at.
const NOW_AND_THEN: usize = 50;
/// How long nothing has to happen until they are looked at again.
const A_WHILE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// Most bytes of a connection with half a head, as in `crowd`.
const OF_HEADS: u64 = 64 << 10;
/// Most bytes of one that has an instance to itself, which is Rust with an echo in it: of its memory it touches its data,
/// the top of its stack and two pieces of 16 KiB; its tables and its stack in the worker are as much again; and where the
/// pool clears a whole MiB of it and keeps that, it has no more than that.
const OF_INSTANCES: u64 = 1 << 20;
/// Most bytes of one that a component has accepted, as in `crowd`.
const ACCEPTED: u64 = 64 << 10;

/// Half a second of a client's life: those whose connection has ended are gone afterwards.
fn without_those_that_ended(slow: &mut Vec<Client>) {
    let mut ended = ended(slow, A_WHILE).into_iter();
    slow.retain_mut(|client| {
        let stays = !ended.next().unwrap_or_default();
        if !stays {
            was_not_answered(client);
        }
        stays
    });
}

/// The end was all that came, or that it was too slow.
#[track_caller]
fn was_not_answered(client: &mut Client) {
    let mut bytes = Vec::new();
    match client.0.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error} instead of an end"),
        _ => {}
    }
    let answer = String::from_utf8_lossy(&bytes);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "half a request was answered: {answer}");
}

/// By IdleTime they could stay for a day; what ends them is the time for a head, 10 s, which no further byte makes longer.
#[test]
fn half_a_request_ends_by_its_time_however_many_there_are() {
    let share = Share::of(SLOW);
    let supervisor = Supervisor::new();
    let place = Place::on_the_loopback(&supervisor.sandbox);
    let job = Job::guest("http_hello", &[]).limit("IdleTime", DAY);
    let supervisor = supervisor.with("a", at(&place, job)).start();
    let others_are_served = || assert_eq!(get(&mut place.connect(), "/").text(), "hello, world\n");
    others_are_served();
    let (process, before) = (worker(&supervisor), resident(worker(&supervisor)));
    let (mut slow, mut together) = (Vec::new(), 0);
    for number in 0..share.number() {
        let mut client = place.connect();
        client.say("GET / HTTP/1.1\r\nHost: local");
        slow.push(client);
        if number % AT_ONCE == 0 {
            others_are_served();
            together = standing_open(&slow).max(together);
        }
    }
    // Where they come slowly the first have ended when the last are there: memory was taken by those who were together.
    together = standing_open(&slow).max(together);
    let each = resident(process).saturating_sub(before) / together as u64;
    println!("{each} bytes for each of {together} that were there together, of {} that came", slow.len());
    assert!(each <= OF_HEADS, "{each} bytes for each of {together} connections");
    let start = Instant::now();
    while !slow.is_empty() {
        assert!(start.elapsed() < PATIENCE, "{} slow clients are still there", slow.len());
        without_those_that_ended(&mut slow);
        for client in slow.iter_mut().step_by(NOW_AND_THEN) {
            // It may have been closed at this moment.
            let _ = client.0.write_all(b"h");
        }
        others_are_served();
    }
    assert_eq!((standing(&supervisor, "a").as_str(), worker(&supervisor)), ("running, 1 runs", process));
}

/// Of one source so many are served at the same time, and the others have the rest of the 1,000 Instances, which is as
/// many as a job may have.
const OF_ONE_SOURCE: usize = 990;
/// Those of them that send as much as anybody takes.
const GREEDY: usize = 2;
/// More than the kernel holds of one connection on both its ways (tcp(7), tcp_rmem and tcp_wmem: 32 MiB and 4 MiB).
const MOST_SENT: usize = 256 << 20;

/// Sends until for a while nobody takes anything: what it sends comes back, and it reads nothing of that.
fn send_as_much_as_is_taken(client: &Client) {
    let piece = [b'x'; 64 << 10];
    let mut sent = 0;
    while sent < MOST_SENT {
        match send(&client.0, &piece, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(length) => sent += length,
            Err(Errno::AGAIN) => {
                let asked = &mut [PollFd::new(&client.0, PollFlags::OUT)];
                if poll(asked, Some(&A_WHILE)).expect("a socket") == 0 {
                    return;
                }
            }
            Err(error) => panic!("{error} after {sent} bytes"),
        }
    }
    panic!("{sent} bytes were taken, and none of them was read when they came back");
}

/// Whoever reads nothing holds an instance for as long as IdleTime lets him, here a day. What keeps others from waiting
/// for that is ConnectionsPerSource; the rest of a crowd of one source is sent away.
#[test]
fn those_who_read_nothing_have_their_share_and_others_theirs() {
    let share = Share::of(SLOW);
    let supervisor = Supervisor::new();
    let place = Place::on_the_loopback(&supervisor.sandbox);
    let Place::Tcp(address) = place else { panic!("an address was expected") };
    let job = Job::guest("handles", &[]).limit("ConnectionsPerSource", OF_ONE_SOURCE as u64).limit("IdleTime", DAY);
    let supervisor = supervisor.with("a", at(&place, job)).start();
    let other = loopback();
    let others_are_served = || is_echoed(from(other, address));
    others_are_served();
    let (process, before) = (worker(&supervisor), resident(worker(&supervisor)));
    let said = ["echo\n", "what comes back is not read\n"].concat();
    let mut slow = Vec::new();
    for number in 0..share.number() {
        let mut client = place.connect();
        // One who is sent away may be so before he has said anything.
        let _ = client.0.write_all(said.as_bytes());
        slow.push(client);
        if number % AT_ONCE == 0 {
            others_are_served();
        }
    }
    let start = Instant::now();
    while slow.len() > OF_ONE_SOURCE {
        assert!(start.elapsed() < PATIENCE, "{} of {} slow clients are there", slow.len(), share.number());
        let mut ended = ended(&slow, A_WHILE).into_iter();
        slow.retain(|_| !ended.next().unwrap_or_default());
        others_are_served();
    }
    slow.iter().take(GREEDY).for_each(send_as_much_as_is_taken);
    others_are_served();
    assert_eq!((slow.len(), standing_open(&slow)), (OF_ONE_SOURCE, OF_ONE_SOURCE));
    bounded(process, before, OF_ONE_SOURCE, OF_INSTANCES);
    assert_eq!((standing(&supervisor, "a").as_str(), worker(&supervisor)), ("running, 1 runs", process));
}

/// What so many connections have added to a worker's memory is no more than this for each of them.
#[track_caller]
fn bounded(process: u32, before: u64, connections: usize, most: u64) {
    let each = resident(process).saturating_sub(before) / connections as u64;
    println!("{each} bytes for each of {connections}");
    assert!(each <= most, "{each} bytes for each of {connections} connections");
}

/// Where one instance accepts them, none is sent away: all of them stand, and those who read are served beside them.
#[test]
fn those_who_read_nothing_are_all_there_where_a_component_accepts_them() {
    let share = Share::of(SLOW);
    let supervisor = Supervisor::new();
    let place = Place::on_the_loopback(&supervisor.sandbox);
    // Itself, two streams and two futures are a connection's handles; the rest is for whoever comes and goes meanwhile.
    let job = Job::guest("accepts", &[]).limit("Handles", 10 * SLOW as u64).limit("IdleTime", DAY);
    let supervisor = supervisor.with("a", at(&place, job)).start();
    let others_are_served = || is_echoed(place.connect());
    others_are_served();
    let (process, before) = (worker(&supervisor), resident(worker(&supervisor)));
    let mut slow = Vec::new();
    for number in 0..share.number() {
        let mut client = place.connect();
        client.say("echo\nwhat comes back is not read\n");
        slow.push(client);
        if number % AT_ONCE == 0 {
            others_are_served();
        }
    }
    slow.iter().take(GREEDY).for_each(send_as_much_as_is_taken);
    others_are_served();
    assert_eq!(standing_open(&slow), share.number(), "some of them were closed");
    bounded(process, before, share.number(), ACCEPTED);
    assert_eq!((standing(&supervisor, "a").as_str(), worker(&supervisor)), ("running, 1 runs", process));
}

/// A client who has all of it is served from his first word to his last.
#[track_caller]
fn is_echoed(mut client: Client) {
    client.say("echo\n");
    comes_back(&mut client, "said");
    client.end();
    assert_eq!(client.rest(), "");
}
