//! `probe-connect HOST:PORT`: opens a TCP connection, sends a line and waits for one.
//! Being connected is the authority it tries; a missing answer is told but is no refusal.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

fn main() {
    let address = guests::argument(1, "HOST:PORT");
    let result = TcpStream::connect(address).map(|stream| conversation(&stream));
    guests::report("connect", guests::told(result));
}

fn conversation(stream: &TcpStream) -> String {
    let peer = match stream.peer_addr() {
        Ok(peer) => peer.to_string(),
        Err(error) => format!("an unknown peer ({error})"),
    };
    match exchange(stream) {
        Ok(line) if line.is_empty() => format!("{peer} closed without an answer"),
        Ok(line) => format!("{peer} answered {}", guests::show(&line)),
        Err(error) => format!("{peer} gave no answer: {error}"),
    }
}

/// The line without its end; empty if the peer closed the connection first.
fn exchange(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    stream.write_all(b"ping\n")?;
    stream.set_nonblocking(true)?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    guests::patiently(|| reader.read_until(b'\n', &mut line))?;
    Ok(line.trim_ascii_end().to_vec())
}
