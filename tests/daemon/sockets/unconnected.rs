//! Sockets that are to be connected to somebody else's, where they are not: for a job that may not run nobody is troubled,
//! and errors that nobody reads neither keep the supervisor busy nor keep anything from it.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::accept;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use serde_json::json;

use super::datagram::{datagrams, free_address};
use super::{CAUSE, Client, KINDS, PATIENCE, Place, connected, connected_to, loopback, perl, wait_until_it_is};
use crate::daemon::output::captured;
use crate::harness::{Job, Supervisor};

/// Whoever is to be connected to. Each of his waits has a bound.
#[track_caller]
fn server_at(place: &Place) -> OwnedFd {
    let server = place.bind().expect("a free place");
    set_socket_timeout(&server, Timeout::Recv, Some(PATIENCE)).expect("a timeout");
    server
}

/// Whether somebody has come to him.
fn is_asked(server: &OwnedFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(server, PollFlags::IN)], Some(&now)).expect("a socket") > 0
}

#[test]
fn a_job_that_may_not_run_is_connected_to_nobody_until_it_may() {
    for kind in KINDS {
        let supervisor = Supervisor::new();
        let place = kind(&supervisor.sandbox);
        let server = server_at(&place);
        let job = Job::shell("exit 0").with("Disabled", true);
        let supervisor = supervisor.with("a", connected_to(&place, job)).start();
        let print = supervisor.wjob(&["print", "a"]);
        print.exits(0).says("disabled").says(", not connected: its job may not run yet");
        assert!(!is_asked(&server));
        supervisor.wjob(&["enable", "a"]).exits(0);
        accept(&server).expect("a connection");
    }
}

/// However lately it was tried: runs have a measure of their own.
#[test]
fn before_a_run_it_is_tried_once_more() {
    for kind in KINDS {
        let supervisor = Supervisor::new();
        let place = kind(&supervisor.sandbox);
        let job = perl(HEARS).with("ThrottleInterval", 3000);
        let supervisor = supervisor.with("a", connected_to(&place, job)).start();
        supervisor.logs(" is not connected: ");
        let server = server_at(&place);
        supervisor.wjob(&["kickstart", "a"]).exits(0);
        accept(&server).expect("a connection");
    }
}

/// Reads to the end.
const HEARS: &str = r#"
open my $socket, '+<&=', 3 or die "descriptor 3: $!";
1 while <$socket>;
"#;

#[test]
fn a_job_that_will_not_run_again_is_connected_to_nobody_any_more() {
    for kind in KINDS {
        let supervisor = Supervisor::new();
        let place = kind(&supervisor.sandbox);
        let server = server_at(&place);
        let job = perl(HEARS).with("LaunchOnlyOnce", true).with("ThrottleInterval", 0);
        let supervisor = supervisor.with("a", connected_to(&place, job)).start();
        let mut client = Client::of(accept(&server).expect("a connection"));
        client.say("hello\n");
        drop(client);
        wait_until_it_is(&supervisor, "finished, 1 runs");
        supervisor.wjob(&["print", "a"]).exits(0).says(", not connected: it was closed");
        assert!(!is_asked(&server));
    }
}

/// It would take the job for its owner. What `wjob run` starts has it from WJOB_SOCKET.
#[test]
fn a_supervisor_connects_nobody_to_itself_wherever_it_answers() {
    let supervisor = Supervisor::new().start();
    let other = Place::named(&supervisor.sandbox, "other").in_words();
    std::fs::hard_link(supervisor.socket(), &other).expect("another name of its socket");
    for (label, path) in [("a", supervisor.socket()), ("b", supervisor.sandbox.name("run/log.sock")), ("c", other)] {
        let job = connected_to(&Place::Path(path.clone()), Job::guest("accepts", &[]));
        let file = supervisor.file(&format!("{label}.plist"), label, job);
        supervisor.call("Bootstrap", json!({ "path": file })).expect("it is loaded");
        let why = "a supervisor of wjob answers there";
        supervisor.logs(&format!(" {label}: unix://{path} is not connected: {why}\n"));
        supervisor.wjob(&["run", &file]).exits(78).complains(format!("unix://{path}: not connected: {why}"));
    }
}

/// Has errors kept for it (ip(7), IP_RECVERR), makes one and reads none.
const LEAVES_AN_ERROR: &str = r#"
open my $socket, '+<&=', 3 or die "descriptor 3: $!";
setsockopt($socket, 0, 11, 1) or die "IP_RECVERR: $!";
defined(send($socket, 'nobody', 0)) or die "send: $!";
"#;

#[test]
fn a_connection_with_errors_that_nobody_reads_is_one_that_is_not_there() {
    // Nobody has this port, which is root's to give.
    let address = SocketAddr::from((loopback(), 1));
    let job = perl(LEAVES_AN_ERROR).with("RunAtLoad", true).with("ThrottleInterval", 3000);
    let job = job.with_in("Sockets", "other", connected(datagrams(address)));
    let supervisor = Supervisor::new().with("a", job).start();
    supervisor.logs(&format!("udp://{address} is not connected: errors wait at it that nobody reads\n"));
    wait_until_it_is(&supervisor, "idle, 1 runs");
}

/// The same at a socket to which others come; the run that finds errors there stays.
const READS_ITS_ERRORS: &str = r#"
my @names = split /:/, $ENV{LISTEN_FDNAMES};
my ($at) = grep { $names[$_] eq 'asked' } 0 .. $#names;
open my $asked, '+<&=', 3 + $at or die "its descriptor: $!";
setsockopt($asked, 0, 11, 1) or die "IP_RECVERR: $!";
my ($queue, $at_once) = (0x2000, 0x40);
if (defined recv($asked, my $error, 1500, $queue | $at_once)) {
    syswrite STDOUT, "found an error\n";
    sleep;
}
my $nobody = pack 'Sna4x8', 2, 1, pack('C4', 127, 0, 0, 1);
defined(send($asked, 'nobody', 0, $nobody)) or die "send: $!";
"#;

#[test]
fn an_error_at_a_socket_beside_a_connection_starts_the_job_as_it_would_without() {
    let supervisor = Supervisor::new();
    let place = Place::named(&supervisor.sandbox, "other");
    let _server = server_at(&place);
    let job = perl(READS_ITS_ERRORS).with("RunAtLoad", true).with("ThrottleInterval", 0);
    let job = job.with_in("Sockets", "asked", datagrams(free_address()));
    let supervisor = supervisor.with("a", connected_to(&place, job)).start();
    captured(&supervisor, "a", "found an error", 1);
    supervisor.logs(&format!(" a: started: {CAUSE}\n"));
    wait_until_it_is(&supervisor, "running, 2 runs");
}
