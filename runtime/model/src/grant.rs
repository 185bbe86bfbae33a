//! Grants: each piece of authority a property list can give, its text form and what it covers.
//! Nothing is opened, resolved or enforced here; the walls do that from these values.

mod network;
mod words;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::socket::LONGEST_PATH;

pub use network::{IpNetwork, NetworkError};
pub use words::is_watched;

/// What a job may do with a granted path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Access {
    /// Look and read; nothing can be changed, times and attributes included.
    #[default]
    ReadOnly,
    /// Read, create, change and remove.
    ReadWrite,
    /// Read and execute (native programs); nothing can be changed.
    Execute,
    /// Connect to it: a Unix socket, which `Connect` names and `Paths` cannot.
    Connect,
}

impl Access {
    /// All that `Paths` can give, in the order the documentation lists them.
    pub const ALL: [Access; 3] = [Access::ReadOnly, Access::ReadWrite, Access::Execute];

    /// The word in the property list.
    pub fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "ReadOnly",
            Self::ReadWrite => "ReadWrite",
            Self::Execute => "Execute",
            Self::Connect => "Connect",
        }
    }
}

/// One entry of `Grants.Paths`, or a Unix socket of `Grants.Connect`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathGrant {
    /// The host's path, absolute, `~/` already replaced, without `.` or `..` segments.
    pub host: String,
    /// The path the job sees it at, absolute, without `.` or `..` segments; `/` is allowed.
    pub guest: String,
    /// What may be done with it.
    pub access: Access,
}

/// The transport of a `Connect` or `Bind` entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// `tcp://`
    Tcp,
    /// `udp://`
    Udp,
    /// `http://`: outgoing requests of wasi:http, and plain TCP to the same port for native programs.
    Http,
    /// `https://`: the same over TLS.
    Https,
    /// `unix://`: a Unix socket by its path.
    Unix,
}

impl Transport {
    /// All transports.
    pub const ALL: [Transport; 5] = [Self::Tcp, Self::Udp, Self::Http, Self::Https, Self::Unix];

    /// The scheme as written.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Http => "http",
            Self::Https => "https",
            Self::Unix => "unix",
        }
    }

    /// Whether it is spoken over TCP.
    pub fn is_tcp(self) -> bool {
        matches!(self, Self::Tcp | Self::Http | Self::Https)
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https => Some(443),
            Self::Tcp | Self::Udp | Self::Unix => None,
        }
    }
}

/// The host part of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Host {
    /// A literal address; a v4-mapped IPv6 address is kept as IPv4.
    Address(IpAddr),
    /// A name, lower case; looked up by the resolve role.
    Name(String),
    /// The path at which the job finds a Unix socket, absolute, without `.` or `..` segments.
    Path(String),
    /// Every address of a network: only where a run is learned from, never in a job file.
    Network(IpNetwork),
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(out, "[{address}]"),
            Self::Address(address) => write!(out, "{address}"),
            Self::Name(text) | Self::Path(text) => out.write_str(text),
            Self::Network(network) => network.fmt(out),
        }
    }
}

/// The port part of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Port {
    /// `*`
    Any,
    /// One port; 0 only in `Bind`, where the system picks.
    Number(u16),
}

impl Port {
    /// Whether a connection to `port` is covered.
    pub fn covers(self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Number(number) => number == port,
        }
    }
}

/// One entry of `Grants.Connect` or `Grants.Bind`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// How it is spoken to.
    pub transport: Transport,
    /// Where.
    pub host: Host,
    /// At which port; a Unix socket has none, and any will do.
    pub port: Port,
}

