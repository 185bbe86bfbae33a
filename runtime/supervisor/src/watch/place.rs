//! One watched path: who watches it, what each of them was told, and what was last seen there. It decides what is
//! to be told, and looks at nothing itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::walk::{Look, Trail};
use super::{Seen, Want, What};

/// A path under watch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    /// The path, as first asked for.
    pub(super) path: PathBuf,
    /// Its watches.
    pub(super) trail: Trail,
    look: Look,
    /// Who watches it and for what, with the state last told; `None` = nothing yet.
    users: BTreeMap<(u64, Want), Option<bool>>,
}

impl Place {
    /// A path that was just looked at, without users.
    pub(super) fn new(path: &Path, trail: Trail, look: Look) -> Self {
        Self { path: path.to_owned(), trail, look, users: BTreeMap::new() }
    }

    /// Adds a user, who is told how things stand. Who waits for a missing file knows that it is missing.
    pub(super) fn join(&mut self, token: u64, want: Want) {
        self.users.insert((token, want), (want == Want::Appearance).then_some(false));
    }

    /// Drops all of a token's; whether anybody is left.
    pub(super) fn leave(&mut self, token: u64) -> bool {
        self.users.retain(|(user, _), _| *user != token);
        !self.users.is_empty()
    }

    /// The tokens of those who watch it.
    pub(super) fn tokens(&self) -> impl Iterator<Item = u64> {
        self.users.keys().map(|(token, _)| *token)
    }

    /// Whether nothing was there that could be looked at.
    pub(super) fn is_missing(&self) -> bool {
        self.look.status.is_none()
    }

    /// Whether somebody asks for a directory's entries.
    pub(super) fn lists(&self) -> bool {
        self.users.keys().any(|(_, want)| *want == Want::Queue)
    }

    /// Takes a new look and its watches; whether another thing is there than was last seen, and the old watches.
    pub(super) fn look(&mut self, look: Look, trail: Trail) -> (bool, Trail) {
        // A new inode has a new watch, even where it has the old one's number and times.
        let replaced = look.status.is_some() && trail.end != self.trail.end;
        let changed = replaced || look.status != self.look.status;
        self.look = look;
        (changed, std::mem::replace(&mut self.trail, trail))
    }

    /// Adds to `seen` what the users have not been told; `changed` is for those who asked for changes.
    pub(super) fn tell(&mut self, changed: bool, seen: &mut Vec<Seen>) {
        let (exists, entries) = (self.look.status.is_some(), self.look.entries);
        for ((token, want), told) in &mut self.users {
            let what = match want {
                Want::Change => changed.then_some(What::Changed),
                Want::Queue => turned(told, entries).then_some(What::Queue { entries }),
                Want::Existence => turned(told, exists).then_some(What::Exists(exists)),
                Want::Appearance => (turned(told, exists) && exists).then_some(What::Exists(true)),
            };
            seen.extend(what.map(|what| Seen { token: *token, path: self.path.clone(), what }));
        }
    }
}

/// Notes a state; whether it is news.
fn turned(told: &mut Option<bool>, now: bool) -> bool {
    told.replace(now) != Some(now)
}
