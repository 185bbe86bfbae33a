//! What came of an attack, of all the tests that its row means: one that failed outweighs the others, and one that was not
//! tried is not hidden behind one that was. It runs nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::Attack;
use crate::verdicts::Verdict;

/// Rows of bypasses that speak of kernels older than this one: beside each stands what holds on this one, so that there is
/// nothing untried if they do not apply.
const OLDER: &str = "_on_older_kernels";

/// Rows of bypasses with a wall left out on purpose, to see what the others hold: what they do not hold is not let through
/// where all stand.
const WITHOUT: &str = "_without_";

/// What all tests of an attack found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// One of them failed, or there is none.
    pub failed: bool,
    /// How many passed.
    pub held: usize,
    /// What those met that tell, as `WALL: how` each, in order.
    pub met: Vec<String>,
    /// Which were not tried, and why.
    pub untried: Vec<String>,
    /// Which nothing is to hold, as the documentation says.
    pub documented: Vec<String>,
}

/// What came of an attack, given what came of all tests by their programs.
pub(super) fn of(attack: &Attack, verdicts: &BTreeMap<String, Vec<(String, Verdict)>>) -> Found {
    let all = verdicts.get(&attack.program).into_iter().flatten();
    let own: Vec<&(String, Verdict)> = all.filter(|(name, _)| means(&attack.test, name)).collect();
    // A row whose test is gone claims what nobody shows.
    let mut found = Found { failed: own.is_empty(), ..Found::default() };
    own.into_iter().for_each(|(name, verdict)| found.add(name, verdict));
    found
}

/// Whether a test's whole name has this one in it, between its separators.
fn means(test: &str, whole: &str) -> bool {
    format!("::{whole}::").contains(&format!("::{test}::"))
}

/// The wall of `WALL: how`.
fn wall(met: &str) -> &str {
    met.split_once(": ").map_or(met, |(wall, _)| wall)
}

impl Found {
    fn add(&mut self, name: &str, verdict: &Verdict) {
        match verdict {
            Verdict::Failed => self.failed = true,
            Verdict::Held(met) => {
                self.held += 1;
                self.met.extend(met.clone());
            }
            Verdict::NotTried(_) if name.ends_with(OLDER) => {}
            Verdict::NotTried(why) => self.untried.push(format!("{name}: {why}")),
            Verdict::Documented(_) if name.contains(WITHOUT) => {}
            Verdict::Documented(why) => self.documented.push(format!("{name}: {why}")),
        }
    }

    /// Whether what was tried was contained; `None` = nothing was tried.
    pub fn contained(&self) -> Option<bool> {
        if self.failed || !self.documented.is_empty() {
            return Some(false);
        }
        (self.held > 0).then_some(true)
    }

    /// Whether a test told which wall was met.
    pub fn is_observed(&self) -> bool {
        !self.met.is_empty()
    }

    /// The walls that were met; the expected one where tests only tell that they passed; none if it was not contained.
    pub fn wall(&self, expected: &str) -> Option<String> {
        self.contained().filter(|contained| *contained)?;
        let walls: BTreeSet<&str> = self.met.iter().map(|met| wall(met)).collect();
        let walls: Vec<&str> = walls.into_iter().collect();
        Some(if walls.is_empty() { expected.to_owned() } else { walls.join(" and ") })
    }

    /// How that showed.
    pub fn how(&self) -> Option<String> {
        let all: BTreeSet<&str> = self.met.iter().filter_map(|met| Some(met.split_once(": ")?.1)).collect();
        let all: Vec<&str> = all.into_iter().collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// For the table.
    pub fn in_words(&self) -> String {
        let verdict = match (self.failed, self.contained()) {
            (true, _) => "NO",
            (_, Some(true)) if self.is_observed() => "yes",
            (_, Some(true)) => "yes, its test passed",
            (_, Some(false)) => "not everywhere",
            (_, None) => "not tried",
        };
        let remarks = self.documented.iter().map(|why| format!("; documented: {why}"));
        let remarks = remarks.chain(self.untried.iter().map(|why| format!("; not tried: {why}")));
        std::iter::once(verdict.to_owned()).chain(remarks).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attack() -> Attack {
        Attack {
            name: "b".into(),
            group: 11,
            wall: "seccomp".into(),
            program: "bypasses".into(),
            test: "kernel::b".into(),
        }
    }

    fn found(verdicts: &[(&str, Verdict)]) -> Found {
        let verdicts = verdicts.iter().map(|(name, verdict)| ((*name).to_owned(), verdict.clone())).collect();
        of(&attack(), &BTreeMap::from([("bypasses".to_owned(), verdicts)]))
    }

    #[test]
    fn a_failed_test_outweighs_the_others_and_names_are_whole() {
        let skipped = || Verdict::NotTried("only root".into());
        let held = || Verdict::Held(None);
        for (verdicts, contained, untried) in [
            (vec![("kernel::b::wasm", held()), ("kernel::b::native", Verdict::Failed)], Some(false), 0),
            (vec![("kernel::b::wasm", skipped()), ("kernel::b::native", held())], Some(true), 1),
            (vec![("kernel::b::wasm", skipped())], None, 1),
            (vec![("kernel::b::wasm", held()), ("kernel::b::wasm_on_older_kernels", skipped())], Some(true), 0),
            (vec![("kernel::b::wasm", held()), ("kernel::b::native", Verdict::Documented("x".into()))], Some(false), 0),
            (
                vec![("kernel::b::wasm", held()), ("kernel::b::wasm_without_mount", Verdict::Documented("x".into()))],
                Some(true),
                0,
            ),
            (vec![("kernel::bb::wasm", held())], Some(false), 0),
        ] {
            let found = found(&verdicts);
            assert_eq!((found.contained(), found.untried.len()), (contained, untried), "{verdicts:?}");
        }
    }

    #[test]
    fn walls_are_those_that_were_met() {
        let met = |text: &str| Verdict::Held(Some(text.into()));
        let both = found(&[("kernel::b::wasm", met("kernel:EPERM")), ("kernel::b::native", met("seccomp:SIGSYS: x"))]);
        assert_eq!(both.wall("seccomp").as_deref(), Some("kernel:EPERM and seccomp:SIGSYS"));
        assert_eq!((both.how().as_deref(), both.in_words().as_str()), (Some("x"), "yes"));
        let silent =
            found(&[("kernel::b::wasm", Verdict::Held(None)), ("kernel::b::x", Verdict::NotTried("y".into()))]);
        assert_eq!(silent.wall("seccomp").as_deref(), Some("seccomp"));
        assert_eq!(silent.in_words(), "yes, its test passed; not tried: kernel::b::x: y");
        assert_eq!(found(&[]).wall("seccomp"), None);
    }
}
