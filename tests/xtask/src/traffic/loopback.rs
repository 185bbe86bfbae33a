//! Loopback addresses: free ones to serve on, and connections from many.
//! Whoever closes first keeps the pair of addresses and ports in TIME_WAIT for a minute, and that is our client. One
//! source address has 28,000 ports, which ten thousand connections a second use up before the minute is over; so
//! clients take the addresses from 127.0.1.1 to 127.0.1.200 in turn, all of which Linux has without configuration. The
//! kernel chooses the port when the address is bound: with a few percent of the ports in use it finds one at once, so
//! that choosing it later (IP_BIND_ADDRESS_NO_PORT) would gain nothing. SO_LINGER is left alone, since a reset in place
//! of an orderly end would spare servers a part of their work.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

/// How long a connection, a byte or a server is waited for.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The first address of clients, and how many there are.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
const SOURCES: u32 = 200;

/// Whose turn it is.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A connection from the next source address.
pub fn open(to: SocketAddrV4) -> anyhow::Result<TcpStream> {
    let from = SocketAddrV4::new(source(NEXT.fetch_add(1, Ordering::Relaxed)), 0);
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(io::Error::from)
        .context("cannot make a socket")?;
    bind(&socket, &from).map_err(io::Error::from).with_context(|| format!("no port is free at {}", from.ip()))?;
    for timeout in [Timeout::Send, Timeout::Recv] {
        sockopt::set_socket_timeout(&socket, timeout, Some(PATIENCE)).map_err(io::Error::from)?;
    }
    connect(&socket, &to).map_err(|error| refused(to, error))?;
    Ok(TcpStream::from(socket))
}

/// A connect that runs into the timeout of sending ends with EINPROGRESS (socket(7), SO_SNDTIMEO).
fn refused(to: SocketAddrV4, error: Errno) -> anyhow::Error {
    match error {
        Errno::INPROGRESS => anyhow::anyhow!("no connection to {to} within {} s", PATIENCE.as_secs()),
        other => anyhow::Error::new(io::Error::from(other)).context(format!("cannot connect to {to}")),
    }
}

fn source(turn: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(FIRST) + turn % SOURCES)
}

/// Addresses that nobody serves on, each another one. They are free, not reserved: whoever is to serve there is started
/// at once.
pub fn free(count: usize) -> anyhow::Result<Vec<SocketAddrV4>> {
    // All are held until the last is found, so that none is found twice.
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()
        .context("no port is free at 127.0.0.1")?;
    held.iter().map(address).collect()
}

fn address(listener: &TcpListener) -> anyhow::Result<SocketAddrV4> {
    let port = listener.local_addr().context("a listener without an address")?.port();
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// As many as are known beforehand.
pub fn free_some<const COUNT: usize>() -> anyhow::Result<[SocketAddrV4; COUNT]> {
    free(COUNT)?.try_into().ok().context("no port is free at 127.0.0.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_take_two_hundred_addresses_in_turn() {
        for (turn, last) in [(0, 1), (1, 2), (199, 200), (200, 1), (u32::MAX, 96)] {
            assert_eq!(source(turn), Ipv4Addr::new(127, 0, 1, last));
        }
    }

    #[test]
    fn a_connection_comes_from_a_source_address() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let connection = open(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).expect("a connection");
        let from = connection.local_addr().expect("an address");
        assert!(from.ip().to_string().starts_with("127.0.1."), "{from}");
        assert_eq!(listener.accept().expect("the connection").1, from);
    }

    #[test]
    fn free_addresses_differ() {
        let mut found = free(20).expect("addresses");
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 20);
    }
}
