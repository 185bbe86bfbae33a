//! What the supervisor waits on: descriptors, each with a name for what it is. It looks at no byte of any.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

/// Most events taken at once, so that no one source keeps the others waiting.
const AT_ONCE: usize = 64;

/// Descriptors waited on, by name.
pub struct Poller<T> {
    descriptor: OwnedFd,
    names: HashMap<RawFd, T>,
    events: Vec<Event>,
}

impl<T: Copy + PartialEq> Poller<T> {
    /// Waits on nothing yet.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let descriptor = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { descriptor, names: HashMap::new(), events: Vec::with_capacity(AT_ONCE) })
    }

    /// Waits on a descriptor until [`Poller::remove`], or until it is closed and its number names another.
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
        let number = source.as_raw_fd();
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, read);
        flags.set(EventFlags::OUT, write);
        let data = EventData::new_u64(u64::try_from(number).unwrap_or_default());
        match epoll::add(&self.descriptor, source, data, flags) {
            Err(Errno::EXIST) => epoll::modify(&self.descriptor, source, data, flags)?,
            result => result?,
        }
        self.names.insert(number, name);
        Ok(())
    }

    /// Waits on it no more.
    pub fn remove(&mut self, source: impl AsFd) {
        let source = source.as_fd();
        self.names.remove(&source.as_raw_fd());
        // One that is not waited on is as good.
        let _ = epoll::delete(&self.descriptor, source);
    }

    /// Waits for something to happen; the names of what can be read or written, and whether its other end is gone.
    pub fn wait(&mut self) -> Vec<(T, bool)> {
        self.events.clear();
        match epoll::wait(&self.descriptor, spare_capacity(&mut self.events), None) {
            Ok(_) => {}
            // Interrupted: nothing has happened yet.
            Err(_) => return Vec::new(),
        }
        let events = self.events.iter().filter_map(|event| {
            let number = RawFd::try_from(event.data.u64()).ok()?;
            // A packed structure: its fields are copied, not borrowed.
            let flags = event.flags;
            Some((*self.names.get(&number)?, flags.intersects(EventFlags::HUP | EventFlags::ERR)))
        });
        events.collect()
    }
}
