//! No request is lost while one takes over from another: a worker from the one before it (`wjob kickstart -k`), a new
//! component from the old one (`wjob reload`), and the supervisor's program from itself (`wjob upgrade`).

use std::fs;

use super::super::drain::asking;
use super::super::http::client::{get, next, piece};
use super::super::{Client, KINDS, Place};
use super::DAY;
use super::traffic::{Traffic, Wanted, under_traffic};
use crate::daemon::life::standing;
use crate::harness::{Job, Supervisor, guest};

/// How often each of them happens.
const ROUNDS: usize = 2;
/// Components that take turns, and what each answers to the same request.
const COMPONENTS: [(&str, &str); 2] = [("answers", "hello\n"), ("http_hello", "hello, world\n")];
/// What the log says of a worker that was replaced.
const ENDED: &str = " a: ended: its successor took over\n";
const WANTED: Wanted = Wanted { path: "/hello", bodies: &[b"hello\n", b"hello, world\n"] };

/// Puts a component in the place of the one before, in one step, so that it is never there half.
fn install(supervisor: &Supervisor, component: &str) {
    let bytes = fs::read(guest(component)).expect("a component");
    let beside = supervisor.sandbox.write("next.wasm", bytes);
    fs::rename(beside, supervisor.sandbox.path("program.wasm")).expect("a component in its place");
}

/// Has a verb replace the job's worker, and waits until the former one has ended, which is to be so many times by then.
/// One of its clients, if there is one, keeps it from ending until all others were answered as often as between times.
#[track_caller]
fn replace(supervisor: &Supervisor, traffic: &Traffic, words: &[&str], times: usize, last: Option<Client>) {
    traffic.goes_on();
    traffic.while_replacing(|| {
        supervisor.wjob(words).exits(0);
        if let Some(mut last) = last {
            supervisor.logs_times(" a: started: ", times + 1);
            traffic.goes_on();
            assert!(ends(supervisor) < times, "a worker has ended before its last client");
            last.say(piece(""));
            assert_eq!(next(&mut last), b"");
        }
        supervisor.logs_times(ENDED, times);
    });
}

/// How many workers have ended.
fn ends(supervisor: &Supervisor) -> usize {
    supervisor.log().matches(ENDED).count()
}

#[test]
fn no_request_is_lost_while_workers_and_the_supervisor_are_replaced() {
    let supervisor = Supervisor::new();
    let places = KINDS.map(|kind| kind(&supervisor.sandbox));
    let [path, port] = places.each_ref().map(Place::entry);
    install(&supervisor, COMPONENTS[0].0);
    let job = Job::new(&supervisor.sandbox.name("program.wasm"), &[]);
    // Nobody is silent for too long, nor is a former worker ended, on however busy a machine.
    let job = job.limit("IdleTime", DAY).with("ExitTimeOut", 3000);
    let job = job.with_in("Sockets", "path", path).with_in("Sockets", "port", port);
    let supervisor = supervisor.with("a", job).start();
    under_traffic(&places, WANTED, |traffic| {
        for round in 1..=ROUNDS {
            // In every other round the component can be asked what takes as long as its client likes.
            let last = || (round % 2 == 1).then(|| asking(&places[0]));
            replace(&supervisor, traffic, &["kickstart", "-k", "a"], 2 * round - 1, last());
            let (component, answer) = COMPONENTS[round % 2];
            install(&supervisor, component);
            replace(&supervisor, traffic, &["reload", "a"], 2 * round, last());
            for place in &places {
                assert_eq!(get(&mut place.connect(), WANTED.path).text(), answer, "{place:?}");
            }
            traffic.goes_on();
            traffic.meanwhile(|| {
                supervisor.wjob(&["upgrade"]).exits(0).says("wjobd is ");
            });
        }
        traffic.goes_on();
        assert!(traffic.told_so() > 0, "no worker has told the clients who keep their connections that it ends");
    });
    supervisor.logs_times(" info upgraded: wjobd ", ROUNDS);
    assert_eq!(standing(&supervisor, "a"), format!("running, {} runs", 2 * ROUNDS + 1));
}
