//! `wjob:service/activation`: sockets of datagrams. A job may answer whoever sent it something lately, and send to what
//! its Connect grants name: a socket that takes questions is no way out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrAny, SocketAddrUnix, recvfrom, send, sendto};
use wasmtime::component::{Access, Accessor, Resource};

use super::bindings::wjob::service::activation::{Datagram, HostDatagramSocket, HostDatagramSocketWithStore, Sender};
use super::connection::error_code;
use super::{ErrorCode, Host, IpAddress, readable};
use crate::readiness::Watched;
use crate::serve::Serving;
use crate::serve::listening::Socket;
use crate::state::State;
use crate::wasi::network::Kind;

/// Largest datagram, bytes: a network's has at most 65,507 (udp(7)), a Unix socket's what its sender's buffer takes
/// (net.core.wmem_default is 212,992).
const LARGEST: usize = 256 << 10;
/// Senders that may still be answered.
const LATELY: usize = 1024;

/// A socket in a guest's hands.
pub struct Datagrams {
    inner: Arc<Inner>,
}

struct Inner {
    socket: Socket,
    watched: Watched,
    serving: Arc<Serving>,
    /// To whom it is connected, if it is.
    other_end: Option<Address>,
    lately: Mutex<VecDeque<Address>>,
    /// Room for one, used again and again.
    room: Mutex<Vec<u8>>,
}

/// Where a datagram came from.
#[derive(Clone, Debug, PartialEq)]
enum Address {
    Network(SocketAddr),
    Path(SocketAddrUnix),
    Unnamed,
}

impl Datagrams {
    pub(super) fn new(socket: Socket, watched: Watched, serving: Arc<Serving>) -> Self {
        let (other_end, room) = (other_end(&socket), Mutex::new(vec![0; LARGEST]));
        let lately = Mutex::default();
        Self { inner: Arc::new(Inner { socket, watched, serving, other_end, lately, room }) }
    }
}

impl HostDatagramSocket for &mut State {}

impl<T: Send + 'static> HostDatagramSocketWithStore<T> for Host {
    fn socket(mut access: Access<'_, T, Self>, socket: Resource<Datagrams>) -> wasmtime::Result<String> {
        Ok(access.get().table.get(&socket)?.inner.socket.about.name.clone())
    }

    fn address(mut access: Access<'_, T, Self>, socket: Resource<Datagrams>) -> wasmtime::Result<String> {
        Ok(access.get().table.get(&socket)?.inner.socket.about.address.clone())
    }

    async fn receive(
        accessor: &Accessor<T, Self>,
        socket: Resource<Datagrams>,
    ) -> wasmtime::Result<Result<Datagram, ErrorCode>> {
        let inner = accessor.with(|mut access| access.get().table.get(&socket).map(|it| it.inner.clone()))?;
        Ok(inner.receive().await)
    }

    async fn send(
        accessor: &Accessor<T, Self>,
        socket: Resource<Datagrams>,
        datagram: Datagram,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        let inner = accessor.with(|mut access| access.get().table.get(&socket).map(|it| it.inner.clone()))?;
        Ok(inner.send(&datagram))
    }

    fn drop(mut access: Access<'_, T, Self>, socket: Resource<Datagrams>) -> wasmtime::Result<()> {
        access.get().table.delete(socket)?;
        Ok(())
    }
}

impl Inner {
    async fn receive(&self) -> Result<Datagram, ErrorCode> {
        let lifecycle = &self.serving.template.lifecycle;
        loop {
            let mut guard = readable(&self.watched, lifecycle).await?;
            lifecycle.touch();
            let taken = {
                let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
                let taken = recvfrom(&self.socket.descriptor, room.as_mut_slice(), RecvFlags::empty());
                taken.map(|(length, _, from)| (room[..length].to_vec(), from))
            };
            match taken {
                Ok((data, from)) => return Ok(Datagram { data, peer: self.remember(address(from)) }),
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(Errno::INTR) => {}
                // An earlier answer could not be delivered (udp(7), "Error handling"); the next datagram is another.
                Err(Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH) => {}
                Err(error) => return Err(error_code(&error.into())),
            }
        }
    }

    fn remember(&self, from: Address) -> Sender {
        let sender = match &from {
            Address::Network(address) => {
                Sender::Ip(IpAddress { host: address.ip().to_canonical().to_string(), port: address.port() })
            }
            Address::Path(path) => match path.path() {
                Some(path) => Sender::Path(path.to_string_lossy().into_owned()),
                None => Sender::Unnamed,
            },
            Address::Unnamed => Sender::Unnamed,
        };
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        if !lately.contains(&from) {
            if lately.len() == LATELY {
                lately.pop_front();
            }
            lately.push_back(from);
        }
        sender
    }

