//! The end of a worker that has nothing to do, and the edge of it: the socket is the supervisor's again, and whoever
//! comes at that moment is served as ever. Native jobs, which count their work themselves, are shown beside.

use std::thread;
use std::time::Duration;

use serde_json::Value as Json;

use super::{
    Place, ask_by_datagram, at, comes_back, datagrams, echo, exchange, free_address, sender, served, wait_until_it_is,
};
use crate::daemon::life::standing;
use crate::harness::{Job, Sandbox, Supervisor};

/// So long a throttle that whoever meets it fails.
const THROTTLE: u32 = 3000;

fn soon_idle(job: Job) -> Job {
    job.with("TimeOut", 1).with("ThrottleInterval", THROTTLE)
}

#[test]
fn a_worker_without_clients_leaves_and_the_next_client_starts_it_at_once() {
    let (supervisor, jobs) = served(&soon_idle(echo()));
    for number in 1..=2 {
        for (label, place) in &jobs {
            assert_eq!(exchange(place.connect(), b"hello"), b"hello");
            supervisor.logs_times(&format!(" {label}: ended: stopped\n"), number);
            wait_until_it_is(&supervisor, label, &format!("idle, {number} runs"));
            assert_eq!(supervisor.row(label)["pid"], Json::Null, "{label} has a process");
        }
    }
}

/// The end of another that had its last client later shows that the time was over.
#[test]
fn an_open_connection_keeps_the_worker() {
    let (supervisor, jobs) = served(&soon_idle(echo()));
    let [(kept, place), (other, elsewhere)] = &jobs;
    let mut client = place.connect();
    comes_back(&mut client, "said");
    assert_eq!(exchange(elsewhere.connect(), b"hello"), b"hello");
    supervisor.logs(&format!(" {other}: ended: stopped\n"));
    assert_eq!(standing(&supervisor, kept), "running, 1 runs");
    comes_back(&mut client, "said again");
    client.end();
    assert_eq!(client.rest(), "");
    supervisor.logs(&format!(" {kept}: ended: stopped\n"));
}

/// Jobs whose workers leave at the same time, and how often each does.
const JOBS: usize = 20;
const ROUNDS: usize = 10;

/// Clients that come when a worker is about to leave, leaves or has just left, each at another moment of that. No state
/// is waited for here, since the moments between two states are what is sought.
fn at_the_edge(ask: impl Fn(usize, &str) -> String + Sync) {
    thread::scope(|scope| {
        for job in 0..JOBS {
            let ask = &ask;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let text = format!("job {job}, round {round}");
                    assert_eq!(ask(job, &text), text);
                    // TimeOut is 1 s; an end takes some milliseconds.
                    let later = (job * ROUNDS + round) * 7 % 80;
                    thread::sleep(Duration::from_millis(970) + Duration::from_millis(later as u64));
                }
            });
        }
    });
}

/// The labels of those jobs.
fn labels() -> Vec<String> {
    (0..JOBS).map(|number| format!("job-{number}")).collect()
}

/// How often all of them were started, which is more than once each if any worker left.
fn starts(supervisor: &Supervisor) -> u64 {
    labels().iter().map(|label| supervisor.row(label)["runs"].as_u64().unwrap_or_default()).sum()
}

#[test]
fn nobody_is_lost_who_connects_while_the_worker_leaves() {
    let supervisor = Supervisor::new();
    let place = |number: usize, sandbox: &Sandbox| match number % 2 {
        0 => Place::named(sandbox, &number.to_string()),
        _ => Place::on_the_loopback(sandbox),
    };
    let places: Vec<Place> = (0..JOBS).map(|number| place(number, &supervisor.sandbox)).collect();
    let supervisor = labels()
        .iter()
        .zip(&places)
        .fold(supervisor, |all, (label, place)| all.with(label, at(place, soon_idle(echo()))));
    let supervisor = supervisor.start();
    at_the_edge(|job, text| {
        let returned = exchange(places[job].connect(), text.as_bytes());
        String::from_utf8(returned).expect("text")
    });
    assert!(starts(&supervisor) > JOBS as u64, "no worker has left");
}

#[test]
fn no_datagram_is_lost_that_comes_while_the_worker_leaves() {
    let addresses: Vec<_> = (0..JOBS).map(|_| free_address()).collect();
    let supervisor = labels().iter().zip(&addresses).fold(Supervisor::new(), |all, (label, address)| {
        let job = Job::guest("accepts", &[]).with_in("Sockets", "questions", datagrams(*address));
        all.with(label, soon_idle(job))
    });
    let supervisor = supervisor.start();
    at_the_edge(|job, text| {
        let answer = ask_by_datagram(&sender(), addresses[job], text);
        answer.strip_prefix("answered ").unwrap_or(&answer).to_owned()
    });
    assert!(starts(&supervisor) > JOBS as u64, "no worker has left");
}
