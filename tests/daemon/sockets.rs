//! Sockets of native jobs, with real clients: the first one starts the job, those that come meanwhile wait, and none is
//! lost when its server ends, fails or is replaced. How sockets are handed over, where they are and inetd's ways are in
//! the files beside, and so are servers that others wrote.

mod datagram;
mod debian;
mod families;
mod handed;
mod inetd;
mod passive;
mod places;
mod serving;
mod shut_down;
mod unconnected;

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use plist::Dictionary;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{Shutdown, shutdown};
use serde_json::json;

use super::life::{open_folder, standing, why};
use crate::harness::{Job, Sandbox, Supervisor, is_root};

/// Longest wait for an answer; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);
/// Clients that wait together.
const CLIENTS: usize = 20;
/// What a start by a socket is called.
const CAUSE: &str = "Sockets: a client is there";

/// A loopback address that no other test of this process has, nor a test of another process of this time: every port
/// of it is free that nobody has on all addresses.
fn loopback() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 + NEXT.fetch_add(1, Ordering::Relaxed) % 64, high, low)
}

/// Where a socket of streams is.
#[derive(Debug)]
pub(super) enum Place {
    /// In a folder of the test's own.
    Path(String),
    /// On the loopback.
    Tcp(SocketAddr),
}

/// A free place of each kind.
pub(super) const KINDS: [fn(&Sandbox) -> Place; 2] = [Place::in_a_folder, Place::on_the_loopback];

impl Place {
    fn in_a_folder(sandbox: &Sandbox) -> Self {
        Self::named(sandbox, "socket")
    }

    pub(super) fn named(sandbox: &Sandbox, name: &str) -> Self {
        sandbox.make_folder("sockets");
        Self::Path(sandbox.name(&format!("sockets/{name}")))
    }

    fn on_the_loopback(_: &Sandbox) -> Self {
        let listener = TcpListener::bind((loopback(), 0)).expect("a free port");
        Self::Tcp(listener.local_addr().expect("its address"))
    }

    /// As wjob writes it.
    fn in_words(&self) -> String {
        match self {
            Self::Path(path) => path.clone(),
            Self::Tcp(address) => format!("tcp://{address}"),
        }
    }

    /// Its entry in `Sockets`.
    fn entry(&self) -> Dictionary {
        match self {
            Self::Path(path) => Dictionary::from_iter([("SockPathName", path.as_str())]),
            Self::Tcp(address) => Dictionary::from_iter([
                ("SockNodeName", address.ip().to_string()),
                ("SockServiceName", address.port().to_string()),
            ]),
        }
    }

    /// Binds it, as anybody else would.
    fn bind(&self) -> std::io::Result<OwnedFd> {
        match self {
            Self::Path(path) => UnixListener::bind(path).map(OwnedFd::from),
            Self::Tcp(address) => TcpListener::bind(address).map(OwnedFd::from),
        }
    }

    #[track_caller]
    pub(super) fn connect(&self) -> Client {
        let socket = match self {
            Self::Path(path) => UnixStream::connect(path).map(OwnedFd::from),
            Self::Tcp(address) => TcpStream::connect(address).map(OwnedFd::from),
        };
        Client::of(socket.unwrap_or_else(|error| panic!("{self:?}: {error}")))
    }

    /// What a server answers to a line before it closes.
    #[track_caller]
    fn ask(&self, line: &str) -> String {
        let mut client = self.connect();
        client.say(format!("{line}\n"));
        client.rest()
    }
}

/// A client's end of a connection. Each of its waits has a bound.
pub(super) struct Client(File);

impl Client {
    fn of(socket: impl Into<OwnedFd>) -> Self {
        let socket = socket.into();
        for timeout in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&socket, timeout, Some(PATIENCE)).expect("a timeout");
        }
        Self(File::from(socket))
    }

    #[track_caller]
    pub(super) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("a server that takes it");
    }

    /// Says that this was all.
    #[track_caller]
    pub(super) fn end(&self) {
        shutdown(&self.0, Shutdown::Write).expect("a connection");
    }

    /// Whether there is an answer at this moment.
    fn is_answered(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&now)).expect("a socket") > 0
    }

    /// The next line, with its end.
    #[track_caller]
    pub(super) fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            let came = self.0.read_exact(&mut byte);
            came.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&line)));
            line.push(byte[0]);
        }
        String::from_utf8(line).expect("text")
    }

    /// All that comes until the server closes.
    #[track_caller]
    fn bytes(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let came = self.0.read_to_end(&mut bytes);
        came.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&bytes)));
        bytes
    }

    /// The same as text.
    #[track_caller]
    pub(super) fn rest(self) -> String {
        String::from_utf8(self.bytes()).expect("text")
    }
}

