//! Clients and components that keep no rule of HTTP: requests that are none, or for somebody else, or more than one
//! should be; bodies that lie, never come or never end; answers that never begin, never end or are not what they say.
//! Each costs its own connection and no other, and what is held for it is bounded. Who keeps the rules is in `http`.

use std::io::{ErrorKind, Read, Write};
use std::thread;

use super::http::client::{answer, get, head, next, piece, request, upload};
use super::{Client, MEBIBYTE, Place, at, cut_off, process, served, wait_for_line};
use crate::daemon::life::standing;
use crate::harness::supervisor::Ear;
use crate::harness::{Job, Supervisor};

/// More than all buffers on the way from one process to another hold, and less than one that has no bound takes.
const BUFFERS: usize = 256 * MEBIBYTE;
/// Seconds of a limit that those meet who are to, and that nobody else does, however busy the machine is.
const LONG: u64 = 5;

fn answers() -> Job {
    Job::guest("answers", &[])
}

/// What a client says at once, the statuses of what is answered, and whether he may go on then.
type Said = (&'static str, &'static [u16], bool);

const SAID: &[Said] = &[
    // Whoever is asked for by a whole URL, it is answered here, and nobody else is asked.
    ("GET http://elsewhere.example/hello HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", &[200], true),
    ("GET http://elsewhere.example/hello HTTP/1.1\r\nHost: localhost\r\n\r\n", &[200], true),
    ("GET http://somebody@localhost/hello HTTP/1.1\r\nHost: localhost\r\n\r\n", &[400], true),
    ("GET ftp://localhost/hello HTTP/1.1\r\nHost: localhost\r\n\r\n", &[400], true),
    ("GET localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", &[400], true),
    ("CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n\r\n", &[501], true),
    // Which host it is for must be clear.
    ("GET /hello HTTP/1.1\r\n\r\n", &[400], true),
    ("GET /hello HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", &[400], true),
    ("GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n", &[400], true),
    // Where a body ends must be clear.
    ("POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: five\r\n\r\nhello", &[400], false),
    ("POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\nhello", &[400], false),
    ("POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5, 5\r\n\r\nhello", &[400], false),
    ("POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello", &[400], false),
    ("POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\nhello", &[400], false),
    ("POST /length HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], false),
    // Of two ends the one counts that cannot lie, and the rest is not trusted.
    (
        "POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\n\r\n",
        &[200],
        false,
    ),
    // What is beyond the length is another request.
    ("POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nhello\r\n\r\n", &[200, 400], false),
    // Pieces with more than was asked for, and such as are none.
    (
        "POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
        &[200],
        true,
    ),
    (
        "POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-After: b\r\n\r\n",
        &[200],
        true,
    ),
    ("POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", &[400], false),
    (
        "POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        &[400],
        false,
    ),
    (
        "POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        &[400],
        false,
    ),
    // Headers that another reader might understand otherwise.
    ("GET /hello HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", &[400], false),
    ("GET /hello HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", &[400], false),
    ("GET /hello HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", &[400], false),
    ("GET /hello HTTP/1.1\r\nHost: localhost\r\nX : a\r\n\r\n", &[400], false),
    // Other languages.
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[], false),
    ("\x16\x03\x01\x00\x05hello", &[400], false),
    ("GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", &[200], true),
    // Not asked to go on, somebody who waits for that need not.
    ("POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", &[200], false),
];

