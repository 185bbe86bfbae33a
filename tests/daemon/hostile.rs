//! Clients of the control socket that send nonsense, too much, half of something or nothing, that do not read, or that
//! are too many: each costs a bounded amount and is told what is wrong, and another client is served all along.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value as Json, json};

use super::caller::{CROWD, CROWDED, Caller, PLAIN, STAYS, answers};
use crate::harness::supervisor::{receive, send};
use crate::harness::{Job, Supervisor, is_root};

/// A call that every client may make.
const LIST: &[u8] = br#"{"method":"io.wjob.List"}"#;
/// The longest call (design: 1 MiB a message).
const MOST: usize = 1 << 20;

/// Calls as one who is there all along, and is answered.
#[track_caller]
fn served(client: &mut UnixStream) {
    send(client, LIST);
    served_at_last(client);
}

/// What was asked before is answered.
#[track_caller]
fn served_at_last(client: &mut UnixStream) {
    let answer = receive(client).expect("an answer");
    assert!(answer["parameters"]["jobs"].is_array(), "{answer}");
}

/// The next answer, which is to be an error: its name and its reason.
#[track_caller]
fn error(client: &mut UnixStream) -> (String, String) {
    let answer = receive(client).expect("an answer");
    let name = answer["error"].as_str().unwrap_or_else(|| panic!("no error: {answer}")).to_owned();
    (name, answer["parameters"]["why"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn nonsense_is_answered_with_what_is_wrong_and_the_client_may_go_on() {
    let supervisor = Supervisor::new().start();
    let (mut other, mut client) = (supervisor.connect(), supervisor.connect());
    let many = format!("{{\"method\":\"io.wjob.List\",\"parameters\":{{\"x\":[{}0]}}}}", "0,".repeat(10_001));
    let deep = "[".repeat(5_000);
    for (message, expected) in [
        (&b""[..], "line 1 column 0"),
        (b"{\"method\" \"io.wjob.List\"}", "expected `:` at line 1 column 11"),
        (b"{\"method\":\"\xff\xfe\"}", "byte 11 is not UTF-8"),
        (b"GET / HTTP/1.1\r\n\r\n", "it is not JSON"),
        (b"[1]", "it is an array; expected an object"),
        (b"{}", "\"method\" is missing"),
        (b"{\"method\":1}", "\"method\" is a number"),
        (b"{\"method\":\"io.wjob.List\",\"more\":\"yes\"}", "\"more\" is a string"),
        (b"{\"method\":\"io.wjob.List\",\"upgrade\":true}", "\"upgrade\" is not offered"),
        (many.as_bytes(), "more than 10000 values"),
        (deep.as_bytes(), "recursion limit"),
    ] {
        send(&mut client, message);
        let (name, why) = error(&mut client);
        assert_eq!(name, "org.varlink.service.InvalidParameter", "{why}");
        assert!(why.contains(expected), "{why:?} lacks {expected:?}");
        served(&mut client);
        served(&mut other);
    }
}

#[test]
fn a_call_of_a_megabyte_is_read_and_a_longer_one_ends_the_client() {
    let supervisor = Supervisor::new().start();
    let mut other = supervisor.connect();
    let (before, after) = ("{\"method\":\"io.wjob.List\",\"parameters\":{\"", "\":null}}");
    for (length, expected) in [(MOST, None), (MOST + 1, Some("longer than 1048576 bytes"))] {
        let mut client = supervisor.connect();
        let call = format!("{before}{}{after}", "x".repeat(length - before.len() - after.len()));
        send(&mut client, call.as_bytes());
        match expected {
            None => served_at_last(&mut client),
            Some(expected) => assert!(error(&mut client).1.contains(expected)),
        }
        served(&mut other);
        assert_eq!(expected.is_some(), is_closed(&mut client), "{length} bytes");
    }
    endless(&supervisor);
    served(&mut other);
}

/// Whether nothing more comes; one that is open is asked, so that something does.
fn is_closed(client: &mut UnixStream) -> bool {
    let _ = client.write_all(LIST).and_then(|()| client.write_all(b"\0"));
    receive(client).is_none()
}

/// Sends without an end until nobody takes it, and finds the reason.
fn endless(supervisor: &Supervisor) {
    let mut client = supervisor.connect();
    let mut writer = client.try_clone().expect("a descriptor");
    let piece = vec![b'x'; MOST];
    let sent = thread::spawn(move || (0..64).all(|_| writer.write_all(&piece).is_ok()));
    assert!(error(&mut client).1.contains("longer than 1048576 bytes"));
    assert!(!sent.join().expect("a thread"), "64 MiB of one call were taken");
}

/// The client waits: five seconds are what the supervisor gives it.
#[test]
fn half_a_call_is_waited_for_and_then_ends_the_client() {
    let supervisor = Supervisor::new().start();
    let (mut other, mut client) = (supervisor.connect(), supervisor.connect());
    served(&mut client);
    client.write_all(b"{\"method\":\"io.wjob").expect("a supervisor that reads");
    served(&mut other);
    let (name, why) = error(&mut client);
    assert_eq!(name, "org.varlink.service.InvalidParameter");
    assert!(why.contains("its end did not come within 5 seconds"), "{why}");
    assert_eq!(receive(&mut client), None);
    served(&mut other);
}

/// A client that has nothing to say may stay, and one that leaves in the middle of a call is no matter.
#[test]
fn silence_and_leaving_are_no_fault() {
    let supervisor = Supervisor::new().start();
    let (mut other, mut silent) = (supervisor.connect(), supervisor.connect());
    for bytes in [&b""[..], b"{\"meth", LIST, b"{}\0{}\0{"] {
        let mut leaves = supervisor.connect();
        leaves.write_all(bytes).expect("a supervisor that reads");
        drop(leaves);
        served(&mut other);
    }
    served(&mut silent);
}

#[test]
fn who_reads_no_answer_is_dropped() {
    let supervisor = Supervisor::new().start();
    let (mut other, mut client) = (supervisor.connect(), supervisor.connect());
    let call = br#"{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"io.wjob"}}"#;
    let calls = [&call[..], b"\0"].concat().repeat(100);
    // The answers fill what the kernel holds for it, then nothing more is taken from it, and then it is sent away.
    while client.write_all(&calls).is_ok() {}
    served(&mut other);
}

#[test]
fn who_watches_and_does_not_read_is_dropped_at_a_megabyte() {
    const JOBS: usize = 500;
    let supervisor = Supervisor::new().start();
    let (mut other, mut watcher) = (supervisor.connect(), supervisor.connect());
    send(&mut watcher, br#"{"method":"io.wjob.Events","more":true}"#);
    served(&mut other);
    // Long paths make long events: all of them together are two megabytes.
    let mut folder = "long".to_owned();
    for _ in 0..15 {
        supervisor.sandbox.make_folder(&folder);
        folder = format!("{folder}/{}", "x".repeat(250));
    }
    supervisor.sandbox.make_folder(&folder);
    for number in 0..JOBS {
        supervisor.file(&format!("{folder}/{number}.plist"), &format!("job-{number}"), Job::shell("exit 0"));
    }
    let loaded = supervisor.call("Bootstrap", json!({ "path": supervisor.sandbox.name(&folder) })).expect("jobs");
    assert_eq!(loaded["loaded"].as_array().map(Vec::len), Some(JOBS));
    let mut events = 0;
    while receive(&mut watcher).is_some() {
        events += 1;
    }
    assert!((1..JOBS).contains(&events), "{events} of {JOBS} events came");
    served(&mut other);
}

/// Something done over and over by another thread, until it is told to stop or cannot go on.
struct Flood {
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Flood {
    fn of(mut deed: impl FnMut() -> bool + Send + 'static) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let told = stopped.clone();
        let thread = thread::spawn(move || while !told.load(Ordering::Relaxed) && deed() {});
        Self { stopped, thread }
    }

    fn stop(self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.join().expect("a thread");
    }
}

#[test]
fn who_calls_without_an_end_keeps_nobody_waiting() {
    let supervisor = Supervisor::new().start();
    let mut other = supervisor.connect();
    let mut client = supervisor.connect();
    let (mut reader, own) = (client.try_clone().expect("a descriptor"), client.try_clone().expect("a descriptor"));
    let calls = [LIST, b"\0"].concat().repeat(1000);
    let reads = Flood::of(move || matches!(reader.read(&mut [0; 1 << 16]), Ok(1..)));
    let writes = Flood::of(move || client.write_all(&calls).is_ok());
    for _ in 0..5 {
        served(&mut other);
    }
    own.shutdown(std::net::Shutdown::Both).expect("a connection");
    writes.stop();
    reads.stop();
    served(&mut other);
}

#[test]
fn who_connects_without_an_end_keeps_nobody_waiting() {
    let supervisor = Supervisor::new().start();
    let mut clients: Vec<UnixStream> = (0..8).map(|_| supervisor.connect()).collect();
    clients.iter_mut().for_each(served);
    let floods = [(), ()].map(|()| {
        let socket = supervisor.socket();
        Flood::of(move || UnixStream::connect(&socket).is_ok())
    });
    for _ in 0..20 {
        served(&mut clients[0]);
    }
    floods.into_iter().for_each(Flood::stop);
    served(&mut clients[0]);
}

#[test]
fn a_user_has_eight_clients_and_the_ninth_is_told_so() {
    let supervisor = Supervisor::new().start();
    let mut clients: Vec<UnixStream> = (0..8).map(|_| supervisor.connect()).collect();
    clients.iter_mut().for_each(served);
    for _ in 0..3 {
        let mut ninth = supervisor.connect();
        let (name, why) = error(&mut ninth);
        assert_eq!(name, "io.wjob.Failed");
        assert!(why.contains("as many connections to the supervisor as one may have"), "{why}");
        assert_eq!(receive(&mut ninth), None);
        clients.iter_mut().for_each(served);
    }
    supervisor.logs_times("warn a client was sent away: this user has as many connections", 3);
    // By whomever it is held: what another test is about to execute has a copy for a moment.
    clients.pop().expect("a client").shutdown(Shutdown::Both).expect("an end");
    // What happened before a call is seen before it.
    served(&mut clients[0]);
    served(&mut supervisor.connect());
}

/// Seven users with eight clients each leave no place for another one's, and root always has its own.
#[test]
fn a_crowd_of_users_leaves_room_for_root() {
    let supervisor = Supervisor::new().start();
    if !is_root() {
        let mut only = supervisor.connect();
        return served(&mut only);
    }
    let caller = Caller::new(&supervisor);
    let call = [json!({ "method": "io.wjob.List" })];
    let mut other = supervisor.connect();
    let crowd: Vec<_> = (0..7).map(|number| caller.start_as(20_001 + number, CROWD, &call)).collect();
    for one in &crowd {
        one.wait_for_complaint(STAYS);
        served(&mut other);
        let answers = answers(&one.complaints());
        let listed = answers.iter().filter(|answer| answer["parameters"]["jobs"].is_array()).count();
        assert_eq!((answers.len(), listed), (CROWDED, CROWDED - 1), "{answers:?}");
    }
    let ran = caller.start_as(20_008, PLAIN, &call).end();
    let refused: Vec<Json> = answers(&ran.exits(0).stderr);
    let why = refused[0]["parameters"]["why"].as_str().unwrap_or_default();
    assert!(why.contains("as many clients as it takes"), "{}", ran.described());
    let mut roots: Vec<UnixStream> = (1..8).map(|_| supervisor.connect()).collect();
    roots.iter_mut().chain([&mut other]).for_each(served);

    supervisor.logs("a client was sent away: the supervisor has as many clients");
    drop(crowd);
    served(&mut other);
    let ran = caller.start_as(20_008, PLAIN, &call).end();
    assert!(answers(&ran.exits(0).stderr)[0]["parameters"]["jobs"].is_array(), "{}", ran.described());
}

/// The smallest number that no descriptor of a process has: as a limit it allows no further one.
fn first_free_descriptor(process: u32) -> u64 {
    (0..).find(|number| !std::path::Path::new(&format!("/proc/{process}/fd/{number}")).exists()).expect("a number")
}

/// Allows a process no more descriptors than it has.
fn limit_descriptors(process: u32) {
    let limit = Some(first_free_descriptor(process));
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    prlimit(process, Resource::Nofile, Rlimit { current: limit, maximum: limit }).expect("a limit");
}

#[test]
fn without_descriptors_it_waits_until_a_client_leaves() {
    let supervisor = Supervisor::new().start();
    // Starting the logger takes descriptors; once it answers, no more of them.
    let mut logger = UnixStream::connect(supervisor.sandbox.path("run/log.sock")).expect("the logger's socket");
    send(&mut logger, br#"{"method":"org.varlink.service.GetInfo"}"#);
    receive(&mut logger).expect("an answer");
    let (mut other, mut leaves) = (supervisor.connect(), supervisor.connect());
    served(&mut other);
    served(&mut leaves);
    limit_descriptors(supervisor.process().pid());
    let mut waits = supervisor.connect();
    send(&mut waits, LIST);
    supervisor.logs("no descriptors are left for another client");
    for _ in 0..20 {
        served(&mut other);
    }
    drop(leaves);
    served_at_last(&mut waits);
    let said = supervisor.log().matches("no descriptors are left").count();
    assert!(said < 10, "it tried {said} times, though nobody had left");
}
