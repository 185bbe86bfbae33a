//! What was seen held against the lists: a row for each call that a kind of worker may make. It says which this kind
//! did not make, though others with the same list may, and which of those have a reason to be there.

use std::collections::{BTreeMap, BTreeSet};

use super::filter::{self, Filter};
use super::lists::{Entry, Lists};
use super::trace::{Times, Trace};

/// What kinds of workers need though no test can have them make it here.
struct Excuse {
    kinds: &'static [&'static str],
    list: &'static str,
    call: &'static str,
    why: &'static str,
}

/// A call stands here only where it depends on the kernel, the processor, the C library or chance whether these kinds
/// make it. What a guest can ask for gets a test, and what only other kinds can come to make is no list's of these.
const UNSEEN_BUT_NEEDED: [Excuse; 14] = [
    Excuse {
        kinds: &["compile", "logger", "resolve", "wasm"],
        list: "PROCESS",
        call: "restart_syscall",
        why: "the kernel has it made when a process that sleeps was stopped and goes on",
    },
    Excuse {
        kinds: &["compile", "logger", "resolve"],
        list: "PROCESS",
        call: "clock_gettime",
        why: "made where the vDSO does not know the time (vdso(7))",
    },
    Excuse { kinds: &["resolve"], list: "PROCESS", call: "mremap", why: "made where an answer is longer still" },
    Excuse {
        kinds: &["resolve"],
        list: "PROCESS",
        call: "rt_sigprocmask",
        why: "made by name services of systemd's (nsswitch.conf), which abort when it is refused",
    },
    Excuse { kinds: &["resolve"], list: "PROCESS", call: "gettid", why: ABORT },
    Excuse { kinds: &["resolve", "wasm"], list: "PROCESS", call: "getpid", why: ABORT },
    Excuse { kinds: &["logger", "resolve", "wasm"], list: "PROCESS", call: "tgkill", why: ABORT },
    Excuse {
        kinds: &["compile"],
        list: "THREADS",
        call: "exit",
        why: "no thread of it ends before the process; the C library has one that is refused this try for ever",
    },
    Excuse { kinds: &["wasm"], list: "FILES", call: "readlink", why: "made where the kernel has no openat2" },
    Excuse { kinds: &["logger"], list: "LOGGER", call: "pidfd_open", why: "made where the kernel is older than 6.5" },
    Excuse {
        kinds: &["logger"],
        list: "LOGGER",
        call: "clock_nanosleep",
        why: "made where descriptors or memory have run out, and where another has the database",
    },
    Excuse { kinds: &["logger"], list: "LOGGER", call: "fstat", why: FSTAT },
    Excuse { kinds: &["resolve"], list: "RESOLVE", call: "fstat", why: FSTAT },
    Excuse {
        kinds: &["resolve"],
        list: "RESOLVE",
        call: "pread64",
        why: "made where nsswitch.conf has a name service that is a library of its own (ld.so)",
    },
];
/// No bug is known that has these do it. Without the call it would end by another signal, which would be told as another
/// cause.
const ABORT: &str = "made where the kernel refuses memory to the allocator, or another fault is found, which aborts";
/// Some versions of the C library make the one call and some the other.
const FSTAT: &str = "made by glibc before 2.33 and since 2.39, where the others make newfstatat";

/// What is known of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Workers of this kind make it.
    Made,
    /// They make it, and it has never succeeded.
    AlwaysFails,
    /// They do not, and the list is that of several kinds, of which these make it.
    Elsewhere(Vec<&'static str>),
    /// They do not here, for this reason.
    Excused(&'static str),
    /// Nobody makes it.
    Never,
}

impl Shown {
    /// In a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::AlwaysFails => "made, and always failed",
            Self::Elsewhere(_) => "MADE BY OTHERS ONLY",
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
    let mut makers: BTreeMap<(String, String), Vec<&'static str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.times.made > 0) {
        makers.entry(name(row)).or_default().push(row.kind);
    }
    for row in &mut rows {
        row.shown = shown(row, makers.get(&name(row)));
    }
    rows
}

