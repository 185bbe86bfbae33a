//! `probe-udp-bind ADDR:PORT`: binds a UDP address. It sends and receives nothing.

use std::net::UdpSocket;

fn main() {
    let address = guests::argument(1, "ADDR:PORT");
    let result = UdpSocket::bind(address).and_then(|socket| socket.local_addr());
    guests::report("udp-bind", guests::told(result.map(|local| local.to_string())));
}
