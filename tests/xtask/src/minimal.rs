//! `cargo xtask minimal`: whether each system call that a worker may make is one that workers do make. It runs the
//! end-to-end tests under strace and holds what the workers did behind their filters against the lists. Nothing in the
//! binaries knows of it: strace is what Linux offers for this, and it works on those that are shipped as well.
//!
//! A call that was made is not proven to be indispensable, and what is looked at is the call, not its arguments. That
//! nothing is missing in the lists is for the tests themselves to show.

mod conclusion;
mod filter;
mod lists;
mod strace;
mod table;
mod trace;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cargo;
use crate::newcomer;
use crate::python;
use crate::setup;
use crate::step::{Steps, advise};
use crate::temporary::Temporary;
use crate::test;
use crate::verdicts::{self, Verdict};
use conclusion::conclude;
use lists::Lists;
use strace::PATIENCE;
use table::{Row, Shown};
use trace::Trace;

/// The test program whose workers are looked at.
const PROGRAM: &str = "end_to_end";

/// Tests with workers of each kind. All calls are looked at while they run, and afterwards, with all tests, only what
/// they have not shown: each call that is looked at stops its process twice.
const FIRST: [&str; 4] = ["examples::", "network::", "listen::", "daemon::life::"];

#[derive(Debug, PartialEq)]
struct Options {
    json: bool,
    build: bool,
    tests: Vec<String>,
}

/// Reads the options and does it; fails when a call is allowed to a kind of workers that does not make it, unless only
/// some tests were asked for.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let options = options(arguments)?;
    strace::find()?;
    let lists = Lists::read()?;
    let (built, rounds) = (if options.build { 6 } else { 1 }, if options.tests.is_empty() { 2 } else { 1 });
    let mut steps = Steps::new(built + rounds);
    if options.build {
        build(&mut steps)?;
    }
    let program = steps.step("building the tests", program)?;
    let mut trace = Trace::default();
    if options.tests.is_empty() {
        let first = FIRST.map(str::to_owned);
        steps.step("testing with all calls looked at", || look(&program, &first, &lists, &mut trace))?;
        steps.step("testing with the other calls looked at", || look(&program, &[], &lists, &mut trace))?;
    } else {
        steps.step("testing", || look(&program, &options.tests, &lists, &mut trace))?;
    }
    let rows = table::rows(&lists, &trace);
    if options.json {
        rows.iter().for_each(|row| println!("{}", object(row)));
    } else {
        print(&rows, &trace);
    }
    conclude(&rows, options.tests.is_empty())
}

fn options(arguments: &[String]) -> anyhow::Result<Options> {
    let mut options = Options { json: false, build: true, tests: Vec::new() };
    for word in arguments {
        match word.as_str() {
            "--json" => options.json = true,
            "--no-build" => options.build = false,
            name if !name.starts_with('-') => options.tests.push(name.to_owned()),
            other => anyhow::bail!("minimal does not know {other:?}; see `cargo xtask help`"),
        }
    }
    Ok(options)
}

/// What the tests need.
fn build(steps: &mut Steps) -> anyhow::Result<()> {
    steps.step("looking for the WebAssembly target", setup::wasm_target)?;
    steps.step("building the guests", setup::guests)?;
    steps.step("building wjob and wjobd", test::binaries)?;
    steps.step("building and testing what `wjob new` writes", newcomer::crates)?;
    steps.step("fetching a Varlink client of others", python::varlink)
}

fn program() -> anyhow::Result<PathBuf> {
    let mut arguments = vec!["test", "--no-run"];
    arguments.extend(cargo::host_packages());
    let built = cargo::artefacts(&arguments)?.into_iter().find(|artefact| artefact.is_test && artefact.name == PROGRAM);
    Ok(built.with_context(|| format!("cargo built no test program {PROGRAM}"))?.file)
}

/// Runs tests, no names being all of them, and looks at all calls that nobody was seen to make yet.
fn look(program: &Path, tests: &[String], lists: &Lists, trace: &mut Trace) -> anyhow::Result<()> {
    let sought = table::sought(&table::rows(lists, trace));
    let folder = Temporary::new("minimal", 0o700)?;
    let said = folder.path().join("said");
    strace::follow(&mut strace::command(program, tests, &sought, &said), trace, &PATIENCE)?;
    let said = fs::read_to_string(&said).context("cannot read what the tests said")?;
    tell(&verdicts::read(&said))?;
    if trace.unread > 0 {
        return Err(unread(trace.unread));
    }
    anyhow::ensure!(!trace.workers.is_empty(), "strace told of no worker's filter");
    table::compare(lists, trace)
}

fn unread(count: u64) -> anyhow::Error {
    advise(
        &format!("the filters of {count} workers could not be read"),
        "a process that cannot be looked into by its own user is looked into by root alone",
        "run it as root",
    )
}

/// How many tests ran, and those that failed. Below strace there is no gain by exec and each call takes long, at which
/// some fail; that tells nothing of the lists.
fn tell(verdicts: &[(String, Verdict)]) -> anyhow::Result<()> {
    anyhow::ensure!(!verdicts.is_empty(), "no test was run; is there one of that name, and may this user trace?");
    let failed = verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Failed);
    let failed: Vec<&str> = failed.map(|(name, _)| name.as_str()).collect();
    eprintln!("{} tests, of which {} failed below strace", verdicts.len(), failed.len());
    failed.iter().for_each(|name| eprintln!("  failed: {name}"));
    Ok(())
}

fn object(row: &Row) -> Value {
    let (reason, makers) = match &row.shown {
        Shown::Excused(reason) => (Some(*reason), None),
        Shown::Elsewhere(makers) => (None, Some(makers)),
        Shown::Made | Shown::AlwaysFails | Shown::Never => (None, None),
    };
    json!({
        "kind": row.kind,
        "list": row.entry.list,
        "call": row.entry.call,
        "why": row.entry.why,
        "made": row.times.made,
        "failed": row.times.failed,
        "shown": !matches!(row.shown, Shown::Never | Shown::Elsewhere(_)),
        "how": row.shown.word(),
        "reason": reason,
        "made_by": makers,
    })
}

fn print(rows: &[Row], trace: &Trace) {
    println!("{:<8} {:<8} {:<18} {:>9} {:>9}  shown", "kind", "list", "call", "made", "failed");
    for row in rows {
        let (entry, times) = (row.entry, row.times);
        let shown = match &row.shown {
            Shown::Excused(reason) => format!("{}: {reason}", row.shown.word()),
            Shown::Elsewhere(makers) => format!("{}: {}", row.shown.word(), makers.join(", ")),
            Shown::Never => format!("{}: {}", row.shown.word(), entry.why),
            Shown::Made | Shown::AlwaysFails => row.shown.word().to_owned(),
        };
        println!("{:<8} {:<8} {:<18} {:>9} {:>9}  {shown}", row.kind, entry.list, entry.call, times.made, times.failed);
    }
    for (filter, count) in &trace.workers {
        println!("{count} {} workers had a filter of {}", filter.kind, filter.lists.join(", "));
    }
    println!("A call is counted while it is looked for: in all tests only if some kind did not make it in the first.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let given = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(String::from).collect();
            options(&words).ok().map(|Options { json, build, tests }| (json, build, tests.join(" ")))
        };
        for (text, expected) in [
            ("", Some((false, true, ""))),
            ("--json --no-build", Some((true, false, ""))),
            ("network:: grants::", Some((false, true, "network:: grants::"))),
            ("--jsn", None),
        ] {
            assert_eq!(given(text), expected.map(|(json, build, tests)| (json, build, tests.to_owned())), "{text:?}");
        }
    }
}
