//! Jobs that take their sockets over themselves: what they are told, what they may and may not, that their own work
//! keeps them and its want lets them go, and how they hear of the end. No datagram is lost between two runs: `idle`.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;

use plist::Dictionary;
use serde_json::json;

use super::{CAUSE, Client, KINDS, Place, comes_back, cut_off, served, wait_for_line};
use crate::daemon::life::standing;
use crate::daemon::output::captured;
use crate::daemon::sockets::datagram::{ask_by_datagram, datagrams, free_address, sender};
use crate::daemon::sockets::kickstart;
use crate::harness::{Job, Supervisor, again};

fn accepts() -> Job {
    Job::guest("accepts", &[])
}

/// A supervisor with the job `a`, which has a socket of each kind.
#[track_caller]
fn everywhere(job: Job) -> (Supervisor, [Place; 2], SocketAddr) {
    let supervisor = Supervisor::new();
    let places = KINDS.map(|kind| kind(&supervisor.sandbox));
    let address = free_address();
    let [path, port] = places.each_ref().map(Place::entry);
    let job = job.with_in("Sockets", "path", path).with_in("Sockets", "port", port);
    let job = job.with_in("Sockets", "questions", datagrams(address));
    (supervisor.with("a", job).start(), places, address)
}

#[test]
fn it_accepts_on_all_its_sockets_at_once() {
    let (supervisor, places, address) = everywhere(accepts());
    assert_eq!(standing(&supervisor, "a"), "idle, 0 runs");
    let mut clients: Vec<Client> = places.iter().cycle().take(10).map(Place::connect).collect();
    clients.iter_mut().for_each(|client| client.say("echo\n"));
    let questions = sender();
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            comes_back(client, &format!("client {number}, round {round}"));
        }
        let text = format!("round {round}");
        assert_eq!(ask_by_datagram(&questions, address, &text), format!("answered {text}"));
    }
    for client in clients {
        client.end();
        assert_eq!(client.rest(), "");
    }
    assert_eq!(standing(&supervisor, "a"), "running, 1 runs");
}

