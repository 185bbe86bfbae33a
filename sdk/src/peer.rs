//! Who is at the other end of a connection. It says what the kernel attests and looks nothing up: no name of a host, no
//! name of a user.

use std::fmt;
use std::net::SocketAddr;

/// Who is at the other end.
///
/// ```
/// use wjob_sdk::{LocalProcess, Peer};
///
/// let peer = Peer::Local(LocalProcess { pid: 311, uid: 1000, gid: 1000 });
/// assert_eq!(peer.to_string(), "process 311 of user 1000");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// Somebody in the network.
    Ip(IpAddress),
    /// A process of this machine, through a Unix socket.
    Local(LocalProcess),
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Local(process) => process.fmt(formatter),
        }
    }
}

/// An address of the Internet.
///
/// ```
/// use wjob_sdk::IpAddress;
///
/// let address = IpAddress { host: "::1".into(), port: 53 };
/// assert_eq!(address.to_string(), "[::1]:53");
/// assert_eq!(address.socket_addr(), Some("[::1]:53".parse().unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IpAddress {
    /// The address as text, `127.0.0.1` or `::1`.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl IpAddress {
    /// The same as the standard library has it; `None` when the host is no address it can read.
    ///
    /// ```
    /// use wjob_sdk::IpAddress;
    ///
    /// assert_eq!(IpAddress { host: "nowhere".into(), port: 53 }.socket_addr(), None);
    /// ```
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse().ok()?, self.port))
    }
}

impl fmt::Display for IpAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "[{}]:{}", self.host, self.port),
            false => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

impl From<SocketAddr> for IpAddress {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

/// A process of this machine, as the kernel attested it when it connected.
///
/// ```
/// use wjob_sdk::LocalProcess;
///
/// let process = LocalProcess { pid: 0, uid: 1000, gid: 1000 };
/// assert_eq!(process.to_string(), "a process of user 1000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalProcess {
    /// Its number, 0 when it is not of this process table.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

impl fmt::Display for LocalProcess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            0 => write!(formatter, "a process of user {}", self.uid),
            pid => write!(formatter, "process {pid} of user {}", self.uid),
        }
    }
}
