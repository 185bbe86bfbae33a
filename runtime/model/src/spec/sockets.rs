//! `Sockets`: what they mean, and what can be said about them from the list alone. Names are not looked up and nothing
//! is bound.

use std::net::IpAddr;

use crate::finding::{Finding, Severity};
use crate::socket::{Family, LONGEST_PATH, Place, Remote, Service, Socket, SocketKind};

use super::Context;
use super::grants::is_variable_name;
use super::raw::{RawData, RawJob, RawValue, entries, items};

mod connected;

/// The sockets that are to be bound or connected.
pub fn meant(raw: &RawJob) -> Vec<Socket> {
    let sockets = entries(raw.get("Sockets")).iter();
    sockets.flat_map(|entry| entry.value.one_or_many().iter().filter_map(|value| socket(&entry.name, value))).collect()
}

fn socket(name: &str, value: &RawValue) -> Option<Socket> {
    if !matches!(value.data, RawData::Dictionary(_)) {
        return None;
    }
    Some(Socket { name: name.into(), kind: kind(value), place: place(value)? })
}

fn kind(value: &RawValue) -> SocketKind {
    let word = |key| value.get(key).and_then(RawValue::text);
    match (word("SockType"), word("SockProtocol").filter(|_| !is_unix(value))) {
        (Some("dgram"), _) | (None, Some("UDP")) => SocketKind::Datagram,
        (Some("seqpacket"), _) => SocketKind::Seqpacket,
        _ => SocketKind::Stream,
    }
}

fn place(value: &RawValue) -> Option<Place> {
    if connects(value) {
        return remote(value).map(Place::Remote);
    }
    let text = |key| value.get(key).and_then(RawValue::text).map(str::to_owned);
    if let Some(path) = text("SockPathName") {
        // Sockets in use carry the file type in their mode too.
        let mode = value.get("SockPathMode").and_then(RawValue::integer);
        let mode = mode.and_then(|mode| u32::try_from(mode & 0o777).ok());
        let account = |key: &str| value.get(key).and_then(text_or_number);
        return Some(Place::Path { path, mode, owner: account("SockPathOwner"), group: account("SockPathGroup") });
    }
    if let Some(variable) = text("SecureSocketWithKey") {
        return Some(Place::Private { variable });
    }
    if is_unix(value) {
        return None;
    }
    let service = match value.get("SockServiceName") {
        Some(service) => port(service)?,
        None => Service::Port(0),
    };
    Some(Place::Network { node: text("SockNodeName"), service, family: address_family(value), group: group(value) })
}

/// Whether it is connected to somebody else's at load.
fn connects(value: &RawValue) -> bool {
    value.get("SockPassive").and_then(RawValue::boolean) == Some(false)
}

fn remote(value: &RawValue) -> Option<Remote> {
    let text = |key| value.get(key).and_then(RawValue::text).map(str::to_owned);
    if let Some(path) = text("SockPathName") {
        return Some(Remote::Path(path));
    }
    if is_unix(value) {
        return None;
    }
    let service = port(value.get("SockServiceName")?)?;
    let family = match address_family(value) {
        // A connection goes to one address, of whichever family.
        Family::Dual => Family::Each,
        family => family,
    };
    Some(Remote::Network { node: text("SockNodeName"), service, family })
}

fn address_family(value: &RawValue) -> Family {
    match value.get("SockFamily").and_then(RawValue::text) {
        Some("IPv4") => Family::Four,
        Some("IPv6") => Family::Six,
        Some("IPv4v6") => Family::Dual,
        _ => Family::Each,
    }
}

