//! Where a guest under test listens, as wjob says it. It connects to nothing.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// How every line of wjob's own begins.
const OWN: &str = "wjob: ";
/// What stands before the address in the line about a socket.
const LISTENING: &str = ": listening on ";

/// Where a guest under test listens.
///
/// ```
/// use wjob_sdk::harness::Address;
///
/// let address = Address::Tcp("127.0.0.1:7000".parse().unwrap());
/// assert_eq!(address.to_string(), "tcp://127.0.0.1:7000");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket of streams in the network.
    Tcp(SocketAddr),
    /// A socket of datagrams in the network.
    Udp(SocketAddr),
    /// A socket of streams in a folder.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "tcp://{address}"),
            Self::Udp(address) => write!(formatter, "udp://{address}"),
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
        }
    }
}

/// The addresses that the whole lines of a log name, in their order.
pub(super) fn named_in(log: &str) -> Vec<Address> {
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(of_line).collect()
}

fn of_line(line: &str) -> Option<Address> {
    let (_, url) = line.strip_prefix(OWN)?.split_once(LISTENING)?;
    let (scheme, place) = url.split_once("://")?;
    match scheme {
        "tcp" => place.parse().ok().map(Address::Tcp),
        "udp" => place.parse().ok().map(Address::Udp),
        "unix" => Some(Address::Unix(place.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, named_in};

    #[test]
    fn whole_lines_of_wjobs_own_name_addresses() {
        let log = "wjob: warning: this machine is slow\nwjob: run.echo: listening on tcp://127.0.0.1:4001\n\
                   other: x: listening on tcp://127.0.0.1:4002\nwjob: run.echo: listening on udp://[::1]:53\n\
                   wjob: run.echo: listening on unix:///tmp/x/0\nwjob: run.echo: listening on tcp://127.0.0.1:40";
        let expected = [
            Address::Tcp("127.0.0.1:4001".parse().expect("an address")),
            Address::Udp("[::1]:53".parse().expect("an address")),
            Address::Unix("/tmp/x/0".into()),
        ];
        assert_eq!(named_in(log), expected);
        assert!(named_in("").is_empty());
    }
}
