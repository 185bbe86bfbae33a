//! Reads an HTTP/1.1 response out of the bytes that came so far (RFC 9112). It knows what the benches' servers send: a
//! length or chunks; a body that ends with the connection is refused, since one that breaks off would look the same.

use anyhow::Context as _;

/// The longest response that is taken in.
const LONGEST: usize = 1 << 20;

/// A response that has come in whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its body, without chunks' framing.
    pub body: Vec<u8>,
    /// Whether the server closes the connection behind it.
    pub closes: bool,
    /// How many bytes it took.
    pub length: usize,
}

/// The response at the start of these bytes; `None` = more must come.
pub fn read(bytes: &[u8]) -> anyhow::Result<Option<Response>> {
    anyhow::ensure!(bytes.len() <= LONGEST, "the response is longer than {LONGEST} bytes");
    let Some((head, rest)) = split(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(head).context("the head of the response is no text")?;
    let mut lines = head.split("\r\n");
    let (status, old) = status(lines.next().unwrap_or_default())?;
    let head = Head::of(lines)?;
    let Some((body, behind)) = head.body(rest)? else {
        return Ok(None);
    };
    let closes = head.closes.unwrap_or(old);
    Ok(Some(Response { status, body, closes, length: bytes.len() - behind }))
}

/// The status, and whether the version is one whose connections close.
fn status(line: &str) -> anyhow::Result<(u16, bool)> {
    let mut words = line.split(' ');
    let version = words.next().filter(|version| ["HTTP/1.0", "HTTP/1.1"].contains(version));
    let status = words.next().filter(|status| status.len() == 3).and_then(|status| status.parse().ok());
    let found = version.zip(status).with_context(|| format!("this is no status line: {line:?}"))?;
    Ok((found.1, found.0 == "HTTP/1.0"))
}

/// What the fields of a head say about the rest.
#[derive(Default)]
struct Head {
    length: Option<usize>,
    chunked: bool,
    /// Whether the connection closes, where it is said.
    closes: Option<bool>,
}

impl Head {
    fn of<'a>(lines: impl Iterator<Item = &'a str>) -> anyhow::Result<Self> {
        let mut head = Self::default();
        for line in lines {
            let (name, value) = line.split_once(':').with_context(|| format!("this is no field: {line:?}"))?;
            head.field(&name.to_ascii_lowercase(), value.trim())?;
        }
        Ok(head)
    }

    fn field(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        match name {
            "content-length" => {
                self.length = Some(value.parse().with_context(|| format!("this is no length: {value:?}"))?);
            }
            "transfer-encoding" => {
                anyhow::ensure!(value.eq_ignore_ascii_case("chunked"), "nobody asked for the coding {value:?}");
                self.chunked = true;
            }
            "connection" => self.closes = Some(value.eq_ignore_ascii_case("close")),
            _ => {}
        }
        Ok(())
    }

    /// The body, and how many bytes are behind it.
    fn body(&self, rest: &[u8]) -> anyhow::Result<Option<(Vec<u8>, usize)>> {
        match self.length {
            _ if self.chunked => chunks(rest),
            Some(length) if rest.len() < length => Ok(None),
            Some(length) => Ok(Some((rest[..length].to_vec(), rest.len() - length))),
            None => anyhow::bail!("the response does not say how long it is"),
        }
    }
}

/// The chunks put together, and how many bytes are behind them and their trailer.
fn chunks(mut rest: &[u8]) -> anyhow::Result<Option<(Vec<u8>, usize)>> {
    let mut body = Vec::new();
    loop {
        let Some((line, behind)) = split(rest, b"\r\n") else {
            return Ok(None);
        };
        let size = size(line)?;
        if size == 0 {
            return Ok(trailer(behind).map(|behind| (body, behind)));
        }
        let (Some(chunk), Some(end)) = (behind.get(..size), behind.get(size..size + 2)) else {
            return Ok(None);
        };
        anyhow::ensure!(end == b"\r\n", "a chunk is longer than it says");
        body.extend_from_slice(chunk);
        rest = &behind[size + 2..];
    }
}

/// The size a chunk begins with; what stands behind a semicolon is an extension.
fn size(line: &[u8]) -> anyhow::Result<usize> {
    let text = std::str::from_utf8(line).unwrap_or_default();
    let digits = text.split(';').next().unwrap_or_default().trim();
    let size = usize::from_str_radix(digits, 16).ok().filter(|size| *size <= LONGEST);
    size.with_context(|| format!("this is no size of a chunk: {text:?}"))
}

/// How many bytes are behind the trailer, which ends with an empty line.
fn trailer(mut rest: &[u8]) -> Option<usize> {
    loop {
        let (line, behind) = split(rest, b"\r\n")?;
        if line.is_empty() {
            return Some(behind.len());
        }
        rest = behind;
    }
}

/// What is before and behind the first of these marks.
fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    Some((&bytes[..at], &bytes[at + mark.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n";
    const TRAILER: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n";

    #[test]
    fn a_whole_response_is_read() {
        for text in [LENGTH, CHUNKED, TRAILER] {
            let expected = Response { status: 200, body: b"hello".to_vec(), closes: false, length: text.len() };
            assert_eq!(read(text.as_bytes()).expect("a response"), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_response_that_breaks_off_anywhere_wants_more() {
        for text in [LENGTH, CHUNKED, TRAILER] {
            for length in 0..text.len() {
                assert_eq!(read(&text.as_bytes()[..length]).expect("no fault"), None, "{}", &text[..length]);
            }
        }
    }

    #[test]
    fn what_is_behind_a_response_is_not_its_own() {
        for text in [LENGTH, CHUNKED, TRAILER] {
            let found = read(format!("{text}HTTP/1.1").as_bytes()).expect("no fault").expect("a response");
            assert_eq!((found.length, found.body.as_slice()), (text.len(), &b"hello"[..]));
        }
    }

    #[test]
    fn status_and_the_connections_end_are_told() {
        for (head, status, closes) in [
            ("HTTP/1.1 200 OK", 200, false),
            ("HTTP/1.1 503 Service Unavailable\r\nConnection: Close", 503, true),
            ("HTTP/1.1 404 ", 404, false),
            ("HTTP/1.0 200 OK", 200, true),
            ("HTTP/1.0 200 OK\r\nconnection: keep-alive", 200, false),
        ] {
            let text = format!("{head}\r\nContent-Length: 0\r\n\r\n");
            let found = read(text.as_bytes()).expect("no fault").expect("a response");
            assert_eq!((found.status, found.closes), (status, closes), "{head}");
        }
    }

    #[test]
    fn what_is_no_response_is_a_fault() {
        for text in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nuntil the end",
            "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab\r\n",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
