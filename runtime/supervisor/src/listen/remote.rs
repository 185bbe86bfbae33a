//! Sockets that are connected to somebody else's: at load, and again when the connection is over. Connecting waits for
//! nobody, and what comes of it in the network is seen later. Nothing is said or read here, so that the job has all of it.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::event::PollFlags;
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrAny, SocketAddrUnix, SocketFlags, bind, connect, getpeername, getsockname,
    send, socket_with, sockopt,
};
use serde::{Deserialize, Serialize};
use wjob_model::socket::{Family, Place, Remote, Service, Socket, SocketKind, addresses};

use super::path::there;
use super::{ListenError, Listener, Owner, kind, network, system};
use crate::trust::open_trusted_folder;

/// Where an address is looked for that is not given.
const THIS_MACHINE: &str = "localhost";
/// Why a connection is not there that was.
const CLOSED: &str = "it was closed";

/// How a connection stands, as far as that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    /// It is under way.
    Begun,
    /// It was made.
    Made,
    /// It is not there, and why.
    Lost(String),
}

impl Connection {
    fn of(connected: Result<(), Errno>) -> Self {
        match connected {
            Ok(()) => Self::Made,
            Err(Errno::INPROGRESS) => Self::Begun,
            Err(error) => Self::Lost(error.to_string()),
        }
    }
}

/// Connects a socket, or begins to. Of several addresses it is the first that does not refuse at once, those behind
/// `last` before the others. One that is refused is a socket all the same: it has its place in the job's list.
pub(super) fn open(
    socket: &Socket,
    remote: &Remote,
    owner: &Owner,
    last: Option<&str>,
) -> Result<Listener, ListenError> {
    match remote {
        Remote::Path(path) => to_path(socket, path, owner),
        Remote::Network { node, service, family } => {
            let node = node.as_deref().unwrap_or(THIS_MACHINE);
            to_one_of(socket, found(socket, node, service, *family)?, last)
        }
    }
}

fn found(socket: &Socket, node: &str, service: &Service, family: Family) -> Result<Vec<SocketAddr>, ListenError> {
    let services = std::fs::read_to_string(network::SERVICES).unwrap_or_default();
    match addresses(socket.kind, Some(node), service, family, &services) {
        Ok(found) => Ok(found.into_iter().map(|(address, _)| address).collect()),
        Err(error) => Err(ListenError::Address { name: socket.name.clone(), error }),
    }
}

fn to_one_of(socket: &Socket, mut found: Vec<SocketAddr>, last: Option<&str>) -> Result<Listener, ListenError> {
    let url = |address: SocketAddr| network::url(socket.kind, address);
    let tried = found.iter().position(|address| last.is_some_and(|last| url(*address) == last));
    found.rotate_left(tried.map_or(0, |at| at + 1));
    let mut refused = Err(system(socket, THIS_MACHINE, Errno::ADDRNOTAVAIL));
    for address in found {
        let made = to_address(socket.kind, address);
        let made = made.map(|(descriptor, stands)| listener(socket, descriptor, url(address), stands));
        match made {
            Ok(listener) if !listener.is_lost() => return Ok(listener),
            Ok(listener) => refused = Ok(listener),
            // A machine without IPv6 has the other one.
            Err(error) if refused.is_err() => refused = Err(system(socket, &url(address), error)),
            Err(_) => {}
        }
    }
    refused
}

fn to_address(of: SocketKind, address: SocketAddr) -> Result<(OwnedFd, Connection), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fresh = || socket_with(family, kind(of), SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None);
    let mut descriptor = fresh()?;
    let stands = match connect(&descriptor, &address) {
        Ok(()) if is_its_own(&descriptor) => {
            // Kept, it would have the port of who is to answer there.
            descriptor = fresh()?;
            Connection::of(Err(Errno::CONNREFUSED))
        }
        connected => Connection::of(connected),
    };
    block(&descriptor)?;
    Ok((descriptor, stands))
}

/// Whether a socket is connected to itself: nobody listens at a port of this machine, and the kernel has given it this
/// very one.
fn is_its_own(descriptor: &OwnedFd) -> bool {
    let address = |any: SocketAddrAny| SocketAddr::try_from(any).ok();
    let own = getsockname(descriptor).ok().and_then(address);
    own.is_some() && own == getpeername(descriptor).ok().flatten().and_then(address)
}

/// Whoever is handed it expects what listeners are: that reading waits.
fn block(descriptor: &OwnedFd) -> Result<(), Errno> {
    fcntl_setfl(descriptor, fcntl_getfl(descriptor)?.difference(OFlags::NONBLOCK))
}

fn to_path(socket: &Socket, path: &str, owner: &Owner) -> Result<Listener, ListenError> {
    let failed = |error: Errno| system(socket, path, error);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let descriptor = socket_with(AddressFamily::UNIX, kind(socket.kind), flags, None).map_err(failed)?;
    if socket.kind == SocketKind::Datagram {
        // With a name of the kernel's choice (unix(7), "Autobind feature") it can be answered.
        bind(&descriptor, &SocketAddrUnix::new_unnamed()).map_err(failed)?;
    }
    let stands = match reach(&descriptor, path, owner) {
        Ok(()) => Connection::Made,
        Err(why) => Connection::Lost(why),
    };
    block(&descriptor).map_err(failed)?;
    Ok(listener(socket, descriptor, format!("unix://{path}"), stands))
}

