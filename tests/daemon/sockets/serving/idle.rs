//! The end of a worker that has nothing to do, and the edge of it: the socket is the supervisor's again, and whoever
//! comes at that moment is served as ever. Native jobs, which count their work themselves, are shown beside.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value as Json;

use super::{PATIENCE, Place, at, comes_back, echo, exchange, served, wait_until_it_is};
use crate::daemon::life::standing;
use crate::daemon::sockets::datagram::{ask_by_datagram, datagrams, free_address, sender};
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

/// How long after its last client the next one comes at the earliest, which is less than TimeOut; and over how many
/// milliseconds after that they are spread.
const EARLIEST: Duration = Duration::from_millis(970);
const SPREAD: usize = 80;

/// Clients that come when a worker is about to leave, leaves or has just left. Each waits for its end, but only the
/// first of a job for however long that takes: the moments between two states are what is sought.
fn at_the_edge(supervisor: &Supervisor, ask: impl Fn(usize, &str) -> String + Sync) {
    // One at a time: a supervisor has room for few clients of one user.
    let supervisor = Mutex::new(supervisor);
    thread::scope(|scope| {
        for (job, label) in labels().into_iter().enumerate() {
            let (ask, supervisor) = (&ask, &supervisor);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let text = format!("job {job}, round {round}");
                    assert_eq!(ask(job, &text), text);
                    let later = (job * ROUNDS + round) * 7 % SPREAD;
                    let patience = EARLIEST + Duration::from_millis(later as u64);
                    let until = Instant::now() + if round == 0 { PATIENCE } else { patience };
                    let worker = worker(*supervisor.lock().unwrap_or_else(PoisonError::into_inner), &label);
                    worker.iter().for_each(|worker| ends_by(worker, until));
                }
            });
        }
    });
}

/// The worker of a job; `None` = it is gone already.
fn worker(supervisor: &Supervisor, label: &str) -> Option<OwnedFd> {
    let pid = supervisor.row(label)["pid"].as_i64()?;
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Waits until a process is gone, but not beyond this moment.
fn ends_by(process: &OwnedFd, until: Instant) {
    loop {
        let left = Timespec::try_from(until.saturating_duration_since(Instant::now())).expect("a short time");
        // A descriptor of a process is readable once the process has ended (pidfd_open(2)).
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("a process cannot be waited for: {error}"),
            Ok(_) => return,
        }
    }
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
    at_the_edge(&supervisor, |job, text| {
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
    at_the_edge(&supervisor, |job, text| {
        let answer = ask_by_datagram(&sender(), addresses[job], text);
        answer.strip_prefix("answered ").unwrap_or(&answer).to_owned()
    });
    assert!(starts(&supervisor) > JOBS as u64, "no worker has left");
}
