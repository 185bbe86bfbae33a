//! Components that are handed their connections: what they are told of the other end, and that a connection whose
//! instance comes to no good end leaves the others alone. What a limit on connections does is in `limits`.

use std::net::TcpStream;

use super::{Client, Place, comes_back, cut_off, exchange, process, served, wait_for_line};
use crate::daemon::life::standing;
use crate::daemon::output::captured;
use crate::harness::{Job, is_root};

fn handles() -> Job {
    Job::guest("handles", &[])
}

#[test]
fn a_handler_is_told_who_its_client_is() {
    let (_supervisor, jobs) = served(&handles());
    for (_, place) in &jobs {
        for number in 1..=3 {
            let (mut client, who) = match place {
                Place::Tcp(address) => {
                    let stream = TcpStream::connect(address).expect("a listener");
                    let own = stream.local_addr().expect("its address");
                    (Client::of(stream), own.to_string())
                }
                Place::Path(_) => (place.connect(), format!("process {} of user ", std::process::id())),
            };
            client.say("peer\n");
            let told = client.rest();
            assert!(told.starts_with(&who), "{told:?} is not {who}");
            assert!(told.ends_with(&format!(" through listener as {number}\n")), "{told:?}");
            // Root's job is daemon's, in whose user namespace root may have no number.
            if let Place::Path(_) = place
                && !is_root()
            {
                let user = rustix::process::geteuid().as_raw();
                assert!(told.starts_with(&format!("{who}{user} through ")), "{told:?}");
            }
        }
    }
}

/// More than a handler reads at once that wants one line.
#[test]
fn who_says_more_than_is_read_hears_all_that_he_is_told_and_the_end() {
    let (_supervisor, jobs) = served(&handles());
    for (label, place) in &jobs {
        let mut client = place.connect();
        client.say("peer\n".to_owned() + &"x".repeat(25_000));
        assert!(client.rest().ends_with(" as 1\n"), "{label}");
    }
}

/// The other face of a connection waits for each piece, with nothing else of the instance to go on.
#[test]
fn a_handler_may_read_and_write_as_the_standard_library_does() {
    let (_supervisor, jobs) = served(&handles());
    for (label, place) in &jobs {
        for text in ["hello".to_owned(), "x".repeat(100_000)] {
            let heard = exchange(place.connect(), format!("shout\n{text}").as_bytes());
            assert!(heard == text.to_uppercase().as_bytes(), "{label}: {} bytes of {}", heard.len(), text.len());
        }
    }
}

#[test]
fn what_libraries_record_is_in_the_log_with_its_level_and_the_number_of_its_connection() {
    let (supervisor, jobs) = served(&handles());
    for (label, place) in &jobs {
        assert_eq!(place.ask("record"), "");
        let last = "connection 1: <warn> handles: an event of tracing attempts=3";
        let lines = captured(&supervisor, label, last, 1);
        assert_eq!(lines, ["connection 1: <info> handles: a record of log", last], "{label}");
    }
}

/// What a client says, and what the job's log says of the end that this is.
const ENDS: &[(&str, &str)] =
    &[("trap", "trap: "), ("spin", "limit CPUTime reached"), ("grow", "limit Memory reached")];

#[test]
fn one_connection_ends_and_another_goes_on() {
    let (supervisor, jobs) = served(&handles().limit("CPUTime", 1).limit("Memory", 32 << 20));
    for (label, place) in &jobs {
        let mut steady = place.connect();
        steady.say("echo\n");
        comes_back(&mut steady, "before");
        let before = process(&supervisor, label);
        for (number, (word, reason)) in (2..).zip(ENDS) {
            let mut client = place.connect();
            client.say(format!("{word}\n"));
            // While the other computes, too.
            for round in 0..20 {
                comes_back(&mut steady, &format!("{word}, round {round}"));
            }
            assert_eq!(cut_off(client), "", "{label}: {word}");
            wait_for_line(&supervisor, label, &format!("wjob: connection {number}: {reason}"));
            comes_back(&mut steady, &format!("after {word}"));
        }
        wait_for_line(&supervisor, label, "connection 2: handles traps on purpose");
        steady.end();
        assert_eq!(steady.rest(), "");
        assert_eq!(process(&supervisor, label), before);
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}

/// With one instance at a time a connection is taken in when the one before is over, and its instance rests.
#[test]
fn each_connection_has_an_instance_of_its_own_unless_it_may_be_used_again() {
    let job = handles().limit("Instances", 1);
    for (job, expected) in [(job.clone(), "1 1 1 1 1 1 1"), (job.with("InstanceReuse", 3), "1 2 3 1 2 3 1")] {
        let (supervisor, jobs) = served(&job);
        for (label, place) in &jobs {
            let counts: Vec<String> = (0..7).map(|_| place.ask("count").trim().to_owned()).collect();
            assert_eq!(counts.join(" "), expected, "{label}");
            // Neither one that has trapped nor one that has something of its last client left serves another.
            for word in ["trap", "keep"] {
                let mut client = place.connect();
                client.say(format!("{word}\n"));
                assert_eq!(cut_off(client), "", "{label}: {word}");
                assert_eq!(place.ask("count"), "1\n", "{label}: after {word}");
            }
            wait_for_line(&supervisor, label, "wjob: connection 8: trap: ");
            assert_eq!(standing(&supervisor, label), "running, 1 runs");
        }
    }
}

#[test]
fn a_connection_that_takes_too_long_is_ended_and_the_next_one_is_served() {
    let (supervisor, jobs) = served(&handles().limit("RunTime", 2));
    for (label, place) in &jobs {
        for (number, word) in [(1, "sleep"), (2, "spin")] {
            let mut client = place.connect();
            client.say(format!("{word}\n"));
            assert_eq!(cut_off(client), "", "{label}: {word}");
            wait_for_line(&supervisor, label, &format!("wjob: connection {number}: limit RunTime reached"));
        }
        assert!(place.ask("peer").ends_with(" as 3\n"), "{label}");
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}

/// The halves of both are written before either line ends.
#[test]
fn what_an_instance_complains_of_is_in_the_log_in_whole_lines_with_the_number_of_its_connection() {
    let (supervisor, jobs) = served(&handles());
    for (label, place) in &jobs {
        let mut clients = [place.connect(), place.connect()];
        for client in &mut clients {
            client.say("log\n");
            assert_eq!(client.line(), "half\n");
        }
        for mut client in clients {
            client.say("go on\n");
            assert_eq!(client.rest(), "");
        }
        for number in 1..=2 {
            let line = format!("connection {number}: the first half, the second half");
            captured(&supervisor, label, &line, 1);
        }
    }
}
