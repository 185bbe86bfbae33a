//! Connect to Unix sockets (`unix://`), granted and denied, of components and of native programs: what is granted is
//! reached where it is, nothing else is, and what cannot be granted is refused by name. The walls themselves are tried by
//! the sandbox's own tests; other destinations are in `network`.

use std::io::{BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::thread;

use plist::Dictionary;

use crate::harness::supervisor::Ear;
use crate::harness::{Job, Running, Sandbox, Supervisor};

/// Servers of the test's own, which serve until its process ends.
struct World {
    sandbox: Sandbox,
    granted: String,
    other: String,
    /// The name of one that has no path.
    unplaced: String,
}

impl World {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.make_folder("sockets");
        let (granted, other) = (sandbox.name("sockets/granted"), sandbox.name("sockets/other"));
        for path in [&granted, &other] {
            serve(UnixListener::bind(path).expect("a socket"));
        }
        let unplaced = granted.clone();
        let address = SocketAddr::from_abstract_name(&unplaced).expect("an abstract name");
        serve(UnixListener::bind_addr(&address).expect("an abstract socket"));
        Self { sandbox, granted, other, unplaced }
    }
}

fn serve(listener: UnixListener) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that leaves early is no fault of the server.
            thread::spawn(move || answer(stream));
        }
    });
}

fn answer(mut stream: UnixStream) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut line)?;
    stream.write_all(format!("answered {line}").as_bytes())
}

fn url(path: &str) -> String {
    format!("unix://{path}")
}

/// A component that asks at a path.
fn asks(path: &str) -> Job {
    Job::guest("asks", &[path, "hello"])
}

#[test]
fn a_component_reaches_the_granted_socket_and_knows_who_answers() {
    let world = World::new();
    let who = format!("process {} of user {}", std::process::id(), rustix::process::geteuid().as_raw());
    let expected = format!("reached {who} as connection 0\nanswered hello\n");
    let job = asks(&world.granted).grant("Connect", url(&world.granted));
    world.sandbox.run(&job).exits(0).says_only(&expected);
    let more = job.grant("Connect", url(&world.other)).grant("Connect", "tcp://127.0.0.1:9");
    world.sandbox.run(&more).exits(0).says_only(&expected);
    let (connect, program) = (url(&world.granted), crate::harness::guest("asks"));
    world
        .sandbox
        .wjob(&["run", "--connect", &connect, &program, &world.granted, "hello"])
        .exits(0)
        .says_only(&expected);
}

#[test]
fn a_component_reaches_no_other_socket_and_is_told_what_would_grant_it() {
    let world = World::new();
    for job in [asks(&world.other), asks(&world.other).grant("Connect", url(&world.granted))] {
        let ran = world.sandbox.run_with(&["--explain"], &job, &[]);
        ran.exits(1).says_only("").complains("error: no grant of the job allows it");
        ran.complains(format!("denied: connecting to {}: not granted", url(&world.other)));
        ran.complains("<key>Connect</key>").complains(format!("<string>{}</string>", url(&world.other)));
    }
    // A granted folder shows its sockets and opens none.
    let folder = asks(&world.granted).path(&world.sandbox.name("sockets"), "/sockets", "ReadWrite");
    world.sandbox.run(&folder).exits(1).complains("no grant of the job allows it");
}

#[test]
fn a_socket_that_nobody_answers_is_said_to_be_that() {
    let sandbox = Sandbox::new();
    let path = sandbox.name("dead");
    drop(UnixListener::bind(&path).expect("a socket"));
    sandbox.run(&asks(&path).grant("Connect", url(&path))).exits(1).complains("error: nobody answers there");
}

#[test]
fn what_is_no_socket_or_not_there_keeps_the_job_from_starting() {
    let sandbox = Sandbox::new();
    let (file, missing) = (sandbox.write("file", ""), sandbox.name("missing"));
    for (path, words) in [(file.as_str(), "expected a socket, found a file"), (&missing, "No such file")] {
        for job in [asks(path), Job::shell("true")] {
            sandbox.run(&job.grant("Connect", url(path))).exits(78).complains(path).complains(words);
        }
    }
}

