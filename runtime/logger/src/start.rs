//! The logger's first steps: whose child am I, and everything opened that will ever be needed, on one thread. Like a
//! worker's role it is no command line verb: without a supervisor's channel on descriptor 3 it ends as wrong usage.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::exit;
use std::sync::Arc;

use rustix::fs::Mode;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::SocketType;
use rustix::net::sockopt::{socket_peercred, socket_type};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit, umask,
};
use thiserror::Error;
use wjob_model::grant::{Access, PathGrant};
use wjob_model::record::{FromLogger, Open, RECORD_BYTES, ToLogger};
use wjob_model::status::Status;
use wjob_model::wall::logger_plan;
use wjob_sandbox::channel::{Channel, ChannelError};
use wjob_sandbox::grants::Opened;
use wjob_sandbox::machine;
use wjob_sandbox::signals::Signals;

use crate::collect::Collector;
use crate::desk::Desk;
use crate::keeper::{Keeper, Moment};
use crate::query::{self, Asks};

/// The descriptor a supervisor hands its channel on.
const CHANNEL: i32 = 3;
/// Signals that end no logger: it ends when its supervisor has, which the first of them tells.
const SIGNALS: [i32; 3] = [Signal::TERM.as_raw(), Signal::INT.as_raw(), Signal::HUP.as_raw()];

/// Why a logger cannot begin.
#[derive(Debug, Error)]
enum StartError {
    #[error("{doing}: {why}")]
    System { doing: &'static str, why: std::io::Error },
    #[error("the supervisor is gone")]
    Alone,
    #[error("the first message: {0}")]
    Channel(#[from] ChannelError),
    #[error("the supervisor is build {theirs}, this logger is build {ours}; install both from one build")]
    Build { theirs: String, ours: &'static str },
    #[error("the first message came with {found} descriptors and was {kind}; expected Open and two descriptors")]
    Message { found: usize, kind: &'static str },
}

/// Names what a failed call was for.
trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, StartError>;
}

impl<T, E: Into<std::io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &'static str) -> Result<T, StartError> {
        self.map_err(|error| StartError::System { doing, why: error.into() })
    }
}

/// What a logger begins with.
struct Begun {
    supervisor: Option<Pid>,
    open: Open,
    directory: OwnedFd,
    listener: OwnedFd,
}

/// Reads, keeps and answers until the supervisor is gone; `build` is this file's own.
pub fn main(build: &'static str) -> ! {
    let Some(channel) = channel().map(Arc::new) else {
        eprintln!(
            "wjob-logger: this is a part of wjob and is started by wjobd alone\nwjob-logger: descriptor 3 is no channel to a supervisor\nwjob-logger: use `wjob log` to read what it kept"
        );
        exit(Status::Usage.code().into());
    };
    let status = begin(&channel, build).and_then(|begun| serve(&channel, begun, build)).unwrap_or_else(|error| {
        // A supervisor that is gone needs no telling.
        let _ = channel.send(&FromLogger::Failed { why: error.to_string() }, &[]);
        Status::Internal.code()
    });
    exit(status.into())
}

/// Descriptor 3, if it is a SEQPACKET socket.
fn channel() -> Option<Channel> {
    let target = std::fs::read_link(format!("/proc/self/fd/{CHANNEL}")).ok()?;
    if !target.to_string_lossy().starts_with("socket:") {
        return None;
    }
    // SAFETY: descriptor 3 is open, as just read, and nothing in this process has taken it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(CHANNEL) };
    let kind = socket_type(&descriptor);
    let channel = Channel::inherited(descriptor);
    kind.is_ok_and(|kind| kind == SocketType::SEQPACKET).then_some(channel)
}

/// Learns when the supervisor ends, checks that it is still there, and takes the first message.
fn begin(channel: &Channel, build: &'static str) -> Result<Begun, StartError> {
    fcntl_setfd(channel, FdFlags::CLOEXEC).doing("close-on-exec")?;
    // Not SIGKILL as for a worker: what is in the pipes when a supervisor dies is what tells why it did.
    set_parent_process_death_signal(Some(Signal::TERM)).doing("parent-death signal")?;
    let supervisor = getppid();
    let peer = socket_peercred(channel).doing("peer")?;
    if supervisor != Some(peer.pid) {
        return Err(StartError::Alone);
    }
    umask(Mode::from_raw_mode(0o077));
    raise_open_files();
    let received = channel.receive_with_descriptors::<ToLogger>(RECORD_BYTES)?.ok_or(StartError::Alone)?;
    let found = received.descriptors.len();
    let ToLogger::Open(open) = received.message else {
        return Err(StartError::Message { found, kind: "another one" });
    };
    if open.build != build {
        return Err(StartError::Build { theirs: open.build, ours: build });
    }
    let [directory, listener] =
        <[OwnedFd; 2]>::try_from(received.descriptors).map_err(|_| StartError::Message { found, kind: "Open" })?;
    Ok(Begun { supervisor, open, directory, listener })
}

/// Each running job is two pipes, so as many files as may be open.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Without it fewer jobs are read at a time, and those that are not are named in the log.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Opens everything on this thread, then makes threads; nothing that was not open before is needed after.
fn serve(channel: &Arc<Channel>, begun: Begun, build: &'static str) -> Result<u8, StartError> {
    let Begun { supervisor, open, directory, listener } = begun;
    // Blocked before there is another thread, so that no thread gets them.
    let signals = Signals::block(&SIGNALS).doing("signals")?;
    let desk = Arc::new(Desk::new(build, open.owner));
    let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    let keeper = Keeper::open(path, open.limits, Arc::clone(&desk), Moment::now());
    let asks = Arc::new(Asks::new(Arc::clone(channel)));
    let collector = Collector::new(channel, signals, supervisor, keeper, Arc::clone(&asks));
    let collector = collector.doing("waiting for the supervisor")?;
    confine(&directory).doing("its walls")?;
    query::start(listener, desk, asks).doing("a thread for queries")?;
    Ok(collector.run())
}

/// The walls, while there is one thread and everything is open: the state directory and nothing else.
fn confine(directory: &OwnedFd) -> std::io::Result<()> {
    let grant = PathGrant { host: "/".into(), guest: "/".into(), access: Access::ReadWrite };
    let opened = [Opened { grant, descriptor: directory.try_clone()?, directory: true }];
    wjob_sandbox::confine(&logger_plan(&machine::look()), &opened).map_err(std::io::Error::other)
}
