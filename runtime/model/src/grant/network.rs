//! Networks in the place of one address: where `wjob learn` may let a job connect while it records. A job file names
//! addresses and names one by one, so what is read here is never a grant of one; `Endpoint::parse_connect` refuses it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Endpoint, EndpointError, Host, Port, Transport, canonical, parse_port, split_port};

/// All addresses that begin with the same bits (RFC 4632, RFC 4291 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IpNetwork {
    /// The first of them: every bit after `length` is 0.
    address: IpAddr,
    /// Bits that all have in common, at most 32 or 128.
    length: u8,
}

/// Why a text names no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// The scheme or the port, as of any destination.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No address, or the length outside of the brackets.
    #[error("{0:?} is no network; expected an address, / and a length, as in 10.0.0.0/8 or [fd00::/8]")]
    Form(String),
    /// Not a length, or more bits than such an address has.
    #[error("{found:?} is no length of a network; expected a number from 0 to {most}")]
    Length {
        /// What was found.
        found: String,
        /// Bits of an address of that family.
        most: u8,
    },
    /// An address within a network, and not the first of it.
    #[error("{address} has bits beyond the first {}, which are the host's; that network is {network}", .network.length)]
    HostBits {
        /// What was found.
        address: IpAddr,
        /// The network it lies in.
        network: IpNetwork,
    },
    /// Guests reach IPv4 by its own addresses, however they write them.
    #[error("{0} is a network of IPv4 addresses within IPv6; expected IPv4 addresses, as in 10.0.0.0/8")]
    Mapped(IpNetwork),
}

