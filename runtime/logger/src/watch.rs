//! Waits for descriptors: which of them can be read, in turn, so that a busy one does not keep the others waiting.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

/// Descriptors told of at a time; the kernel begins with those it has not told of for longest.
const AT_ONCE: usize = 64;

/// What is waited for.
#[derive(Debug)]
pub(crate) struct Watch(OwnedFd);

impl Watch {
    /// Waits for nothing yet.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    /// Waits for a descriptor too; `token` names it.
    ///
    /// # Errors
    /// When it is none that can be waited for.
    pub fn add(&self, descriptor: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.0, descriptor, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?)
    }

    /// Waits for it no longer. Closing it is not enough: the supervisor may have it open as well.
    pub fn remove(&self, descriptor: impl AsFd) {
        // Whatever is not waited for any more is what was asked for.
        let _ = epoll::delete(&self.0, descriptor);
    }

    /// The tokens of those that can be read or have ended; none when the time is over, or a signal came.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn wait(&self, most: Option<Duration>) -> io::Result<Vec<u64>> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(AT_ONCE);
        let most = most.and_then(|most| Timespec::try_from(most).ok());
        let waited = epoll::wait(&self.0, spare_capacity(&mut events), most.as_ref());
        match waited {
            Ok(_) | Err(Errno::INTR) => Ok(events.into_iter().map(token).collect()),
            Err(error) => Err(error.into()),
        }
    }
}

fn token(event: epoll::Event) -> u64 {
    let data = event.data;
    data.u64()
}
