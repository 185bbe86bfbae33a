//! Signals that ask the supervisor to stop a run. What follows from them is the model's decision.

use std::os::fd::{AsFd, BorrowedFd};

use wjob_model::outcome::StopReason;

/// Signals that ask for a stop; all others keep their default.
const STOPPING: [(i32, StopReason); 4] = [
    (libc::SIGINT, StopReason::Interrupt),
    (libc::SIGQUIT, StopReason::Interrupt),
    (libc::SIGTERM, StopReason::Terminate),
    (libc::SIGHUP, StopReason::Terminate),
];

/// The stopping signals, blocked and readable.
#[derive(Debug)]
pub struct Signals(wjob_sandbox::signals::Signals);

impl Signals {
    /// Blocks them in this thread.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn block() -> Result<Self, std::io::Error> {
        // What the caller ignores (nohup, a shell's background job) stays ignored; our own children are not.
        let wanted = STOPPING.map(|(signal, _)| signal);
        let wanted: Vec<i32> = wanted.into_iter().filter(|signal| !wjob_sandbox::signals::ignored(*signal)).collect();
        wjob_sandbox::signals::default_for_children();
        wjob_sandbox::signals::Signals::block(&wanted).map(Self)
    }

    /// The next one that came, if any.
    pub fn next(&self) -> Option<StopReason> {
        let number = self.0.next()?;
        STOPPING.iter().find(|(signal, _)| *signal == number).map(|(_, reason)| *reason)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
