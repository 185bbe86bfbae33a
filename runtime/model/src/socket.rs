//! The sockets of a job, as its property list says. They are bound, or connected, when the job is loaded, by whoever loads
//! it; here no name is looked up and nothing is opened.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Longest path of a Unix socket: sun_path has 108 bytes, the last a NUL (unix(7)).
pub const LONGEST_PATH: usize = 107;

/// One socket of `Sockets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// The developer's name for it; several sockets may share one.
    pub name: String,
    /// What goes through it.
    pub kind: SocketKind,
    /// Where it is.
    pub place: Place,
}

/// `SockType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SocketKind {
    /// Connections.
    #[default]
    Stream,
    /// Datagrams.
    Datagram,
    /// Connections that keep the bounds of what is sent; Unix sockets only.
    Seqpacket,
}

impl SocketKind {
    /// launchd's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Datagram => "dgram",
            Self::Seqpacket => "seqpacket",
        }
    }

    /// Whether it waits for connections.
    pub fn accepts(self) -> bool {
        self != Self::Datagram
    }
}

/// Where a socket is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// In the network.
    Network {
        /// `SockNodeName`; `None` = every address of the machine.
        node: Option<String>,
        /// `SockServiceName`.
        service: Service,
        /// `SockFamily`.
        family: Family,
        /// `MulticastGroup`.
        group: Option<IpAddr>,
    },
    /// In a folder.
    Path {
        /// `SockPathName`, absolute.
        path: String,
        /// `SockPathMode`, 0 to 0o777; `None` = its owner alone may connect.
        mode: Option<u32>,
        /// `SockPathOwner`, a name or a number; `None` = the job's user.
        owner: Option<String>,
        /// `SockPathGroup`, a name or a number; `None` = the group of the job's user.
        group: Option<String>,
    },
    /// In a fresh folder that only the job's user may enter.
    Private {
        /// `SecureSocketWithKey`: the variable that tells the job its path.
        variable: String,
    },
    /// Where somebody else's socket is, to which it is connected (`SockPassive` false).
    Remote(Remote),
}

/// Where somebody else's socket is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Remote {
    /// In the network.
    Network {
        /// `SockNodeName`; `None` = this machine.
        node: Option<String>,
        /// `SockServiceName`.
        service: Service,
        /// `SockFamily`; its addresses are tried in turn.
        family: Family,
    },
    /// `SockPathName`, absolute.
    Path(String),
}

impl Place {
    /// Whether it is in the network, and not in a folder.
    pub fn is_network(&self) -> bool {
        matches!(self, Self::Network { .. } | Self::Remote(Remote::Network { .. }))
    }

    /// Whether it is somebody else's, and nobody connects to the job there.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }
}

/// `SockServiceName`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Service {
    /// A port; 0 = any that is free.
    Port(u16),
    /// A name of services(5).
    Name(String),
}

/// `SockFamily`, of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// One socket for each family.
    #[default]
    Each,
    /// IPv4 alone.
    Four,
    /// IPv6 alone.
    Six,
    /// One socket for both.
    Dual,
}

impl Socket {
    /// Whether datagrams of the network go through it. Whoever has the descriptor of such a socket can send to any
    /// address, whether it is connected or not: sendto(2) names another, and no wall of the kernel knows it.
    pub fn is_udp(&self) -> bool {
        self.kind == SocketKind::Datagram && self.place.is_network()
    }

    /// A listener on a port, as tests and simulations need one.
    pub fn on_port(name: &str, port: u16) -> Self {
        let place = Place::Network { node: None, service: Service::Port(port), family: Family::Each, group: None };
        Self { name: name.into(), kind: SocketKind::Stream, place }
    }
}

/// Why a socket has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A node that is no address.
    #[error("SockNodeName is {0}: names are not looked up for sockets; expected an address or localhost")]
    Name(String),
    /// An address of the other family.
    #[error("SockNodeName is {0}, which is no address of SockFamily")]
    Family(IpAddr),
    /// A group of the other family.
    #[error("MulticastGroup is {0}, which no address of the socket can join")]
    Group(IpAddr),
    /// A service nobody knows.
    #[error("SockServiceName is {name}: services(5) has no {protocol} port of that name")]
    Service {
        /// Its name.
        name: String,
        /// `tcp` or `udp`.
        protocol: &'static str,
    },
}

