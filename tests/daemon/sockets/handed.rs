//! What a native program has of its sockets: their descriptors, numbers and names as sd_listen_fds(3) expects them, and
//! what came through them before it was there.

use std::fs::File;

use plist::{Dictionary, Value};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde_json::json;

use super::datagram::{ask_by_datagram, free_address, sender};
use super::{CAUSE, Client, KINDS, Place, answering, at, perl, serving, wait_until_it_is};
use crate::daemon::life::standing;
use crate::daemon::output::captured;
use crate::harness::{Job, Supervisor};

/// Tells each client through which descriptor it came, the program's own number and what is said of its sockets.
const TELLS: &str = r#"
my ($all, @listeners) = ('');
for my $descriptor (3 .. 2 + $ENV{LISTEN_FDS}) {
    open my $listener, '+<&=', $descriptor or die "descriptor $descriptor: $!";
    push @listeners, $listener;
    vec($all, $descriptor, 1) = 1;
}
my $variables = join '', map { "$_=$ENV{$_}\n" } grep { /^LISTEN_/ } sort keys %ENV;
while (select my $ready = $all, undef, undef, undef) {
    for my $listener (grep { vec $ready, fileno($_), 1 } @listeners) {
        accept my $client, $listener or die "accept: $!";
        syswrite $client, fileno($listener) . "\n$$\n$variables";
        close $client;
    }
}
die "select: $!";
"#;

/// Two names, of which one has two sockets; none of them in the order of the alphabet. What the list itself says of
/// such variables is not what the program is told.
#[test]
fn sockets_are_handed_over_in_the_order_of_the_list_with_their_names_and_for_this_process() {
    let supervisor = Supervisor::new();
    let places = ["second", "third", "first"].map(|name| Place::named(&supervisor.sandbox, name));
    let [one, other, last] = places.each_ref().map(Place::entry);
    let job = perl(TELLS)
        .with_in("Sockets", "zeta", vec![Value::from(one), Value::from(other)])
        .with_in("Sockets", "alpha", last)
        .with_in("EnvironmentVariables", "LISTEN_FDS", "9")
        .with_in("EnvironmentVariables", "LISTEN_PID", "1");
    let supervisor = supervisor.with("a", job).start();
    for (descriptor, place) in (3..).zip(&places) {
        let told = place.connect().rest();
        let pid = told.lines().nth(1).unwrap_or_default();
        assert!(pid.parse::<u32>().is_ok_and(|pid| pid > 1), "{told}");
        let listed = format!("LISTEN_FDNAMES=zeta:zeta:alpha\nLISTEN_FDS=3\nLISTEN_PID={pid}\n");
        assert_eq!(told, format!("{descriptor}\n{pid}\n{listed}"), "{place:?}");
    }
    assert_eq!(standing(&supervisor, "a"), "running, 1 runs");
}

/// A job that starts without a client has its sockets too, and its account of open work comes after them.
#[test]
fn a_job_that_counts_its_work_does_so_behind_its_sockets() {
    let supervisor = Supervisor::new();
    let script = r#"printf %s + >&$WJOB_TRANSACTIONS && echo "<$LISTEN_FDS $WJOB_TRANSACTIONS>""#;
    let job = Job::shell(script).with("EnableTransactions", true).with("RunAtLoad", true);
    let job = ["one", "other"].iter().fold(job, |job, name| {
        let place = Place::named(&supervisor.sandbox, name);
        job.with_in("Sockets", name, place.entry())
    });
    let supervisor = supervisor.with("a", job).start();
    captured(&supervisor, "a", "<2 5>", 1);
}

/// Tells its client whether it would wait for one, and leaves a socket at which nobody waits (O_NONBLOCK).
const LEAVES_FLAGS: &str = r#"
open my $listener, '+<&=', SOCKET or die "descriptor SOCKET: $!";
my ($get, $set, $nonblock) = (3, 4, 2048);
my $flags = fcntl($listener, $get, 0) or die "F_GETFL: $!";
accept my $client, $listener or die "accept: $!";
my $line = <$client>;
syswrite $client, ($flags & $nonblock) ? "does not wait\n" : "waits\n";
fcntl($listener, $set, $flags | $nonblock) or die "F_SETFL: $!";
"#;

