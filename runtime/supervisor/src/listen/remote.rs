//! Sockets that are connected to somebody else's: put off at load, connected when the job may run, and again when the
//! connection is over. Connecting waits for nobody, and what comes of it in the network is seen later. Nothing is said or
//! read here, so that the job has all of it.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, readlink};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, bind, connect, getpeername, getsockname, send, socket_with,
    sockopt,
};
use serde::{Deserialize, Serialize};
use wjob_model::socket::{Family, Place, Remote, Service, Socket, SocketKind, addresses};
use wjob_model::spec::supervisors_folder;

use super::path::there;
use super::{ListenError, Listener, Owner, kind, network, system};
use crate::trust::open_trusted_folder;

/// Where an address is looked for that is not given.
const THIS_MACHINE: &str = "localhost";
/// Why a connection is not there that was.
const CLOSED: &str = "it was closed";
/// Why one is taken for over that would wake whoever waits at it, for ever.
const UNREAD: &str = "errors wait at it that nobody reads";
/// Why one is not there that nobody has tried to make.
const PUT_OFF: &str = "its job may not run yet";

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

/// Makes a socket that is to be connected, and is not before [`Listener::make_anew`]: it has its place in the job's list.
/// Of several addresses it has the last, so that the first is tried first.
pub(super) fn put_off(socket: &Socket, remote: &Remote) -> Result<Listener, ListenError> {
    let stands = || Connection::Lost(PUT_OFF.into());
    match remote {
        Remote::Path(path) => {
            let descriptor = unconnected(AddressFamily::UNIX, socket.kind);
            let descriptor = descriptor.map_err(|error| system(socket, path, error))?;
            Ok(listener(socket, descriptor, format!("unix://{path}"), stands()))
        }
        Remote::Network { node, service, family } => {
            let found = found(socket, node.as_deref(), service, *family)?;
            to_one_of(socket, found, None, |kind, address| Ok((unconnected(family_of(address), kind)?, stands())))
        }
    }
}

/// Connects a socket, or begins to. Of several addresses it is the first that does not refuse at once, those behind
/// `last` before the others. One that is refused is a socket all the same.
fn open(socket: &Socket, remote: &Remote, owner: &Owner, last: Option<&str>) -> Result<Listener, ListenError> {
    match remote {
        Remote::Path(path) => to_path(socket, path, owner),
        Remote::Network { node, service, family } => {
            to_one_of(socket, found(socket, node.as_deref(), service, *family)?, last, to_address)
        }
    }
}

fn found(
    socket: &Socket,
    node: Option<&str>,
    service: &Service,
    family: Family,
) -> Result<Vec<SocketAddr>, ListenError> {
    let services = std::fs::read_to_string(network::SERVICES).unwrap_or_default();
    match addresses(socket.kind, node.or(Some(THIS_MACHINE)), service, family, &services) {
        Ok(found) => Ok(found.into_iter().map(|(address, _)| address).collect()),
        Err(error) => Err(ListenError::Address { name: socket.name.clone(), error }),
    }
}

fn to_one_of(
    socket: &Socket,
    mut found: Vec<SocketAddr>,
    last: Option<&str>,
    by: impl Fn(SocketKind, SocketAddr) -> Result<(OwnedFd, Connection), Errno>,
) -> Result<Listener, ListenError> {
    let url = |address: SocketAddr| network::url(socket.kind, address);
    let tried = found.iter().position(|address| last.is_some_and(|last| url(*address) == last));
    found.rotate_left(tried.map_or(0, |at| at + 1));
    let mut refused = Err(system(socket, THIS_MACHINE, Errno::ADDRNOTAVAIL));
    for address in found {
        let made = by(socket.kind, address);
        match made.map(|(descriptor, stands)| listener(socket, descriptor, url(address), stands)) {
            Ok(mut listener) => {
                // Whoever is refused by this machine itself knows it by now.
                listener.settle();
                if !listener.is_lost() {
                    return Ok(listener);
                }
                refused = Ok(listener);
            }
            // A machine without IPv6 has the other one.
            Err(error) if refused.is_err() => refused = Err(system(socket, &url(address), error)),
            Err(_) => {}
        }
    }
    refused
}

fn to_address(of: SocketKind, address: SocketAddr) -> Result<(OwnedFd, Connection), Errno> {
    begun(fresh(family_of(address), of)?, of, address)
}

/// Connects a fresh one, or begins to.
fn begun(descriptor: OwnedFd, of: SocketKind, address: SocketAddr) -> Result<(OwnedFd, Connection), Errno> {
    let mut stands = Connection::of(connect(&descriptor, &address));
    if is_its_own(&descriptor, address) {
        // The kernel would keep the port for a while after it is closed (socket(7), SO_LINGER).
        let _ = sockopt::set_socket_linger(&descriptor, Some(Duration::ZERO));
        stands = Connection::of(Err(Errno::CONNREFUSED));
    }
    if matches!(stands, Connection::Lost(_)) {
        // This one may have a port: that of who is to answer there, or one to which anybody could send.
        return Ok((unconnected(family_of(address), of)?, stands));
    }
    if of.accepts() {
        // Who has gone without a word is missed in the end, though nothing is ever said to him.
        sockopt::set_socket_keepalive(&descriptor, true)?;
    }
    block(&descriptor)?;
    Ok((descriptor, stands))
}

