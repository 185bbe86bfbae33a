//! What tests of sockets of datagrams share: where one is, its entry in a job file, and who asks there.

use std::net::{SocketAddr, UdpSocket};

use plist::Dictionary;

use super::{PATIENCE, loopback};
use crate::harness::again;

/// The entry in `Sockets` of an address for datagrams.
pub(super) fn datagrams(address: SocketAddr) -> Dictionary {
    Dictionary::from_iter([
        ("SockNodeName", address.ip().to_string()),
        ("SockServiceName", address.port().to_string()),
        ("SockType", "dgram".into()),
    ])
}

/// An address for datagrams that nobody has.
pub(super) fn free_address() -> SocketAddr {
    let socket = UdpSocket::bind((loopback(), 0)).expect("a free port");
    socket.local_addr().expect("its address")
}

/// Somebody who sends datagrams. Each of his waits has a bound.
pub(super) fn sender() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// What is answered to a datagram.
#[track_caller]
pub(super) fn ask_by_datagram(client: &UdpSocket, address: SocketAddr, text: &str) -> String {
    client.send_to(text.as_bytes(), address).expect("it is sent");
    let mut answer = [0; 1500];
    let (length, from) = again(|| client.recv_from(&mut answer)).expect("an answer");
    assert_eq!(from, address, "another has answered");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}
