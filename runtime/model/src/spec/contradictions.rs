//! Path grants that contradict each other: two at one place of the job's view, and one that forbids changes inside of
//! another that allows them. A file may have thousands of grants, so they are put in order and each is held against those
//! around it alone: comparing every two would take a supervisor that reads such a file seconds.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::finding::{Finding, Severity};
use crate::grant::{Access, PathGrant};

use super::paths::lies_in;
use super::raw::RawValue;

/// How a grant contradicts another, by their places in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contradiction {
    /// Both have the same GuestPath.
    SamePlace { first: usize, second: usize },
    /// `narrow` forbids changes inside of what `wide` lets be changed.
    Changes { narrow: usize, wide: usize },
}

/// What is to be said of these grants, which were read from these entries: one thing of each entry at most, and of two
/// grants at the later one.
pub(super) fn contradictions(grants: &[PathGrant], entries: &[&RawValue]) -> Vec<Finding> {
    let found = find(grants).into_iter();
    found.filter_map(|(place, contradiction)| Some(contradiction.finding(grants, entries.get(place)?))).collect()
}

fn find(grants: &[PathGrant]) -> BTreeMap<usize, Contradiction> {
    let mut found = nested(grants);
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (second, grant) in grants.iter().enumerate() {
        match places.entry(&grant.guest) {
            Entry::Vacant(free) => {
                free.insert(second);
            }
            Entry::Occupied(taken) => {
                found.insert(second, Contradiction::SamePlace { first: *taken.get(), second });
            }
        }
    }
    found
}

/// By the later place of two, and of more that end at one place the first in order.
fn nested(grants: &[PathGrant]) -> BTreeMap<usize, Contradiction> {
    let mut order: Vec<usize> = (0..grants.len()).collect();
    order.sort_by(|one, other| around_first(&grants[*one], &grants[*other]));
    let mut found = BTreeMap::new();
    // The ReadWrite grants that the next one may lie in, the innermost last.
    let mut around: Vec<usize> = Vec::new();
    for narrow in order {
        let grant = &grants[narrow];
        while around.last().is_some_and(|wide| !lies_in(&grant.host, &grants[*wide].host)) {
            around.pop();
        }
        match (grant.access, around.last().copied()) {
            (Access::ReadWrite, _) => around.push(narrow),
            (_, Some(wide)) => {
                found.entry(narrow.max(wide)).or_insert(Contradiction::Changes { narrow, wide });
            }
            (_, None) => {}
        }
    }
    found
}

/// A folder, then all that lies in it, then what is beside it: the slash comes before every letter. Of two on one path the
/// one that lets it be changed is first.
fn around_first(one: &PathGrant, other: &PathGrant) -> Ordering {
    let rank = |letter: u8| if letter == b'/' { 0 } else { letter };
    let paths = one.host.bytes().map(rank).cmp(other.host.bytes().map(rank));
    paths.then((one.access != Access::ReadWrite).cmp(&(other.access != Access::ReadWrite)))
}

