//! `wjob run` with sockets, in the foreground: where it listens is printed, clients are served there, what cannot be
//! listened on is refused with its name, and nothing of it stays. How each way of serving behaves is `daemon::sockets`'s.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use plist::Dictionary;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::process::Signal;

use crate::harness::{Job, Running, Sandbox, again, guest, is_root};

/// Longest wait for an answer; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);
/// What stands before an address.
const LISTENING: &str = ": listening on ";

/// Starts `wjob run` with these words, and tells the addresses that it prints, of which there are so many.
#[track_caller]
pub fn listening(sandbox: &Sandbox, words: &[&str], addresses: usize) -> (Running, Vec<String>) {
    listening_by(sandbox.command("wjob", &[&["run"][..], words].concat()), addresses)
}

/// The same by a command that is there.
#[track_caller]
pub fn listening_by(command: Command, addresses: usize) -> (Running, Vec<String>) {
    let running = Running::start(command);
    running.wait_for_complaint_times(LISTENING, addresses);
    let start = Instant::now();
    loop {
        // What has come ends somewhere, which need not be the end of a line.
        let said = running.complaints();
        let whole = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let found = whole.filter_map(|line| Some(line.split_once(LISTENING)?.1.trim_end().to_owned()));
        let found: Vec<String> = found.collect();
        if found.len() == addresses {
            return (running, found);
        }
        assert!(start.elapsed() < PATIENCE && found.len() < addresses, "{addresses} addresses were expected:\n{said}");
    }
}

