//! Sockets in the network: one for each address, in the multicast group that the list names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, bind as bind_to, getsockname, listen, socket_with, sockopt};
use wjob_model::socket::{AddressError, Family, Place, Socket, SocketKind, addresses, joins};

use super::{BACKLOG, ListenError, Listener, kind, system};

/// The names of services, by services(5); it is root's, and reading it waits for nobody.
pub(super) const SERVICES: &str = "/etc/services";

/// Binds a socket to each of its addresses that is not `there`.
pub(super) fn bind(socket: &Socket, there: &[&Listener]) -> Result<Vec<Listener>, ListenError> {
    let Place::Network { node, service, family, group } = &socket.place else {
        return Ok(Vec::new());
    };
    let wrong = |error| ListenError::Address { name: socket.name.clone(), error };
    let services = std::fs::read_to_string(SERVICES).unwrap_or_default();
    let addresses = addresses(socket.kind, node.as_deref(), service, *family, &services).map_err(wrong)?;
    let joined = |address: SocketAddr, dual: bool| group.filter(|group| joins(*group, address, dual));
    if let Some(group) = group
        && !addresses.iter().any(|(address, dual)| joined(*address, *dual).is_some())
    {
        return Err(wrong(AddressError::Group(*group)));
    }
    let missing = |address: &SocketAddr| !there.iter().any(|listener| is_at(listener, *address));
    let mut listeners = Vec::new();
    for (address, dual) in addresses.into_iter().filter(|(address, _)| missing(address)) {
        let group = joined(address, dual);
        match at(socket.kind, address, dual, group.is_some()) {
            Ok(descriptor) => {
                if let Some(group) = group {
                    join(&descriptor, group).map_err(|error| outside(socket, address, group, error))?;
                }
                listeners.push(listener(socket, descriptor, address));
            }
            // A machine without IPv6 has the other one.
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
                if *family == Family::Each && address.is_ipv6() && !(listeners.is_empty() && there.is_empty()) => {}
            Err(error) => return Err(refused(socket, address, error)),
        }
    }
    Ok(listeners)
}

/// Whether a listener is what was bound when this address was asked for.
fn is_at(listener: &Listener, asked: SocketAddr) -> bool {
    let bound = listener.address.split_once("://").and_then(|(_, address)| address.parse::<SocketAddr>().ok());
    bound.is_some_and(|bound| bound.ip() == asked.ip() && [0, bound.port()].contains(&asked.port()))
}

fn refused(socket: &Socket, address: SocketAddr, error: Errno) -> ListenError {
    let place = url(socket.kind, address);
    if error == Errno::ADDRINUSE {
        let what = "another process has it; end that, or choose another port (`ss -lntup` shows who)".into();
        return ListenError::Taken { name: socket.name.clone(), place, what };
    }
    system(socket, &place, error)
}

fn outside(socket: &Socket, address: SocketAddr, group: IpAddr, error: Errno) -> ListenError {
    let what = format!("it cannot join {group}: {error}; a route to the group says by which interface it is joined");
    ListenError::Taken { name: socket.name.clone(), place: url(socket.kind, address), what }
}

/// Joins a group on the interface to which the machine's routes lead (ip(7), ipv6(7)).
fn join(descriptor: &OwnedFd, group: IpAddr) -> Result<(), Errno> {
    match group {
        IpAddr::V4(group) => sockopt::set_ip_add_membership(descriptor, &group, &Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(group) => sockopt::set_ipv6_add_membership(descriptor, &group, 0),
    }
}

fn at(of: SocketKind, address: SocketAddr, dual: bool, shared: bool) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let descriptor = socket_with(family, kind(of), SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&descriptor, !dual)?;
    }
    if of.accepts() || shared {
        // The connections of an earlier listener, which are only waiting to be forgotten, are in nobody's way. And every
        // member of a multicast group on a machine has its port.
        sockopt::set_socket_reuseaddr(&descriptor, true)?;
    }
    bind_to(&descriptor, &address)?;
    if of.accepts() {
        listen(&descriptor, BACKLOG)?;
    }
    Ok(descriptor)
}

/// With the port it got, if it asked for any.
fn listener(socket: &Socket, descriptor: OwnedFd, asked: SocketAddr) -> Listener {
    let bound = getsockname(&descriptor).ok().and_then(|address| SocketAddr::try_from(address).ok());
    let address = url(socket.kind, bound.unwrap_or(asked));
    let socket = socket.clone();
    Listener { socket, descriptor, address, place: None, folder: None, admitted: None, connection: None }
}

pub(super) fn url(kind: SocketKind, address: SocketAddr) -> String {
    let scheme = if kind == SocketKind::Datagram { "udp" } else { "tcp" };
    format!("{scheme}://{address}")
}