impl Contradiction {
    fn finding(self, grants: &[PathGrant], entry: &RawValue) -> Finding {
        match self {
            Self::SamePlace { first, second } => {
                let (first, second) = (&grants[first], &grants[second]);
                let message = format!(
                    "{} and {} are both granted at {}; expected one grant for each place",
                    first.host, second.host, second.guest
                );
                entry.finding(Severity::Error, "duplicate-guest-path", message)
            }
            Self::Changes { narrow, wide } => {
                let (narrow, wide) = (&grants[narrow], &grants[wide]);
                let message = format!(
                    "{} is {}, but {}, which is ReadWrite, lets it be changed",
                    narrow.host,
                    narrow.access.word(),
                    wide.host
                );
                entry
                    .finding(Severity::Error, "read-only-inside-read-write", message)
                    .help("make the outer grant ReadOnly, or grant the inner folders one by one")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Context, load};

    fn grant(access: Access, host: &str, guest: &str) -> PathGrant {
        PathGrant { host: host.into(), guest: guest.into(), access }
    }

    /// Grants as `r /path`, `w /path` and `x /path`, each at a place of its own.
    fn grants(texts: &[&str]) -> Vec<PathGrant> {
        let grants = texts.iter().enumerate().map(|(place, text)| {
            let (letter, path) = text.split_once(' ').expect("a letter and a path");
            let access = match letter {
                "r" => Access::ReadOnly,
                "w" => Access::ReadWrite,
                _ => Access::Execute,
            };
            grant(access, path, &format!("/{place}"))
        });
        grants.collect()
    }

    #[test]
    fn what_may_not_be_changed_is_found_in_what_may() {
        for (texts, expected) in [
            (&["r /a", "r /a/b", "x /a/c"][..], &[][..]),
            (&["w /a", "w /a/b", "r /b"], &[]),
            (&["w /a", "r /a/b"], &[(1, 1, 0)]),
            (&["r /a/b", "w /a"], &[(1, 0, 1)]),
            (&["x /a", "w /a"], &[(1, 0, 1)]),
            (&["w /", "r /a/b"], &[(1, 1, 0)]),
            (&["r /", "w /a"], &[]),
            // These have the same beginning, and lie beside each other.
            (&["w /a", "r /a-b", "r /a b", "r /ab", "r /a/b/c"], &[(4, 4, 0)]),
            (&["w /a/b", "r /a/c", "r /a"], &[]),
            (&["w /a", "w /a/b", "r /a/c", "r /a/b/c"], &[(2, 2, 0), (3, 3, 1)]),
            // One thing is said of one entry.
            (&["r /a/b", "r /a/c", "w /a"], &[(2, 0, 2)]),
        ] {
            let found = find(&grants(texts)).into_iter();
            let found: Vec<(usize, Contradiction)> = found.collect();
            let expected = expected
                .iter()
                .map(|(at, narrow, wide)| (*at, Contradiction::Changes { narrow: *narrow, wide: *wide }));
            assert_eq!(found, expected.collect::<Vec<_>>(), "{texts:?}");
        }
    }

    #[test]
    fn of_two_at_one_place_that_is_said_and_nothing_else() {
        let all = [
            grant(Access::ReadWrite, "/a", "/x"),
            grant(Access::ReadOnly, "/a/b", "/x"),
            grant(Access::ReadOnly, "/c", "/x"),
        ];
        let found: Vec<(usize, Contradiction)> = find(&all).into_iter().collect();
        let same = |second| (second, Contradiction::SamePlace { first: 0, second });
        assert_eq!(found, [same(1), same(2)]);
    }

    /// What comparing every two of them finds.
    fn contradicts(grants: &[PathGrant]) -> bool {
        let changed = |narrow: &PathGrant, wide: &PathGrant| {
            narrow.access != Access::ReadWrite && wide.access == Access::ReadWrite && lies_in(&narrow.host, &wide.host)
        };
        grants.iter().any(|narrow| grants.iter().any(|wide| changed(narrow, wide)))
    }

    #[test]
    fn as_much_is_found_as_by_comparing_every_two() {
        let mut seed = 1_u64;
        let mut next = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        let names = ["a", "b", "a-b", "ab", "a b"];
        let mut both = [0; 2];
        for round in 0..2_000 {
            let texts: Vec<String> = (0..=next(5))
                .map(|_| {
                    let path: String =
                        (0..=next(3)).map(|_| format!("/{}", names[usize::try_from(next(5)).unwrap()])).collect();
                    format!("{} {path}", ["r", "w", "x"][usize::try_from(next(3)).unwrap()])
                })
                .collect();
            let all = grants(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let found = find(&all);
            assert_eq!(!found.is_empty(), contradicts(&all), "{round}: {texts:?}");
            both[usize::from(found.is_empty())] += 1;
            for (at, contradiction) in found {
                let Contradiction::Changes { narrow, wide } = contradiction else { panic!("{texts:?}") };
                assert_eq!(at, narrow.max(wide), "{texts:?}");
                assert!(contradicts(&[all[narrow].clone(), all[wide].clone()]), "{texts:?}");
            }
        }
        assert!(both.iter().all(|count| *count > 100), "{both:?}");
    }

    /// As many as there is room for in a job file.
    #[test]
    fn a_file_may_have_as_many_grants_as_values() {
        const MANY: usize = 9_980;
        let paths: String = (0..MANY).map(|number| format!("\"/srv/{number}\", ")).collect();
        let load = |last: &str| {
            let text = format!("{{ Label = a; Program = \"/a\"; Grants = {{ Paths = ({paths}{last}); }}; }}");
            load(text.as_bytes(), &Context { folder: "/", home: "/home/me", uid: 1000 })
        };
        let job = load("\"/srv/last\"").job.expect("a job");
        assert_eq!(job.grants.paths.len(), MANY + 1);
        let loaded = load("{ Path = \"/srv\"; GuestPath = \"/all\"; Access = ReadWrite; }");
        let found: Vec<(&str, &str)> =
            loaded.findings.iter().map(|finding| (finding.code, finding.key_path.as_str())).collect();
        assert_eq!(found, [("read-only-inside-read-write", "Grants.Paths[9980]")]);
    }
}