/// `makers` are the kinds that make the call by the same list.
fn shown(row: &Row, makers: Option<&Vec<&'static str>>) -> Shown {
    match (row.times, excuse(row), makers) {
        (Times { made: 0, .. }, Some(why), _) => Shown::Excused(why),
        (Times { made: 0, .. }, None, Some(makers)) => Shown::Elsewhere(makers.clone()),
        (Times { made: 0, .. }, None, None) => Shown::Never,
        (Times { made, failed }, ..) if made == failed => Shown::AlwaysFails,
        _ => Shown::Made,
    }
}

fn name(row: &Row) -> (String, String) {
    (row.entry.list.clone(), row.entry.call.clone())
}

fn excuse(row: &Row) -> Option<&'static str> {
    UNSEEN_BUT_NEEDED.into_iter().find(|excuse| excuse.is_of(row)).map(|excuse| excuse.why)
}

impl Excuse {
    fn is_of(&self, row: &Row) -> bool {
        self.kinds.contains(&row.kind) && self.list == row.entry.list && self.call == row.entry.call
    }
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
        let files = ["PROCESS", "THREADS", "GUEST", "FILES"];
        let serves = ["PROCESS", "THREADS", "GUEST", "FILES", "SERVE"];
        let trace = trace(&[
            ("wasm", &files, "read", 5, 1),
            ("wasm", &files, "fsync", 2, 2),
            ("wasm", &serves, "accept4", 1, 0),
            ("wasm", &files, "ptrace", 1, 1),
            // Who was stopped and went on: it is no fault of the others that they were not.
            ("wasm", &files, "restart_syscall", 1, 0),
            ("logger", &["PROCESS", "THREADS", "LOGGER"], "brk", 1, 0),
            ("wasm", &files, "brk", 1, 0),
        ]);
        let rows = rows(&lists, &trace);
        for (kind, list, call, expected) in [
            ("wasm", "PROCESS", "read", Shown::Made),
            ("compile", "PROCESS", "read", Shown::Elsewhere(vec!["wasm"])),
            ("compile", "PROCESS", "brk", Shown::Elsewhere(vec!["logger", "wasm"])),
            ("logger", "PROCESS", "close", Shown::Never),
            ("wasm", "FILES", "fsync", Shown::AlwaysFails),
            ("logger", "LOGGER", "fsync", Shown::Never),
            ("wasm", "SERVE", "accept4", Shown::Made),
            ("wasm", "LISTEN", "accept4", Shown::Never),
            ("wasm", "PROCESS", "restart_syscall", Shown::Made),
            ("compile", "PROCESS", "restart_syscall", Shown::Excused(UNSEEN_BUT_NEEDED[0].why)),
        ] {
            let row = rows.iter().find(|row| (row.kind, &*row.entry.list, &*row.entry.call) == (kind, list, call));
            assert_eq!(row.map(|row| &row.shown), Some(&expected), "{kind} {list} {call}");
        }
        assert!(!rows.iter().any(|row| row.entry.call == "ptrace"));
        let sought = sought(&rows);
        assert!(sought.contains("read") && sought.contains("brk"), "{sought:?}");
    }

    #[test]
    fn every_entry_is_in_a_filter_and_every_excuse_is_of_one() {
        let lists = lists();
        let rows = rows(&lists, &Trace::default());
        for entry in lists.entries() {
            let taken = rows.iter().any(|row| row.entry == entry);
            assert!(taken, "{} of {} is replaced by another list's in every filter", entry.call, entry.list);
        }
        for excuse in UNSEEN_BUT_NEEDED {
            assert!(!excuse.why.is_empty() && !excuse.kinds.is_empty(), "{}", excuse.call);
            for kind in excuse.kinds {
                let of = rows.iter().any(|row| row.kind == *kind && excuse.is_of(row));
                assert!(of, "{kind} {} {}", excuse.list, excuse.call);
            }
        }
    }

    #[test]
    fn a_filter_of_other_lists_is_noticed() {
        let lists = lists();
        let names = vec!["PROCESS", "THREADS", "COMPILE"];
        let rules = lists.together(&names).len() + 1;
        for (rules, same) in [(rules, true), (rules + 1, false)] {
            let mut trace = Trace::default();
            trace.workers.insert(Filter { kind: "compile", lists: names.clone(), rules }, 1);
            assert_eq!(compare(&lists, &trace).is_ok(), same, "{rules}");
        }
    }
}
