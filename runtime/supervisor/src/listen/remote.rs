//! Sockets that are connected to somebody else's: put off at load, connected when the job may run, and again when the
//! connection is over. Connecting waits for nobody; what comes of it is seen in `standing`. Nothing is said or read here, so
//! that the job has all of it.

mod standing;

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FileType, Gid, OFlags, Stat, Uid, fchown, fcntl_getfl, fcntl_setfl, fstat, readlink};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, bind, connect, getsockname, socket_with, sockopt};
use wjob_model::socket::{Family, Remote, Service, Socket, SocketKind, addresses};
use wjob_model::spec::supervisors_folder;

use super::path::there;
use super::{ListenError, Listener, Owner, kind, network, system};
use crate::trust::open_trusted_folder;
pub use standing::Connection;

/// Where an address is looked for that is not given.
const THIS_MACHINE: &str = "localhost";
/// Whose a connection of root's supervisor is when the job's account is in none of this machine's files (passwd(5)):
/// nobody is asked for it here.
const NOBODY: (u32, u32) = (65_534, 65_534);
/// Why one is not there that nobody has tried to make.
const PUT_OFF: &str = "its job may not run yet";

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
            let by = |kind, address| to_address(kind, address, owner);
            to_one_of(socket, found(socket, node.as_deref(), service, *family)?, last, by)
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

fn to_address(of: SocketKind, address: SocketAddr, owner: &Owner) -> Result<(OwnedFd, Connection), Errno> {
    let descriptor = fresh(family_of(address), of)?;
    if owner.domain == 0 {
        let (uid, gid) = owner.job.unwrap_or(NOBODY);
        // What goes by the user of a connection, as rules of a firewall and ident (RFC 1413) do, is to see the job's.
        fchown(&descriptor, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    begun(descriptor, of, address)
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
    is_no_supervisors(&fstat(&folder).map_err(said)?, &status, owner)?;
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

/// A supervisor that was told to answer elsewhere is known by what it has bound, whatever name leads there.
fn is_no_supervisors(folder: &Stat, socket: &Stat, owner: &Owner) -> Result<(), String> {
    let is_one = |status: &Stat| owner.supervisors.contains(&(status.st_dev, status.st_ino));
    match is_one(folder) || is_one(socket) {
        true => Err("a supervisor of wjob answers there".into()),
        false => Ok(()),
    }
}

fn listener(socket: &Socket, descriptor: OwnedFd, address: String, stands: Connection) -> Listener {
    let socket = socket.clone();
    Listener { socket, descriptor, address, place: None, folder: None, admitted: None, connection: Some(stands) }
}

#[cfg(test)]
mod tests;
