//! `Sockets`: what they mean, and what can be said about them from the list alone. Names are not looked up and nothing
//! is bound.

use crate::finding::{Finding, Severity};
use crate::socket::{Family, Place, Service, Socket, SocketKind};

use super::raw::{RawData, RawJob, RawValue, entries};

/// Longest path of a Unix socket: sun_path has 108 bytes, the last a NUL (unix(7)).
const LONGEST_PATH: usize = 107;

/// The sockets that are to be bound. Those that ask for something that nothing acts on yet, as the registry says, are
/// left out.
pub fn meant(raw: &RawJob) -> Vec<Socket> {
    let sockets = entries(raw.get("Sockets")).iter();
    sockets.flat_map(|entry| entry.value.one_or_many().iter().filter_map(|value| socket(&entry.name, value))).collect()
}

fn socket(name: &str, value: &RawValue) -> Option<Socket> {
    if !matches!(value.data, RawData::Dictionary(_))
        || value.get("SockPassive").and_then(RawValue::boolean) == Some(false)
    {
        return None;
    }
    Some(Socket { name: name.into(), kind: kind(value), place: place(value)? })
}

fn kind(value: &RawValue) -> SocketKind {
    let word = |key| value.get(key).and_then(RawValue::text);
    match (word("SockType"), word("SockProtocol")) {
        (Some("dgram"), _) | (None, Some("UDP")) => SocketKind::Datagram,
        (Some("seqpacket"), _) => SocketKind::Seqpacket,
        _ => SocketKind::Stream,
    }
}

fn place(value: &RawValue) -> Option<Place> {
    let text = |key| value.get(key).and_then(RawValue::text).map(str::to_owned);
    if let Some(path) = text("SockPathName") {
        // Sockets in use carry the file type in their mode too.
        let mode = value.get("SockPathMode").and_then(RawValue::integer);
        let mode = mode.and_then(|mode| u32::try_from(mode & 0o777).ok());
        let account = |key: &str| value.get(key).and_then(text_or_number);
        return Some(Place::Path { path, mode, owner: account("SockPathOwner"), group: account("SockPathGroup") });
    }
    if is_unix(value) {
        return None;
    }
    let service = match value.get("SockServiceName") {
        Some(service) => port(service)?,
        None => Service::Port(0),
    };
    let family = match value.get("SockFamily").and_then(RawValue::text) {
        Some("IPv4") => Family::Four,
        Some("IPv6") => Family::Six,
        Some("IPv4v6") => Family::Dual,
        _ => Family::Each,
    };
    Some(Place::Network { node: text("SockNodeName"), service, family })
}

/// A port, as a number or as digits, or a name.
fn port(value: &RawValue) -> Option<Service> {
    let text = text_or_number(value)?;
    Some(text.parse().map_or(Service::Name(text), Service::Port))
}

fn text_or_number(value: &RawValue) -> Option<String> {
    value.text().map(str::to_owned).or_else(|| value.integer().map(|number| number.to_string()))
}

/// Every socket's dictionary.
pub fn all(raw: &RawJob) -> impl Iterator<Item = &RawValue> {
    entries(raw.get("Sockets")).iter().flat_map(|entry| entry.value.one_or_many())
}

/// Whether a socket is one of the network, whose peers have no user.
pub fn is_network(socket: &RawValue) -> bool {
    !is_unix(socket) && !socket.entries().is_empty()
}

fn is_unix(socket: &RawValue) -> bool {
    socket.get("SockPathName").is_some()
        || socket.get("SecureSocketWithKey").is_some()
        || socket.get("SockFamily").and_then(RawValue::text) == Some("Unix")
}

/// Checks every socket.
pub fn check(raw: &RawJob, findings: &mut Vec<Finding>) {
    for socket in all(raw) {
        findings.extend(path(socket));
        findings.extend(address(socket));
        findings.extend(socket_type(socket));
    }
}

fn path(socket: &RawValue) -> Option<Finding> {
    let value = socket.get("SockPathName")?;
    let path = value.text()?;
    if !path.starts_with('/') {
        let message = format!("{path:?} is not absolute; a socket's place depends on no folder");
        return Some(value.finding(Severity::Error, "relative-path", message));
    }
    (path.len() > LONGEST_PATH).then(|| {
        let message = format!("the path has {} bytes; a Unix socket's can have {LONGEST_PATH}", path.len());
        value.finding(Severity::Error, "out-of-range", message)
    })
}

fn address(socket: &RawValue) -> Option<Finding> {
    if !matches!(socket.data, RawData::Dictionary(_)) {
        return None;
    }
    let has = |key| socket.get(key).is_some();
    if has("SockPathName") && has("SockServiceName") {
        let message = format!("{} has both SockPathName and SockServiceName; the path counts", socket.path);
        return Some(socket.finding(Severity::Warning, "two-addresses", message));
    }
    if is_unix(socket) && !has("SockPathName") && !has("SecureSocketWithKey") {
        let message = format!("{} is a Unix socket without SockPathName", socket.path);
        return Some(socket.finding(Severity::Warning, "no-address", message));
    }
    (!is_unix(socket) && !has("SockServiceName")).then(|| {
        let message =
            format!("{} has neither SockServiceName nor SockPathName, so no client can know where it is", socket.path);
        socket.finding(Severity::Warning, "no-address", message)
    })
}

fn socket_type(socket: &RawValue) -> Option<Finding> {
    let value = socket.get("SockType")?;
    (value.text() == Some("seqpacket") && !is_unix(socket)).then(|| {
        let message = "seqpacket exists for Unix sockets only";
        value.finding(Severity::Warning, "socket-type", message)
    })
}
