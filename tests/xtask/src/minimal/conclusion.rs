//! What the rows of all tests come to: a call that a list allows to a kind of workers, and that this kind makes in no
//! test, is a fault, with what there is to do about it. It judges no call itself; `table` does.

use std::collections::{BTreeMap, BTreeSet};

use super::table::{Row, Shown};
use crate::step::advise;

/// Tells how many calls were shown, and fails when one was not; `all` is whether all tests were run.
pub fn conclude(rows: &[Row], all: bool) -> anyhow::Result<()> {
    eprintln!("{}", in_words(rows));
    let faults = Faults::of(rows);
    let count = faults.never.len() + faults.elsewhere.len();
    if count == 0 || !all {
        return Ok(());
    }
    let what = format!("{count} listed system calls are not shown to be needed by each kind that may make them");
    Err(advise(&what, &faults.why(), &faults.remedy()))
}

fn in_words(rows: &[Row]) -> String {
    let count = |shown: fn(&Shown) -> bool| rows.iter().filter(|row| shown(&row.shown)).count();
    format!(
        "{} calls of 4 kinds of workers: {} made, {} made by other kinds with the same list only, {} not made here for \
         a reason, {} never made",
        rows.len(),
        count(|shown| matches!(shown, Shown::Made | Shown::AlwaysFails)),
        count(|shown| matches!(shown, Shown::Elsewhere(_))),
        count(|shown| matches!(shown, Shown::Excused(_))),
        count(|shown| matches!(shown, Shown::Never)),
    )
}

/// The calls that are not shown to be needed, each with its list.
#[derive(Default)]
struct Faults<'a> {
    /// Kinds of which nothing was seen, which is why the rest is so long.
    unseen: BTreeSet<&'static str>,
    /// Nobody makes them.
    never: BTreeSet<String>,
    /// Some kinds make them, and these do not.
    elsewhere: BTreeMap<String, (&'a [&'static str], Vec<&'static str>)>,
}

impl<'a> Faults<'a> {
    fn of(rows: &'a [Row<'a>]) -> Self {
        let seen: BTreeSet<&str> = rows.iter().filter(|row| row.times.made > 0).map(|row| row.kind).collect();
        let mut faults = Self::default();
        for row in rows {
            let name = format!("{} of {}", row.entry.call, row.entry.list);
            match &row.shown {
                Shown::Never => _ = faults.never.insert(name),
                Shown::Elsewhere(makers) => {
                    let (_, others) = faults.elsewhere.entry(name).or_insert_with(|| (makers.as_slice(), Vec::new()));
                    others.push(row.kind);
                }
                Shown::Made | Shown::AlwaysFails | Shown::Excused(_) => {}
            }
            if !seen.contains(row.kind) {
                faults.unseen.insert(row.kind);
            }
        }
        faults
    }

    fn why(&self) -> String {
        let unseen = self.unseen.iter().map(|kind| format!("no call of a {kind} worker was seen"));
        let never: Vec<&str> = self.never.iter().map(String::as_str).collect();
        let never = (!never.is_empty()).then(|| format!("no worker made {}", never.join(", ")));
        let elsewhere = self.elsewhere.iter().map(|(name, (makers, others))| {
            format!("{name} is made by {} workers, and by none of {}", makers.join(", "), others.join(", "))
        });
        let lines: Vec<String> = unseen.chain(never).chain(elsewhere).collect();
        lines.join("\n       ")
    }

    fn remedy(&self) -> String {
        let parts = [
            (!self.unseen.is_empty(), "see whether `KINDS` in tests/xtask/src/minimal/filter.rs tells these kinds"),
            (!self.never.is_empty(), "take out of runtime/sandbox/src/syscalls what nobody makes"),
            (
                !self.elsewhere.is_empty(),
                "move what some kinds make to lists of those kinds alone (`lists` in runtime/sandbox/src/syscalls, \
                 `KINDS` in tests/xtask/src/minimal/filter.rs)",
            ),
            (true, "write a test in which it is made, or give the reason in tests/xtask/src/minimal/table.rs"),
        ];
        let parts: Vec<&str> = parts.into_iter().filter(|(applies, _)| *applies).map(|(_, part)| part).collect();
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::lists::{Entry, Lists};
    use super::super::table;
    use super::super::trace::{Times, Trace};
    use super::*;

    fn entry(call: &str) -> Entry {
        Entry { list: "SHARED".to_owned(), call: call.to_owned(), why: "x".to_owned() }
    }

    fn row<'a>(kind: &'static str, entry: &'a Entry, shown: Shown) -> Row<'a> {
        let made = u64::from(matches!(shown, Shown::Made | Shown::AlwaysFails));
        Row { kind, entry, times: Times { made, failed: 0 }, shown }
    }

    #[test]
    fn a_call_that_nobody_made_fails_it_unless_only_some_tests_were_run() {
        let lists = Lists::read().expect("the lists");
        let rows = table::rows(&lists, &Trace::default());
        assert!(conclude(&rows, false).is_ok());
        let error = conclude(&rows, true).expect_err("nothing was made").to_string();
        assert!(error.contains("read of PROCESS") && !error.contains("restart_syscall"), "{error}");
        assert!(error.contains("no call of a compile worker was seen") && error.contains("take out of"), "{error}");
    }

    #[test]
    fn a_call_that_only_some_kinds_of_a_shared_list_made_fails_it() {
        let (read, poll) = (entry("read"), entry("poll"));
        let by_wasm = || Shown::Elsewhere(vec!["wasm"]);
        let rows = [
            row("wasm", &read, Shown::Made),
            row("wasm", &poll, Shown::AlwaysFails),
            row("compile", &read, by_wasm()),
            row("compile", &poll, Shown::Made),
            row("logger", &read, by_wasm()),
            row("logger", &poll, Shown::Made),
        ];
        assert!(conclude(&rows, false).is_ok());
        let error = conclude(&rows, true).expect_err("a call of others").to_string();
        assert!(error.starts_with("1 listed system calls are not shown"), "{error}");
        assert!(error.contains("read of SHARED is made by wasm workers, and by none of compile, logger"), "{error}");
        assert!(error.contains("move what some kinds make to lists of those kinds"), "{error}");
        for other in ["poll", "take out of", "was seen"] {
            assert!(!error.contains(other), "{error}");
        }
    }

    #[test]
    fn a_call_with_a_reason_is_no_fault() {
        let (read, poll) = (entry("read"), entry("poll"));
        let rows = [
            row("wasm", &read, Shown::Made),
            row("wasm", &poll, Shown::Excused("older kernels")),
            row("compile", &read, Shown::Excused("larger programs")),
            row("compile", &poll, Shown::Made),
        ];
        assert!(conclude(&rows, true).is_ok());
    }
}