#[test]
fn it_is_told_why_it_was_started_and_checks_in_once() {
    let (supervisor, jobs) = served(&accepts());
    for (label, place) in &jobs {
        assert_eq!(place.ask("reason"), format!("{CAUSE}\n"));
        assert_eq!(place.ask("again"), "what was asked makes no sense\n");
        assert_eq!(place.ask("reason"), format!("{CAUSE}\n"), "{label}: what it has it keeps");
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
    let (supervisor, [place, _], _) = everywhere(accepts());
    kickstart(&supervisor);
    let reason = place.ask("reason");
    assert!(reason.starts_with("operator: user "), "{reason}");
}

#[test]
fn the_first_datagram_starts_it_and_is_answered() {
    let (supervisor, _, address) = everywhere(accepts());
    assert_eq!(ask_by_datagram(&sender(), address, "first"), "answered first");
    supervisor.logs(&format!(" a: started: {CAUSE}\n"));
    for text in ["", "second", "x".repeat(1400).as_str()] {
        assert_eq!(ask_by_datagram(&sender(), address, text), format!("answered {text}"));
    }
}

/// Somebody who has never asked for anything.
fn stranger() -> (UdpSocket, String) {
    let socket = sender();
    let address = socket.local_addr().expect("its address").to_string();
    (socket, address)
}

#[test]
fn a_datagram_goes_to_who_asked_and_to_whom_it_is_granted() {
    let (friend, friends) = stranger();
    let (other, others) = stranger();
    let (_supervisor, _, address) = everywhere(accepts().grant("Connect", format!("udp://{friends}")));
    let asks = sender();
    assert_eq!(ask_by_datagram(&asks, address, &format!("send {friends} hello")), "sent");
    let mut hello = [0; 64];
    let length = again(|| friend.recv(&mut hello)).expect("what was sent");
    assert_eq!(&hello[..length], b"hello");
    let denied = "no grant of the job allows it";
    assert_eq!(ask_by_datagram(&asks, address, &format!("send {others} hello")), denied);
    // Who has asked for something may be written to, whoever has that done.
    assert_eq!(ask_by_datagram(&other, address, "here"), "answered here");
    assert_eq!(ask_by_datagram(&asks, address, &format!("send {others} hello")), "sent");
    let length = again(|| other.recv(&mut hello)).expect("what was sent");
    assert_eq!(&hello[..length], b"hello");
    assert_eq!(ask_by_datagram(&asks, address, "send nowhere hello"), "what was asked makes no sense");
}

/// Its sender has no name that an answer could go to, and the others are answered all the same.
#[test]
fn a_datagram_without_a_sender_is_taken_all_the_same() {
    let supervisor = Supervisor::new();
    let Place::Path(path) = Place::in_a_folder(&supervisor.sandbox) else { panic!("a path was expected") };
    let entry = Dictionary::from_iter([("SockPathName", path.as_str()), ("SockType", "dgram")]);
    let address = free_address();
    let job = accepts().with_in("Sockets", "path", entry).with_in("Sockets", "questions", datagrams(address));
    let supervisor = supervisor.with("a", job).start();
    UnixDatagram::unbound().expect("a socket").send_to(b"hello", &path).expect("it is sent");
    captured(&supervisor, "a", "no answer was sent: what was asked makes no sense", 1);
    assert_eq!(ask_by_datagram(&sender(), address, "still"), "answered still");
    assert_eq!(standing(&supervisor, "a"), "running, 1 runs");
}

/// The end of another, which was asked later, shows that the time was over.
#[test]
fn open_work_keeps_it_and_without_any_it_ends_and_knows_why() {
    let (supervisor, jobs) = served(&accepts().with("TimeOut", 1).with("ThrottleInterval", 3000));
    let [(kept, place), (other, elsewhere)] = &jobs;
    for round in 1..=2 {
        // The connection ends at once: it is the work that keeps the run.
        assert_eq!(place.ask("keep"), "kept\n");
        assert_eq!(elsewhere.ask("reason"), format!("{CAUSE}\n"));
        supervisor.logs_times(&format!(" {other}: ended: stopped\n"), 2 * round - 1);
        assert_eq!(standing(&supervisor, kept), format!("running, {round} runs"));
        let mut working = place.connect();
        working.say("work\n");
        assert_eq!(working.line(), "working\n");
        assert_eq!(place.ask("drop"), "dropped\n");
        assert_eq!(elsewhere.ask("reason"), format!("{CAUSE}\n"));
        supervisor.logs_times(&format!(" {other}: ended: stopped\n"), 2 * round);
        assert_eq!(standing(&supervisor, kept), format!("running, {round} runs"));
        working.end();
        assert_eq!(working.rest(), "");
        supervisor.logs_times(&format!(" {kept}: ended: stopped\n"), round);
        captured(&supervisor, kept, "idle", round);
    }
}

/// It could take for ever to end, so if it did not end by itself nobody would.
#[test]
fn a_job_that_is_taken_out_hears_it_and_ends_by_itself() {
    let (supervisor, jobs) = served(&accepts().with("ExitTimeOut", 0));
    for (label, place) in &jobs {
        assert_eq!(place.ask("reason"), format!("{CAUSE}\n"));
        supervisor.call("Bootout", json!({ "label": label, "wait": true })).expect("it is taken out");
        supervisor.logs(&format!(" {label}: ended: stopped by SIGTERM\n"));
        captured(&supervisor, label, "terminated", 1);
    }
}

#[test]
fn it_may_end_with_a_status_of_its_own_and_is_started_again() {
    let (supervisor, places, _) = everywhere(accepts().with("ThrottleInterval", 0));
    let [path, port] = &places;
    let mut open = path.connect();
    open.say("echo\n");
    comes_back(&mut open, "said");
    let mut client = port.connect();
    client.say("exit 7\n");
    assert_eq!((cut_off(client), cut_off(open)), (String::new(), String::new()));
    supervisor.logs(" a: ended: exit 7\n");
    assert_eq!(port.ask("reason"), format!("{CAUSE}\n"));
    assert_eq!(standing(&supervisor, "a"), "running, 2 runs");
}

/// A guest can let go of a listener; the socket is the supervisor's and outlives that.
#[test]
fn a_listener_that_is_given_up_is_there_again_in_the_next_run() {
    let (supervisor, [path, port], _) = everywhere(accepts().with("TimeOut", 1).with("ThrottleInterval", 3000));
    assert_eq!(path.ask("close"), "closed\n");
    let mut early = port.connect();
    early.say("reason\n");
    assert_eq!(early.rest(), format!("{CAUSE}\n"));
    supervisor.logs(" a: ended: stopped\n");
    assert_eq!(path.ask("reason"), format!("{CAUSE}\n"));
}

#[test]
fn a_run_that_meets_its_limit_ends_and_the_next_client_starts_another() {
    let (supervisor, places, _) = everywhere(accepts().limit("Memory", 16 << 20).with("ThrottleInterval", 0));
    let [path, port] = &places;
    let mut client = path.connect();
    // Longer than all memory that it has.
    let line = "x".repeat(1 << 20);
    while std::io::Write::write_all(&mut client.0, line.as_bytes()).is_ok() {}
    supervisor.logs(" a: ended: limit Memory reached");
    assert_eq!(port.ask("reason"), format!("{CAUSE}\n"));
    assert_eq!(standing(&supervisor, "a"), "running, 2 runs");
}

/// Nothing is said of the connection to the component before: it is broken off under it.
#[test]
fn a_silent_client_of_a_job_that_accepts_is_broken_off() {
    let (supervisor, jobs) = served(&accepts().limit("IdleTime", 1));
    for (label, place) in &jobs {
        let mut client = place.connect();
        client.say("echo\n");
        comes_back(&mut client, "said");
        assert_eq!(cut_off(client), "", "{label}");
        wait_for_line(&supervisor, label, "connection 1: it was silent for IdleTime");
        assert_eq!(standing(&supervisor, label), "running, 1 runs");
    }
}
