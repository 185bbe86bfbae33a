//! Components that are handed HTTP requests: what goes over a connection, what is refused, which instance answers, and
//! that a request that comes to no good end is its client's alone. The 10 s that a client has for the head of a request
//! are not waited for here: half a head costs a connection and no instance.

mod after;
pub mod client;

use std::thread;

use super::{Client, KINDS, MEBIBYTE, Place, at, cut_off, process, served, wait_for_line};
use crate::daemon::life::standing;
use crate::daemon::output::captured;
use crate::harness::{Job, Supervisor};
use client::{answer, get, head, next, piece, request, upload};

fn answers() -> Job {
    Job::guest("answers", &[])
}

#[test]
fn requests_are_answered_one_after_the_other_on_one_connection() {
    let (supervisor, jobs) = served(&answers());
    for (label, place) in &jobs {
        let mut client = place.connect();
        for _ in 0..3 {
            let hello = get(&mut client, "/hello");
            assert_eq!((hello.status, hello.text().as_str()), (200, "hello\n"), "{label}");
            assert_eq!(get(&mut client, "/elsewhere").status, 404, "{label}");
        }
        // Both are there before either is answered.
        client.say(request("/hello") + &request("/count"));
        assert_eq!((answer(&mut client).text(), answer(&mut client).text()), ("hello\n".into(), "1\n".into()));
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}

#[test]
fn a_client_may_want_one_answer_and_no_more() {
    let (_supervisor, jobs) = served(&answers());
    for (label, place) in &jobs {
        for (request, version) in [
            ("GET /hello HTTP/1.0\r\n\r\n", "HTTP/1.0"),
            ("GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "HTTP/1.1"),
        ] {
            let mut client = place.connect();
            client.say(request);
            let answer = client.rest();
            assert!(answer.starts_with(&format!("{version} 200 OK\r\n")), "{label}: {answer}");
            assert!(answer.ends_with("\r\n\r\nhello\n"), "{label}: {answer}");
        }
    }
}

/// The component answers as ever, and what it would have sent is nobody's loss.
#[test]
fn a_head_that_is_asked_for_comes_without_a_body() {
    let (supervisor, jobs) = served(&answers());
    for (label, place) in &jobs {
        let mut client = place.connect();
        for path in ["/hello", "/big"] {
            client.say(request(path).replacen("GET", "HEAD", 1));
            assert_eq!(head(&mut client).status, 200, "{label}: {path}");
            assert_eq!(get(&mut client, "/hello").text(), "hello\n", "{label}: after {path}");
        }
        wait_until_logged(&supervisor, label, &mut client);
        let log = supervisor.wjob(&["log", label]);
        assert!(!log.exits(0).output().contains("trap"), "{}", log.described());
    }
}

/// Has a line written to the log, and waits until it and what was before it are there.
#[track_caller]
fn wait_until_logged(supervisor: &Supervisor, label: &str, client: &mut Client) {
    assert_eq!(get(client, "/log").text(), "logged\n");
    wait_for_line(supervisor, label, "said on standard error");
}

#[test]
fn bodies_go_through_in_both_directions_while_they_come() {
    let (_supervisor, jobs) = served(&answers());
    let long: String = (0..MEBIBYTE).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
    for (label, place) in &jobs {
        let mut client = place.connect();
        client.say(upload("/echo") + &piece("one"));
        assert_eq!(head(&mut client).status, 200, "{label}");
        assert_eq!(next(&mut client), b"one");
        client.say(piece("two"));
        assert_eq!(next(&mut client), b"two");
        client.say(piece(""));
        assert_eq!(next(&mut client), b"");
        let big = get(&mut client, "/big");
        assert!(big.body == vec![b'x'; MEBIBYTE], "{label}: {} bytes came", big.body.len());
        // More than is held on the way: it is sent while it comes back.
        let mut other = Client(client.0.try_clone().expect("a descriptor"));
        let returned = thread::scope(|scope| {
            let length = long.len();
            let head = format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
            scope.spawn(|| other.say(head + &long));
            answer(&mut client).body
        });
        assert!(returned == long.as_bytes(), "{label}: {} bytes came back", returned.len());
        assert_eq!(get(&mut client, "/hello").status, 200, "{label}");
    }
}

/// All of them are small enough to be on their way whole before they are refused; whether all of each was read by then
/// or not, he hears it and the end.
#[test]
fn what_is_no_request_is_refused_and_costs_nobody_else() {
    let (supervisor, jobs) = served(&answers());
    let lines: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
    let many = format!("GET /hello HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    let unread = format!("GET /hello HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(5_000));
    let rows = [
        ("nonsense\r\n\r\n", 400),
        ("GET /hello HTTP/9.9\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost localhost\r\n\r\n", 400),
        (many.as_str(), 431),
        (unread.as_str(), 431),
    ];
    for (label, place) in &jobs {
        let mut steady = place.connect();
        assert_eq!(get(&mut steady, "/hello").status, 200);
        for (request, status) in rows {
            let mut client = place.connect();
            client.say(request);
            assert_eq!(answer(&mut client).status, status, "{label}: {request}");
            assert_eq!(client.rest(), "", "{label}: {request}");
            assert_eq!(get(&mut steady, "/hello").status, 200);
        }
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}

#[test]
fn each_request_has_an_instance_of_its_own_unless_it_may_be_used_again() {
    const REUSE: u32 = 5;
    let supervisor = Supervisor::new();
    let [once, again] = ["once", "again"].map(|name| Place::named(&supervisor.sandbox, name));
    let supervisor = supervisor.with("once", at(&once, answers()));
    let supervisor = supervisor.with("again", at(&again, answers().with("InstanceReuse", REUSE))).start();
    let counts = |place: &Place, requests: u32| -> Vec<u32> {
        let mut client = place.connect();
        let count = |_| get(&mut client, "/count").text().trim().parse().expect("a number");
        (0..requests).map(count).collect()
    };
    assert_eq!(counts(&once, 6), [1; 6]);
    // One that waits for a second is thrown away, which a busy machine may bring about.
    let counts = counts(&again, 12 * REUSE);
    // One whose answer is out may not be free yet when the next request comes, and another begins: then they take turns.
    let times = |value: u32| counts.iter().filter(|count| **count == value).count();
    assert!((2..=REUSE).all(|value| times(value) <= times(value - 1)), "{counts:?}");
    assert_eq!(counts.iter().max(), Some(&REUSE), "{counts:?}");
    assert_eq!(standing(&supervisor, "again"), "running, 1 runs");
}

/// One at a time, whether or not the instance may be used again: what is in its memory is one client's then.
#[test]
fn the_only_instance_answers_one_request_to_its_end_and_then_the_next() {
    let supervisor = Supervisor::new();
    let [once, again] = ["once", "again"].map(|name| Place::named(&supervisor.sandbox, name));
    let supervisor = supervisor.with("once", at(&once, answers().limit("Instances", 1)));
    let reused = answers().limit("Instances", 1).with("InstanceReuse", 5);
    let _supervisor = supervisor.with("again", at(&again, reused)).start();
    for place in [once, again] {
        let mut first = place.connect();
        first.say(upload("/echo") + &piece("said"));
        assert_eq!(head(&mut first).status, 200);
        assert_eq!(next(&mut first), b"said");
        let mut second = place.connect();
        second.say(request("/hello"));
        // So much is done meanwhile that it would have been answered long ago.
        for _ in 0..100 {
            first.say(piece("more"));
            assert_eq!(next(&mut first), b"more");
        }
        assert!(!second.is_answered(), "{place:?}: two are answered at once");
        first.say(piece(""));
        assert_eq!(next(&mut first), b"");
        assert_eq!(answer(&mut second).text(), "hello\n");
    }
}

/// Each instance takes so much memory that a third one finds none behind the kernel wall, which counts two: that one has
/// answered and waits for the next request keeps no other thread from making one, and is no third.
#[test]
fn there_are_no_more_instances_than_the_limit_says_however_often_each_answers() {
    const CLIENTS: usize = 16;
    const ROUNDS: usize = 20;
    let job = answers().limit("Instances", 2).limit("Memory", 512 << 20).with("InstanceReuse", 1000);
    let (supervisor, jobs) = served(&job);
    for (label, place) in &jobs {
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| place.connect()).collect();
        for round in 0..ROUNDS {
            // Two threads take turns with them.
            clients.iter_mut().for_each(|client| client.say(request("/keep")));
            for client in &mut clients {
                assert_eq!(answer(client).status, 200, "{label}: round {round}; there is\n{}", supervisor.log());
            }
        }
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}

#[test]
fn a_trap_is_one_clients_bad_gateway() {
    let (supervisor, jobs) = served(&answers());
    for (label, place) in &jobs {
        let mut client = place.connect();
        assert_eq!(get(&mut client, "/hello").status, 200);
        let before = process(&supervisor, label);
        assert_eq!(get(&mut client, "/trap").status, 502, "{label}");
        assert_eq!(get(&mut client, "/hello").status, 200, "{label}");
        wait_for_line(&supervisor, label, "connection 1: answers traps on purpose");
        wait_for_line(&supervisor, label, "wjob: connection 1: trap: ");
        assert_eq!(process(&supervisor, label), before);
    }
}

/// What becomes of the connection of somebody who was not answered in time is left open; the words are not.
#[test]
fn a_request_that_takes_too_long_is_one_clients_gateway_timeout() {
    let (supervisor, jobs) = served(&answers().limit("RunTime", 2));
    for (label, place) in &jobs {
        for (number, path) in [(1, "/spin"), (3, "/sleep"), (5, "/nap")] {
            let mut client = place.connect();
            client.say(request(path));
            // Nobody has to say that he wants no more: a gateway may close then, and need not.
            let first = first_line(client);
            assert!(first.is_empty() || first.contains(" 504 "), "{label}: {path}: {first}");
            let mut next = place.connect();
            assert_eq!(get(&mut next, "/hello").status, 200, "{label}: after {path}");
            wait_for_line(&supervisor, label, &format!("wjob: connection {number}: limit RunTime reached"));
        }
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}

/// The first line of an answer, or nothing if there is none.
#[track_caller]
fn first_line(mut client: Client) -> String {
    let mut byte = [0];
    match std::io::Read::read(&mut client.0, &mut byte) {
        Ok(1) => char::from(byte[0]).to_string() + &client.line(),
        _ => String::new(),
    }
}

#[test]
fn a_client_that_leaves_costs_the_instance_that_was_to_answer() {
    let (supervisor, jobs) = served(&answers().limit("Instances", 1));
    for (label, place) in &jobs {
        for number in 1..=3 {
            let mut client = place.connect();
            client.say(request("/sleep"));
            wait_for_line(&supervisor, label, &format!("connection {number}: it sleeps"));
        }
        wait_until_logged(&supervisor, label, &mut place.connect());
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
        // Leaving is nobody's fault, least of all the component's.
        let log = supervisor.wjob(&["log", label]);
        assert!(!log.exits(0).output().contains("trap"), "{}", log.described());
    }
}

#[test]
fn what_an_instance_writes_is_in_the_log_with_the_number_of_the_connection() {
    let (supervisor, jobs) = served(&answers());
    for (label, place) in &jobs {
        for number in 1..=2 {
            assert_eq!(get(&mut place.connect(), "/log").text(), "logged\n");
            for stream in ["output", "error"] {
                captured(&supervisor, label, &format!("connection {number}: said on standard {stream}"), 1);
            }
        }
    }
}

/// Half a head, and then nothing more: as long as that is open the others are served.
#[test]
fn slow_heads_keep_nobody_from_being_answered() {
    let (_supervisor, jobs) = served(&answers().limit("Instances", 1));
    for (label, place) in &jobs {
        let slow = |_| {
            let mut client = place.connect();
            client.say("GET /hello HTTP/1.1\r\nHost: ");
            client
        };
        let clients: Vec<Client> = (0..50).map(slow).collect();
        assert_eq!(get(&mut place.connect(), "/hello").status, 200, "{label}");
        drop(clients);
    }
}

#[test]
fn a_component_of_the_release_before_answers_as_well() {
    for kind in KINDS {
        let supervisor = Supervisor::new();
        let place = kind(&supervisor.sandbox);
        let supervisor = supervisor.with("a", at(&place, Job::guest("answers2", &[]))).start();
        let mut client = place.connect();
        for _ in 0..2 {
            let hello = get(&mut client, "/hello");
            assert_eq!((hello.status, hello.text().as_str()), (200, "hello from 0.2\n"));
        }
        assert_eq!(get(&mut client, "/elsewhere").status, 404);
        assert_eq!(cut_off_after(client, "GET /hello HTTP/1.0\r\nHost: localhost\r\n\r\n"), "hello from 0.2\n");
        assert_eq!(standing(&supervisor, "a"), "running, 1 runs");
    }
}

/// The body of a last answer, after which the server closes.
#[track_caller]
fn cut_off_after(mut client: Client, request: &str) -> String {
    client.say(request);
    let answer = cut_off(client);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    body.unwrap_or_else(|| panic!("{answer:?} has no body")).to_owned()
}
