//! `probe-bind ADDR:PORT [client]`: binds a TCP address and listens on it. It accepts nobody, or with `client` the one that
//! it is itself.

use std::io;
use std::net::{TcpListener, TcpStream};

fn main() {
    let address = guests::argument(1, "ADDR:PORT");
    let taken = guests::optional_argument(2).is_some();
    let result = TcpListener::bind(address);
    let result = result.and_then(|listener| if taken { client(&listener) } else { bound(&listener) });
    guests::report("bind", guests::told(result));
}

fn bound(listener: &TcpListener) -> io::Result<String> {
    listener.local_addr().map(|local| local.to_string())
}

/// Whether who was accepted is who has connected.
fn client(listener: &TcpListener) -> io::Result<String> {
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (_taken, from) = listener.accept()?;
    let own = client.local_addr()?;
    Ok(if from == own { "it was taken".into() } else { format!("{own} was taken for {from}") })
}