/// Why an endpoint was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// No `scheme://`.
    #[error("expected scheme://host:port, as in tcp://127.0.0.1:5432")]
    NoScheme,
    /// A scheme no wall knows.
    #[error("unknown scheme {0:?}; expected tcp, udp, http, https or unix")]
    UnknownScheme(String),
    /// Bind to what only requests have.
    #[error("{0} has requests and no listener; expected tcp or udp")]
    NoListener(&'static str),
    /// Bind to a name.
    #[error("{0:?} is a name, and a listener has an address, as in 127.0.0.1 or [::]")]
    NameOfListener(String),
    /// Connect to port 0.
    #[error("port 0 is no destination; expected a number from 1 to 65535 or *")]
    PortOfNothing,
    /// Bind to a Unix socket.
    #[error("a Unix socket to listen on is one of Sockets, by SockPathName; expected tcp or udp")]
    UnixListener,
    /// No path that a Unix socket can have.
    #[error(
        "{0:?} is no path of a Unix socket; expected an absolute one of at most {LONGEST_PATH} bytes, without . and .."
    )]
    BadPath(String),
    /// No host.
    #[error("no host before the port")]
    NoHost,
    /// A host that is neither an address nor a name.
    #[error("{0:?} is neither an address nor a host name")]
    BadHost(String),
    /// tcp and udp have no default port.
    #[error("no port; expected a number from 1 to 65535 or *")]
    NoPort,
    /// Not a port.
    #[error("{0:?} is not a port; expected a number from 0 to 65535 or *")]
    BadPort(String),
    /// A path, query or user after the host.
    #[error("{0:?} after the port: a grant covers a whole host and port, not a path")]
    TrailingPath(String),
    /// A destination that is no destination.
    #[error("{0} is not a destination; name the address itself, as in 127.0.0.1")]
    Unspecified(IpAddr),
}

impl Endpoint {
    /// Reads an entry of `Connect`.
    ///
    /// # Errors
    /// Says which part is wrong; 0.0.0.0, `::` and port 0 are no destinations.
    pub fn parse_connect(text: &str) -> Result<Self, EndpointError> {
        let endpoint: Self = text.parse()?;
        if let Host::Address(address) = endpoint.host
            && address.is_unspecified()
        {
            return Err(EndpointError::Unspecified(address));
        }
        if endpoint.port == Port::Number(0) {
            return Err(EndpointError::PortOfNothing);
        }
        Ok(endpoint)
    }

    /// Reads an entry of `Bind`: tcp or udp, a literal address.
    ///
    /// # Errors
    /// Says which part is wrong.
    pub fn parse_bind(text: &str) -> Result<Self, EndpointError> {
        let endpoint: Self = text.parse()?;
        match (endpoint.transport, &endpoint.host) {
            (Transport::Http | Transport::Https, _) => Err(EndpointError::NoListener(endpoint.transport.scheme())),
            (Transport::Unix, _) => Err(EndpointError::UnixListener),
            (_, Host::Name(name)) => Err(EndpointError::NameOfListener(name.clone())),
            _ => Ok(endpoint),
        }
    }

    /// Whether a grant of an address or a network covers `address`; names are the address table's business.
    pub fn covers_address(&self, address: SocketAddr) -> bool {
        let ip = canonical(address.ip());
        let host = match self.host {
            Host::Address(granted) => granted == ip,
            Host::Network(network) => network.contains(ip),
            Host::Name(_) | Host::Path(_) => false,
        };
        host && self.port.covers(address.port())
    }

    /// Whether requests to this host, an address or a name, are covered.
    pub fn covers_host(&self, host: &Host) -> bool {
        match (&self.host, host) {
            (Host::Network(network), Host::Address(address)) => network.contains(*address),
            (granted, asked) => granted == asked,
        }
    }

    /// The least grant that would have covered `address` as this one did: its port, and of a network that address.
    pub fn at(&self, address: SocketAddr) -> Self {
        let host = match &self.host {
            Host::Network(_) => Host::Address(canonical(address.ip())),
            host => host.clone(),
        };
        Self { transport: self.transport, host, port: Port::Number(address.port()) }
    }

    /// Whether a literal `Bind` grant covers `address`: the unspecified address covers all of its family.
    pub fn covers_bind(&self, address: SocketAddr) -> bool {
        let Host::Address(granted) = self.host else {
            return false;
        };
        let asked = canonical(address.ip());
        let host = granted == asked || (granted.is_unspecified() && granted.is_ipv4() == asked.is_ipv4());
        host && self.port.covers(address.port())
    }
}