fn group(value: &RawValue) -> Option<IpAddr> {
    value.get("MulticastGroup")?.text()?.parse().ok()
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

/// Whether a socket is one of the network to which others come, who have no user.
pub fn is_network(socket: &RawValue) -> bool {
    !is_unix(socket) && !socket.entries().is_empty() && !connects(socket)
}

fn is_unix(socket: &RawValue) -> bool {
    socket.get("SockPathName").is_some()
        || socket.get("SecureSocketWithKey").is_some()
        || socket.get("SockFamily").and_then(RawValue::text) == Some("Unix")
}

/// Checks every socket.
pub fn check(raw: &RawJob, context: &Context, findings: &mut Vec<Finding>) {
    for socket in all(raw) {
        if connects(socket) {
            findings.extend(connected::check(raw, socket, context));
        }
        findings.extend(path(socket));
        findings.extend(variable(socket));
        findings.extend(address(socket));
        findings.extend(socket_type(socket));
        findings.extend(protocol(socket));
        findings.extend(family(socket));
        findings.extend(multicast(socket));
        findings.extend(unserved(raw, socket));
        findings.extend(beside_users(raw, socket));
    }
    findings.extend(unreached(raw));
}

/// Who may connect, where nobody can.
fn unreached(raw: &RawJob) -> Option<Finding> {
    let value = raw.get("Grants").and_then(|grants| grants.get("Users"))?;
    let only_connected = all(raw).next().is_some() && all(raw).all(connects) && raw.get("MachServices").is_none();
    (only_connected && !items(Some(value)).is_empty()).then(|| {
        let message = "Users says who may connect to the job's sockets, and all of these are connected to somebody \
                       else's (SockPassive is false)";
        value.finding(Severity::Error, "wrong-value", message).help("remove Users")
    })
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

fn variable(socket: &RawValue) -> Option<Finding> {
    let value = socket.get("SecureSocketWithKey")?;
    let name = value.text()?;
    (!is_variable_name(name)).then(|| {
        let message = format!("{name:?} is no name of a variable; expected text without =");
        value.finding(Severity::Error, "wrong-value", message)
    })
}

fn address(socket: &RawValue) -> Option<Finding> {
    if !matches!(socket.data, RawData::Dictionary(_)) {
        return None;
    }
    let has = |key| socket.get(key).is_some();
    for (counts, other) in [
        ("SockPathName", "SockServiceName"),
        ("SockPathName", "SecureSocketWithKey"),
        ("SecureSocketWithKey", "SockServiceName"),
    ] {
        if has(counts) && has(other) {
            let message = format!("{} has both {counts} and {other}; {counts} counts", socket.path);
            return Some(socket.finding(Severity::Warning, "two-addresses", message));
        }
    }
    if connects(socket) {
        return None;
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

/// The network has no such sockets (socket(2): EPROTONOSUPPORT, ESOCKTNOSUPPORT), so that the job could not be loaded.
fn socket_type(socket: &RawValue) -> Option<Finding> {
    let value = socket.get("SockType")?;
    (value.text() == Some("seqpacket") && !is_unix(socket)).then(|| {
        let message = "seqpacket exists for Unix sockets only";
        value.finding(Severity::Error, "socket-type", message).help("name a SockPathName, or make it stream or dgram")
    })
}

/// A type and a protocol that do not go together; a socket of the one would not be what the other promises.
fn protocol(socket: &RawValue) -> Option<Finding> {
    let value = socket.get("SockProtocol").filter(|_| !is_unix(socket))?;
    let (kind, protocol) = (socket.get("SockType")?.text()?, value.text()?);
    ((kind == "dgram") != (protocol == "UDP")).then(|| {
        let message = format!("SockProtocol {protocol} has no sockets of the type {kind}");
        value.finding(Severity::Error, "socket-type", message).help("keep one of SockType and SockProtocol")
    })
}

/// Keys of the network on a socket that has a path.
fn family(socket: &RawValue) -> Option<Finding> {
    let located = ["SockPathName", "SecureSocketWithKey"].iter().any(|key| socket.get(key).is_some());
    let keys = ["SockFamily", "SockProtocol", "SockNodeName"].into_iter();
    let mut others = keys.filter_map(|key| socket.get(key)).filter(|value| value.text() != Some("Unix"));
    let value = others.next().filter(|_| located)?;
    let message = format!("{} is of the network and does nothing on a Unix socket", value.path);
    Some(value.finding(Severity::Warning, "no-effect", message))
}

fn multicast(socket: &RawValue) -> Option<Finding> {
    let value = socket.get("MulticastGroup")?;
    let text = value.text()?;
    if !text.parse().is_ok_and(|address: IpAddr| address.is_multicast()) {
        let message = format!("{text:?} is no multicast address; expected one such as 224.0.0.251 or ff02::fb");
        return Some(value.finding(Severity::Error, "wrong-value", message));
    }
    (is_unix(socket) || kind(socket) != SocketKind::Datagram).then(|| {
        let message = "only a datagram socket of the network joins a MulticastGroup";
        value.finding(Severity::Error, "socket-type", message).help("add SockType dgram, or remove MulticastGroup")
    })
}

/// inetd hands over connections, and datagrams come without one.
fn unserved(raw: &RawJob, socket: &RawValue) -> Option<Finding> {
    let inetd = raw.get("inetdCompatibility")?;
    if connects(socket) {
        let message = format!(
            "{} is connected (SockPassive is false), and inetdCompatibility hands over those who come: nobody would take it",
            socket.path
        );
        let help = "remove inetdCompatibility: the program has its connection as one of LISTEN_FDS, or by activation";
        return Some(socket.finding(Severity::Error, "nobody-accepts", message).help(help));
    }
    let waits = inetd.get("Wait").and_then(RawValue::boolean).unwrap_or(false);
    (!waits && kind(socket) == SocketKind::Datagram).then(|| {
        let message = format!(
            "{} takes datagrams, and with inetdCompatibility and no Wait only connections are handed over: nobody \
             would take them",
            socket.path
        );
        socket.finding(Severity::Error, "nobody-accepts", message).help("set inetdCompatibility.Wait to true")
    })
}

/// Users are held by a list of their own, which takes the mode's place; and a private folder lets nobody in.
fn beside_users(raw: &RawJob, socket: &RawValue) -> Option<Finding> {
    let users = raw.get("Grants").and_then(|grants| grants.get("Users"));
    if items(users).is_empty() {
        return None;
    }
    let (value, message) = match (socket.get("SockPathMode"), socket.get("SecureSocketWithKey")) {
        (_, Some(value)) => (value, "whom Grants.Users names cannot enter the folder that SecureSocketWithKey makes"),
        (Some(value), None) => (value, "SockPathMode does nothing beside Grants.Users, which says who may connect"),
        (None, None) => return None,
    };
    Some(value.finding(Severity::Warning, "no-effect", message).help("remove one of the two"))
}

#[cfg(test)]
mod tests;
