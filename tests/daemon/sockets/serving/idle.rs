//! The end of a worker that has nothing to do, and the edge of it: the socket is the supervisor's again, and whoever
//! comes at that moment is served as ever. Native jobs, which count their work themselves, are shown beside.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value as Json;

use super::http::client::{answer, piece, upload};
use super::{Client, PATIENCE, Place, at, comes_back, echo, exchange, served, wait_until_it_is};
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

/// Jobs whose workers leave at the same time, and how often each is asked at least.
const JOBS: usize = 20;
const ROUNDS: usize = 10;
/// After so many it is clear that one side of the edge is never met.
const MOST_ROUNDS: usize = 1_000;

/// How long after its last client the next one comes at first, which is less than TimeOut; and over how many milliseconds
/// after that the jobs are spread.
const EARLIEST: Duration = Duration::from_millis(970);
const SPREAD: usize = 80;
/// By so much sooner comes the next one where a new worker has served, and later where it was the same.
const STEP: Duration = Duration::from_millis(7);

/// Which workers have served those who came at the edge, of all jobs.
#[derive(Default)]
struct Met {
    /// One that had served before.
    same: AtomicBool,
    /// One that was started for it.
    new: AtomicBool,
}

impl Met {
    fn both_sides(&self) -> bool {
        self.same.load(Ordering::Relaxed) && self.new.load(Ordering::Relaxed)
    }
}

/// Clients that come when a worker is about to leave, leaves or has just left. Each waits for its end, but only the
/// first of a job for however long that takes: the moments between two states are what is sought. That they were met is
/// seen by who has served, and where the edge is on this machine at this time is found by that too.
fn at_the_edge(supervisor: &Supervisor, ask: impl Fn(usize, &str) -> String + Sync) {
    // One at a time: a supervisor has room for few clients of one user.
    let (met, supervisor) = (Met::default(), Mutex::new(supervisor));
    thread::scope(|scope| {
        for (job, label) in labels().into_iter().enumerate() {
            let (ask, met, supervisor) = (&ask, &met, &supervisor);
            let look = move || supervisor.lock().unwrap_or_else(PoisonError::into_inner).row(&label);
            scope.spawn(move || {
                let mut patience = EARLIEST + Duration::from_millis((job * 7 % SPREAD) as u64);
                let mut runs = 0;
                for round in 0..MOST_ROUNDS {
                    if round >= ROUNDS && met.both_sides() {
                        return;
                    }
                    let text = format!("job {job}, round {round}");
                    assert_eq!(ask(job, &text), text);
                    let row = look();
                    let before = std::mem::replace(&mut runs, row["runs"].as_u64().expect("a number of runs"));
                    // Before the first there was no worker.
                    match (round, runs == before) {
                        (0, _) => {}
                        (_, true) => {
                            met.same.store(true, Ordering::Relaxed);
                            patience += STEP;
                        }
                        (_, false) => {
                            met.new.store(true, Ordering::Relaxed);
                            patience = patience.saturating_sub(STEP);
                        }
                    }
                    let until = Instant::now() + if round == 0 { PATIENCE } else { patience };
                    worker(&row).iter().for_each(|worker| ends_by(worker, until));
                }
            });
        }
    });
    assert!(met.same.into_inner(), "nobody came before a worker had left");
    assert!(met.new.into_inner(), "nobody came after a worker had left");
}

/// The worker of a job; `None` = it is gone already.
fn worker(row: &Json) -> Option<OwnedFd> {
    let pid = row["pid"].as_i64()?;
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

/// Jobs that serve so, half of them at paths and half on ports, and clients of all of them at the edge. What one says
/// and hears is told by the client's own function.
#[track_caller]
fn nobody_is_lost(job: &Job, exchange: impl Fn(Client, &str) -> String + Sync) {
    let supervisor = Supervisor::new();
    let place = |number: usize, sandbox: &Sandbox| match number % 2 {
        0 => Place::named(sandbox, &number.to_string()),
        _ => Place::on_the_loopback(sandbox),
    };
    let places: Vec<Place> = (0..JOBS).map(|number| place(number, &supervisor.sandbox)).collect();
    let supervisor = labels()
        .iter()
        .zip(&places)
        .fold(supervisor, |all, (label, place)| all.with(label, at(place, soon_idle(job.clone()))));
    let supervisor = supervisor.start();
    at_the_edge(&supervisor, |job, text| exchange(places[job].connect(), text));
}

fn echoed(client: Client, text: &str) -> String {
    String::from_utf8(exchange(client, text.as_bytes())).expect("text")
}

#[test]
fn nobody_is_lost_who_connects_while_the_worker_leaves() {
    nobody_is_lost(&echo(), echoed);
}

#[test]
fn nobody_is_lost_whom_a_handler_is_to_serve_while_the_worker_leaves() {
    nobody_is_lost(&Job::guest("handles", &[]), |client, text| echoed(client, &format!("echo\n{text}")));
}

#[test]
fn no_request_is_lost_that_comes_while_the_worker_leaves() {
    nobody_is_lost(&Job::guest("answers", &[]), |mut client, text| {
        client.say(upload("/echo") + &piece(text) + &piece(""));
        let answer = answer(&mut client);
        assert_eq!(answer.status, 200, "{}", answer.head);
        answer.text()
    });
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
}