/// Connects to the very socket that was looked at. It is whose the job's folders may be, root's or the job's user's:
/// nobody else is to have the supervisor for a client.
fn reach(descriptor: &OwnedFd, path: &str, owner: &Owner) -> Result<(), String> {
    let said = |error: Errno| error.to_string();
    let place = Path::new(path);
    let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else {
        return Err(said(Errno::ISDIR));
    };
    let folder = open_trusted_folder(parent, owner.domain).map_err(|distrust| distrust.to_string())?;
    let (there, status) = there(&folder, Path::new(name)).map_err(said)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::Socket {
        return Err("what is there is no socket".into());
    }
    let user = status.st_uid;
    if ![Some(0), Some(owner.domain), owner.job.map(|(uid, _)| uid)].contains(&Some(user)) {
        return Err(format!("it is a socket of user {user}; expected one of root or of the job's user"));
    }
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", there.as_raw_fd())).map_err(said)?;
    connect(descriptor, &address).map_err(said)
}

fn listener(socket: &Socket, descriptor: OwnedFd, address: String, stands: Connection) -> Listener {
    let socket = socket.clone();
    Listener { socket, descriptor, address, place: None, folder: None, admitted: None, connection: Some(stands) }
}

impl Listener {
    /// How it stands, if it is one that is connected to somebody else's.
    pub fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref()
    }

    /// Why it is not connected, if it should be and is not.
    pub fn lost(&self) -> Option<&str> {
        match &self.connection {
            Some(Connection::Lost(why)) => Some(why),
            _ => None,
        }
    }

    /// Whether it should be connected and is not.
    pub fn is_lost(&self) -> bool {
        self.lost().is_some()
    }

    /// The same as an error, for who does not wait until it is.
    ///
    /// # Errors
    /// When it should be connected and is not.
    pub fn demand(&self) -> Result<(), ListenError> {
        match self.lost() {
            None => Ok(()),
            Some(why) => Err(ListenError::Unconnected {
                name: self.socket.name.clone(),
                place: self.address.clone(),
                why: why.to_owned(),
            }),
        }
    }

    /// Sees what came of a connection that was under way, and takes from one that nothing can be read from what would
    /// wake whoever waits at it.
    pub fn settle(&mut self) {
        match self.connection {
            Some(Connection::Begun) if !self.seen(PollFlags::OUT).is_empty() => {
                self.connection = Some(self.outcome());
            }
            Some(Connection::Made) => self.settle_what_was_made(),
            _ => {}
        }
    }

    fn settle_what_was_made(&mut self) {
        let seen = self.seen(PollFlags::IN);
        if seen.contains(PollFlags::IN) {
            return;
        }
        if seen.contains(PollFlags::HUP) {
            // What a run has left over may have taken it apart: an end that comes from the other side can be read.
            self.connection = Some(Connection::Lost(CLOSED.into()));
        } else if seen.contains(PollFlags::ERR) {
            // A datagram that did not arrive (udp(7), "Error handling"); its sender has ended.
            let _ = sockopt::socket_error(&self.descriptor);
        }
    }

    fn outcome(&self) -> Connection {
        match sockopt::socket_error(&self.descriptor) {
            // Another may have asked for the error before.
            Ok(Ok(())) => Connection::of(getpeername(&self.descriptor).map(drop)),
            Ok(Err(error)) | Err(error) => Connection::Lost(error.to_string()),
        }
    }

    /// Nobody has it any more who was handed it: sees whether the connection is over.
    pub fn come_back(&mut self, owner: &Owner) {
        self.settle();
        if self.connection == Some(Connection::Made) {
            let over = match &self.socket.place {
                _ if self.is_over() => Some(CLOSED.to_owned()),
                // It is the same to the kernel whether anybody is still there, and connecting again loses nothing.
                Place::Remote(Remote::Path(path)) if !self.socket.kind.accepts() => {
                    reach(&self.descriptor, path, owner).err()
                }
                _ => None,
            };
            self.connection = Some(over.map_or(Connection::Made, Connection::Lost));
        }
    }

    /// Whether one of the ends was closed, and nothing is left to be read. Of datagrams that is this one.
    fn is_over(&self) -> bool {
        let ended = self.has_hung_up() || self.has_ended_sending();
        ended && ioctl_fionread(&self.descriptor).unwrap_or_default() == 0
    }

    /// Whether this end was closed: no byte can be sent, not even none. A packet can be empty, and would arrive.
    fn has_ended_sending(&self) -> bool {
        let none = || send(&self.descriptor, &[], SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
        self.socket.kind == SocketKind::Stream && none() == Err(Errno::PIPE)
    }

    /// Makes a connection anew, or begins to; nobody waits at the descriptor that it has.
    pub fn make_anew(&mut self, owner: &Owner) {
        let Place::Remote(remote) = &self.socket.place else {
            return;
        };
        match open(&self.socket, remote, owner, Some(&self.address)) {
            Ok(made) => *self = made,
            Err(error) => self.connection = Some(Connection::Lost(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests;
