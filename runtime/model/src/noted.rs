//! What is noted of a run's grants: what was denied, when, and which lines would allow it, and which grants were used.
//! The worker tells what happened and the supervisor when; here nothing is watched and nothing kept.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::control::{DenialRow, GrantUse};
use crate::denial::Denial;
use crate::grant::{Grants, PathGrant};

/// A longer denial is not noted, bytes of its words: no guest can name so much, only a worker that was taken over.
const LONGEST: usize = 8 << 10;
/// Most that is kept of one run's denials once it is over, and of its grants, bytes of JSON.
pub const KEPT_BYTES: usize = 16 << 10;

/// A denial as it is noted of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// What was denied.
    pub denial: Denial,
    /// When, in milliseconds since 1970.
    pub wall_ms: i64,
    /// The grant that a denied path lies in: its lines name the grant's own path.
    pub within: Option<PathGrant>,
}

impl Noted {
    /// A denial of a job with these grants, at a moment in milliseconds since 1970; `None` = it is too long to be one.
    pub fn new(denial: &Denial, wall_ms: i64, grants: &Grants) -> Option<Self> {
        let within = denial.within(grants).cloned();
        let length = denial.to_string().len() + within.as_ref().map_or(0, |grant| grant.host.len() + grant.guest.len());
        (length <= LONGEST).then(|| Self { denial: denial.clone(), wall_ms, within })
    }

    /// As it is told to whoever asks.
    pub fn row(&self) -> DenialRow {
        let time = Timestamp::from_millisecond(self.wall_ms);
        DenialRow {
            time: time.map_or_else(|_| String::new(), |time| format!("{time:.3}")),
            kind: self.denial.kind().into(),
            what: self.denial.to_string(),
            wall: self.denial.wall().in_words().into(),
            lines: self.denial.lines_within(self.within.as_ref()).unwrap_or_default(),
        }
    }
}

/// The first so many of a list that have room in `most` bytes of JSON.
pub fn that_fit<T: Serialize>(list: &[T], most: usize) -> &[T] {
    let mut room = most;
    let fitting = list.iter().take_while(|item| {
        let needed = serde_json::to_string(item).map_or(usize::MAX, |text| text.len() + 1);
        let left = room.checked_sub(needed);
        room = left.unwrap_or(0);
        left.is_some()
    });
    &list[..fitting.count()]
}

/// A grant that was used, by its place in its list; the first use is told, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Used {
    /// One of `Paths`: something in it was opened, looked at or changed, or was to be.
    Path(u32),
    /// One of `Connect`: connected to, sent to, or its name looked up.
    Connect(u32),
    /// One of `Bind`.
    Bind(u32),
}

impl Used {
    /// Its place among [`Grants::watched`]; `None` = there is no such grant.
    fn place(self, grants: &Grants) -> Option<usize> {
        let (before, length, index) = match self {
            Self::Path(index) => (0, grants.paths.len(), index),
            Self::Connect(index) => (grants.paths.len(), grants.connect.len(), index),
            Self::Bind(index) => (grants.paths.len() + grants.connect.len(), grants.bind.len(), index),
        };
        let index = usize::try_from(index).ok().filter(|index| *index < length)?;
        Some(before + index)
    }
}

/// Which of a job's grants a run used.
pub fn uses(grants: &Grants, used: &[Used]) -> Vec<GrantUse> {
    let mut uses: Vec<GrantUse> = grants.watched().into_iter().map(|grant| GrantUse { grant, used: false }).collect();
    for place in used.iter().filter_map(|used| used.place(grants)) {
        uses[place].used = true;
    }
    uses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{Access, Endpoint};
    use crate::outcome::HeldBy;

    fn grants() -> Grants {
        Grants {
            paths: vec![PathGrant { host: "/srv/a".into(), guest: "/a".into(), access: Access::ReadOnly }],
            connect: vec![Endpoint::parse_connect("tcp://127.0.0.1:1").unwrap()],
            bind: vec![Endpoint::parse_bind("udp://127.0.0.1:2").unwrap()],
            ..Grants::default()
        }
    }

    fn change(path: &str) -> Denial {
        Denial::Path { path: path.into(), access: Access::ReadWrite, wall: HeldBy::Guest }
    }

    #[test]
    fn a_denial_is_told_with_its_moment_its_wall_and_its_lines() {
        let row = Noted::new(&change("/a/file"), 1_500, &grants()).unwrap().row();
        assert_eq!((row.time.as_str(), row.kind.as_str()), ("1970-01-01T00:00:01.500Z", "write"));
        assert_eq!((row.what.as_str(), row.wall.as_str()), ("changing /a/file", "the WASI wall"));
        assert!(row.lines.contains("<string>/srv/a</string>") && row.lines.contains("ReadWrite"), "{}", row.lines);
        assert_eq!(Noted::new(&change(&"x".repeat(LONGEST)), 0, &grants()), None);
    }

    #[test]
    fn uses_are_those_of_the_jobs_own_grants() {
        for (used, expected) in [
            (&[][..], [false, false, false]),
            (&[Used::Path(0)], [true, false, false]),
            (&[Used::Connect(0), Used::Connect(0)], [false, true, false]),
            (&[Used::Bind(0), Used::Bind(1), Used::Path(7), Used::Connect(u32::MAX)], [false, false, true]),
        ] {
            let found: Vec<bool> = uses(&grants(), used).iter().map(|one| one.used).collect();
            assert_eq!(found, expected, "{used:?}");
        }
    }

    #[test]
    fn a_list_is_cut_where_it_does_not_fit_any_more() {
        for (most, expected) in [(0, 0), (3, 0), (4, 1), (7, 1), (8, 2), (100, 3)] {
            assert_eq!(that_fit(&["a", "b", "c"], most).len(), expected, "{most}");
        }
    }
}