#[test]
fn what_a_run_has_made_of_its_socket_is_not_there_for_the_next_one() {
    let listen_fds = perl(&LEAVES_FLAGS.replace("SOCKET", "3"));
    let inetd = perl(&LEAVES_FLAGS.replace("SOCKET", "0")).with_in("inetdCompatibility", "Wait", true);
    for job in [listen_fds, inetd].map(|job| job.with("ThrottleInterval", 0)) {
        for kind in KINDS {
            let (supervisor, place) = serving(kind, job.clone());
            for round in 1..=2 {
                assert_eq!(place.ask("hello"), "waits\n", "round {round}");
                wait_until_it_is(&supervisor, &format!("idle, {round} runs"));
            }
        }
    }
}

/// A component's worker does not wait at a socket.
#[test]
fn a_program_that_takes_the_place_of_a_component_waits_for_its_clients() {
    for kind in KINDS {
        let (supervisor, place) = serving(kind, Job::guest("accepts", &[]).with("ThrottleInterval", 0));
        assert_eq!(place.ask("reason"), format!("{CAUSE}\n"));
        supervisor.job("a", at(&place, answering("answered")));
        supervisor.call("Reload", json!({ "label": "a" })).expect("it is reloaded");
        supervisor.logs(" a: ended: its successor took over");
        for line in ["one", "two"] {
            assert_eq!(place.ask(line), format!("answered {line}\n"));
        }
        assert_eq!(supervisor.state("a"), "running");
        assert!(!supervisor.log().contains(" a: ended: exit"), "{}", supervisor.log());
    }
}

/// Answers each datagram with a word and the datagram.
const RETURNS: &str = r#"
open my $socket, '+<&=', 3 or die "descriptor 3: $!";
while (defined(my $from = recv $socket, my $text, 1500, 0)) {
    send $socket, "answered $text", 0, $from or die "send: $!";
}
die "recv: $!";
"#;

#[test]
fn the_first_datagram_starts_the_job_and_is_still_there_for_it() {
    for (key, word) in [("SockType", "dgram"), ("SockProtocol", "UDP")] {
        let address = free_address();
        let entry = Dictionary::from_iter([
            ("SockNodeName", address.ip().to_string()),
            ("SockServiceName", address.port().to_string()),
            ("SockFamily", "IPv4".into()),
            (key, word.into()),
        ]);
        let supervisor = Supervisor::new().with("a", perl(RETURNS).with_in("Sockets", "time", entry)).start();
        let client = sender();
        for text in ["first", "second"] {
            assert_eq!(ask_by_datagram(&client, address, text), format!("answered {text}"));
        }
        supervisor.logs(&format!(" a: started: {CAUSE}"));
        assert_eq!(standing(&supervisor, "a"), "running, 1 runs");
    }
}

/// Answers each packet with its length and itself.
const PACKETS: &str = r#"
open my $listener, '+<&=', 3 or die "descriptor 3: $!";
while (accept my $client, $listener) {
    while (sysread $client, my $packet, 1500) {
        syswrite $client, length($packet) . " $packet";
    }
    close $client;
}
die "accept: $!";
"#;

#[test]
fn packets_of_a_unix_socket_keep_their_bounds() {
    let supervisor = Supervisor::new();
    let Place::Path(path) = Place::in_a_folder(&supervisor.sandbox) else { panic!("a path was expected") };
    let entry = Dictionary::from_iter([("SockPathName", path.as_str()), ("SockType", "seqpacket")]);
    let supervisor = supervisor.with("a", perl(PACKETS).with_in("Sockets", "packets", entry)).start();
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a socket");
    connect(&socket, &SocketAddrUnix::new(path.as_str()).expect("an address")).expect("a listener");
    let mut client = Client::of(socket);
    // Both are there before anybody reads: as a stream they would be one.
    client.say("one");
    client.say("three");
    assert_eq!((packet(&mut client.0), packet(&mut client.0)), ("3 one".into(), "5 three".into()));
    supervisor.logs(&format!(" a: started: {CAUSE}"));
}

/// The next packet, whole.
#[track_caller]
fn packet(socket: &mut File) -> String {
    let mut packet = [0; 64];
    let length = std::io::Read::read(socket, &mut packet).expect("a packet");
    String::from_utf8_lossy(&packet[..length]).into_owned()
}
