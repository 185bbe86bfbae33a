//! `probe-lookup NAME`: asks for a name's addresses. It connects to none of them.

use std::io;
use std::net::ToSocketAddrs;

fn main() {
    let name = guests::argument(1, "NAME");
    let result = addresses(&name).map(|addresses| addresses.join(" "));
    guests::report("lookup", guests::told(result));
}

/// The addresses, sorted, each once.
fn addresses(name: &str) -> io::Result<Vec<String>> {
    let found = (name, 0).to_socket_addrs()?;
    let mut addresses: Vec<_> = found.map(|address| address.ip()).collect();
    addresses.sort();
    addresses.dedup();
    Ok(addresses.iter().map(ToString::to_string).collect())
}
