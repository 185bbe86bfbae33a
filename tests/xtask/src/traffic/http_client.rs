//! A client that asks for `/` over and over, on one connection or on one for each request, and compares what comes.
//! It sends nothing before the answer to the request before is there.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};

use anyhow::Context as _;

use super::http_response::{self, Response};
use super::loopback;

/// How much is read at a time; the answers are shorter.
const ROOM: usize = 4096;

/// The client.
pub struct Client<'a> {
    to: SocketAddrV4,
    request: Vec<u8>,
    keeps: bool,
    expected: &'a [u8],
    connection: Option<TcpStream>,
    received: Vec<u8>,
}

impl<'a> Client<'a> {
    /// One that keeps its connection or not, and takes no other body.
    pub fn new(to: SocketAddrV4, keeps: bool, expected: &'a [u8]) -> Self {
        Self { to, request: request(to, keeps), keeps, expected, connection: None, received: Vec::new() }
    }

    /// Asks once. After an error the next request has a new connection.
    pub fn exchange(&mut self) -> anyhow::Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => loopback::open(self.to)?,
        };
        let response = ask(&mut connection, &self.request, &mut self.received)?;
        check(&response, self.expected)?;
        if self.keeps && !response.closes {
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// The same; one whose kept connection was closed without a byte of an answer asks once more on another, since a
    /// server cannot know that a request is on its way (RFC 9112, 9.3.1 and 9.5). Whether it did.
    pub fn exchange_or_again(&mut self) -> anyhow::Result<bool> {
        let kept = self.connection.is_some();
        match self.exchange() {
            Err(error) if kept && self.received.is_empty() && has_closed(&error) => self.exchange().map(|()| true),
            result => result.map(|()| false),
        }
    }
}

/// Whether the server has closed a connection: by its end, which is no error of the system's, or by a reset.
fn has_closed(error: &anyhow::Error) -> bool {
    let system = error.root_cause().downcast_ref::<io::Error>();
    system.is_none_or(|error| matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset))
}

/// The body of an answer that is well, on a connection of its own.
pub fn body(to: SocketAddrV4) -> anyhow::Result<Vec<u8>> {
    let response = ask(&mut loopback::open(to)?, &request(to, false), &mut Vec::new())?;
    check(&response, &response.body)?;
    anyhow::ensure!(!response.body.is_empty(), "the answer has no body to compare");
    Ok(response.body)
}

fn request(to: SocketAddrV4, keeps: bool) -> Vec<u8> {
    let end = if keeps { "" } else { "Connection: close\r\n" };
    format!("GET / HTTP/1.1\r\nHost: {to}\r\n{end}\r\n").into_bytes()
}

fn check(response: &Response, expected: &[u8]) -> anyhow::Result<()> {
    let text = || String::from_utf8_lossy(&response.body);
    anyhow::ensure!(response.status == 200, "the status is {}: {:?}", response.status, text());
    anyhow::ensure!(response.body == expected, "another body came: {:?}", text());
    Ok(())
}

/// Sends a request and takes in its response, with which the received bytes end.
fn ask(connection: &mut TcpStream, request: &[u8], received: &mut Vec<u8>) -> anyhow::Result<Response> {
    received.clear();
    connection.write_all(request).context("cannot send")?;
    let mut room = [0; ROOM];
    loop {
        let length = connection.read(&mut room).context("cannot receive")?;
        anyhow::ensure!(length > 0, "the connection ended after {} bytes of the response", received.len());
        received.extend_from_slice(&room[..length]);
        if let Some(response) = http_response::read(received)? {
            anyhow::ensure!(response.length == received.len(), "more came than the response");
            return Ok(response);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

    /// Answers so many requests on so many connections each, and gives how many connections there were.
    fn serve(listener: &TcpListener, connections: usize, requests: usize) -> usize {
        for _ in 0..connections {
            let (mut connection, _) = listener.accept().expect("a connection");
            for _ in 0..requests {
                let mut room = [0; ROOM];
                assert!(connection.read(&mut room).expect("a request") > 0);
                connection.write_all(ANSWER).expect("a client that reads");
            }
        }
        connections
    }

    #[test]
    fn a_connection_is_kept_or_not() {
        for (keeps, connections, requests) in [(true, 1, 3), (false, 3, 1)] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
            let port = listener.local_addr().expect("an address").port();
            let mut client = Client::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), keeps, b"hi");
            thread::scope(|scope| {
                let served = scope.spawn(|| serve(&listener, connections, requests));
                for _ in 0..3 {
                    client.exchange().expect("an answer");
                }
                assert_eq!(served.join().expect("a server"), connections);
            });
        }
    }

    #[test]
    fn only_a_connection_that_was_kept_and_closed_unanswered_is_replaced() {
        for (requests, first, second) in [(1, Some(false), Some(true)), (0, None, Some(false))] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
            let port = listener.local_addr().expect("an address").port();
            let mut client = Client::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), true, b"hi");
            thread::scope(|scope| {
                // The first connection is closed after so many requests, and the second has one.
                scope.spawn(|| serve(&listener, 1, requests) + serve(&listener, 1, 1));
                assert_eq!(client.exchange_or_again().ok(), first);
                assert_eq!(client.exchange_or_again().ok(), second);
            });
        }
    }

    #[test]
    fn another_body_or_status_is_an_error() {
        let response = |status, body: &[u8]| Response { status, body: body.to_vec(), closes: false, length: 0 };
        assert!(check(&response(200, b"hi"), b"hi").is_ok());
        assert!(check(&response(200, b"ho"), b"hi").is_err());
        assert!(check(&response(500, b"hi"), b"hi").is_err());
    }
}
