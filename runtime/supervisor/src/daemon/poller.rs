//! What the supervisor waits on: descriptors, each with a name for what it is. It looks at no byte of any.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

/// Most events taken at once, so that no one source keeps the others waiting.
const AT_ONCE: usize = 64;

/// Descriptors waited on, each under a number that is given once: an event that comes late, because some child still
/// holds a descriptor that was closed here, is never taken for that of another.
pub struct Poller<T> {
    descriptor: OwnedFd,
    names: HashMap<u64, T>,
    numbers: HashMap<RawFd, u64>,
    next: u64,
    events: Vec<Event>,
}

impl<T: Copy + PartialEq> Poller<T> {
    /// Waits on nothing yet.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let descriptor = epoll::create(CreateFlags::CLOEXEC)?;
        let events = Vec::with_capacity(AT_ONCE);
        Ok(Self { descriptor, names: HashMap::new(), numbers: HashMap::new(), next: 0, events })
    }

    /// Waits on a descriptor until [`Poller::remove`], which must come before it is closed.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn add(&mut self, source: BorrowedFd<'_>, name: T) -> io::Result<()> {
        self.add_for(source, name, true, false)
    }

    /// The same, for reading, for writing, or for its end alone.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn add_for(&mut self, source: BorrowedFd<'_>, name: T, read: bool, write: bool) -> io::Result<()> {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, read);
        flags.set(EventFlags::OUT, write);
        if let Some(number) = self.numbers.get(&source.as_raw_fd()).copied() {
            self.names.insert(number, name);
            match epoll::modify(&self.descriptor, source, EventData::new_u64(number), flags) {
                // It was closed without a word, and its number is another's now.
                Err(Errno::NOENT) => self.names.remove(&number),
                result => return Ok(result?),
            };
        }
        let number = self.next;
        self.next += 1;
        epoll::add(&self.descriptor, source, EventData::new_u64(number), flags)?;
        self.numbers.insert(source.as_raw_fd(), number);
        self.names.insert(number, name);
        Ok(())
    }

    /// Waits on it no more.
    pub fn remove(&mut self, source: impl AsFd) {
        let source = source.as_fd();
        if let Some(number) = self.numbers.remove(&source.as_raw_fd()) {
            self.names.remove(&number);
            // It is open, so nothing but its absence could be refused.
            let _ = epoll::delete(&self.descriptor, source);
        }
    }

    /// Waits for something to happen, or only looks; the numbers of what can be read or written, and whether its
    /// other end is gone.
    pub fn wait(&mut self, only_look: bool) -> Vec<(u64, bool)> {
        self.events.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Interrupted: nothing has happened yet.
        if epoll::wait(&self.descriptor, spare_capacity(&mut self.events), only_look.then_some(&at_once)).is_err() {
            return Vec::new();
        }
        let events = self.events.iter().map(|event| {
            // A packed structure: its fields are copied, not borrowed.
            let (flags, data) = (event.flags, event.data);
            (data.u64(), flags.intersects(EventFlags::HUP | EventFlags::ERR))
        });
        events.collect()
    }

    /// What a number was given to, if that is still waited for: what was done about an earlier event may have closed
    /// it, and put another thing of the same name in its place.
    pub fn name(&self, number: u64) -> Option<T> {
        self.names.get(&number).copied()
    }
}