/// The addresses of a socket in the network, and of each whether IPv4 comes through it too; `services` is the text of
/// services(5).
///
/// # Errors
/// What is wrong with its node or its service.
pub fn addresses(
    kind: SocketKind,
    node: Option<&str>,
    service: &Service,
    family: Family,
    services: &str,
) -> Result<Vec<(SocketAddr, bool)>, AddressError> {
    let port = match service {
        Service::Port(port) => *port,
        Service::Name(name) => port_of(name, kind, services)?,
    };
    let hosts = hosts(node)?;
    let wanted = |host: &IpAddr| match family {
        Family::Each => true,
        Family::Four => host.is_ipv4(),
        Family::Six | Family::Dual => host.is_ipv6(),
    };
    let found: Vec<IpAddr> = hosts.iter().copied().filter(wanted).collect();
    match (found.as_slice(), hosts.as_slice()) {
        ([], [host, ..]) => Err(AddressError::Family(*host)),
        _ => Ok(found.into_iter().map(|host| (SocketAddr::new(host, port), family == Family::Dual)).collect()),
    }
}

/// Whether the socket at an address takes part in a multicast group: both are of one family, or IPv4 comes through it
/// too.
pub fn joins(group: IpAddr, address: SocketAddr, dual: bool) -> bool {
    group.is_ipv4() == address.is_ipv4() || (dual && group.is_ipv4())
}

/// An address, localhost (RFC 6761: always the loopback), or every address there is.
fn hosts(node: Option<&str>) -> Result<Vec<IpAddr>, AddressError> {
    let both = |four: Ipv4Addr, six: Ipv6Addr| Ok(vec![four.into(), six.into()]);
    match node {
        None => both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
        Some(name) if name.eq_ignore_ascii_case("localhost") => both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
        Some(name) => match name.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => Err(AddressError::Name(name.into())),
        },
    }
}

/// Looks a name or an alias up in the lines of services(5).
fn port_of(name: &str, kind: SocketKind, services: &str) -> Result<u16, AddressError> {
    let protocol = if kind == SocketKind::Datagram { "udp" } else { "tcp" };
    let port = services.lines().find_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let first = words.next()?;
        let (port, of) = words.next()?.split_once('/')?;
        let named = first == name || words.any(|alias| alias == name);
        (named && of == protocol).then(|| port.parse().ok()).flatten()
    });
    port.ok_or_else(|| AddressError::Service { name: name.into(), protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICES: &str = "# services\nfinger\t79/tcp\nhttp 80/tcp www # web\ntime 37/udp timserver\nbad\n";

    fn found(node: Option<&str>, service: &str, family: Family, kind: SocketKind) -> Result<String, String> {
        let service = service.parse().map_or_else(|_| Service::Name(service.into()), Service::Port);
        let addresses = addresses(kind, node, &service, family, SERVICES).map_err(|error| error.to_string())?;
        let words = addresses.iter().map(|(address, dual)| format!("{address}{}", if *dual { "+" } else { "" }));
        Ok(words.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_socket_has_the_addresses_that_its_keys_say() {
        use Family::{Dual, Each, Four, Six};
        use SocketKind::{Datagram, Stream};
        for (node, service, family, kind, expected) in [
            (None, "80", Each, Stream, "0.0.0.0:80 [::]:80"),
            (None, "0", Four, Stream, "0.0.0.0:0"),
            (None, "80", Dual, Stream, "[::]:80+"),
            (Some("localhost"), "www", Each, Stream, "127.0.0.1:80 [::1]:80"),
            (Some("127.0.0.1"), "finger", Each, Stream, "127.0.0.1:79"),
            (Some("::1"), "timserver", Six, Datagram, "[::1]:37"),
        ] {
            assert_eq!(found(node, service, family, kind).as_deref(), Ok(expected), "{node:?} {service}");
        }
    }

    #[test]
    fn a_group_is_joined_by_the_sockets_of_its_family() {
        for (group, address, dual, expected) in [
            ("224.0.0.251", "0.0.0.0:5353", false, true),
            ("224.0.0.251", "[::]:5353", false, false),
            ("224.0.0.251", "[::]:5353", true, true),
            ("ff02::fb", "[::]:5353", false, true),
            ("ff02::fb", "[::]:5353", true, true),
            ("ff02::fb", "0.0.0.0:5353", false, false),
        ] {
            let found = joins(group.parse().unwrap(), address.parse().unwrap(), dual);
            assert_eq!(found, expected, "{group} {address} {dual}");
        }
    }

    #[test]
    fn what_has_no_address_says_why() {
        use Family::{Each, Four, Six};
        use SocketKind::{Datagram, Stream};
        for (node, service, family, kind, expected) in [
            (Some("db.example"), "80", Each, Stream, "names are not looked up"),
            (Some("127.0.0.1"), "80", Six, Stream, "no address of SockFamily"),
            (Some("::1"), "80", Four, Stream, "no address of SockFamily"),
            (None, "finger", Each, Datagram, "no udp port of that name"),
            (None, "bad", Each, Stream, "no tcp port of that name"),
        ] {
            let error = found(node, service, family, kind).unwrap_err();
            assert!(error.contains(expected), "{node:?} {service}: {error}");
        }
    }
}
