//! Servers that attacks are granted: one that accepts and says nothing, and one whose answers are attacks themselves, a
//! kind for each path. They serve until the test's process ends, on threads of their own; none of them judges anything.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

/// Connections that the silent server keeps: a test's process has descriptors for other things too.
const KEPT: usize = 16;
/// The most of a request's head that is read.
const HEAD: u64 = 1 << 20;
/// Between two bytes of a slow answer.
const PAUSE: Duration = Duration::from_millis(200);

/// Accepts, reads nothing and says nothing; of many connections it keeps the newest. Gives its port.
pub fn silent() -> u16 {
    let (listener, port) = listener();
    thread::spawn(move || {
        let mut kept = VecDeque::new();
        for stream in listener.incoming().flatten() {
            kept.push_back(stream);
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
    });
    port
}

/// Answers requests as their path says. Gives its port.
pub fn hostile() -> u16 {
    let (listener, port) = listener();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that leaves is how most of these conversations end.
            thread::spawn(move || conversation(stream));
        }
    });
    port
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

fn conversation(mut stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let head = head(&mut reader)?;
    match head.split(' ').nth(1).unwrap_or_default() {
        "/endless-head" => over_and_over(&mut stream, "HTTP/1.1 200 OK\r\n", "x: y\r\n"),
        "/endless-continue" => over_and_over(&mut stream, "", "HTTP/1.1 100 Continue\r\n\r\n"),
        "/endless-body" => over_and_over(&mut stream, CHUNKED, "4\r\nbody\r\n"),
        "/endless-trailers" => over_and_over(&mut stream, &format!("{CHUNKED}0\r\n"), "x: y\r\n"),
        "/slow-head" => slowly(&mut stream, "HTTP/1.1 200 OK\r\nx: ", "y"),
        "/slow-body" => slowly(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "y"),
        "/huge-chunk" => said_and_left_open(&mut stream, &format!("{CHUNKED}ffffffffffffffff\r\nbody")),
        "/cut-short" => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbody"),
        "/no-http" => stream.write_all(b"\0\xff no answer\r\n\r\n"),
        "/nothing" | "/sink" => until_the_client_leaves(&stream),
        _ => echo(&mut stream, &mut reader, &head),
    }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// The head of a request, with its empty line.
fn head(reader: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    let mut limited = reader.take(HEAD);
    while !head.ends_with("\r\n\r\n") {
        if limited.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

fn over_and_over(stream: &mut TcpStream, beginning: &str, piece: &str) -> io::Result<()> {
    stream.write_all(beginning.as_bytes())?;
    let pieces = piece.repeat(1000);
    loop {
        stream.write_all(pieces.as_bytes())?;
    }
}

fn slowly(stream: &mut TcpStream, beginning: &str, piece: &str) -> io::Result<()> {
    stream.write_all(beginning.as_bytes())?;
    loop {
        stream.write_all(piece.as_bytes())?;
        thread::sleep(PAUSE);
    }
}

fn said_and_left_open(stream: &mut TcpStream, said: &str) -> io::Result<()> {
    stream.write_all(said.as_bytes())?;
    until_the_client_leaves(stream)
}

/// Without reading what it sends.
fn until_the_client_leaves(stream: &TcpStream) -> io::Result<()> {
    poll(&mut [PollFd::new(stream, PollFlags::RDHUP)], None)?;
    Ok(())
}

/// Sends back what was seen of the request, and what came behind it.
fn echo(stream: &mut TcpStream, reader: &mut BufReader<TcpStream>, head: &str) -> io::Result<()> {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<u64>().ok())?
    });
    let mut seen = head.as_bytes().to_vec();
    reader.by_ref().take(length.unwrap_or_default()).read_to_end(&mut seen)?;
    seen.extend_from_slice(reader.buffer());
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", seen.len());
    stream.write_all(&[answer.as_bytes(), &seen].concat())?;
    stream.shutdown(Shutdown::Write)?;
    // The client closes first, so that no reset overtakes the answer.
    reader.read_to_end(&mut Vec::new()).map(drop)
}

#[test]
fn the_hostile_server_shows_what_it_saw() {
    let mut stream = TcpStream::connect(("127.0.0.1", hostile())).expect("a server");
    stream.write_all(b"POST /x HTTP/1.1\r\ncontent-length: 4\r\n\r\nfourmore").expect("a server that reads");
    stream.shutdown(Shutdown::Write).expect("a connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("POST /x HTTP/1.1\r\ncontent-length: 4\r\n\r\nfourmore"), "{answer}");
}
