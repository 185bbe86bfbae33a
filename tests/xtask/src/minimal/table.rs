//! What was seen held against the lists: a row for each call that a kind of worker may make. It says which nobody made,
//! and which of those are there for other machines than this one.

use std::collections::{BTreeMap, BTreeSet};

use super::filter::{self, Filter};
use super::lists::{Entry, Lists};
use super::trace::{Times, Trace};

/// List, call and reason of what is needed though no test can have it made here. A call stands here only where it
/// depends on the kernel, the processor or the C library whether it is made; what a guest can ask for gets a test.
const UNSEEN_BUT_NEEDED: [(&str, &str, &str); 4] = [
    ("ENGINE", "restart_syscall", "the kernel has it made when a process that sleeps was stopped and goes on"),
    ("FILES", "readlink", "made where the kernel has no openat2"),
    ("LOGGER", "pidfd_open", "made where the kernel is older than 6.5"),
    ("RESOLVE", "pread64", "made where nsswitch.conf has a name service that is a library of its own (ld.so)"),
];

/// What is known of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Workers of this kind make it.
    Made,
    /// They make it, and it has never succeeded.
    AlwaysFails,
    /// The list is that of several kinds, of which others make it.
    Elsewhere,
    /// Nobody made it here, for this reason.
    Excused(&'static str),
    /// Nobody made it.
    Never,
}

impl Shown {
    /// In a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::AlwaysFails => "made, and always failed",
            Self::Elsewhere => "made by other kinds only",
            Self::Excused(_) => "not made here",
            Self::Never => "NEVER MADE",
        }
    }
}

/// A call that a kind of worker may make.
pub struct Row<'a> {
    /// The kind.
    pub kind: &'static str,
    /// The call and its list.
    pub entry: &'a Entry,
    /// How often it was seen.
    pub times: Times,
    /// What that shows.
    pub shown: Shown,
}

/// All rows, by kind, list and call.
pub fn rows<'a>(lists: &'a Lists, trace: &Trace) -> Vec<Row<'a>> {
    let mut rows: BTreeMap<(&'static str, &str, &str), Row<'a>> = BTreeMap::new();
    for (kind, names) in filter::all() {
        for (call, entry) in lists.together(&names) {
            let row = || Row { kind, entry, times: Times::default(), shown: Shown::Never };
            rows.entry((kind, entry.list.as_str(), call)).or_insert_with(row);
        }
    }
    for ((filter, call), times) in &trace.seen {
        // What is in no list was refused, and only tried.
        let Some(entry) = lists.together(&filter.lists).get(call.as_str()).copied() else { continue };
        if let Some(row) = rows.get_mut(&(filter.kind, entry.list.as_str(), entry.call.as_str())) {
            row.times.made += times.made;
            row.times.failed += times.failed;
        }
    }
    judged(rows.into_values().collect())
}

fn judged(mut rows: Vec<Row>) -> Vec<Row> {
    let made: BTreeSet<(String, String)> = rows.iter().filter(|row| row.times.made > 0).map(name).collect();
    for row in &mut rows {
        row.shown = match row.times {
            Times { made: 0, .. } if made.contains(&name(row)) => Shown::Elsewhere,
            Times { made: 0, .. } => excuse(row.entry).map_or(Shown::Never, Shown::Excused),
            Times { made, failed } if made == failed => Shown::AlwaysFails,
            Times { .. } => Shown::Made,
        };
    }
    rows
}

fn name(row: &Row) -> (String, String) {
    (row.entry.list.clone(), row.entry.call.clone())
}

fn excuse(entry: &Entry) -> Option<&'static str> {
    let row = UNSEEN_BUT_NEEDED.iter().find(|(list, call, _)| *list == entry.list && *call == entry.call);
    row.map(|(_, _, why)| *why)
}

