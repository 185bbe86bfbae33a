//! A socket that was handed over, with those who come through it. It accepts and says who came; whether one more is
//! wanted now is `gate`'s to say.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with, sockopt};
use tokio::io::Interest;
use wjob_model::message::{HandedSocket, Run};
use wjob_sandbox::peer::{self, Credentials};

use super::stream::Stream;
use crate::readiness::{Watched, watch};

/// A socket of the job, shared by the threads that serve.
#[derive(Debug)]
pub(crate) struct Socket {
    pub descriptor: Arc<OwnedFd>,
    pub about: HandedSocket,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Somebody in the network.
    Network(IpAddr, u16),
    /// A process of this machine.
    Local(Credentials),
}

/// What connections are counted by, for ConnectionsPerSource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Address(IpAddr),
    User(u32),
}

impl Peer {
    /// Where it comes from.
    pub fn source(&self) -> Source {
        match self {
            Self::Network(address, _) => Source::Address(*address),
            Self::Local(local) => Source::User(local.uid),
        }
    }

    /// Whether whoever came by this connection may stay.
    pub fn is_admitted(&self, run: &Run, connection: impl AsFd) -> bool {
        let groups = |local: &Credentials| -> Vec<u32> {
            // What the kernel does not say he is in, he is not in.
            let further = peer::groups(connection).unwrap_or_default();
            further.into_iter().chain([local.gid]).collect()
        };
        match self {
            Self::Network(..) => true,
            Self::Local(local) => run.admits(local.uid, || groups(local)),
        }
    }
}

/// One who came.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub stream: Arc<Stream>,
    pub peer: Peer,
}

/// What accepting came to, when nobody came of it.
#[derive(Debug)]
pub(crate) enum NotNow {
    /// Nobody is there.
    Nobody,
    /// One was, and left.
    Gone,
    /// The process or the machine has no room for another.
    NoRoom(io::Error),
    /// The socket takes no connections any more.
    Dead(io::Error),
}

impl Socket {
    /// Makes a handed socket ready for this worker, whatever an earlier run has made of it: it does not block, and
    /// answers are sent at once.
    pub fn new(descriptor: OwnedFd, about: HandedSocket) -> io::Result<Self> {
        rustix::fs::fcntl_setfl(&descriptor, rustix::fs::OFlags::NONBLOCK)?;
        if about.address.starts_with("tcp:") {
            // What is accepted has it from its listener (net/ipv4/tcp.c), which spares a call for each.
            sockopt::set_tcp_nodelay(&descriptor, true)?;
        }
        Ok(Self { descriptor: Arc::new(descriptor), about })
    }

    /// Its place in the runtime of the current thread.
    pub fn watched(&self) -> io::Result<Watched> {
        watch(self.descriptor.clone(), Interest::READABLE)
    }

    /// What is connected to somebody else's, as one connection.
    ///
    /// # Errors
    /// When the process has no descriptors left, or the kernel does not say who is at the other end.
    pub fn into_connection(self) -> io::Result<(Arc<Stream>, Peer)> {
        let network = self.about.address.split_once("://").and_then(|(_, address)| address.parse::<SocketAddr>().ok());
        let peer = match network {
            Some(address) => Peer::Network(address.ip(), address.port()),
            None => Peer::Local(Credentials::of(&*self.descriptor)?),
        };
        let descriptor = Arc::try_unwrap(self.descriptor).or_else(|shared| shared.try_clone())?;
        Ok((Stream::new(descriptor), peer))
    }

    /// The next client, to be served in the runtime.
    pub fn accept(&self) -> Result<Arrival, NotNow> {
        let (descriptor, peer) = self.accept_with(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        Ok(Arrival { stream: Stream::of_client(descriptor), peer })
    }

    /// The next client.
    pub fn accept_with(&self, flags: SocketFlags) -> Result<(OwnedFd, Peer), NotNow> {
        match acceptfrom_with(&self.descriptor, flags) {
            Ok((descriptor, address)) => match who(&descriptor, address) {
                Ok(peer) => Ok((descriptor, peer)),
                Err(_) => Err(NotNow::Gone),
            },
            Err(Errno::AGAIN) => Err(NotNow::Nobody),
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                Err(NotNow::NoRoom(error.into()))
            }
            Err(error @ (Errno::INVAL | Errno::NOTSOCK | Errno::BADF | Errno::OPNOTSUPP)) => {
                Err(NotNow::Dead(error.into()))
            }
            // Whatever went wrong with one connection says nothing of the next (accept(2), "Error handling").
            Err(_) => Err(NotNow::Gone),
        }
    }
}

/// Who has connected.
fn who(descriptor: &OwnedFd, address: Option<SocketAddrAny>) -> io::Result<Peer> {
    let network = address.and_then(|address| SocketAddr::try_from(address).ok());
    match network {
        // What came by IPv4 to a socket for both is told as what it is.
        Some(address) => Ok(Peer::Network(address.ip().to_canonical(), address.port())),
        None => Credentials::of(descriptor).map(Peer::Local),
    }
}