/// Connects to its first argument, in which `@` begins an abstract name, and prints what is answered.
const CLIENT: &str = r#"
use Socket;
my $name = $ARGV[0];
$name =~ s/^\@/\0/;
socket my $socket, PF_UNIX, SOCK_STREAM, 0 or die "socket: $!\n";
connect $socket, sockaddr_un($name) or die "connect: $!\n";
syswrite $socket, "hello\n";
print while <$socket>;
"#;

/// A native program that does so.
#[track_caller]
fn client(name: &str) -> Job {
    Job::new(crate::harness::perl(), &["-we", CLIENT, name])
}

#[test]
fn a_native_program_reaches_the_granted_socket_and_no_other() {
    let world = World::new();
    let (granted, tcp) = (url(&world.granted), "tcp://127.0.0.1:9".to_owned());
    let unplaced = format!("@{}", world.unplaced);
    for (grants, name, refused) in [
        (&[&granted][..], &world.granted, None),
        (&[&granted, &tcp], &world.granted, None),
        (&[&granted], &world.other, Some("connect: No such file")),
        (&[&granted], &unplaced, Some("connect: ")),
        (&[&granted, &tcp], &unplaced, Some("connect: Operation not permitted")),
        (&[], &world.granted, Some("socket: Operation not permitted")),
        (&[&tcp], &world.granted, Some("socket: Operation not permitted")),
    ] {
        let job = grants.iter().fold(client(name), |job, grant| job.grant("Connect", grant.as_str()));
        let ran = world.sandbox.run(&job);
        match refused {
            None => ran.exits(0).says_only("answered hello\n"),
            Some(words) => ran.says_only("").complains(words),
        };
    }
}

/// Who reaches a supervisor speaks to it as its owner: no name for its socket is one that can be granted.
#[test]
fn the_sockets_of_wjob_cannot_be_granted() {
    let supervisor = Supervisor::new();
    let sandbox = &supervisor.sandbox;
    sandbox.make_folder("");
    sandbox.make_folder("run");
    sandbox.link(&supervisor.socket(), "link");
    sandbox.link("run", "folder");
    let names = [("plain", "run/wjob.sock"), ("link", "link"), ("folder", "folder/wjob.sock"), ("log", "run/log.sock")];
    let places = names.map(|(label, name)| (label, sandbox.name(name)));
    // The first start makes them; of jobs that are loaded with it the path may not be there yet.
    let mut supervisor = supervisor.start();
    for (label, path) in &places {
        let job = Job::shell("true").grant("Connect", url(path)).with("RunAtLoad", true);
        let file = supervisor.file(&format!("{label}.plist"), label, job);
        supervisor.wjob(&["bootstrap", &file]).exits(0);
        supervisor.logs(&format!(" {label}: failed: granted path {path}: it leads to "));
    }
    assert_eq!(supervisor.log().matches("which is wjob's own").count(), places.len(), "{}", supervisor.log());
    // In the foreground it is known by the variable that names it.
    let (_, link) = &places[1];
    let file = supervisor.sandbox.job_file(&client(link).grant("Connect", url(link)));
    Running::start(supervisor.wjob_command(&["run", &file])).end().exits(78).complains("which is wjob's own");
    supervisor.stop().exits(0);
}

/// The sockets of all are there before anything starts, so that the one that asks may come first.
#[test]
fn a_job_reaches_another_by_its_socket() {
    let supervisor = Supervisor::new();
    supervisor.sandbox.make_folder("sockets");
    let path = supervisor.sandbox.name("sockets/echo");
    let mut ear = Ear::new(&supervisor.sandbox, "ear");
    let entry = Dictionary::from_iter([("SockPathName", path.as_str())]);
    let echo = Job::guest("echo", &[]).with_in("inetdCompatibility", "Wait", false).with_in("Sockets", "echo", entry);
    let ask = asks(&path).grant("Connect", url(&path)).with("StandardOutPath", ear.path.as_str());
    let supervisor = supervisor.with("a", ask.with("RunAtLoad", true)).with("b", echo).start();
    ear.wait_for("as connection 0\nhello\n");
    supervisor.logs(" a: ended: exit 0");
    supervisor.wjob(&["print", "a"]).exits(0).says(format!("connect {}", url(&path)));
}
