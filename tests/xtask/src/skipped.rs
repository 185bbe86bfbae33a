//! What tests had nothing to try on this machine, gathered while they run and told at the end: a test says it on standard
//! output, which nobody sees of one that passes. What it says is found by `verdicts`; all else is passed on.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::cargo;
use crate::verdicts::{self, Verdict};

/// Has test programs show what passed tests said.
pub const SHOW: &str = "--show-output";

/// Tests by why they were skipped, or a part of them was.
#[derive(Debug, Default)]
pub struct Skipped(BTreeMap<String, Vec<String>>);

impl Skipped {
    /// Runs a command that tests with [`SHOW`], to its end, which is its own to judge.
    pub fn gather(&mut self, command: &mut Command) -> anyhow::Result<std::process::ExitStatus> {
        let line = cargo::command_line(command);
        let cannot = || format!("cannot start `{line}`");
        let mut child = command.stdout(Stdio::piped()).spawn().with_context(cannot)?;
        let said = match child.stdout.take() {
            Some(output) => pass_on(output, io::stdout()),
            None => Ok(String::new()),
        };
        let status = child.wait().with_context(|| format!("`{line}` has no status"))?;
        self.add(&said.context("cannot read what tests say")?);
        Ok(status)
    }

    fn add(&mut self, output: &str) {
        for (test, verdict) in verdicts::read(output) {
            if let Verdict::NotTried(why) = verdict {
                let tests = self.0.entry(why).or_default();
                if !tests.contains(&test) {
                    tests.push(test);
                }
            }
        }
    }

    /// The list, or that there is none.
    pub fn in_words(&self) -> String {
        if self.0.is_empty() {
            return "no test was skipped\n".into();
        }
        let reasons = self.0.iter().map(|(why, tests)| format!("  {why}\n    {}\n", tests.join("\n    ")));
        format!("skipped on this machine, and why:\n{}", reasons.collect::<String>())
    }
}

/// Passes lines on as they come, but not what tests said that passed; all of it is given back.
fn pass_on(from: impl Read, mut to: impl Write) -> io::Result<String> {
    let (mut from, mut all, mut hidden) = (BufReader::new(from), String::new(), false);
    loop {
        let mut line = Vec::new();
        if from.read_until(b'\n', &mut line)? == 0 {
            return Ok(all);
        }
        let text = String::from_utf8_lossy(&line);
        hidden = match text.trim_end() {
            "successes:" => true,
            "failures:" => false,
            end if end.starts_with("test result: ") => false,
            _ => hidden,
        };
        if !hidden {
            to.write_all(&line)?;
        }
        all += &text;
    }
}

#[cfg(test)]
mod tests {
    use super::{Skipped, pass_on};

    const OUTPUT: &str = "running 3 tests\ntest a ... ok\ntest b ... ok\ntest c ... FAILED\n\nsuccesses:\n\n\
                          ---- a stdout ----\nskipped: only root can do it\n\n---- b stdout ----\nsaid\n\n\
                          successes:\n    a\n    b\n\nfailures:\n\n---- c stdout ----\nwrong\n\n\
                          failures:\n    c\n\ntest result: FAILED. 2 passed; 1 failed\n";

    #[test]
    fn what_passed_tests_said_is_gathered_and_not_shown() {
        let mut shown = Vec::new();
        let all = pass_on(OUTPUT.as_bytes(), &mut shown).expect("an output");
        assert_eq!(all, OUTPUT);
        let shown = String::from_utf8(shown).expect("text");
        assert!(shown.contains("test a ... ok\n") && shown.contains("wrong\n") && shown.ends_with("1 failed\n"));
        assert!(!shown.contains("said") && !shown.contains("skipped"), "{shown}");
    }

    #[test]
    fn skipped_tests_are_listed_by_why() {
        let mut skipped = Skipped::default();
        assert_eq!(skipped.in_words(), "no test was skipped\n");
        skipped.add(OUTPUT);
        // As an ordinary user it is the same test.
        skipped.add(OUTPUT);
        skipped.add("test d ... ok (not applicable: only root can do it)\ntest e ... ok\n");
        let expected = "skipped on this machine, and why:\n  only root can do it\n    a\n    d\n";
        assert_eq!(skipped.in_words(), expected);
    }
}