    fn send(&self, datagram: &Datagram) -> Result<(), ErrorCode> {
        self.serving.template.lifecycle.touch();
        let to = self.destination(&datagram.peer)?;
        match deliver(&self.socket.descriptor, self.other_end.as_ref(), &to, &datagram.data) {
            Ok(_) => Ok(()),
            Err(Errno::MSGSIZE) => Err(ErrorCode::Invalid),
            // A network that is full loses datagrams; so does this socket.
            Err(Errno::AGAIN | Errno::NOBUFS) => Ok(()),
            Err(error) => Err(error_code(&error.into())),
        }
    }

    /// An address that the job may send to.
    fn destination(&self, peer: &Sender) -> Result<Address, ErrorCode> {
        let lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = self.other_end.iter().chain(lately.iter());
        match peer {
            Sender::Unnamed => Err(ErrorCode::Invalid),
            Sender::Path(path) => {
                let to = Address::Path(SocketAddrUnix::new(path.as_str()).map_err(|_| ErrorCode::Invalid)?);
                if known.any(|one| *one == to) { Ok(to) } else { Err(ErrorCode::Denied) }
            }
            Sender::Ip(IpAddress { host, port }) => {
                let asked = SocketAddr::new(host.parse().map_err(|_| ErrorCode::Invalid)?, *port);
                let known = known.find(|one| {
                    matches!(one, Address::Network(one) if one.ip().to_canonical() == asked.ip() && one.port() == asked.port())
                });
                match known {
                    Some(known) => Ok(known.clone()),
                    None if self.serving.template.network.allows_connect(Kind::Udp, asked) => {
                        Ok(Address::Network(asked))
                    }
                    None => Err(ErrorCode::Denied),
                }
            }
        }
    }
}

/// Sends to whoever is meant. To the other end it goes without an address, as that path need not be seen from here;
/// anybody else is sent to as by any other socket.
fn deliver(socket: impl AsFd, other_end: Option<&Address>, to: &Address, data: &[u8]) -> rustix::io::Result<usize> {
    match to {
        to if other_end == Some(to) => send(socket, data, SendFlags::NOSIGNAL),
        Address::Unnamed => Err(Errno::INVAL),
        Address::Network(to) => sendto(socket, data, SendFlags::NOSIGNAL, to),
        Address::Path(to) => sendto(socket, data, SendFlags::NOSIGNAL, to),
    }
}

/// To whom a socket is connected, if it is.
fn other_end(socket: &Socket) -> Option<Address> {
    let (scheme, place) = socket.about.address.split_once("://").filter(|_| socket.about.connected)?;
    match scheme {
        "unix" => SocketAddrUnix::new(place).ok().map(Address::Path),
        _ => place.parse().ok().map(Address::Network),
    }
}

fn address(from: Option<SocketAddrAny>) -> Address {
    let Some(from) = from else {
        return Address::Unnamed;
    };
    if let Ok(network) = SocketAddr::try_from(from.clone()) {
        return Address::Network(network);
    }
    match SocketAddrUnix::try_from(from) {
        Ok(path) if path.path().is_some() => Address::Path(path),
        _ => Address::Unnamed,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    use super::*;

    /// Longest wait; only a hang reaches it.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_socket_that_is_connected_sends_to_whom_it_is_told() {
        let [other_end, else_where] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(other_end.local_addr().unwrap()).unwrap();
        let address = |socket: &UdpSocket| Address::Network(socket.local_addr().unwrap());
        for (to, text) in [(&else_where, "elsewhere"), (&other_end, "here")] {
            let sent = deliver(&socket, Some(&address(&other_end)), &address(to), text.as_bytes());
            assert_eq!(sent, Ok(text.len()));
            to.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut said = [0; 16];
            let length = to.recv(&mut said).unwrap();
            assert_eq!(&said[..length], text.as_bytes());
        }
        assert_eq!(deliver(&socket, None, &Address::Unnamed, b"nobody"), Err(Errno::INVAL));
    }

    #[test]
    fn the_other_end_is_reached_whose_path_is_not_seen() {
        let (socket, other_end) = UnixDatagram::pair().unwrap();
        let unseen = Address::Path(SocketAddrUnix::new("/nowhere/to/be/seen").unwrap());
        assert_eq!(deliver(&socket, Some(&unseen), &unseen, b"here"), Ok(4));
        other_end.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(other_end.recv(&mut [0; 16]).unwrap(), 4);
        assert!(deliver(&socket, None, &unseen, b"nowhere").is_err());
    }
}
