//! A client of HTTP/1.1 that is just good enough for these tests: it sends what it is told, byte for byte, and takes an
//! answer apart. It reads no further than that answer, so a connection can be used again.

use std::io::Read;

use super::super::Client;

/// An answer.
pub struct Answer {
    pub status: u16,
    /// Its head, in small letters.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[track_caller]
    pub fn text(self) -> String {
        String::from_utf8(self.body).expect("text")
    }

    /// What a header says.
    fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&start))
    }
}

/// Asks for something, and what is answered.
#[track_caller]
pub fn get(client: &mut Client, path: &str) -> Answer {
    client.say(request(path));
    answer(client)
}

/// A request without a body.
pub fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// The beginning of a request whose body comes in pieces.
pub fn upload(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
}

/// A piece of such a body; an empty one is its end.
pub fn piece(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// The next answer, whole.
#[track_caller]
pub fn answer(client: &mut Client) -> Answer {
    let mut answer = head(client);
    answer.body = match answer.header("content-length").map(|length| length.parse().expect("a length")) {
        _ if answer.header("transfer-encoding") == Some("chunked") => pieces(client),
        Some(length) => bytes(client, length),
        None => {
            let mut rest = Vec::new();
            client.0.read_to_end(&mut rest).expect("the end");
            rest
        }
    };
    answer
}

/// The head of the next answer.
#[track_caller]
pub fn head(client: &mut Client) -> Answer {
    let first = client.line();
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{first:?} is no answer"));
    let mut head = first;
    while !head.ends_with("\r\n\r\n") {
        head += &client.line();
    }
    Answer { status, head: head.to_lowercase(), body: Vec::new() }
}

/// The next piece of a body; an empty one is its end.
#[track_caller]
pub fn next(client: &mut Client) -> Vec<u8> {
    let line = client.line();
    let length = usize::from_str_radix(line.trim_end(), 16).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    let piece = bytes(client, length);
    assert_eq!(client.line(), "\r\n");
    piece
}

#[track_caller]
fn pieces(client: &mut Client) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let piece = next(client);
        if piece.is_empty() {
            return all;
        }
        all.extend(piece);
    }
}

#[track_caller]
fn bytes(client: &mut Client, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    client.0.read_exact(&mut bytes).expect("as many bytes as were promised");
    bytes
}
