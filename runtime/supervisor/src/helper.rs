//! A worker with a short errand (compile, resolve): start it, wait for its one answer within a deadline, reap it.
//! Its answer is hostile input like any worker's.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wjob_model::message::{FromWorker, Role, Start, WORKER_BYTES};
use wjob_model::outcome::signal_name;
use wjob_model::run::Exit;

use crate::spawn::{Identity, Image, Standing, Worker, spawn};

/// How an errand ended without an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Silence {
    /// The system refused to start it.
    System(String),
    /// The deadline passed.
    Late,
    /// It ended without a word.
    Gone(Exit),
    /// It said something else.
    Nonsense,
}

impl std::fmt::Display for Silence {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System(why) => out.write_str(why),
            Self::Late => out.write_str("it took too long and was ended"),
            Self::Gone(Exit::Signal(signal)) => write!(out, "it was ended by {}", signal_name(*signal)),
            Self::Gone(Exit::OutOfMemory) => out.write_str("it was ended for want of memory"),
            Self::Gone(Exit::Status(status)) => write!(out, "it ended with status {status} and no answer"),
            Self::Nonsense => out.write_str("it sent no message of this build"),
        }
    }
}

/// An errand under way.
#[derive(Debug)]
pub struct Errand(Worker);

impl Errand {
    /// Starts one.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn start(
        image: &Image,
        role: Role,
        descriptors: &[BorrowedFd<'_>],
        identity: Option<&Identity>,
    ) -> Result<Self, Silence> {
        let worker = spawn(image, &Standing { identity, ..Standing::default() }).map_err(Silence::System)?;
        let start = Start { build: image.build.clone(), role };
        worker.hand(&start, descriptors).map_err(Silence::System)?;
        Ok(Self(worker))
    }

    /// Takes the answer, which must be there; dropping an errand ends it.
    ///
    /// # Errors
    /// When it ended without one, or said something else.
    pub fn answer(mut self) -> Result<FromWorker, Silence> {
        match self.0.channel.receive::<FromWorker>(WORKER_BYTES) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => {
                // It has nothing more to say; one that closed its channel and stays is not waited for.
                self.0.end_soon();
                Err(Silence::Gone(self.0.reap().0))
            }
            Err(_) => Err(Silence::Nonsense),
        }
    }
}

impl AsFd for Errand {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.channel.as_fd()
    }
}

/// Waits until there is an answer or an end.
///
/// # Errors
/// When the deadline passes first.
pub fn wait(channel: BorrowedFd<'_>, deadline: Instant) -> Result<(), Silence> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Silence::Late);
        }
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::from_borrowed_fd(channel, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(Silence::System(error.to_string())),
        }
    }
}
