//! Sockets that are connected to somebody else's (SockPassive false): what comes starts the job, which answers on the
//! connection; what was closed or refused is made anew, and nobody minds a supervisor that is replaced meanwhile.

use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};

use plist::Dictionary;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen,
    recvfrom, sendto, socket_with,
};
use serde_json::json;

use super::datagram::{datagrams, free_address};
use super::{Client, KINDS, PATIENCE, Place, bootout, connected, connected_to, perl, wait_until_it_is};
use crate::daemon::life::standing;
use crate::daemon::output::captured;
use crate::harness::{Job, Sandbox, Supervisor, again, is_root};

/// What a start by a connection is called.
const CAUSE: &str = "Sockets: something has come by its connection";

/// Whoever the jobs are connected to. Each of his waits has a bound.
struct Server(OwnedFd);

impl Server {
    #[track_caller]
    fn at(place: &Place) -> Self {
        let socket = place.bind().expect("a free place");
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).expect("a timeout");
        Self(socket)
    }

    /// The next who connects.
    #[track_caller]
    fn next(&self) -> Client {
        Client::of(again(|| Ok(accept(&self.0)?)).expect("a connection"))
    }
}

/// Answers each line with the names of its sockets and the line, until `end` or the end.
const ANSWERS: &str = r#"
$SIG{PIPE} = 'IGNORE';
open my $socket, '+<&=', 3 or die "descriptor 3: $!";
while (defined(my $line = <$socket>)) {
    syswrite $socket, "$ENV{LISTEN_FDS} $ENV{LISTEN_FDNAMES} $line";
    exit 0 if $line eq "end\n";
}
"#;

/// A job, what it is asked, and what it answers.
struct Row {
    job: Job,
    question: &'static str,
    answer: String,
}

/// A native program, and a component that checks in.
fn rows() -> [Row; 2] {
    let native = Row { job: perl(ANSWERS), question: "hello\n", answer: "1 other hello\n".into() };
    let accepts = Job::guest("accepts", &[]).with("TimeOut", 1);
    [native, Row { job: accepts, question: "reason\n", answer: format!("{CAUSE}\n") }]
        .map(|row| Row { job: row.job.with("ThrottleInterval", 0), ..row })
}

/// A supervisor that has the job `a`, which is connected to this place.
fn supervisor(kind: fn(&Sandbox) -> Place, job: Job) -> (Supervisor, Place) {
    let supervisor = Supervisor::new();
    let place = kind(&supervisor.sandbox);
    (supervisor.with("a", connected_to(&place, job)), place)
}

impl Row {
    /// Asks, and takes the answer.
    #[track_caller]
    fn ask(&self, client: &mut Client) {
        client.say(self.question);
        assert_eq!(client.line(), self.answer);
    }
}

#[test]
fn what_comes_by_a_connection_starts_the_job_and_is_answered_on_it() {
    for kind in KINDS {
        for row in rows() {
            let (supervisor, place) = supervisor(kind, row.job.clone());
            let server = Server::at(&place);
            let supervisor = supervisor.start();
            let mut client = server.next();
            assert_eq!(standing(&supervisor, "a"), "idle, 0 runs");
            supervisor.wjob(&["print", "a"]).exits(0).says("waits for its connection (Sockets)");
            row.ask(&mut client);
            supervisor.logs(&format!(" a: started: {CAUSE}\n"));
            supervisor.wjob(&["print", "a"]).exits(0).says(format!("{}, connected\n", place.in_words()));
            assert_eq!(supervisor.row("a")["runs"], 1);
            drop(client);
            row.ask(&mut server.next());
            supervisor.logs_times(&format!(" a: started: {CAUSE}\n"), 2);
            bootout(&supervisor);
        }
    }
}

#[test]
fn who_is_not_there_at_load_is_connected_to_when_he_comes() {
    for kind in KINDS {
        for row in rows() {
            let (supervisor, place) = supervisor(kind, row.job.clone());
            let supervisor = supervisor.start();
            supervisor.logs(" is not connected: ");
            supervisor.wjob(&["print", "a"]).exits(0).says("idle").says(", not connected: ");
            let server = Server::at(&place);
            let mut client = server.next();
            supervisor.logs(" a: its connection is there\n");
            row.ask(&mut client);
            assert_eq!(standing(&supervisor, "a"), "running, 1 runs");
            assert_eq!(supervisor.log().matches(" is not connected: ").count(), 1, "{}", supervisor.log());
        }
    }
}

