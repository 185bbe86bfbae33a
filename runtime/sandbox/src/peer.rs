//! Who is at the other end of a Unix socket, as the kernel says. It judges nobody.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// SO_PEERPIDFD (asm-generic/socket.h, Linux 6.5).
const SO_PEERPIDFD: libc::c_int = 77;
/// SO_PEERGROUPS (asm-generic/socket.h, Linux 4.13).
const SO_PEERGROUPS: libc::c_int = 59;
/// Groups that there is room for at the first asking.
const FEW_GROUPS: usize = 32;

/// The process that connected.
#[derive(Debug)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// Its number; 0 = it lives in a process table that is not seen from here.
    pub pid: i32,
    process: Option<OwnedFd>,
}

impl Peer {
    /// Of a connected socket.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn of(socket: impl AsFd) -> io::Result<Self> {
        let socket = socket.as_fd();
        let credentials = Credentials::of(socket)?;
        let pid = i32::try_from(credentials.pid).unwrap_or_default();
        let process = option(socket, SO_PEERPIDFD, -1 as RawFd).ok().filter(|descriptor| *descriptor >= 0);
        // SAFETY: the kernel has just made this descriptor for us.
        let process = process.map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) });
        // An older kernel knows the number only, which could be another's by now; asked at once it hardly is.
        let process = process.or_else(|| pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok());
        Ok(Self { uid: credentials.uid, pid, process })
    }

    /// Lets go of what tells whether the process is there; nothing is asked about it any more.
    pub fn forget_process(&mut self) {
        self.process = None;
    }

    /// Whether that process is still there, so that its number is not another's. A kernel that cannot say says no.
    pub fn is_there(&self) -> bool {
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        self.process
            .as_ref()
            .is_some_and(|process| poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&none)) == Ok(0))
    }
}

/// Who connected, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// 0 when it is not of the caller's process table.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

impl Credentials {
    /// Those of a connected Unix socket's other end (SO_PEERCRED, unix(7)).
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn of(socket: impl AsFd) -> io::Result<Self> {
        let none = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
        let found = option(socket.as_fd(), libc::SO_PEERCRED, none)?;
        Ok(Self { pid: u32::try_from(found.pid).unwrap_or_default(), uid: found.uid, gid: found.gid })
    }
}

/// The further groups of whoever connected a Unix socket (SO_PEERGROUPS): those beside the one of [`Credentials`].
///
/// # Errors
/// When the kernel does not say.
pub fn groups(socket: impl AsFd) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; FEW_GROUPS];
    loop {
        let mut length = libc::socklen_t::try_from(size_of_val(groups.as_slice())).unwrap_or(libc::socklen_t::MAX);
        // SAFETY: both pointers are to values that outlive the call, and the kernel writes at most `length` bytes.
        let result = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let found = usize::try_from(length).unwrap_or_default() / size_of::<libc::gid_t>();
        if result == 0 {
            groups.truncate(found);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // It has said how many there are.
        if error.raw_os_error() != Some(libc::ERANGE) || found <= groups.len() {
            return Err(error);
        }
        groups.resize(found, 0);
    }
}

/// A socket option that is a plain value.
fn option<T: Copy>(socket: BorrowedFd<'_>, name: libc::c_int, mut value: T) -> io::Result<T> {
    let mut length = libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default();
    // SAFETY: both pointers are to locals that outlive the call, and the kernel writes at most `length` bytes of a value
    // that may hold any.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length)
    };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_other_end_is_this_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = Peer::of(&one).unwrap();
        assert_eq!(u32::try_from(peer.pid), Ok(std::process::id()));
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert!(peer.is_there());
    }

    #[test]
    fn its_further_groups_are_known() {
        let (one, _other) = UnixStream::pair().unwrap();
        let mut found = groups(&one).unwrap();
        let mut expected: Vec<u32> =
            rustix::process::getgroups().unwrap().into_iter().map(rustix::process::Gid::as_raw).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}
