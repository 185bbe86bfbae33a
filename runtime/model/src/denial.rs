//! Denials: what a job asked for and was not granted, and the property-list lines that would allow it.
//! They are reported, never enforced, here.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::advice;
use crate::grant::{Access, Grants, PathGrant, Transport};

/// One thing that was asked for and refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Denial {
    /// A path outside every grant, or a change inside a ReadOnly one.
    Path {
        /// The path as the job named it.
        path: String,
        /// The access it would need.
        access: Access,
    },
    /// An outbound connection or datagram.
    Connect {
        /// tcp or udp.
        transport: Transport,
        /// To where.
        address: SocketAddr,
    },
    /// Connecting to a Unix socket.
    Unix {
        /// Its path as the job named it.
        path: String,
    },
    /// Binding an address.
    Bind {
        /// tcp or udp.
        transport: Transport,
        /// Which.
        address: SocketAddr,
    },
    /// Making a socket of a kind that no grant has; to where it would have gone was not said yet.
    Socket {
        /// tcp or udp.
        transport: Transport,
    },
    /// Looking up a name.
    Lookup {
        /// The name.
        name: String,
    },
    /// An outgoing HTTP request.
    Request {
        /// scheme://authority
        url: String,
    },
    /// A host variable.
    Environment {
        /// Its name.
        name: String,
    },
}

impl Denial {
    /// What makes two denials the same kind, for reporting once.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Path { access: Access::ReadWrite, .. } => "write",
            Self::Path { .. } => "read",
            Self::Connect { .. } => "connect",
            Self::Unix { .. } => "unix",
            Self::Bind { .. } => "bind",
            Self::Socket { .. } => "socket",
            Self::Lookup { .. } => "lookup",
            Self::Request { .. } => "request",
            Self::Environment { .. } => "environment",
        }
    }

    /// The property-list lines that would allow it, given what is granted already.
    pub fn lines(&self, grants: &Grants) -> String {
        match self {
            Self::Path { path, access } => match covering(path, grants) {
                Some(grant) => advice::lines_for_grant(&grant.host, &grant.guest, *access),
                None => advice::lines_for_path(path, *access),
            },
            Self::Connect { transport, address } => {
                advice::lines_for_connect(&format!("{}://{address}", transport.scheme()))
            }
            Self::Unix { path } => advice::lines_for_unix(path),
            Self::Bind { transport, address } => advice::lines_for_bind(&format!("{}://{address}", transport.scheme())),
            Self::Socket { transport } => advice::lines_for_socket_of(transport.scheme()),
            Self::Lookup { name } => advice::lines_for_connect(&format!("tcp://{name}:*")),
            Self::Request { url } => advice::lines_for_connect(url),
            Self::Environment { name } => advice::lines_for_environment(name),
        }
    }
}

/// The innermost grant a path of the job's lies in: it is there, but does not reach far enough.
fn covering<'a>(path: &str, grants: &'a Grants) -> Option<&'a PathGrant> {
    let covers = |grant: &&PathGrant| Path::new(path).starts_with(&grant.guest);
    grants.paths.iter().filter(covers).max_by_key(|grant| grant.guest.len())
}

impl fmt::Display for Denial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, access: Access::ReadWrite } => write!(out, "changing {path}"),
            Self::Path { path, .. } => write!(out, "reading {path}"),
            Self::Connect { transport, address } => {
                write!(out, "connecting to {}://{address}", transport.scheme())
            }
            Self::Unix { path } => write!(out, "connecting to unix://{path}"),
            Self::Bind { transport, address } => {
                write!(out, "binding {}://{address}", transport.scheme())
            }
            Self::Socket { transport } => write!(out, "making a {} socket", transport.scheme()),
            Self::Lookup { name } => write!(out, "looking up {name}"),
            Self::Request { url } => write!(out, "a request to {url}"),
            Self::Environment { name } => write!(out, "the variable {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_inside_a_grant_names_that_grant() {
        let grant = PathGrant { host: "/srv/photos".into(), guest: "/photos".into(), access: Access::ReadOnly };
        let grants = Grants { paths: vec![grant], ..Grants::default() };
        let inside = Denial::Path { path: "/photos/a.jpg".into(), access: Access::ReadWrite };
        let lines = inside.lines(&grants);
        for part in ["<string>/srv/photos</string>", "<string>/photos</string>", "<string>ReadWrite</string>"] {
            assert!(lines.contains(part), "{part} in {lines}");
        }
        let outside = Denial::Path { path: "/photoshop".into(), access: Access::ReadOnly };
        assert!(outside.lines(&grants).contains("<string>/photoshop</string>"));
    }

    #[test]
    fn a_unix_socket_is_allowed_by_connect() {
        let denial = Denial::Unix { path: "/run/x".into() };
        assert_eq!(denial.to_string(), "connecting to unix:///run/x");
        let lines = denial.lines(&Grants::default());
        assert!(lines.contains("<key>Connect</key>") && lines.contains("<string>unix:///run/x</string>"), "{lines}");
    }
}
