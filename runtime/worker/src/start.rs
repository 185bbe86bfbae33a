//! The first steps of every role: whose child am I, what am I to be. A role is no command line verb: without a
//! supervisor's channel on descriptor 3 it ends with the status of wrong usage.

use std::os::fd::{FromRawFd, OwnedFd};
use std::process::exit;

use rustix::process::Signal;
use wjob_model::message::{Role, START_BYTES, Start, StartFailure};
use wjob_model::status::Status;
use wjob_sandbox::channel::{Channel, Received};
use wjob_sandbox::peer::Credentials;

use crate::role::{Started, report};

/// The descriptor a supervisor hands its channel on.
const CHANNEL: i32 = 3;

/// Runs the role this process was started for; `build` is this file's own.
pub fn main(build: &str) -> ! {
    let Some(channel) = channel() else {
        eprintln!(
            "wjob-worker: this is a part of wjob and is started by it alone\nwjob-worker: descriptor 3 is no channel to a supervisor\nwjob-worker: use `wjob run`"
        );
        exit(Status::Usage.code().into());
    };
    let status = match begin(&channel, build) {
        Ok(received) => perform(channel, received),
        Err(failure) => {
            report(&channel, failure);
            Status::Internal.code()
        }
    };
    exit(status.into())
}

/// Descriptor 3, if it is a SEQPACKET socket.
fn channel() -> Option<Channel> {
    let mut kind: i32 = 0;
    let mut length = libc::socklen_t::try_from(size_of::<i32>()).ok()?;
    // SAFETY: both pointers are to locals that outlive the call; a bad descriptor is an error and nothing else.
    let result =
        unsafe { libc::getsockopt(CHANNEL, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &raw mut length) };
    if result != 0 || kind != libc::SOCK_SEQPACKET {
        return None;
    }
    // SAFETY: descriptor 3 is open, as just asked, and nothing in this process has taken it.
    Some(Channel::inherited(unsafe { OwnedFd::from_raw_fd(CHANNEL) }))
}

/// Dies with the supervisor, checks that it is still there, and takes the start message.
fn begin(channel: &Channel, build: &str) -> Result<Received<Start>, StartFailure> {
    let own = |what: &str, why: String| StartFailure::own(what, why);
    rustix::io::fcntl_setfd(channel, rustix::io::FdFlags::CLOEXEC)
        .map_err(|error| own("close-on-exec", error.to_string()))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| own("parent-death signal", error.to_string()))?;
    // What protects a supervisor from the kernel's want of memory is not for its jobs; raising it is always allowed.
    let protected =
        std::fs::read_to_string("/proc/self/oom_score_adj").is_ok_and(|adjustment| adjustment.starts_with('-'));
    if protected {
        let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    }
    let peer = Credentials::of(channel).map_err(|error| own("peer", error.to_string()))?;
    let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get().unsigned_abs());
    if parent != Some(peer.pid) {
        return Err(own("parent", "the supervisor is gone".into()));
    }
    let received = channel
        .receive_with_descriptors::<Start>(START_BYTES)
        .map_err(|error| own("the start message", error.to_string()))?
        .ok_or_else(|| own("the start message", "the supervisor is gone".into()))?;
    if received.message.build != build {
        let why = format!("the supervisor is build {}, this worker is build {build}", received.message.build);
        return Err(own("the start message", why));
    }
    Ok(received)
}

fn perform(channel: Channel, received: Received<Start>) -> u8 {
    let started = Started { channel, descriptors: received.descriptors };
    match received.message.role {
        Role::Compile(compile) => crate::compile::perform(started, &compile),
        Role::Resolve(resolve) => crate::resolve::perform(started, &resolve),
        Role::Account(question) => crate::account::perform(started, &question),
        Role::Run(run) => match run.code {
            wjob_model::message::Code::Native(_) => crate::native::perform(started, *run),
            _ => crate::wasm::perform(started, *run),
        },
    }
}