/// Whoever answers would see root, and the mode of his socket would keep nobody out.
#[test]
fn a_supervisor_connects_to_a_path_for_its_own_user_only() {
    let supervisor = Supervisor::new();
    let path = Place::named(&supervisor.sandbox, "socket");
    let server = Server::at(&path);
    let supervisor = supervisor.start();
    for row in rows() {
        let job = row.job.with_in("Sockets", "other", connected(path.entry()));
        // Without a name it is a user of its own, or nobody yet.
        let named = supervisor.file("named.plist", "a", job.clone());
        for file in [named, supervisor.file_as_it_is("nameless.plist", "a", job)] {
            let loaded = supervisor.call("Bootstrap", json!({ "path": file }));
            if is_root() {
                let (error, about) = loaded.expect_err("a job that is not root's");
                assert_eq!(error, "io.wjob.BadJobFile", "{about}");
                assert!(about.to_string().contains("would be connected to by root"), "{about}");
            } else {
                loaded.expect("a job of its own user");
                let _client = server.next();
                bootout(&supervisor);
            }
        }
    }
}

#[test]
fn a_connection_that_is_open_after_a_run_is_the_next_ones() {
    for kind in KINDS {
        let (supervisor, place) = supervisor(kind, perl(ANSWERS).with("ThrottleInterval", 0));
        let server = Server::at(&place);
        let supervisor = supervisor.start();
        let mut client = server.next();
        for round in 1..=2 {
            client.say("end\n");
            assert_eq!(client.line(), "1 other end\n");
            supervisor.logs_times(" a: ended: exit 0\n", round);
            wait_until_it_is(&supervisor, &format!("idle, {round} runs"));
        }
    }
}

#[test]
fn a_supervisor_that_is_replaced_goes_on_with_its_connections() {
    for kind in KINDS {
        let [row, _] = rows();
        let (supervisor, place) = supervisor(kind, row.job.clone());
        let server = Server::at(&place);
        let supervisor = supervisor.start();
        let mut client = server.next();
        supervisor.wjob(&["upgrade"]).exits(0);
        row.ask(&mut client);
        drop((server, client));
        supervisor.logs(" is not connected: ");
        supervisor.wjob(&["upgrade"]).exits(0);
        if let Place::Path(path) = &place {
            std::fs::remove_file(path).expect("the socket of before");
        }
        row.ask(&mut Server::at(&place).next());
    }
}

/// A server of datagrams learns from the first one who is there.
const ASKS: &str = r#"
open my $socket, '+<&=', 3 or die "descriptor 3: $!";
if (defined(recv($socket, my $text, 1500, 64))) {
    print "got $text\n";
} else {
    defined(send($socket, 'here', 0)) or die "send: $!";
}
"#;

#[test]
fn a_datagram_from_whom_it_is_connected_to_starts_the_job() {
    let address = free_address();
    let server = UdpSocket::bind(address).expect("a free port");
    server.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let job = perl(ASKS).with("RunAtLoad", true).with("ThrottleInterval", 0);
    let job = job.with_in("Sockets", "other", connected(datagrams(address)));
    let supervisor = Supervisor::new().with("a", job).start();
    let mut here = [0; 16];
    let (length, from) = again(|| server.recv_from(&mut here)).expect("a datagram");
    assert_eq!(&here[..length], b"here");
    wait_until_it_is(&supervisor, "idle, 1 runs");
    server.send_to(b"news", from).expect("it is sent");
    captured(&supervisor, "a", "got news", 1);
    supervisor.logs(&format!(" a: started: {CAUSE}\n"));
}

/// A job that is connected to this path by packets of this type.
fn by_packets(supervisor: Supervisor, path: &str, kind: &str) -> Supervisor {
    let entry = Dictionary::from_iter([("SockPathName", path), ("SockType", kind)]);
    let job = perl(ASKS).with("RunAtLoad", true).with("ThrottleInterval", 0);
    let job = if is_root() { job.with("UserName", "root") } else { job };
    supervisor.with("a", job.with_in("Sockets", "other", connected(entry))).start()
}

