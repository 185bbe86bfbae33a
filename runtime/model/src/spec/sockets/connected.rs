//! What makes no sense of a socket that is connected to somebody else's (SockPassive false), and to whom none is. Nothing
//! is looked up: where a link leads is seen by who connects.

use crate::finding::{Finding, Severity};
use crate::socket::Service;
use crate::spec::raw::{RawJob, RawValue, text};
use crate::spec::{Context, grants};

use super::{is_unix, port};

/// What a socket has to which others connect.
const OF_LISTENERS: [&str; 5] =
    ["SecureSocketWithKey", "MulticastGroup", "SockPathMode", "SockPathOwner", "SockPathGroup"];

/// Checks one that is connected.
pub(super) fn check(raw: &RawJob, socket: &RawValue, context: &Context) -> Vec<Finding> {
    let mut found = of_listeners(socket);
    found.extend(nowhere(socket));
    found.extend(forbidden(socket, context).or_else(|| as_root(raw, socket, context)));
    found
}

/// Keys of a socket to which others connect.
fn of_listeners(socket: &RawValue) -> Vec<Finding> {
    let wrong = OF_LISTENERS.into_iter().filter_map(|key| Some((key, socket.get(key)?)));
    let finding = |(key, value): (&str, &RawValue)| {
        let message = format!(
            "{key} is for a socket to which others connect, and this one is connected to somebody else's (SockPassive \
             is false)"
        );
        value.finding(Severity::Error, "wrong-value", message).help("remove one of the two")
    };
    wrong.map(finding).collect()
}

/// A connection needs somebody at its other end.
fn nowhere(socket: &RawValue) -> Option<Finding> {
    let port = socket.get("SockServiceName").and_then(port).filter(|port| *port != Service::Port(0));
    let named = if is_unix(socket) { socket.get("SockPathName").is_some() } else { port.is_some() };
    (!named).then(|| {
        let message = format!("{} is to be connected (SockPassive is false), and nothing says where", socket.path);
        let help = "name the other end by SockPathName, or by SockServiceName and SockNodeName";
        socket.finding(Severity::Error, "no-address", message).help(help)
    })
}

/// A supervisor would take the job for its owner: it goes by who has connected. The path is outside of a RootDirectory,
/// as the supervisor is.
fn forbidden(socket: &RawValue, context: &Context) -> Option<Finding> {
    let value = socket.get("SockPathName")?;
    let path = value.text().filter(|path| path.starts_with('/'))?;
    grants::connectable(value, path, context, None).err()
}

/// Whoever answers goes by who has connected (SO_PEERCRED, and the socket's mode before), and that is the supervisor:
/// what root may reach is no other user's.
fn as_root(raw: &RawJob, socket: &RawValue, context: &Context) -> Option<Finding> {
    let value = socket.get("SockPathName")?;
    let path = value.text()?;
    let is_roots = matches!(text(raw, "UserName"), Some("root" | "0"));
    (context.uid == 0 && !is_roots).then(|| {
        let message = format!(
            "{path} would be connected to by root, and UserName is not root: who answers would take the job for root"
        );
        let help = format!("let the program connect by itself: Grants.Connect with unix://{path}");
        value.finding(Severity::Error, "connected-as-root", message).help(help)
    })
}
