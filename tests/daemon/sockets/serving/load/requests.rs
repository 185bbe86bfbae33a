//! Requests of HTTP/1.1 by the thousand: an answer is read in as few pieces as it comes in, and of one that did not come
//! it is said how it was lost. The client beside, which stops a test at the first fault, is for fewer of them.

use std::io::{Error, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use super::super::Client;

/// An answer, whole.
pub struct Answer {
    /// 200 is well.
    pub status: u16,
    /// As its length said.
    pub body: Vec<u8>,
    /// Whether it was announced that nothing more is answered on its connection.
    pub is_last: bool,
}

/// How an answer was lost.
#[derive(Debug)]
pub enum Lost {
    /// The other end had closed, and not a byte of the answer had come. One that closes before it has read what was sent
    /// resets the connection by that (unix(7), RFC 9293 3.6.1).
    Closed,
    /// Otherwise, and how.
    Broken(String),
}

/// Asks for something, and waits for the answer.
pub fn ask(client: &mut Client, request: &str) -> Result<Answer, Lost> {
    match client.0.write_all(request.as_bytes()) {
        Ok(()) => answer(client),
        // The other end has closed, and told so by that alone (shutdown(2), send(2)).
        Err(error) if has_closed(&error) => Err(Lost::Closed),
        Err(error) => Err(Lost::Broken(format!("asking: {error}"))),
    }
}

/// Waits for the answer to what was asked.
pub fn answer(client: &mut Client) -> Result<Answer, Lost> {
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    loop {
        match client.0.read(&mut piece) {
            Ok(0) if bytes.is_empty() => return Err(Lost::Closed),
            Ok(0) => return Err(broken("the end", &bytes)),
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
            Err(error) if bytes.is_empty() && has_closed(&error) => return Err(Lost::Closed),
            Err(error) => return Err(broken(&error.to_string(), &bytes)),
        }
        if let Some((answer, length)) = whole(&bytes) {
            // To one request there is one answer.
            return if bytes.len() == length { Ok(answer) } else { Err(broken("more than an answer", &bytes)) };
        }
    }
}

fn has_closed(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

fn broken(what: &str, bytes: &[u8]) -> Lost {
    Lost::Broken(format!("{what} after {:?}", String::from_utf8_lossy(bytes)))
}

/// What the bytes say, once all of an answer is there, and how many of them it is.
fn whole(bytes: &[u8]) -> Option<(Answer, usize)> {
    const END: &[u8] = b"\r\n\r\n";
    let end = bytes.windows(END.len()).position(|window| window == END)? + END.len();
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let length: usize = header("content-length:")?.parse().ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = bytes.get(end..end + length)?.to_vec();
    Some((Answer { status, body, is_last: header("connection:") == Some("close") }, end + length))
}

#[test]
fn to_one_request_there_is_one_answer() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    for (said, is_one) in [(ANSWER.to_owned(), true), (ANSWER.repeat(2), false)] {
        let (client, mut server) = UnixStream::pair().expect("a pair of sockets");
        server.write_all(said.as_bytes()).expect("a client that is there");
        assert_eq!(answer(&mut Client::of(client)).is_ok(), is_one, "{said:?}");
    }
}

#[test]
fn who_closes_without_a_byte_of_an_answer_has_closed_whatever_he_did_not_read() {
    for (said, closed) in [("", true), ("HTTP/1.1 200 OK\r\n", false)] {
        let (client, mut server) = UnixStream::pair().expect("a pair of sockets");
        let mut client = Client::of(client);
        client.say("unread");
        server.write_all(said.as_bytes()).expect("a client that is there");
        drop(server);
        let lost = answer(&mut client).err().expect("no answer");
        assert_eq!(matches!(lost, Lost::Closed), closed, "{said:?}: {lost:?}");
        assert!(matches!(ask(&mut client, "more"), Err(Lost::Closed)), "{said:?}");
    }
}
