//! One echo: a connection of its own, 64 bytes there, the same 64 back, every byte compared. It retries nothing.
//! Each echo has bytes of its own, so that those of another connection are noticed.

use std::io::{self, Read, Write as _};
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::loopback;

/// How many bytes go there and back.
const LENGTH: usize = 64;
/// The bytes of a word, of which there are eight.
const WORD: usize = size_of::<u64>();

/// The number of the next echo.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Connects, sends, receives and compares; gives the time until the last byte was back.
pub fn exchange(to: SocketAddrV4) -> anyhow::Result<Duration> {
    let sent = bytes(NUMBER.fetch_add(1, Ordering::Relaxed));
    let begin = Instant::now();
    let mut connection = loopback::open(to)?;
    connection.write_all(&sent).context("cannot send")?;
    let mut room = [0; LENGTH];
    let received = receive(&mut connection, &mut room).context("cannot receive")?;
    let elapsed = begin.elapsed();
    anyhow::ensure!(received == sent, "{}", other(received));
    Ok(elapsed)
}

/// What came until the room was full or the other side closed.
fn receive<'a>(connection: &mut impl Read, room: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut length = 0;
    while length < room.len() {
        match connection.read(&mut room[length..])? {
            0 => break,
            more => length += more,
        }
    }
    Ok(&room[..length])
}

/// What is wrong with bytes that are not those that were sent: a program that complains is to be read.
fn other(received: &[u8]) -> String {
    let text = String::from_utf8_lossy(received);
    format!("{LENGTH} bytes were sent, and {} others came back: {:?}", received.len(), text.trim_end())
}

/// The bytes of one echo.
fn bytes(number: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    for (place, word) in (0..).zip(bytes.chunks_exact_mut(WORD)) {
        word.copy_from_slice(&mixed(number.wrapping_mul(WORD as u64).wrapping_add(place)).to_le_bytes());
    }
    bytes
}

/// A number in which every bit depends on every bit of the given one (the finalizer of SplitMix64; Steele, Lea, Flood:
/// Fast Splittable Pseudorandom Number Generators, 2014).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    type Answer = fn([u8; LENGTH]) -> Vec<u8>;

    /// One exchange with a server that answers in its way.
    fn with(answer: Answer) -> anyhow::Result<Duration> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        thread::scope(|scope| {
            scope.spawn(move || {
                let (mut connection, _) = listener.accept().expect("a connection");
                let mut heard = [0; LENGTH];
                connection.read_exact(&mut heard).expect("64 bytes");
                connection.write_all(&answer(heard)).expect("a client that reads");
            });
            exchange(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
        })
    }

    #[test]
    fn only_the_same_bytes_will_do() {
        with(|heard| heard.to_vec()).expect("an echo");
        let short: Answer = |heard| heard[..LENGTH - 1].to_vec();
        let other: Answer = |mut heard| {
            heard[LENGTH - 1] ^= 1;
            heard.to_vec()
        };
        let nothing: Answer = |_| Vec::new();
        for answer in [short, other, nothing] {
            assert!(with(answer).is_err());
        }
        let complaint = with(|_| b"bwrap: not permitted\n".to_vec()).expect_err("other bytes");
        assert!(complaint.to_string().contains("\"bwrap: not permitted\""), "{complaint}");
    }

    #[test]
    fn no_two_echoes_have_the_same_bytes() {
        let mut seen: Vec<[u8; LENGTH]> = (0..1000).map(bytes).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }
}