#[test]
fn what_a_client_says_is_answered_as_the_rules_want_it() {
    let (supervisor, jobs) = served(&answers());
    for (label, place) in &jobs {
        let mut steady = place.connect();
        for (said, statuses, goes_on) in SAID {
            let mut client = place.connect();
            client.say(said);
            for status in *statuses {
                assert_eq!(answer(&mut client).status, *status, "{label}: {said:?}");
            }
            if *goes_on {
                assert_eq!(get(&mut client, "/hello").text(), "hello\n", "{label}: after {said:?}");
            } else {
                assert_eq!(client.rest(), "", "{label}: after {said:?}");
            }
            assert_eq!(get(&mut steady, "/hello").status, 200, "{label}: beside {said:?}");
        }
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}

/// Asked to go on, he does.
#[test]
fn whoever_waits_for_it_is_asked_for_his_body_when_it_is_wanted() {
    let (_supervisor, jobs) = served(&answers());
    for (label, place) in &jobs {
        let mut client = place.connect();
        client.say("POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(head(&mut client).status, 100, "{label}");
        client.say("hello");
        assert_eq!(answer(&mut client).text(), "5\n", "{label}");
        assert_eq!(get(&mut client, "/hello").status, 200, "{label}");
    }
}

/// Says as much of it as is taken, and what is heard before the end. Whoever says more than is read may lose the answer
/// (RFC 9112, 9.6).
#[track_caller]
fn insists(mut client: Client, said: &str) -> String {
    let _ = client.0.write_all(said.as_bytes());
    cut_off(client)
}

#[test]
fn what_has_no_measure_is_refused_before_it_is_held() {
    let (supervisor, jobs) = served(&answers());
    let rows = [
        ("an address", format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(MEBIBYTE))),
        ("a method", "A".repeat(MEBIBYTE)),
        ("a header", format!("GET /hello HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(MEBIBYTE))),
        ("headers", format!("GET /hello HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(1_000_000))),
        ("empty lines", "\r\n".repeat(MEBIBYTE)),
        ("a piece's words", upload("/length") + "3;" + &"a".repeat(MEBIBYTE)),
        ("trailers", upload("/length") + "0\r\n" + &"X: y\r\n".repeat(1_000_000)),
    ];
    for (label, place) in &jobs {
        let mut steady = place.connect();
        assert_eq!(get(&mut steady, "/hello").status, 200);
        let before = process(&supervisor, label);
        for (what, said) in &rows {
            let heard = insists(place.connect(), said);
            assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 4"), "{label}: {what}: {heard}");
            assert_eq!(get(&mut steady, "/hello").status, 200, "{label}: beside {what}");
        }
        assert_eq!(process(&supervisor, label), before);
    }
}

/// What a client says who is not answered in time, and what he hears.
const LATE: &[(&str, &[u16])] = &[
    ("GET /sleep HTTP/1.1\r\nHost: localhost\r\n\r\n", &[504]),
    ("POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabc", &[504]),
    ("POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n", &[504]),
    ("POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", &[100, 504]),
];

/// The only instance of a job is another's then.
#[test]
fn nobody_is_waited_for_beyond_run_time() {
    let (supervisor, jobs) = served(&answers().limit("RunTime", LONG).limit("Instances", 1));
    at_once(&jobs, |label, place| {
        for (number, (said, statuses)) in (1..).step_by(2).zip(LATE) {
            let mut client = place.connect();
            client.say(said);
            for status in *statuses {
                let heard = if *status == 100 { head(&mut client) } else { answer(&mut client) };
                assert_eq!(heard.status, *status, "{label}: {said:?}");
            }
            assert_eq!(get(&mut place.connect(), "/hello").text(), "hello\n", "{label}: after {said:?}");
            wait_for_line(&supervisor, label, &format!("wjob: connection {number}: limit RunTime reached"));
        }
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    });
}

/// Looks at both jobs of a test at the same time, for they wait.
fn at_once(jobs: &[(&'static str, Place); 2], look: impl Fn(&str, &Place) + Sync) {
    let look = &look;
    thread::scope(|scope| {
        for (label, place) in jobs {
            scope.spawn(move || look(label, place));
        }
    });
}

/// How much comes before the end of a connection, be that a proper one or none, and its last bytes.
#[track_caller]
fn drained(client: &mut Client) -> (usize, Vec<u8>) {
    let (mut length, mut last, mut piece) = (0, Vec::new(), vec![0; MEBIBYTE]);
    loop {
        match client.0.read(&mut piece) {
            Ok(0) => return (length, last),
            Ok(more) => {
                length += more;
                last.extend_from_slice(&piece[..more]);
                last.drain(..last.len().saturating_sub(16));
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return (length, last),
            Err(error) => panic!("{error} instead of an end"),
        }
    }
}

/// It is not read at all until its time is up, and then it is no whole answer.
#[test]
fn an_answer_without_an_end_waits_for_its_reader_and_ends_with_its_time() {
    let (supervisor, jobs) = served(&answers().limit("RunTime", LONG));
    at_once(&jobs, |label, place| {
        let mut client = place.connect();
        client.say(request("/endless"));
        wait_for_line(&supervisor, label, "wjob: connection 1: limit RunTime reached");
        let (length, last) = drained(&mut client);
        assert!(length < BUFFERS, "{label}: {length} bytes were made before any was read");
        assert!(!last.ends_with(b"\r\n0\r\n\r\n"), "{label}: it looks whole");
        assert_eq!(get(&mut place.connect(), "/hello").status, 200, "{label}");
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    });
}

/// Nobody reads it, and then nobody answers.
#[test]
fn a_body_without_an_end_is_not_gathered() {
    let (supervisor, jobs) = served(&answers().limit("RunTime", LONG));
    let said = piece(&"a".repeat(MEBIBYTE));
    at_once(&jobs, |label, place| {
        let mut client = place.connect();
        client.say(upload("/sleep"));
        let mut taken = 0;
        while taken < BUFFERS && client.0.write_all(said.as_bytes()).is_ok() {
            taken += said.len();
        }
        assert!(taken < BUFFERS, "{label}: all was taken and nothing read");
        wait_for_line(&supervisor, label, "wjob: connection 1: limit RunTime reached");
        assert_eq!(get(&mut place.connect(), "/hello").status, 200, "{label}");
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    });
}

/// So silent that only the end of the client's side can tell of it.
#[test]
fn whoever_leaves_is_missed_although_not_all_of_him_was_read() {
    let (supervisor, jobs) = served(&answers().limit("Instances", 1).limit("IdleTime", 3600));
    let rows = [request("/sleep") + "G", upload("/sleep") + &piece("one") + &piece("two")];
    for (label, place) in &jobs {
        for (number, said) in (1..).step_by(2).zip(&rows) {
            let mut client = place.connect();
            client.say(said);
            wait_for_line(&supervisor, label, &format!("connection {number}: it sleeps"));
            drop(client);
            assert_eq!(get(&mut place.connect(), "/hello").text(), "hello\n", "{label}: {said:?}");
        }
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}

#[test]
fn a_connection_that_falls_silent_is_closed_wherever_it_stands() {
    let (supervisor, jobs) = served(&answers().limit("IdleTime", LONG));
    let rows = [
        "",
        "GET /hello HTTP/1.1\r\nHost: ",
        "POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabc",
        "GET /sleep HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ];
    at_once(&jobs, |label, place| {
        let silent = rows.map(|said| {
            let mut client = place.connect();
            assert_eq!(get(&mut client, "/hello").status, 200);
            client.say(said);
            (client, said)
        });
        for (client, said) in silent {
            assert_eq!(cut_off(client), "", "{label}: after {said:?}");
        }
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    });
}

/// They lie in the host, beside the memory of the instance.
#[test]
fn headers_that_a_component_makes_have_a_measure_too() {
    let (_supervisor, jobs) = served(&answers().limit("Memory", 64 << 20));
    for (label, place) in &jobs {
        let taken: usize = get(&mut place.connect(), "/room").text().trim().parse().expect("a number");
        assert!((8_000..=16 << 10).contains(&taken), "{label}: {taken} bytes");
    }
}

/// The body of an answer that promised more than it has, or less.
#[track_caller]
fn promised(place: &Place, path: &str) -> String {
    let mut client = place.connect();
    client.say(request(path));
    let heard = cut_off(client);
    // The head may be lost with the rest.
    heard.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

#[test]
fn an_answer_that_is_not_what_it_says_does_not_look_so() {
    let (supervisor, jobs) = served(&answers());
    for (label, place) in &jobs {
        let mut client = place.connect();
        assert_eq!(get(&mut client, "/headers").text(), "0\n", "{label}: a forged header was taken");
        assert_eq!(get(&mut client, "/informational").status, 502, "{label}");
        wait_for_line(&supervisor, label, "wjob: connection 1: it answered 101 Switching Protocols");
        for (path, length) in [("/short", 10), ("/long", 5)] {
            let body = promised(place, path);
            assert!(body.len() < length, "{label}: {path}: {body:?}");
        }
        assert_eq!(get(&mut client, "/hello").status, 200, "{label}");
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}

/// Its pieces have no length of their own, so that only the last one shows that it is whole.
#[test]
fn an_answer_that_traps_midway_does_not_look_whole() {
    let (supervisor, jobs) = served(&answers());
    for (label, place) in &jobs {
        let mut client = place.connect();
        client.say(upload("/break") + &piece("one"));
        assert_eq!(head(&mut client).status, 200, "{label}");
        assert_eq!(next(&mut client), b"one", "{label}");
        client.say(piece("two"));
        assert_eq!(cut_off(client), "", "{label}");
        wait_for_line(&supervisor, label, "wjob: connection 1: trap: ");
        assert_eq!(get(&mut place.connect(), "/hello").status, 200, "{label}");
    }
}

#[test]
fn a_component_that_cannot_even_begin_is_a_bad_gateway_and_the_log_says_why() {
    let (supervisor, jobs) = served(&answers().limit("Memory", 65_536));
    for (label, place) in &jobs {
        let mut client = place.connect();
        for _ in 0..2 {
            assert_eq!(get(&mut client, "/hello").status, 502, "{label}");
        }
        wait_for_line(&supervisor, label, "wjob: connection 1: limit Memory reached");
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}

/// It writes into a pipe that nobody reads, and so keeps the thread that would have to end it.
#[test]
fn a_call_of_the_host_that_never_returns_ends_the_worker_after_run_time() {
    let supervisor = Supervisor::new();
    let place = Place::in_a_folder(&supervisor.sandbox);
    let deaf = Ear::new(&supervisor.sandbox, "deaf");
    let job = answers().limit("RunTime", 1).with("StandardErrorPath", deaf.path.as_str()).with("ThrottleInterval", 0);
    let supervisor = supervisor.with("a", at(&place, job)).start();
    let mut client = place.connect();
    client.say(request("/babble"));
    supervisor.logs(" a: ended: limit RunTime reached");
    assert_eq!(cut_off(client), "");
    assert_eq!(get(&mut place.connect(), "/hello").status, 200);
    assert_eq!(standing(&supervisor, "a"), "running, 2 runs");
}
