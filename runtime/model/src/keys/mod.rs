//! The registry of every key a job file can have: parser, `wjob check`, `wjob keys`, the man page and the README
//! table all come from these rows. It reads no job file; a key that is not here is unknown everywhere.

mod kind;
mod launchd;
mod nearest;
mod own;

use std::sync::LazyLock;

use serde::Serialize;

pub use kind::{Kind, range};
pub(crate) use nearest::distance;
pub use nearest::{elsewhere, nearest};

/// A row of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where it stands, as in `Label`, `KeepAlive.SuccessfulExit` or `Sockets.*.SockType`; `*` is any name or item.
    pub path: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// How far it is honoured.
    pub class: Class,
    /// Who had it first, and when: `launchd 10.4`, `wjob 0.1`.
    pub since: &'static str,
    /// What it does here; for an adapted key its meaning on Linux, for a noted one why nothing happens.
    pub summary: &'static str,
    /// What acts on it now.
    pub available: Available,
}

/// How far a key is honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// As launchd documents it; or a key of our own.
    Honoured,
    /// With a meaning of its own on Linux, which the summary states.
    Adapted,
    /// macOS only: `check` says so and nothing happens.
    Noted,
}

impl Class {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::Adapted => "adapted",
            Self::Noted => "noted",
        }
    }
}

/// What acts on a key now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Available {
    /// `wjob run` does.
    Run,
    /// Only a supervisor does: `wjob run` starts the job at once and once.
    Supervisor,
    /// Nothing does yet.
    NotYet,
    /// Nothing ever will: the key is of macOS alone.
    Nobody,
}

impl Available {
    /// The words for it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Run => "wjob run and wjobd",
            Self::Supervisor => "wjobd; wjob run starts the job at once and once",
            Self::NotYet => "nothing yet",
            Self::Nobody => "nothing",
        }
    }
}

impl Key {
    /// Its own name: the last part of the path.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The dictionary it belongs in; empty for the job file itself.
    pub fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// Whether it is one of wjob's own keys, which match exactly.
    pub fn is_own(&self) -> bool {
        self.since.starts_with("wjob")
    }
}

/// All keys: launchd's, then ours, each in the order the documentation lists them.
pub fn all() -> &'static [Key] {
    static ALL: LazyLock<Vec<Key>> = LazyLock::new(|| [launchd::keys(), own::keys()].concat());
    &ALL
}

/// The key of exactly this path.
pub fn find(path: &str) -> Option<&'static Key> {
    all().iter().find(|key| key.path == path)
}

/// The keys of one dictionary; `""` is the job file itself.
pub fn children(parent: &str) -> impl Iterator<Item = &'static Key> {
    all().iter().filter(move |key| key.parent() == parent)
}

/// What a name in a dictionary is.
#[derive(Clone, Copy, Debug)]
pub enum Match {
    /// A key, letter for letter.
    Exact(&'static Key),
    /// A key of launchd's in other letter case: honoured, with a warning.
    OtherCase(&'static Key),
    /// A key of ours in other letter case: refused, because a limit in wrong case would be no limit.
    OwnOtherCase(&'static Key),
    /// No key.
    Unknown,
}

/// Looks a name up in a dictionary.
pub fn look_up(parent: &str, name: &str) -> Match {
    if let Some(key) = children(parent).find(|key| key.name() == name) {
        return Match::Exact(key);
    }
    match children(parent).find(|key| key.name().eq_ignore_ascii_case(name)) {
        Some(key) if key.is_own() => Match::OwnOtherCase(key),
        Some(key) => Match::OtherCase(key),
        None => Match::Unknown,
    }
}

#[cfg(test)]
mod tests;
