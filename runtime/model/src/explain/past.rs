//! What the runs there were have shown of a job's grants: what was denied, however often, and what nobody needed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::control::DenialRow;
use crate::record::RunRow;

/// Something that was denied in some runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denied {
    /// As it was told the last time.
    #[serde(flatten)]
    pub denial: DenialRow,
    /// In how many runs.
    pub runs: usize,
}

/// A grant that no run has used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unused {
    /// The grant, in words.
    pub grant: String,
    /// In how many runs that had it, and of which it is known.
    pub runs: usize,
}

/// What was denied in these runs, each once, in the order of its first time.
pub fn denied(runs: &[RunRow]) -> Vec<Denied> {
    let mut all: Vec<Denied> = Vec::new();
    for denial in runs.iter().flat_map(|run| &run.denials) {
        match all.iter_mut().find(|known| known.denial.what == denial.what && known.denial.wall == denial.wall) {
            Some(known) => {
                known.denial = denial.clone();
                known.runs += 1;
            }
            None => all.push(Denied { denial: denial.clone(), runs: 1 }),
        }
    }
    all
}

/// Which of these grants none of these runs has used, of those that had them.
pub fn unused(grants: &[String], runs: &[RunRow]) -> Vec<Unused> {
    let mut seen: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    for grant in runs.iter().filter_map(|run| run.grants.as_ref()).flatten() {
        let (runs, used) = seen.entry(&grant.grant).or_default();
        *runs += 1;
        *used |= grant.used;
    }
    let unused = grants.iter().filter_map(|grant| match seen.get(grant.as_str()) {
        Some((runs, false)) => Some(Unused { grant: grant.clone(), runs: *runs }),
        Some((_, true)) | None => None,
    });
    unused.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::GrantUse;

    fn run(denials: &[&str], grants: Option<&[(&str, bool)]>) -> RunRow {
        let denial = |what: &&str| DenialRow {
            time: "x".into(),
            kind: "read".into(),
            what: (*what).into(),
            wall: "the WASI wall".into(),
            lines: String::new(),
        };
        let grants = grants.map(|grants| {
            grants.iter().map(|(grant, used)| GrantUse { grant: (*grant).into(), used: *used }).collect()
        });
        RunRow {
            run: 1,
            label: "a".into(),
            reason: Vec::new(),
            pid: 1,
            start: "x".into(),
            end: None,
            outcome: None,
            status: None,
            cpu_micros: 0,
            peak_memory: 0,
            walls: Vec::new(),
            denials: denials.iter().map(denial).collect(),
            more_denials: 0,
            grants,
        }
    }

    #[test]
    fn denials_are_counted_over_runs() {
        let runs = [run(&["reading /a", "reading /b"], None), run(&["reading /b"], None), run(&[], None)];
        let found: Vec<(String, usize)> = denied(&runs).into_iter().map(|one| (one.denial.what, one.runs)).collect();
        assert_eq!(found, [("reading /a".to_owned(), 1), ("reading /b".to_owned(), 2)]);
    }

    #[test]
    fn a_grant_is_unused_in_the_runs_that_had_it() {
        let runs = [
            run(&[], Some(&[("a", true), ("b", false)])),
            run(&[], Some(&[("a", false), ("b", false), ("c", false)])),
            // A native program, of which nothing is known.
            run(&[], None),
        ];
        let grants = ["a", "b", "c", "new"].map(str::to_owned);
        let found: Vec<(String, usize)> = unused(&grants, &runs).into_iter().map(|one| (one.grant, one.runs)).collect();
        assert_eq!(found, [("b".to_owned(), 2), ("c".to_owned(), 1)]);
        assert!(unused(&grants, &runs[2..]).is_empty());
    }
}
