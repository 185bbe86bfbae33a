//! Denials: what a job asked for and was not granted, and the property-list lines that would allow it.
//! They are reported, never enforced, here.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::advice;
use crate::grant::{Access, Grants, PathGrant, Transport};
use crate::limit::Limit;
use crate::outcome::HeldBy;

/// One thing that was asked for and refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Denial {
    /// A path outside every grant, or a change inside a ReadOnly one.
    Path {
        /// The path as the job named it.
        path: String,
        /// The access it would need.
        access: Access,
        /// Who refused it, as far as the worker could tell.
        wall: HeldBy,
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
    /// More than a limit lets. One that ends a run is its outcome; this is of one that was refused something and went on,
    /// and of one instance among many.
    Limit {
        /// Which.
        limit: Limit,
        /// Who held it.
        wall: HeldBy,
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
            Self::Limit { .. } => "limit",
        }
    }

    /// The wall that refused it. Addresses, names and variables are the WASI wall's to refuse: it is asked first.
    pub fn wall(&self) -> HeldBy {
        match self {
            Self::Path { wall, .. } | Self::Limit { wall, .. } => *wall,
            _ => HeldBy::Guest,
        }
    }

    /// The innermost grant that a denied path lies in.
    pub fn within<'a>(&self, grants: &'a Grants) -> Option<&'a PathGrant> {
        match self {
            Self::Path { path, .. } => covering(path, grants),
            _ => None,
        }
    }

    /// The property-list lines that would allow it, given what is granted already; `None` = it is granted, and no line
    /// would help.
    pub fn lines(&self, grants: &Grants) -> Option<String> {
        self.lines_within(self.within(grants))
    }

    /// The same, given the grant it lies in.
    pub fn lines_within(&self, within: Option<&PathGrant>) -> Option<String> {
        match (self, within) {
            // The file's own mode refused it, or a link that leads out of the grant.
            (Self::Path { access, .. }, Some(grant)) if reaches(grant.access, *access) => None,
            (Self::Path { access, .. }, Some(grant)) => {
                Some(advice::lines_for_grant(&grant.host, &grant.guest, *access))
            }
            _ => Some(self.lines_alone()),
        }
    }

    /// Those for somebody who has no grant that comes near it.
    fn lines_alone(&self) -> String {
        match self {
            Self::Path { path, access, .. } => advice::lines_for_path(path, *access),
            Self::Connect { transport, address } => {
                advice::lines_for_connect(&format!("{}://{address}", transport.scheme()))
            }
            Self::Unix { path } => advice::lines_for_unix(path),
            Self::Bind { transport, address } => advice::lines_for_bind(&format!("{}://{address}", transport.scheme())),
            Self::Socket { transport } => advice::lines_for_socket_of(transport.scheme()),
            Self::Lookup { name } => advice::lines_for_connect(&format!("tcp://{name}:*")),
            Self::Request { url } => advice::lines_for_connect(url),
            Self::Environment { name } => advice::lines_for_environment(name),
            Self::Limit { limit, .. } => advice::lines_for_limit(limit.row().key),
        }
    }
}

/// Said where no line would help.
pub const GRANTED: &str =
    "a grant reaches so far; the file's own mode refused it, or a link that leads out of the grant";

/// Whether what was granted includes what was needed.
fn reaches(granted: Access, needed: Access) -> bool {
    match needed {
        Access::ReadOnly => granted != Access::Connect,
        needed => granted == needed,
    }
}

/// The innermost grant a path of the job's lies in.
fn covering<'a>(path: &str, grants: &'a Grants) -> Option<&'a PathGrant> {
    let covers = |grant: &&PathGrant| Path::new(path).starts_with(&grant.guest);
    grants.paths.iter().filter(covers).max_by_key(|grant| grant.guest.len())
}

impl fmt::Display for Denial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, access: Access::ReadWrite, .. } => write!(out, "changing {path}"),
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
            Self::Limit { limit, .. } => write!(out, "going beyond the limit {limit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str, access: Access) -> Denial {
        Denial::Path { path: path.into(), access, wall: HeldBy::Guest }
    }

    #[test]
    fn a_path_inside_a_grant_names_that_grant() {
        let grant = PathGrant { host: "/srv/photos".into(), guest: "/photos".into(), access: Access::ReadOnly };
        let grants = Grants { paths: vec![grant], ..Grants::default() };
        let lines = path("/photos/a.jpg", Access::ReadWrite).lines(&grants).unwrap();
        for part in ["<string>/srv/photos</string>", "<string>/photos</string>", "<string>ReadWrite</string>"] {
            assert!(lines.contains(part), "{part} in {lines}");
        }
        let outside = path("/photoshop", Access::ReadOnly).lines(&grants).unwrap();
        assert!(outside.contains("<string>/photoshop</string>"), "{outside}");
        assert_eq!(path("/photos/unreadable", Access::ReadOnly).lines(&grants), None);
    }

    #[test]
    fn the_wall_that_refused_a_path_is_told_and_others_are_the_guests() {
        let denial = Denial::Path { path: "/a".into(), access: Access::ReadWrite, wall: HeldBy::Kernel };
        assert_eq!(denial.wall(), HeldBy::Kernel);
        assert_eq!(Denial::Lookup { name: "x".into() }.wall(), HeldBy::Guest);
    }

    #[test]
    fn a_limit_is_named_with_who_held_it_and_the_line_that_would_raise_it() {
        let denial = Denial::Limit { limit: Limit::CpuTime, wall: HeldBy::Kernel };
        assert_eq!((denial.to_string().as_str(), denial.kind()), ("going beyond the limit CPUTime", "limit"));
        assert_eq!(denial.wall(), HeldBy::Kernel);
        let lines = denial.lines(&Grants::default()).unwrap();
        assert!(lines.contains("<key>Limits</key>") && lines.contains("<key>CPUTime</key>"), "{lines}");
    }

    #[test]
    fn a_unix_socket_is_allowed_by_connect() {
        let denial = Denial::Unix { path: "/run/x".into() };
        assert_eq!(denial.to_string(), "connecting to unix:///run/x");
        let lines = denial.lines(&Grants::default()).unwrap();
        assert!(lines.contains("<key>Connect</key>") && lines.contains("<string>unix:///run/x</string>"), "{lines}");
    }
}
