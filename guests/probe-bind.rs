//! `probe-bind ADDR:PORT`: binds a TCP address and listens on it. It accepts nobody.

use std::net::TcpListener;

fn main() {
    let address = guests::argument(1, "ADDR:PORT");
    let result = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    guests::report("bind", guests::told(result.map(|local| local.to_string())));
}