/// A job of a program in Perl, as much of it as perl-base has.
#[track_caller]
fn perl(program: &str) -> Job {
    Job::new(crate::harness::perl(), &["-we", program])
}

/// Answers a line of each client with a word and the line, one client after the other.
const ANSWERS: &str = r#"
$SIG{PIPE} = 'IGNORE';
open my $listener, '+<&=', 3 or die "descriptor 3: $!";
while (accept my $client, $listener) {
    my $line = <$client>;
    syswrite $client, "WORD $line" if defined $line;
    close $client;
}
die "accept: $!";
"#;

/// A job of that, with this word.
#[track_caller]
pub(super) fn answering(word: &str) -> Job {
    perl(&ANSWERS.replace("WORD", word))
}

/// A job with one socket.
pub(super) fn at(place: &Place, job: Job) -> Job {
    job.with_in("Sockets", "listener", place.entry())
}

/// An entry of `Sockets` that is to be connected.
fn connected(mut entry: Dictionary) -> Dictionary {
    entry.insert("SockPassive".into(), false.into());
    entry
}

/// A job that is connected to this place. Root connects to a path for its own jobs only.
fn connected_to(place: &Place, job: Job) -> Job {
    let job = match place {
        Place::Path(_) if is_root() => job.with("UserName", "root"),
        _ => job,
    };
    job.with_in("Sockets", "other", connected(place.entry()))
}

/// A supervisor with the job `a`, which has one socket of this kind.
#[track_caller]
fn serving(kind: fn(&Sandbox) -> Place, job: Job) -> (Supervisor, Place) {
    let supervisor = Supervisor::new();
    let place = kind(&supervisor.sandbox);
    (supervisor.with("a", at(&place, job)).start(), place)
}

#[track_caller]
fn kickstart(supervisor: &Supervisor) {
    supervisor.call("Kickstart", json!({ "label": "a", "kill": false })).expect("it is started");
}

#[track_caller]
fn bootout(supervisor: &Supervisor) {
    supervisor.call("Bootout", json!({ "label": "a", "wait": true })).expect("it is taken out");
}

/// Asks until a job stands so. Nothing tells of that moment, and each question lets the supervisor go on.
#[track_caller]
fn wait_until_it_is(supervisor: &Supervisor, expected: &str) {
    let start = Instant::now();
    loop {
        let found = standing(supervisor, "a");
        if found == expected {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "it is {found}, not {expected}; there is\n{}", supervisor.log());
    }
}

#[test]
fn a_client_that_comes_first_starts_the_job_and_is_served() {
    for kind in KINDS {
        let (supervisor, place) = serving(kind, answering("answered"));
        assert_eq!(standing(&supervisor, "a"), "idle, 0 runs");
        assert_eq!(why(&supervisor, "a"), "waits for a client (Sockets)");
        supervisor.wjob(&["print", "a"]).exits(0).says("idle").says("waits for a client (Sockets)");
        assert_eq!(place.ask("hello"), "answered hello\n");
        supervisor.logs(&format!(" a: started: {CAUSE}\n"));
        supervisor.wjob(&["print", "a"]).exits(0).says("running").says(CAUSE);
        supervisor.wjob(&["blame", "a"]).exits(0).says_only(format!("{CAUSE}\n"));
        assert_eq!(place.ask("again"), "answered again\n");
        assert_eq!(standing(&supervisor, "a"), "running, 1 runs");
    }
}

#[test]
fn clients_that_came_before_anybody_served_are_all_served() {
    for kind in KINDS {
        let supervisor = Supervisor::new();
        let place = kind(&supervisor.sandbox);
        let data = open_folder(&supervisor.sandbox, "data");
        let fifo = supervisor.sandbox.make_fifo("data/go");
        fs::set_permissions(&fifo, Permissions::from_mode(0o666)).expect("a mode");
        // Open for both, so that neither side waits for the other to open it.
        let mut go = File::options().read(true).write(true).open(&fifo).expect("a FIFO");
        let late = format!("open my $go, '<', '/data/go' or die \"go: $!\"; my $said = <$go>; {ANSWERS}");
        let job = perl(&late.replace("WORD", "answered")).path(&data, "/data", "ReadWrite");
        let supervisor = supervisor.with("a", at(&place, job)).start();
        let waiting = |number: usize| {
            let mut client = place.connect();
            client.say(format!("{number}\n"));
            client
        };
        let clients: Vec<Client> = (0..CLIENTS).map(waiting).collect();
        supervisor.logs(&format!(" a: started: {CAUSE}"));
        assert!(!clients.iter().any(Client::is_answered), "nobody serves yet");
        go.write_all(b"go\n").expect("it is let go");
        for (number, client) in clients.into_iter().enumerate() {
            assert_eq!(client.rest(), format!("answered {number}\n"));
        }
        assert_eq!(standing(&supervisor, "a"), "running, 1 runs");
    }
}

