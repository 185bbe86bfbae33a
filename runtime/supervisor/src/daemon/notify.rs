//! What systemd is told, and what it hands in: sd_notify(3) on the socket of NOTIFY_SOCKET, and a control socket by
//! LISTEN_FDS (sd_listen_fds(3)). Started by hand there is neither, and nothing happens.

use std::os::fd::{FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The first descriptor that is handed in.
const FIRST: i32 = 3;

/// The way to the service manager.
#[derive(Debug, Default)]
pub struct Manager(Option<SocketAddr>);

impl Manager {
    /// The one that `NOTIFY_SOCKET` names.
    pub fn of(socket: Option<&str>) -> Self {
        let address = socket.and_then(|socket| match socket.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(socket).ok(),
        });
        Self(address)
    }

    /// Says something in its words, such as `READY=1`. One that does not listen is no matter.
    pub fn say(&self, text: &str) {
        if let Some(address) = &self.0
            && let Ok(socket) = UnixDatagram::unbound()
        {
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }
}

/// The listening socket that was handed in, if this process is meant and it is one.
///
/// # Errors
/// When something was handed in that cannot be served: more than one, or no listening Unix socket.
pub fn handed_in(pid: Option<&str>, count: Option<&str>) -> Result<Option<OwnedFd>, String> {
    let meant = pid.is_some_and(|pid| pid == std::process::id().to_string());
    match count.filter(|_| meant) {
        None | Some("0") => return Ok(None),
        Some("1") => {}
        Some(count) => return Err(format!("{count} sockets were handed in; expected one, the control socket")),
    }
    // SAFETY: LISTEN_PID names this process, so descriptor 3 was opened for it by whoever started it (sd_listen_fds(3)),
    // and nothing here has taken it.
    let socket = unsafe { OwnedFd::from_raw_fd(FIRST) };
    let listens = rustix::net::sockopt::socket_acceptconn(&socket).unwrap_or(false);
    let unix = rustix::net::sockopt::socket_domain(&socket) == Ok(rustix::net::AddressFamily::UNIX);
    if !(listens && unix) {
        return Err("the socket that was handed in is no listening Unix socket".into());
    }
    let _ = rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC);
    Ok(Some(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_and_a_missing_one_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Manager::of(path.to_str()).say("READY=1");
        let mut heard = [0; 16];
        let length = socket.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"READY=1");
        Manager::of(None).say("READY=1");
        Manager::of(Some("/nowhere/at/all")).say("READY=1");
    }

    #[test]
    fn sockets_for_others_are_left_alone() {
        let own = std::process::id().to_string();
        assert!(handed_in(None, None).unwrap().is_none());
        assert!(handed_in(Some("1"), Some("1")).unwrap().is_none());
        assert!(handed_in(Some(&own), Some("0")).unwrap().is_none());
        assert!(handed_in(Some(&own), Some("2")).unwrap_err().contains("expected one"));
    }
}