/// What came starts the job, and is its own to read.
fn is_heard(supervisor: &Supervisor) {
    captured(supervisor, "a", "got news", 1);
    supervisor.logs(&format!(" a: started: {CAUSE}\n"));
}

#[test]
fn a_datagram_of_a_unix_socket_does_as_well() {
    let supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("sockets");
    let path = supervisor.sandbox.name("sockets/packets");
    let server = UnixDatagram::bind(&path).expect("a free place");
    server.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let supervisor = by_packets(supervisor, &path, "dgram");
    let mut here = [0; 16];
    let (length, from) = again(|| server.recv_from(&mut here)).expect("a datagram");
    assert_eq!(&here[..length], b"here");
    wait_until_it_is(&supervisor, "idle, 1 runs");
    server.send_to_addr(b"news", &from).expect("it is sent");
    is_heard(&supervisor);
}

/// The next datagram, and where it came from.
#[track_caller]
fn datagram(server: &OwnedFd) -> (String, SocketAddrAny) {
    let mut text = [0_u8; 64];
    let (length, _, from) =
        again(|| Ok(recvfrom(server, text.as_mut_slice(), RecvFlags::empty())?)).expect("a datagram");
    (String::from_utf8_lossy(&text[..length]).into_owned(), from.expect("a sender with a name"))
}

/// Each run of a component says that it is there, by which the server learns where that is.
#[track_caller]
fn has_a_component_answer(supervisor: Supervisor, server: OwnedFd, entry: Dictionary) {
    set_socket_timeout(&server, Timeout::Recv, Some(PATIENCE)).expect("a timeout");
    let job = Job::guest("accepts", &["greet"]).with("RunAtLoad", true).with("TimeOut", 1);
    let job = if is_root() { job.with("UserName", "root") } else { job };
    let job = job.with("ThrottleInterval", 0).with_in("Sockets", "other", connected(entry));
    let supervisor = supervisor.with("a", job).start();
    let (here, job) = datagram(&server);
    assert_eq!(here, "here");
    wait_until_it_is(&supervisor, "idle, 1 runs");
    sendto(&server, b"news", SendFlags::empty(), &job).expect("it is sent");
    supervisor.logs(&format!(" a: started: {CAUSE}\n"));
    for expected in ["here", "answered news"] {
        assert_eq!(datagram(&server), (expected.to_owned(), job.clone()));
    }
}

#[test]
fn a_component_is_started_by_a_datagram_from_whom_it_is_connected_to_and_answers_it() {
    let address = free_address();
    let server = UdpSocket::bind(address).expect("a free port");
    has_a_component_answer(Supervisor::new(), server.into(), datagrams(address));
    let supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("sockets");
    let path = supervisor.sandbox.name("sockets/datagrams");
    let server = UnixDatagram::bind(&path).expect("a free place");
    let entry = Dictionary::from_iter([("SockPathName", path.as_str()), ("SockType", "dgram")]);
    has_a_component_answer(supervisor, server.into(), entry);
}

#[test]
fn a_packet_of_a_connection_does_as_well() {
    let supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("sockets");
    let path = supervisor.sandbox.name("sockets/packets");
    let server = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a socket");
    bind(&server, &SocketAddrUnix::new(path.as_str()).expect("an address")).expect("a free place");
    listen(&server, 1).expect("a listener");
    set_socket_timeout(&server, Timeout::Recv, Some(PATIENCE)).expect("a timeout");
    let supervisor = by_packets(supervisor, &path, "seqpacket");
    // Reading and writing are the same for packets.
    let mut client = UnixStream::from(accept(&server).expect("a connection"));
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut here = [0; 16];
    let length = client.read(&mut here).expect("a packet");
    assert_eq!(&here[..length], b"here");
    wait_until_it_is(&supervisor, "idle, 1 runs");
    client.write_all(b"news").expect("it is sent");
    is_heard(&supervisor);
}
