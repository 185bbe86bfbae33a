//! Carries a native program's output from a pipe to where it goes, counted and made safe on the way. Used where a
//! terminal or a limit asks for it; otherwise the program writes to its descriptors itself.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::output::{Output, Refusal};

/// Bytes carried at once.
const PIECE: usize = 64 << 10;

/// One stream on its way.
#[derive(Debug)]
pub(crate) struct Relay {
    from: OwnedFd,
    to: Output,
}

/// What carrying a piece came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// There may be more.
    More,
    /// The program has closed its end, or nobody takes its output any more.
    End,
    /// OutputSize is used up.
    Limit,
}

impl Relay {
    /// A relay to `to`, and the end the program writes to.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn new(to: Output) -> Result<(Self, OwnedFd), std::io::Error> {
        let (from, program) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok((Self { from, to }, program))
    }

    /// What to wait for; `None` while the rate holds the stream back, with the time to wait.
    pub fn waiting(&self) -> Result<PollFd<'_>, std::time::Duration> {
        self.to.admit(1).map(|_| PollFd::new(&self.from, PollFlags::IN))
    }

    /// Whether something waits to be carried.
    pub fn is_ready(&self) -> bool {
        crate::output::ready(&self.from, PollFlags::IN, Some(std::time::Duration::ZERO))
    }

    /// Shows what was held back: nothing more comes.
    pub fn finish(&self) {
        self.to.finish();
    }

    /// How many bytes wait to be carried.
    pub fn waits(&self) -> usize {
        rustix::io::ioctl_fionread(&self.from).ok().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0)
    }

    /// Carries one piece of at most `most` bytes; says what it came to, and how much it was.
    pub fn carry(&self, most: usize) -> (Carried, usize) {
        let Ok(admitted) = self.to.admit(PIECE.min(most)) else {
            return (Carried::More, 0);
        };
        let mut piece = vec![0; admitted];
        match rustix::io::read(&self.from, &mut piece) {
            Ok(0) => {
                self.to.finish();
                (Carried::End, 0)
            }
            Ok(length) => match self.to.write(&piece[..length]) {
                Ok(()) => (Carried::More, length),
                Err(Refusal::Limit) => (Carried::Limit, length),
                // The reader is gone; closing our end tells the program by SIGPIPE, as a pipe of its own would.
                Err(Refusal::System(_)) => (Carried::End, length),
            },
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => (Carried::More, 0),
            Err(_) => (Carried::End, 0),
        }
    }
}