/// Nobody serves while a throttle holds the job back, so what is kept is kept by the supervisor.
#[test]
fn a_reload_keeps_the_socket_and_whoever_waits_at_it() {
    for kind in KINDS {
        let (supervisor, place) = serving(kind, Job::shell("exit 1").with("ThrottleInterval", 3000));
        let reload = |word: &str| {
            supervisor.job("a", at(&place, answering(word)));
            supervisor.call("Reload", json!({ "label": "a" })).expect("it is reloaded");
        };
        let mut early = place.connect();
        early.say("early\n");
        wait_until_it_is(&supervisor, "waiting, 1 runs");
        reload("first");
        assert_eq!(early.rest(), "first early\n");
        // One that serves ends when the next one does: what it had accepted is its own to lose.
        reload("second");
        supervisor.logs(" a: ended: its successor took over");
        assert_eq!(place.ask("late"), "second late\n");
    }
}

/// An operator is not held back, so that nothing here has to wait for a throttle.
#[test]
fn a_job_that_fails_at_its_client_is_held_back_and_the_client_waits_for_a_better_one() {
    for kind in KINDS {
        let supervisor = Supervisor::new();
        supervisor.sandbox.make_folder("");
        let place = kind(&supervisor.sandbox);
        let program = supervisor.sandbox.write_program("server", "#!/bin/sh\nexit 1\n");
        let job = at(&place, Job::new(&program, &[])).with("ThrottleInterval", 3000);
        let supervisor = supervisor.with("a", job).start();
        let waiting = |line: &str| {
            let mut client = place.connect();
            client.say(line);
            client
        };
        let first = waiting("first\n");
        wait_until_it_is(&supervisor, "waiting, 1 runs");
        let print = supervisor.wjob(&["print", "a"]);
        print.exits(0).says(format!("ThrottleInterval; wanted by {CAUSE}")).says("exit 1").says("next start");
        let second = waiting("second\n");
        kickstart(&supervisor);
        supervisor.logs_times(" a: ended: exit 1", 2);
        wait_until_it_is(&supervisor, "waiting, 2 runs");
        assert_eq!(why(&supervisor, "a"), format!("it failed several times in a row; wanted by {CAUSE}"));
        assert!(!first.is_answered() && !second.is_answered(), "their connections stand");
        let better = format!("#!{} -w\n{}", crate::harness::perl(), ANSWERS.replace("WORD", "answered"));
        // In one step, so that it is never there half.
        let better = supervisor.sandbox.write_program("better", better);
        fs::rename(better, program).expect("a program in its place");
        kickstart(&supervisor);
        assert_eq!((first.rest(), second.rest()), ("answered first\n".into(), "answered second\n".into()));
        assert_eq!(place.ask("third"), "answered third\n");
        assert_eq!(standing(&supervisor, "a"), "running, 3 runs");
    }
}

/// Counts each client as a piece of work.
const COUNTS: &str = r#"
open my $work, '>&=', $ENV{WJOB_TRANSACTIONS} or die "transactions: $!";
open my $listener, '+<&=', 3 or die "descriptor 3: $!";
while (accept my $client, $listener) {
    syswrite $work, '+';
    my $line = <$client>;
    syswrite $client, "answered $line";
    close $client;
    syswrite $work, '-';
}
die "accept: $!";
"#;

/// Its usual ThrottleInterval of 10 s does not count after such an end.
#[test]
fn a_job_that_had_no_client_for_a_while_is_ended_and_started_by_the_next_one() {
    for kind in KINDS {
        let (supervisor, place) = serving(kind, perl(COUNTS).with("EnableTransactions", true).with("TimeOut", 1));
        for number in 1..=2 {
            assert_eq!(place.ask("hello"), "answered hello\n");
            supervisor.logs_times(&format!(" a: started: {CAUSE}"), number);
            supervisor.logs_times(" a: ended: stopped\n", number);
            wait_until_it_is(&supervisor, &format!("idle, {number} runs"));
        }
    }
}
