//! inetd's two ways: one server that gets the listening socket as its standard input and output, and a process for each
//! connection, which need not know that there is a network.

use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::process::Signal;

use super::datagram::{datagrams, free_address, sender};
use super::{CAUSE, Client, KINDS, Place, at, bootout, loopback, perl, serving};
use crate::daemon::life::standing;
use crate::harness::{Job, Running, Supervisor, again};

/// Connections of one test, one after the other.
const IN_TURN: usize = 50;
/// Connections that are open at the same time.
const AT_ONCE: usize = 10;

fn inetd(job: Job, wait: bool) -> Job {
    job.with_in("inetdCompatibility", "Wait", wait)
}

/// What comes in goes out.
fn echo() -> Job {
    inetd(Job::new("/bin/cat", &[]), false)
}

/// Waits until a job's log has this in some line.
#[track_caller]
fn wait_for_line(supervisor: &Supervisor, text: &str) {
    let follow = Running::start(supervisor.wjob_command(&["log", "--follow", "a"]));
    follow.wait_for_output(text);
    follow.signal(Signal::INT);
    follow.end();
}

/// Accepts from standard input, answers a line of each client, and complains. Of other sockets it knows nothing.
const ACCEPTS: &str = r#"
die "LISTEN_FDS is there" if defined $ENV{LISTEN_FDS};
while (accept my $client, STDIN) {
    my $line = <$client>;
    warn "complained of $line";
    syswrite $client, "answered $line";
    close $client;
}
die "accept: $!";
"#;

#[test]
fn a_server_that_waits_has_the_listening_socket_as_its_input() {
    for kind in KINDS {
        let (supervisor, place) = serving(kind, inetd(perl(ACCEPTS), true));
        for line in ["one", "two", "three"] {
            assert_eq!(place.ask(line), format!("answered {line}\n"), "and nothing that it complained of");
        }
        wait_for_line(&supervisor, "complained of three");
        supervisor.logs(&format!(" a: started: {CAUSE}"));
        assert_eq!(standing(&supervisor, "a"), "running, 1 runs");
    }
}

/// The usual server of datagrams under inetd: each run takes one, and what comes meanwhile is the next one's.
#[test]
fn a_server_of_one_datagram_is_started_for_each() {
    const ONE: &str = r#"
        defined(my $from = recv STDIN, my $text, 1500, 0) or die "recv: $!";
        send STDOUT, "answered $text", 0, $from or die "send: $!";
    "#;
    let address = free_address();
    let job = inetd(perl(ONE), true).with_in("Sockets", "time", datagrams(address)).with("ThrottleInterval", 0);
    let supervisor = Supervisor::new().with("a", job).start();
    let client = sender();
    let texts = ["one", "two", "three"];
    for text in texts {
        client.send_to(text.as_bytes(), address).expect("it is sent");
    }
    for text in texts {
        let mut answer = [0; 64];
        let length = again(|| client.recv(&mut answer)).expect("an answer");
        assert_eq!(String::from_utf8_lossy(&answer[..length]), format!("answered {text}"));
    }
    supervisor.logs_times(" a: ended: exit 0", texts.len());
    assert_eq!(standing(&supervisor, "a"), format!("idle, {} runs", texts.len()));
}

/// Bytes that are one client's only, and not all of them text.
fn payload(number: usize) -> Vec<u8> {
    let unit = [format!("client {number}").as_bytes(), b"\0\r\n\xff"].concat();
    unit.repeat(500)
}

/// ThrottleInterval, which is 10 s here, is not between connections.
#[test]
fn each_connection_has_a_process_of_its_own_one_after_the_other() {
    for kind in KINDS {
        let (_supervisor, place) = serving(kind, echo());
        for number in 0..IN_TURN {
            let mut client = place.connect();
            client.say(payload(number));
            client.end();
            assert!(client.bytes() == payload(number), "client {number} has other bytes than its own");
        }
    }
}

/// Each is answered while all of them are open, and so is one that says nothing.
#[test]
fn connections_that_are_open_together_are_served_together() {
    for kind in KINDS {
        let (_supervisor, place) = serving(kind, echo());
        let silent = place.connect();
        let mut clients: Vec<Client> = (0..AT_ONCE).map(|_| place.connect()).collect();
        for round in 0..3 {
            for (number, client) in clients.iter_mut().enumerate() {
                client.say(format!("client {number}, round {round}\n"));
            }
            for (number, client) in clients.iter_mut().enumerate() {
                assert_eq!(client.line(), format!("client {number}, round {round}\n"));
            }
        }
        for client in clients.into_iter().chain([silent]) {
            client.end();
            assert_eq!(client.rest(), "");
        }
    }
}

#[test]
fn beyond_the_limit_of_instances_a_connection_waits_for_the_end_of_another() {
    for kind in KINDS {
        let (_supervisor, place) = serving(kind, echo().limit("Instances", 2));
        let mut served = [place.connect(), place.connect()];
        let repeat = |served: &mut [Client; 2]| {
            for client in served {
                client.say("said\n");
                assert_eq!(client.line(), "said\n");
            }
        };
        repeat(&mut served);
        let mut third = place.connect();
        third.say("third\n");
        // So much is done meanwhile that it would have been answered long ago.
        (0..100).for_each(|_| repeat(&mut served));
        assert!(!third.is_answered(), "three are served at once");
        let [first, mut second] = served;
        first.end();
        assert_eq!(first.rest(), "");
        assert_eq!(third.line(), "third\n");
        second.say("still\n");
        assert_eq!(second.line(), "still\n");
    }
}

/// Loopback addresses of both families, as far as this machine has them.
fn addresses() -> Vec<SocketAddr> {
    let free = |listener: TcpListener| listener.local_addr().expect("its address");
    let four = TcpListener::bind((loopback(), 0)).map(free).expect("a free port");
    let six = TcpListener::bind("[::1]:0").map(free);
    if six.is_err() {
        println!("skipped: there is no ::1 here");
    }
    [four].into_iter().chain(six).collect()
}

#[test]
fn a_server_is_told_who_its_client_is_and_complains_to_the_log() {
    for address in addresses() {
        let script = r#"echo "$REMOTE_ADDR $REMOTE_PORT"; echo "complained of $REMOTE_PORT" >&2"#;
        let place = Place::Tcp(address);
        let supervisor = Supervisor::new().with("a", at(&place, inetd(Job::shell(script), false))).start();
        let ports = [(); 2].map(|()| {
            let stream = TcpStream::connect(address).expect("a listener");
            let own = stream.local_addr().expect("its address");
            assert_eq!(Client::of(stream).rest(), format!("{} {}\n", own.ip(), own.port()));
            own.port()
        });
        for (number, port) in (1..).zip(ports) {
            wait_for_line(&supervisor, &format!("connection {number}: complained of {port}"));
        }
    }
}

#[test]
fn connections_end_with_a_job_that_is_taken_out() {
    for kind in KINDS {
        let (supervisor, place) = serving(kind, echo());
        let mut client = place.connect();
        client.say("said\n");
        assert_eq!(client.line(), "said\n");
        bootout(&supervisor);
        assert_eq!(client.rest(), "");
        place.bind().unwrap_or_else(|error| panic!("{place:?} is not free: {error}"));
    }
}