/// Whether a socket is connected to itself, or about to be: nobody listens at a port of this machine, and the kernel has
/// given it this very one. Its own address is known at once, that of the other end only when it has answered.
fn is_its_own(descriptor: &OwnedFd, address: SocketAddr) -> bool {
    let own = getsockname(descriptor).ok().and_then(|own| SocketAddr::try_from(own).ok());
    // No address at all stands for this machine's.
    let is_here = |own: SocketAddr| own.ip() == address.ip() || address.ip().is_unspecified();
    own.is_some_and(|own| own.port() == address.port() && is_here(own))
}

fn family_of(address: SocketAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

fn fresh(family: AddressFamily, of: SocketKind) -> Result<OwnedFd, Errno> {
    socket_with(family, kind(of), SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

/// One that has no address, so that nobody can send to it.
fn unconnected(family: AddressFamily, of: SocketKind) -> Result<OwnedFd, Errno> {
    let descriptor = fresh(family, of)?;
    block(&descriptor)?;
    Ok(descriptor)
}

/// Whoever is handed it expects what listeners are: that reading waits.
fn block(descriptor: &OwnedFd) -> Result<(), Errno> {
    fcntl_setfl(descriptor, fcntl_getfl(descriptor)?.difference(OFlags::NONBLOCK))
}

fn to_path(socket: &Socket, path: &str, owner: &Owner) -> Result<Listener, ListenError> {
    let failed = |error: Errno| system(socket, path, error);
    let descriptor = fresh(AddressFamily::UNIX, socket.kind).map_err(failed)?;
    let reached = reach(&descriptor, path, owner);
    if reached.is_ok() && socket.kind == SocketKind::Datagram {
        // With a name of the kernel's choice (unix(7), "Autobind feature") it can be answered. By that anybody could
        // send to it while it was not connected.
        bind(&descriptor, &SocketAddrUnix::new_unnamed()).map_err(failed)?;
    }
    block(&descriptor).map_err(failed)?;
    let stands = reached.map_or_else(Connection::Lost, |()| Connection::Made);
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
    is_open_to_jobs(&folder)?;
    let (there, status) = there(&folder, Path::new(name)).map_err(said)?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::Socket => {}
        // A folder on the way may be one: whoever can change those is looked at.
        FileType::Symlink => return Err("what is there is a link; expected the socket itself".into()),
        _ => return Err("what is there is no socket".into()),
    }
    let user = status.st_uid;
    if ![Some(0), Some(owner.domain), owner.job.map(|(uid, _)| uid)].contains(&Some(user)) {
        return Err(format!("it is a socket of user {user}; expected one of root or of the job's user"));
    }
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", there.as_raw_fd())).map_err(said)?;
    connect(descriptor, &address).map_err(said)
}

/// The path itself was looked at by the model; links may lead from it to a supervisor, which would take the job for its
/// owner.
fn is_open_to_jobs(folder: &File) -> Result<(), String> {
    let real =
        readlink(format!("/proc/self/fd/{}", folder.as_raw_fd()), Vec::new()).map_err(|error| error.to_string())?;
    match supervisors_folder(&real.to_string_lossy()) {
        Some(own) => Err(format!("it leads to {own}, which is wjob's own")),
        None => Ok(()),
    }
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
            self.lose(CLOSED.into());
        } else if seen.contains(PollFlags::ERR) {
            // A datagram that did not arrive (udp(7), "Error handling"); its sender has ended.
            let _ = sockopt::socket_error(&self.descriptor);
            // What he has had kept for himself (ip(7), IP_RECVERR; MSG_ZEROCOPY) is there still.
            let left = self.seen(PollFlags::IN);
            if left.contains(PollFlags::ERR) && !left.contains(PollFlags::IN) {
                self.lose(UNREAD.into());
            }
        }
    }

    /// It is not there any more, and nobody waits at the descriptor that it has. One for datagrams gives up the address
    /// by which anybody could send to it.
    fn lose(&mut self, why: String) {
        let kind = self.socket.kind;
        let bare = || sockopt::socket_domain(&self.descriptor).and_then(|family| unconnected(family, kind));
        // Without a descriptor left it is what it was.
        if !kind.accepts()
            && let Ok(bare) = bare()
        {
            self.descriptor = bare;
        }
        self.connection = Some(Connection::Lost(why));
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
        if self.connection == Some(Connection::Made) && self.is_over() {
            self.lose(CLOSED.into());
        }
        self.look_again(owner);
    }

    /// Sees whether a server of datagrams is still there, or there again, before a run is handed the socket: nothing
    /// tells that he has gone.
    pub fn look_again(&mut self, owner: &Owner) {
        let is_made = self.connection == Some(Connection::Made) && !self.socket.kind.accepts();
        if is_made && let Err(why) = self.find_server(owner) {
            self.lose(why);
        }
    }

    fn find_server(&self, owner: &Owner) -> Result<(), String> {
        match &self.socket.place {
            // A run has taken it apart, or the kernel when one sent to nobody; what is there may be anybody's.
            _ if getpeername(&self.descriptor).is_err() => Err(CLOSED.into()),
            // To the kernel it is the same whether anybody is still there. Connecting to another drops what waits to be
            // read, and loses nothing else.
            Place::Remote(Remote::Path(path)) if !self.is_wanted() => reach(&self.descriptor, path, owner),
            _ => Ok(()),
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

    /// Makes a connection, or begins to; nobody waits at the descriptor that it has.
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