/// A v4-mapped IPv6 address as the IPv4 address it means; others unchanged.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (scheme, rest) = text.split_once("://").ok_or(EndpointError::NoScheme)?;
        let transport = Transport::ALL
            .into_iter()
            .find(|transport| transport.scheme() == scheme)
            .ok_or_else(|| EndpointError::UnknownScheme(scheme.into()))?;
        if transport == Transport::Unix {
            return Ok(Self { transport, host: parse_path(rest)?, port: Port::Any });
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(at) = rest.find(['/', '?', '#', '@']) {
            return Err(EndpointError::TrailingPath(rest[at..].into()));
        }
        let (host, port) = split_port(rest)?;
        Ok(Self { transport, host: parse_host(host)?, port: parse_port(port, transport)? })
    }
}

/// Splits `host:port`, minding the brackets of IPv6 addresses.
fn split_port(rest: &str) -> Result<(&str, Option<&str>), EndpointError> {
    if let Some(inner) = rest.strip_prefix('[') {
        let (host, after) = inner.split_once(']').ok_or_else(|| EndpointError::BadHost(rest.into()))?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(EndpointError::TrailingPath(after.into())),
        };
    }
    match rest.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => Err(EndpointError::BadHost(rest.into())),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((rest, None)),
    }
}

/// A path as it is compared: two ways of writing one would be two grants.
fn parse_path(path: &str) -> Result<Host, EndpointError> {
    let names = path.strip_prefix('/').map(|names| names.split('/'));
    let plain = names.is_some_and(|mut names| names.all(|name| !["", ".", ".."].contains(&name)));
    if plain && path.len() <= LONGEST_PATH && !path.contains('\0') {
        Ok(Host::Path(path.to_owned()))
    } else {
        Err(EndpointError::BadPath(path.into()))
    }
}

fn parse_host(host: &str) -> Result<Host, EndpointError> {
    if host.is_empty() {
        return Err(EndpointError::NoHost);
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(Host::Address(canonical(address)));
    }
    if host.contains(':') {
        return host
            .parse::<Ipv6Addr>()
            .map(|address| Host::Address(canonical(address.into())))
            .map_err(|_| EndpointError::BadHost(host.into()));
    }
    if is_host_name(host) {
        Ok(Host::Name(host.to_ascii_lowercase()))
    } else {
        Err(EndpointError::BadHost(host.into()))
    }
}

/// RFC 1123 names: at most 253 bytes, labels of 1 to 63 letters, digits and inner hyphens;
/// a name whose last label is all digits would read as an address and is refused.
pub fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253 && host.split('.').all(label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_port(port: Option<&str>, transport: Transport) -> Result<Port, EndpointError> {
    match (port, transport.default_port()) {
        (None, Some(number)) => Ok(Port::Number(number)),
        (None, None) => Err(EndpointError::NoPort),
        (Some("*"), _) => Ok(Port::Any),
        (Some(text), _) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map(Port::Number).map_err(|_| EndpointError::BadPort(text.into()))
        }
        (Some(text), _) => Err(EndpointError::BadPort(text.into())),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", self.transport.scheme(), self.host)?;
        match self.port {
            _ if self.transport == Transport::Unix => Ok(()),
            Port::Any => out.write_str(":*"),
            Port::Number(number) => write!(out, ":{number}"),
        }
    }
}

/// Everything a property list's `Grants` gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// Directories and single files.
    pub paths: Vec<PathGrant>,
    /// Outbound destinations.
    pub connect: Vec<Endpoint>,
    /// Addresses that may be bound.
    pub bind: Vec<Endpoint>,
    /// Host variables passed through.
    pub environment: Vec<String>,
    /// Interface imported -> label of the job that provides it.
    pub services: Vec<(String, String)>,
    /// Who may connect to its Unix sockets and call its services: names, `@groups` and numbers.
    pub users: Vec<String>,
    /// What it may do to the supervisor.
    pub control: Option<Control>,
}

/// `Grants.Control`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// Look at jobs.
    Observe,
    /// Also start and stop loaded ones.
    Operate,
}

impl Grants {
    /// The Unix sockets it may connect to, as it sees them.
    pub fn sockets(&self) -> impl Iterator<Item = &str> {
        self.connect.iter().filter_map(|endpoint| match &endpoint.host {
            Host::Path(path) => Some(path.as_str()),
            Host::Address(_) | Host::Name(_) | Host::Network(_) => None,
        })
    }
}

#[cfg(test)]
mod tests;
