//! `probe-udp HOST:PORT`: sends one datagram from a port the system picks and waits for a reply.
//! The socket is not connected, so that the destination is checked with the datagram itself.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

/// Room for one reply.
const REPLY: usize = 2048;

fn main() {
    let address = guests::argument(1, "HOST:PORT");
    guests::report("udp", exchange(&address));
}

fn exchange(address: &str) -> Result<String, String> {
    let peer = first_address(address).map_err(|error| format!("lookup: {error}"))?;
    let socket = bound_for(peer).map_err(|error| format!("bind: {error}"))?;
    socket.send_to(b"ping", peer).map_err(|error| format!("send: {error}"))?;
    let reply = receive(&socket).map_err(|error| format!("sent, no reply: {error}"))?;
    Ok(reply)
}

fn first_address(address: &str) -> io::Result<SocketAddr> {
    let mut addresses = address.to_socket_addrs()?;
    addresses.next().ok_or_else(|| io::Error::other("the name has no address"))
}

/// A socket of the same family as the peer.
fn bound_for(peer: SocketAddr) -> io::Result<UdpSocket> {
    match peer {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
    }
}

fn receive(socket: &UdpSocket) -> io::Result<String> {
    let mut buffer = [0; REPLY];
    socket.set_nonblocking(true)?;
    let (length, sender) = guests::patiently(|| socket.recv_from(&mut buffer))?;
    Ok(format!("{sender} answered {}", guests::show(&buffer[..length])))
}
