//! Signals as something to wait for, for the two processes that wait for other things too: a supervisor and the
//! init of a native job. What a signal means is theirs to say.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// Blocked signals, readable.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks signals in this thread and makes them readable.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn block(signals: &[i32]) -> Result<Self, std::io::Error> {
        // SAFETY: the set is filled by sigemptyset before it is read; the calls only touch it and this thread's mask.
        let descriptor = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                libc::sigaddset(&raw mut set, *signal);
            }
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if descriptor < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: signalfd has just made this descriptor for us.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// The next signal that came, if any.
    pub fn next(&self) -> Option<i32> {
        let mut record = [0u8; size_of::<libc::signalfd_siginfo>()];
        let length = rustix::io::read(&self.0, &mut record).ok()?;
        let number = record.first_chunk::<4>().filter(|_| length >= 4)?;
        i32::try_from(u32::from_ne_bytes(*number)).ok()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether this process ignores a signal.
pub fn ignored(signal: i32) -> bool {
    // SAFETY: all zero is a valid action, and without a new one the call only fills it.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
    }
}

/// Has the end of children told, even if whoever started this process ignored it.
pub fn default_for_children() {
    // SAFETY: sets the default action of one signal.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
    }
}
