//! A client of the control socket in another process, in a job or of another user: this test program itself, started
//! once more for the one test here that is none. It judges nothing.

use std::env;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use plist::Dictionary;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use serde_json::{Value as Json, json};

use crate::harness::supervisor::receive;
use crate::harness::{Job, Running, Supervisor, text};

/// What the program is started with: the test at the end of this file.
const ARGUMENTS: [&str; 3] = ["--exact", "daemon::caller::another_process", "--nocapture"];
/// The variables that tell it whom to call, how, and what to ask.
const SOCKET: &str = "WJOB_TEST_SOCKET";
const MANNER: &str = "WJOB_TEST_MANNER";
const CALLS: &str = "WJOB_TEST_CALLS";

/// It connects for each call and calls.
pub const PLAIN: &str = "plain";
/// It calls on connections that processes made which are no more.
pub const GONE: &str = "gone";
/// It makes one connection after the other, one more than a user may have, calls once on each, and stays.
pub const CROWD: &str = "crowd";
/// It connects its standard input, for [`GONE`].
const CONNECTS: &str = "connects";

/// How many connections a crowd tries.
pub const CROWDED: usize = 9;
/// What stands before each answer on standard error.
const ANSWER: &str = "answer ";
/// What is said once somebody else has connected, and is gone.
pub const CONNECTED: &str = "somebody else has connected";
/// What a crowd says when all its connections were answered.
pub const STAYS: &str = "the crowd stays";

/// The program, where everybody can start it, and the socket it is to call.
pub struct Caller {
    program: String,
    socket: String,
}

impl Caller {
    /// One for this supervisor, whose sandbox everybody may enter from then on.
    pub fn new(supervisor: &Supervisor) -> Self {
        let sandbox = &supervisor.sandbox;
        let own = env::current_exe().expect("the path of this program");
        let program = sandbox.name("caller");
        // Not copied here: a program that some process has open for writing cannot be started, and every process that
        // another test starts meanwhile would have it open for a moment.
        Running::start(sandbox.command_at(Path::new("/bin/cp"), &[&text(&own), &program])).end().exits(0);
        for path in [sandbox.path(""), sandbox.path("caller")] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).expect("a mode");
        }
        Self { program, socket: supervisor.socket() }
    }

    fn environment(&self, manner: &str, calls: &[Json]) -> [(&'static str, String); 3] {
        let calls = Json::Array(calls.to_vec()).to_string();
        [(SOCKET, self.socket.clone()), (MANNER, manner.to_owned()), (CALLS, calls)]
    }

    /// A job that calls. It has no walls: inside them there is no socket to call.
    pub fn job(&self, manner: &str, calls: &[Json]) -> Job {
        self.make_job(Job::new(&self.program, &ARGUMENTS), manner, calls)
    }

    /// A job whose caller has left its session and lost its parents. The job waits for it at a FIFO.
    pub fn detached_job(&self, fifo: &str, calls: &[Json]) -> Job {
        let script = format!(
            "/usr/bin/setsid --fork /bin/sh -c '\"$@\"; echo > {fifo}' sh \"$@\" || exit 9; read -r word < {fifo}"
        );
        let words = [&["-c", script.as_str(), "sh", self.program.as_str()][..], &ARGUMENTS].concat();
        self.make_job(Job::new("/bin/sh", &words), PLAIN, calls)
    }

    fn make_job(&self, job: Job, manner: &str, calls: &[Json]) -> Job {
        let environment: Dictionary = self.environment(manner, calls).into_iter().collect();
        job.with("EnvironmentVariables", environment).with("Isolation", "None").with("RunAtLoad", true)
    }

    /// A process of this one's user; it has nothing else of this one.
    pub fn start(&self, manner: &str, calls: &[Json]) -> Running {
        Running::start_as_it_is(self.command(manner, calls))
    }

    /// The same of that user, for root to start.
    pub fn start_as(&self, user: u32, manner: &str, calls: &[Json]) -> Running {
        let mut command = self.command(manner, calls);
        command.uid(user).gid(user);
        Running::start_as_it_is(command)
    }

    fn command(&self, manner: &str, calls: &[Json]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(ARGUMENTS).env_clear().envs(self.environment(manner, calls)).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// The answers in what a caller wrote to standard error.
pub fn answers(written: &str) -> Vec<Json> {
    let answers = written.lines().filter_map(|line| line.strip_prefix(ANSWER));
    answers.map(|answer| serde_json::from_str(answer).expect("JSON")).collect()
}

/// The socket that a call is for: the logger's is beside the supervisor's.
pub fn place(socket: &str, call: &Json) -> String {
    match call["method"].as_str().is_some_and(|method| method.starts_with("io.wjob.log.")) {
        true => text(&Path::new(socket).with_file_name("log.sock")),
        false => socket.to_owned(),
    }
}

/// Asks once; what was not answered is an error of its own name.
pub fn asked(client: &mut UnixStream, call: &Json) -> Json {
    // One that is sent away may be so before it has asked, and is told why all the same.
    let _ = client.write_all(format!("{call}\0").as_bytes());
    receive(client).unwrap_or_else(|| json!({ "error": "closed" }))
}

fn connect(descriptor: impl AsFd, socket: &str) {
    let address = SocketAddrUnix::new(socket).expect("the path of a socket");
    rustix::net::connect(descriptor, &address).expect("the control socket");
}

/// The kernel says of a connection who made it, not who has it now.
fn connected_by_another(socket: &str) -> UnixStream {
    let descriptor: OwnedFd = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    let other = descriptor.try_clone().expect("a descriptor");
    let own = env::current_exe().expect("the path of this program");
    let status = Command::new(own).args(ARGUMENTS).env(MANNER, CONNECTS).env(SOCKET, socket).stdin(other).status();
    assert!(status.expect("a process").success());
    eprintln!("{CONNECTED}");
    UnixStream::from(descriptor)
}

fn crowd(socket: &str, call: &Json) {
    let mut clients: Vec<UnixStream> = Vec::new();
    for _ in 0..CROWDED {
        let mut client = UnixStream::connect(socket).expect("the control socket");
        eprintln!("{ANSWER}{}", asked(&mut client, call));
        clients.push(client);
    }
    eprintln!("{STAYS}");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn call_all(socket: &str, calls: &[Json], connect: impl Fn(&str) -> UnixStream) {
    for call in calls {
        eprintln!("{ANSWER}{}", asked(&mut connect(&place(socket, call)), call));
    }
}

/// Started by itself it is a client of its own supervisor; other tests start it as another process.
#[test]
fn another_process() {
    let Ok(socket) = env::var(SOCKET) else {
        let supervisor = Supervisor::new().start();
        let list = json!({ "method": "io.wjob.List" });
        let answer = asked(&mut supervisor.connect(), &list);
        assert_eq!(answer, json!({ "parameters": { "jobs": [] } }));
        return;
    };
    let variable = |name: &str| env::var(name).expect("a variable");
    let calls = || -> Vec<Json> { serde_json::from_str(&variable(CALLS)).expect("JSON") };
    match variable(MANNER).as_str() {
        CONNECTS => connect(std::io::stdin(), &socket),
        CROWD => crowd(&socket, &calls()[0]),
        GONE => call_all(&socket, &calls(), connected_by_another),
        _ => call_all(&socket, &calls(), |socket| UnixStream::connect(socket).expect("a socket")),
    }
}
