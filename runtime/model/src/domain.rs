//! Domains: where a job lives and whose names it sees. Whether one has a supervisor is not known here.

use std::fmt;

/// Where a job is loaded, which decides who it is and whose supervisor is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// The machine's.
    System,
    /// A user's own.
    User(u32),
}

impl Domain {
    /// The domain that a user's own supervisor serves: root's is the system.
    pub fn of(uid: u32) -> Self {
        if uid == 0 { Self::System } else { Self::User(uid) }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => out.write_str("system"),
            Self::User(uid) => write!(out, "user/{uid}"),
        }
    }
}