/// The calls that are still to be looked for.
pub fn sought(rows: &[Row]) -> BTreeSet<String> {
    rows.iter().filter(|row| row.times.made == 0).map(|row| row.entry.call.clone()).collect()
}

/// Fails when a filter that was seen has not as many rules as its lists together: then the lists are other ones.
pub fn compare(lists: &Lists, trace: &Trace) -> anyhow::Result<()> {
    for Filter { kind, lists: names, rules } in trace.workers.keys() {
        // The one more is clone3, which is said not to exist.
        let expected = lists.together(names).len() + 1;
        anyhow::ensure!(
            *rules == expected,
            "the filter of a {kind} worker has rules for {rules} system calls, and {} have {expected}\n  why: the \
             binaries were built from other sources, or the lists are put together in another way\n  do:  build anew, \
             without --no-build; then see tests/xtask/src/minimal/filter.rs",
            names.join(", "),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists() -> Lists {
        Lists::read().expect("the lists of the repository")
    }

    fn trace(seen: &[(&'static str, &[&'static str], &str, u64, u64)]) -> Trace {
        let mut trace = Trace::default();
        for &(kind, names, call, made, failed) in seen {
            let filter = Filter { kind, lists: names.to_vec(), rules: 0 };
            trace.seen.insert((filter, call.to_owned()), Times { made, failed });
        }
        trace
    }

    #[test]
    fn each_call_of_each_kind_is_judged() {
        let lists = lists();
        let files = ["ENGINE", "FILES"];
        let serves = ["ENGINE", "FILES", "SERVE"];
        let trace = trace(&[
            ("wasm", &files, "read", 5, 1),
            ("wasm", &files, "fsync", 2, 2),
            ("wasm", &serves, "accept4", 1, 0),
            ("wasm", &files, "ptrace", 1, 1),
        ]);
        let rows = rows(&lists, &trace);
        for (kind, list, call, expected) in [
            ("wasm", "ENGINE", "read", Shown::Made),
            ("compile", "ENGINE", "read", Shown::Elsewhere),
            ("wasm", "FILES", "fsync", Shown::AlwaysFails),
            ("logger", "LOGGER", "fsync", Shown::Never),
            ("wasm", "SERVE", "accept4", Shown::Made),
            ("wasm", "LISTEN", "accept4", Shown::Never),
            ("wasm", "ENGINE", "restart_syscall", Shown::Excused(UNSEEN_BUT_NEEDED[0].2)),
        ] {
            let row = rows.iter().find(|row| (row.kind, &*row.entry.list, &*row.entry.call) == (kind, list, call));
            assert_eq!(row.map(|row| &row.shown), Some(&expected), "{kind} {list} {call}");
        }
        assert!(!rows.iter().any(|row| row.entry.call == "ptrace"));
        let sought = sought(&rows);
        assert!(sought.contains("read") && sought.contains("write"), "{sought:?}");
    }

    #[test]
    fn every_entry_is_in_a_filter_and_every_excuse_is_of_one() {
        let lists = lists();
        let rows = rows(&lists, &Trace::default());
        for entry in lists.entries() {
            let taken = rows.iter().any(|row| row.entry == entry);
            assert!(taken, "{} of {} is replaced by another list's in every filter", entry.call, entry.list);
        }
        for (list, call, why) in UNSEEN_BUT_NEEDED {
            assert!(!why.is_empty() && lists.entries().iter().any(|entry| entry.list == list && entry.call == call));
        }
    }

    #[test]
    fn a_filter_of_other_lists_is_noticed() {
        let lists = lists();
        let names = vec!["ENGINE", "COMPILE"];
        let rules = lists.together(&names).len() + 1;
        for (rules, same) in [(rules, true), (rules + 1, false)] {
            let mut trace = Trace::default();
            trace.workers.insert(Filter { kind: "compile", lists: names.clone(), rules }, 1);
            assert_eq!(compare(&lists, &trace).is_ok(), same, "{rules}");
        }
    }
}