/// What is answered at an address, `tcp://…`, `unix://…` or `udp://…`, to a question that is all that is said.
#[track_caller]
pub fn ask(address: &str, question: &str) -> String {
    let (scheme, place) = address.split_once("://").unwrap_or_else(|| panic!("{address} is no address"));
    if scheme == "udp" {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.send_to(question.as_bytes(), place).expect("it is sent");
        let mut answer = [0; 1500];
        let length = again(|| socket.recv(&mut answer)).expect("an answer");
        return String::from_utf8_lossy(&answer[..length]).into_owned();
    }
    let socket = match scheme {
        "tcp" => TcpStream::connect(place).map(OwnedFd::from),
        _ => UnixStream::connect(place).map(OwnedFd::from),
    };
    // Both kinds read, write and end alike, and have their timeouts alike.
    let mut stream = UnixStream::from(socket.unwrap_or_else(|error| panic!("{address}: {error}")));
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(question.as_bytes()).expect("a server that takes it");
    if !question.contains("HTTP/") {
        stream.shutdown(std::net::Shutdown::Write).expect("a connection");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A request after whose answer the server closes.
pub fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[test]
fn a_program_serves_where_it_is_told_and_says_where_that_is() {
    let sandbox = Sandbox::new();
    let unix = format!("unix://{}", sandbox.name("socket"));
    let (echo, handles, answers, accepts) = (guest("echo"), guest("handles"), guest("answers"), guest("accepts"));
    let http = request("/hello");
    for (words, program, label, question, answer) in [
        (&[][..], echo.as_str(), "run.echo", "hello\n", "hello\n"),
        (&[], &handles, "run.handles", "nonsense\n", "unknown\n"),
        (&[], &answers, "run.answers", &http, "hello\n"),
        (&[], &accepts, "run.accepts", "reason\n", "wjob run\n"),
        (&["--inetd"], "/bin/cat", "run.cat", "hello\n", "hello\n"),
    ] {
        let words = [words, &["--listen", "tcp://127.0.0.1:0", "--listen", unix.as_str(), program]].concat();
        let (running, addresses) = listening(&sandbox, &words, 2);
        let [port, path] = &addresses[..] else { panic!("{addresses:?}") };
        assert!(port.starts_with("tcp://127.0.0.1:") && !port.ends_with(":0"), "{program}: {port}");
        assert_eq!(*path, unix, "{program}");
        for address in &addresses {
            let told = ask(address, question);
            assert!(told.ends_with(answer), "{program} at {address}: {told:?}");
        }
        running.signal(Signal::INT);
        running.end().exits(130).complains(format!("wjob: {label}{LISTENING}{port}\n"));
        assert!(!Path::new(&sandbox.name("socket")).exists(), "{program} has left its socket");
    }
}

/// It hears that it is to end, and says so.
#[test]
fn datagrams_are_taken_too() {
    let sandbox = Sandbox::new();
    let (running, addresses) = listening(&sandbox, &["--listen", "udp://127.0.0.1:0", &guest("accepts")], 1);
    assert!(addresses[0].starts_with("udp://127.0.0.1:"), "{addresses:?}");
    assert_eq!(ask(&addresses[0], "hello"), "answered hello");
    running.signal(Signal::TERM);
    running.end().exits(143).complains("terminated\n");
}

/// What wjob says of a connection in the foreground, it says on standard error.
#[test]
fn a_connection_that_comes_to_no_good_end_is_told_of_and_ends_alone() {
    let sandbox = Sandbox::new();
    let (running, addresses) = listening(&sandbox, &["--listen", "tcp://127.0.0.1:0", &guest("handles")], 1);
    assert_eq!(ask(&addresses[0], "trap\n"), "");
    running.wait_for_complaint("wjob: connection 1: trap: ");
    assert_eq!(ask(&addresses[0], "nonsense\n"), "unknown\n");
    running.signal(Signal::INT);
    running.end().exits(130).complains("connection 1: handles traps on purpose\n");
}

#[test]
fn what_is_no_address_is_refused_with_what_was_expected() {
    let sandbox = Sandbox::new();
    let echo = guest("echo");
    for (url, words) in [
        ("127.0.0.1:80", "expected tcp://, udp:// or unix://"),
        ("ftp://127.0.0.1:80", "expected tcp://, udp:// or unix://"),
        ("http://127.0.0.1:80", "expected tcp://, udp:// or unix://"),
        ("tcp://localhost:80", "expected tcp://, udp:// or unix://"),
        ("tcp://127.0.0.1", "expected tcp://, udp:// or unix://"),
        ("tcp://127.0.0.1:*", "expected a port, or 0 for any that is free"),
        ("tcp://127.0.0.1:65536", "65536"),
        ("unix://socket", "expected unix:// and an absolute path"),
    ] {
        let ran = sandbox.wjob(&["run", "--listen", url, &echo]);
        ran.exits(64).complains(format!("wjob: --listen {url}: ")).complains(words).does_not_complain(LISTENING);
    }
    let file = sandbox.job_file(&Job::guest("echo", &[]));
    let ran = sandbox.wjob(&["run", "--listen", "tcp://127.0.0.1:0", &file]);
    ran.exits(64).complains("this is a job file").does_not_complain(LISTENING);
}

#[test]
fn a_place_that_somebody_has_is_named_and_nothing_is_run() {
    let sandbox = Sandbox::new();
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = format!("tcp://{}", other.local_addr().expect("its address"));
    let unix = format!("unix://{}", sandbox.name("socket"));
    let ran = sandbox.wjob(&["run", "--listen", &unix, "--listen", &taken, &guest("echo")]);
    ran.exits(78).complains("run.echo was not run").complains(format!("{taken}: another process has it"));
    ran.does_not_complain(LISTENING);
    assert!(!Path::new(&sandbox.name("socket")).exists(), "of what is refused nothing is left");
    let file = sandbox.write("file", "");
    let ran = sandbox.wjob(&["run", "--listen", &format!("unix://{file}"), &guest("echo")]);
    ran.exits(78).complains(&file).complains("something else is there");
    assert_eq!(fs::read(&file).expect("the file"), b"", "what is there stays");
}

#[test]
fn the_job_file_that_the_options_stand_for_has_the_sockets() {
    let sandbox = Sandbox::new();
    let unix = format!("unix://{}", sandbox.name("socket"));
    let urls = ["--listen", "tcp://127.0.0.1:8080", "--listen", "udp://[::1]:53", "--listen", unix.as_str()];
    for (program, inetd) in [("echo", true), ("accepts", false)] {
        let program = guest(program);
        // Datagrams are nothing that could be handed over as inetd does.
        let urls = if inetd { [&urls[..2], &urls[4..]].concat() } else { urls.to_vec() };
        let ran = sandbox.wjob(&[&["run", "--print-plist"][..], &urls, &[program.as_str()]].concat());
        ran.exits(0).does_not_complain(LISTENING);
        let list = plist::Value::from_reader_xml(&ran.stdout[..]).expect("a property list");
        let list = list.as_dictionary().expect("a dictionary");
        let sockets = list.get("Sockets").and_then(|sockets| sockets.as_dictionary()?.get("Listeners")?.as_array());
        let expected = [
            Dictionary::from_iter([("SockNodeName", "127.0.0.1"), ("SockServiceName", "8080")]),
            Dictionary::from_iter([("SockNodeName", "::1"), ("SockServiceName", "53"), ("SockType", "dgram")]),
            Dictionary::from_iter([("SockPathName", sandbox.name("socket"))]),
        ];
        let kinds = expected.into_iter().filter(|socket| !inetd || !socket.contains_key("SockType"));
        let expected: Vec<plist::Value> = kinds.map(plist::Value::from).collect();
        assert_eq!(sockets, Some(&expected));
        let wait = list.get("inetdCompatibility").and_then(|inetd| inetd.as_dictionary()?.get("Wait")?.as_boolean());
        assert_eq!(wait, inetd.then_some(false), "{program}");
        sandbox.write("printed.plist", &ran.stdout);
        sandbox.wjob(&["check", "printed.plist"]).exits(0);
    }
}

/// A job that has a connection instead of a listener, in the foreground.
#[test]
fn a_connection_is_made_for_who_can_use_it_where_somebody_answers() {
    let sandbox = Sandbox::new();
    let path = sandbox.name("socket");
    let connected = |guest: &str| {
        let mut entry = Dictionary::from_iter([("SockPathName", path.as_str())]);
        entry.insert("SockPassive".into(), false.into());
        Job::guest(guest, &[]).with_in("Sockets", "other", entry)
    };
    // Root connects to a path for its own jobs only, and they say that they are.
    let job = |guest: &str| {
        let job = connected(guest);
        sandbox.job_file(&if is_root() { job.with("UserName", "root") } else { job })
    };
    if is_root() {
        let nobodys = sandbox.job_file(&connected("accepts"));
        sandbox.wjob(&["check", &nobodys]).exits(65).says("error[connected-as-root]").says("Grants.Connect");
        sandbox.wjob(&["run", &nobodys]).exits(65).complains("would be connected to by root");
    }
    let words = "the job has Sockets, but nobody would accept: the socket other is a connection";
    sandbox.wjob(&["check", &job("handles")]).exits(65).says(format!("error[nobody-accepts]: {words}"));
    let file = job("accepts");
    sandbox.wjob(&["check", &file]).exits(0);
    sandbox.wjob(&["run", &file]).exits(78).complains(format!("unix://{path}: not connected: "));
    let server = UnixListener::bind(&path).expect("a listener");
    set_socket_timeout(&server, Timeout::Recv, Some(PATIENCE)).expect("a timeout");
    let running = Running::start(sandbox.command("wjob", &["run", &file]));
    let (mut client, _) = server.accept().expect("a connection");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.write_all(b"reason\n").expect("a job that takes it");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "wjob run\n");
    running.signal(Signal::INT);
    running.end().exits(130).complains(format!(": connected to unix://{path}\n"));
}

/// A command of which nobody has said that connections are its input and output.
#[test]
fn a_component_that_could_never_accept_is_found_before_it_is_run_and_refused_when_it_is() {
    let sandbox = Sandbox::new();
    let entry = Dictionary::from_iter([("SockPathName", sandbox.name("socket"))]);
    let words = "the job has Sockets, but nobody would accept: the component exports no handler";
    for guest in ["probe-exit", "probe_run3"] {
        let job = Job::guest(guest, &["0"]).with_in("Sockets", "listener", entry.clone());
        let file = sandbox.job_file(&job);
        sandbox.wjob(&["check", &file]).exits(65).says(format!("error[nobody-accepts]: {words}"));
        sandbox.wjob(&["run", &file]).exits(78).complains(words).complains("add inetdCompatibility");
        assert!(!Path::new(&sandbox.name("socket")).exists(), "of what is refused nothing is left");
        sandbox.wjob(&["check", &sandbox.job_file(&job.with_in("inetdCompatibility", "Wait", false))]).exits(0);
    }
}

/// Of a type that whoever accepts for the component does not take: what comes there would wait for ever.
#[test]
fn a_socket_that_nobody_would_read_is_found_before_it_is_run_and_refused_when_it_is() {
    let sandbox = Sandbox::new();
    for (guest, kind, words) in [
        ("handles", "dgram", "the socket odd takes datagrams"),
        ("answers", "dgram", "the socket odd takes datagrams"),
        ("handles", "seqpacket", "the socket odd takes packets"),
        ("accepts", "seqpacket", "the socket odd takes packets"),
    ] {
        let entry = |name: &str, kind: &str| {
            Dictionary::from_iter([("SockPathName", sandbox.name(name)), ("SockType", kind.to_owned())])
        };
        let job = Job::guest(guest, &[]).with_in("Sockets", "even", entry("even", "stream"));
        let file = sandbox.job_file(&job.with_in("Sockets", "odd", entry("odd", kind)));
        let words = format!("the job has Sockets, but nobody would accept: {words}");
        sandbox.wjob(&["check", &file]).exits(65).says(format!("error[nobody-accepts]: {words}"));
        sandbox.wjob(&["run", &file]).exits(78).complains(words).complains("the type stream");
        for name in ["even", "odd"] {
            assert!(!Path::new(&sandbox.name(name)).exists(), "of what is refused nothing is left");
        }
    }
}
