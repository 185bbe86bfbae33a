//! The inotify descriptor: puts watches on inodes, takes them off and reads what the kernel has queued. It knows
//! neither paths nor jobs; an inode is named by an open descriptor, so that what is watched is what was looked up.

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};

/// The kernel's number for an inode under watch; it is not used again for another inode.
pub(super) type Watch = i32;

/// Most inodes watched, and most paths: each costs the kernel about 1 KiB.
pub(super) const MOST_WATCHES: usize = 65_536;
/// Bytes of events read at once.
const READ_BYTES: usize = 64 << 10;
/// Reads a turn, 1 MiB together: a busy directory must not keep the supervisor from its other business.
const MOST_READS: usize = 16;

/// What there is not enough of to watch a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub(super) enum Shortage {
    /// inotify watches of this user.
    #[error(
        "the kernel's limit of inotify watches for this user is reached; watch fewer paths, or raise the number in \
         /proc/sys/fs/inotify/max_user_watches"
    )]
    Watches,
    /// Watches and paths by our own bound.
    #[error("one supervisor watches at most {MOST_WATCHES} paths and folders on the way to them; watch fewer paths")]
    Bound,
    /// Descriptors.
    #[error("no file descriptor is left to look at it; raise the limit of open files (LimitNOFILE, ulimit -n)")]
    Descriptors,
    /// The kernel's memory.
    #[error("the kernel has no memory left to watch it; watch fewer paths, or give the machine more memory")]
    Memory,
}

impl Shortage {
    /// The shortage behind an error, if it is one; any other error says something about the path.
    pub(super) fn of(error: Errno) -> Option<Self> {
        match error {
            Errno::NOSPC => Some(Self::Watches),
            Errno::MFILE | Errno::NFILE => Some(Self::Descriptors),
            Errno::NOMEM => Some(Self::Memory),
            _ => None,
        }
    }

    /// The kind of error that callers can match on.
    pub(super) fn kind(self) -> io::ErrorKind {
        match self {
            Self::Watches | Self::Bound => io::ErrorKind::StorageFull,
            Self::Descriptors => io::ErrorKind::Other,
            Self::Memory => io::ErrorKind::OutOfMemory,
        }
    }
}

/// An inotify instance.
#[derive(Debug)]
pub(super) struct Kernel(OwnedFd);

impl Kernel {
    /// Makes one.
    pub(super) fn new() -> io::Result<Self> {
        std::fs::metadata("/proc/self/fd").map_err(|error| {
            io::Error::new(error.kind(), format!("/proc/self/fd: {error}; paths are watched through it: mount /proc"))
        })?;
        inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map(Self).map_err(|error| {
            let advice = match error {
                Errno::MFILE => "; raise /proc/sys/fs/inotify/max_user_instances or the limit of open files",
                _ => "",
            };
            io::Error::new(io::Error::from(error).kind(), format!("no inotify instance: {error}{advice}"))
        })
    }

    /// Keeps it, with its watches and what is queued, for the next program of this process.
    pub(super) fn saved(&self, kept: &mut Kept) -> i32 {
        kept.keep(&self.0)
    }

    /// The one of the program before this one.
    pub(super) fn resumed(saved: i32, inherited: &mut Inherited) -> Result<Self, HandoverError> {
        inherited.take(saved).map(Self)
    }

    /// Watches the inode of a descriptor; `None` when the kernel does not let this user watch it.
    ///
    /// An inode has one watch however often it is asked for. What is asked depends only on what the inode is, so
    /// asking again changes nothing.
    pub(super) fn watch(&self, inode: BorrowedFd<'_>, directory: bool) -> Result<Option<Watch>, Shortage> {
        let path = format!("/proc/self/fd/{}", inode.as_raw_fd());
        match inotify::add_watch(&self.0, path.as_str(), asked(directory)) {
            Ok(watch) => Ok(Some(watch)),
            Err(error) => Shortage::of(error).map_or(Ok(None), Err),
        }
    }

    /// Takes a watch off.
    pub(super) fn unwatch(&self, watch: Watch) {
        // It may be gone with its inode already.
        let _ = inotify::remove_watch(&self.0, watch);
    }

    /// Hands on what is queued, up to a bound; the descriptor stays readable while there is more.
    pub(super) fn drain(&self, mut each: impl FnMut(Watch, ReadFlags, Option<&OsStr>)) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); READ_BYTES];
        let mut reader = Reader::new(&self.0, &mut buffer);
        let mut reads = 0;
        loop {
            if reader.is_buffer_empty() {
                reads += 1;
                if reads > MOST_READS {
                    return;
                }
            }
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    each(event.wd(), event.events(), name);
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

impl AsFd for Kernel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What is asked of the kernel about an inode.
fn asked(directory: bool) -> WatchFlags {
    let itself = WatchFlags::ATTRIB | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
    if directory {
        // Not MODIFY: a directory would report every write to a file in it.
        itself | WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::ONLYDIR
    } else {
        // CLOSE_WRITE because writing through a memory mapping queues nothing else.
        itself | WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_names_what_to_raise() {
        for (error, expected) in [
            (Errno::NOSPC, Some("/proc/sys/fs/inotify/max_user_watches")),
            (Errno::MFILE, Some("limit of open files")),
            (Errno::NFILE, Some("limit of open files")),
            (Errno::NOMEM, Some("memory")),
            (Errno::ACCESS, None),
            (Errno::NOENT, None),
        ] {
            let sentence = Shortage::of(error).map(|shortage| shortage.to_string());
            assert_eq!(sentence.is_some(), expected.is_some(), "{error}");
            assert!(sentence.unwrap_or_default().contains(expected.unwrap_or_default()), "{error}");
        }
        assert!(Shortage::Bound.to_string().contains("65536"));
    }
}