impl IpNetwork {
    /// A network by its first address and the bits that all have in common.
    ///
    /// # Errors
    /// When there are fewer bits, or some are set beyond these.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, NetworkError> {
        let most = bits(address);
        if length > most {
            return Err(NetworkError::Length { found: length.to_string(), most });
        }
        let network = Self { address: first(address, length), length };
        if network.address != address {
            return Err(NetworkError::HostBits { address, network });
        }
        if canonical(address) != address {
            return Err(NetworkError::Mapped(network));
        }
        Ok(network)
    }

    /// Whether an address lies in it.
    pub fn contains(self, address: IpAddr) -> bool {
        first(canonical(address), self.length) == self.address
    }

    /// Whether its addresses are IPv4.
    pub fn is_ipv4(self) -> bool {
        self.address.is_ipv4()
    }

    /// Reads `ADDRESS/LENGTH`.
    fn read(text: &str) -> Result<Self, NetworkError> {
        let form = || NetworkError::Form(text.into());
        let (address, length) = text.split_once('/').ok_or_else(form)?;
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        match length.parse() {
            Ok(length) if digits => Self::new(address, length),
            _ => Err(NetworkError::Length { found: length.into(), most: bits(address) }),
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The first address of the network in which an address lies.
fn first(address: IpAddr, length: u8) -> IpAddr {
    // A shift by all bits leaves nothing, which is the mask of everything.
    let beyond = u32::from(bits(address).saturating_sub(length));
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(beyond).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(beyond).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// As the host of an endpoint: IPv6 in brackets, length included, so that the port is told from the rest.
impl fmt::Display for IpNetwork {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(out, "{address}/{}", self.length),
            IpAddr::V6(address) => write!(out, "[{address}/{}]", self.length),
        }
    }
}

impl Endpoint {
    /// Whether a destination is meant to be a network: an address with a `/` after it, in brackets or behind them.
    pub fn names_network(text: &str) -> bool {
        let Some((scheme, rest)) = text.split_once("://") else {
            return false;
        };
        let Some((host, _)) = after_scheme(rest).split_once('/').filter(|_| scheme != Transport::Unix.scheme()) else {
            return false;
        };
        host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
    }

    /// Reads one: `tcp://10.0.0.0/8:*`, `tcp://[fd00::/8]:443`; http and https have their port without one.
    ///
    /// # Errors
    /// Says which part is wrong.
    pub fn parse_network(text: &str) -> Result<Self, NetworkError> {
        let (scheme, rest) = text.split_once("://").ok_or(EndpointError::NoScheme)?;
        let known = Transport::ALL.into_iter().find(|known| known.scheme() == scheme);
        let transport = known.ok_or_else(|| EndpointError::UnknownScheme(scheme.into()))?;
        let rest = after_scheme(rest);
        let colons = rest.split('/').next().is_some_and(|address| address.contains(':'));
        if transport == Transport::Unix || rest.contains("]/") || colons != rest.starts_with('[') {
            return Err(NetworkError::Form(rest.into()));
        }
        let (host, port) = split_port(rest)?;
        let port = parse_port(port, transport)?;
        if port == Port::Number(0) {
            return Err(EndpointError::PortOfNothing.into());
        }
        Ok(Self { transport, host: Host::Network(IpNetwork::read(host)?), port })
    }
}

/// What is behind the scheme, without the slash that ends an address of http.
fn after_scheme(rest: &str) -> &str {
    rest.strip_suffix('/').unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNetwork {
        IpNetwork::read(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn an_address_lies_in_a_network_by_its_first_bits() {
        for (text, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "::10.1.2.3", false),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.2", false),
            ("192.168.4.0/23", "192.168.5.255", true),
            ("192.168.4.0/23", "192.168.6.0", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "fd00::1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("::1/128", "::1", true),
            ("::1/128", "::2", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.1.2.3", false),
            ("::/0", "::ffff:10.1.2.3", false),
        ] {
            assert_eq!(network(text).contains(address.parse().unwrap()), expected, "{address} in {text}");
        }
    }

    #[test]
    fn a_destination_reads_and_writes_the_same_text() {
        for text in ["tcp://10.0.0.0/8:*", "tcp://[fd00::/8]:443", "udp://10.1.2.3/32:53", "http://[::1/128]:8080"] {
            assert!(Endpoint::names_network(text), "{text}");
            assert_eq!(Endpoint::parse_network(text).unwrap().to_string(), text);
        }
        for (text, expected) in
            [("https://10.0.0.0/8", "https://10.0.0.0/8:443"), ("http://[fd00::/8]/", "http://[fd00::/8]:80")]
        {
            assert_eq!(Endpoint::parse_network(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn other_destinations_are_no_networks() {
        for text in [
            "tcp://10.0.0.0:80",
            "tcp://[fd00::]:80",
            "http://10.0.0.1/",
            "https://x.example/8",
            "https://x.example/8:443",
            "unix:///run/x",
            "unix://10.0.0.0/8",
            "10.0.0.0/8:80",
        ] {
            assert!(!Endpoint::names_network(text), "{text}");
        }
    }

    #[test]
    fn bad_networks_say_what_is_bad() {
        let length = |found: &str, most| NetworkError::Length { found: found.into(), most };
        let host_bits = |address: &str, first: &str| NetworkError::HostBits {
            address: address.parse().unwrap(),
            network: network(first),
        };
        let form = |text: &str| NetworkError::Form(text.into());
        for (text, expected) in [
            ("tcp://10.0.0.0/33:1", length("33", 32)),
            ("tcp://10.0.0.0/:1", length("", 32)),
            ("tcp://10.0.0.0/+8:1", length("+8", 32)),
            ("tcp://10.0.0.0/-1:1", length("-1", 32)),
            ("tcp://10.0.0.0/999:1", length("999", 32)),
            ("tcp://10.0.0.0/8/9:1", length("8/9", 32)),
            ("http://10.0.0.0/index.html", length("index.html", 32)),
            ("tcp://[fd00::/129]:1", length("129", 128)),
            ("tcp://10.0.0.1/8:1", host_bits("10.0.0.1", "10.0.0.0/8")),
            ("tcp://[fd00::1/8]:1", host_bits("fd00::1", "fd00::/8")),
            ("tcp://1.2.3.4/0:1", host_bits("1.2.3.4", "0.0.0.0/0")),
            ("tcp://[fd00::]/8:1", form("[fd00::]/8:1")),
            ("tcp://[10.0.0.0/8]:1", form("[10.0.0.0/8]:1")),
            ("tcp://fd00::/8:1", form("fd00::/8:1")),
            ("tcp://10.0.0.0/8", EndpointError::NoPort.into()),
            ("tcp://10.0.0.0/8:0", EndpointError::PortOfNothing.into()),
            ("tcp://10.0.0.0/8:x", EndpointError::BadPort("x".into()).into()),
            ("ftp://10.0.0.0/8:1", EndpointError::UnknownScheme("ftp".into()).into()),
        ] {
            assert!(Endpoint::names_network(text), "{text}");
            assert_eq!(Endpoint::parse_network(text), Err(expected), "{text}");
        }
        let mapped = Endpoint::parse_network("tcp://[::ffff:10.0.0.0/104]:1").unwrap_err();
        assert!(matches!(mapped, NetworkError::Mapped(_)), "{mapped}");
        let words = host_bits("10.0.0.1", "10.0.0.0/8").to_string();
        assert_eq!(words, "10.0.0.1 has bits beyond the first 8, which are the host's; that network is 10.0.0.0/8");
    }
}
