//! The options that the benches share. It measures nothing.

use std::time::Duration;

use anyhow::Context as _;

/// The longest a contestant may be under load at a time.
const LONGEST: Duration = Duration::from_secs(3600);

/// What a bench is told.
pub struct Options {
    /// Counted rounds.
    pub rounds: usize,
    /// How long one contestant is under load in one round.
    pub time: Duration,
    /// Prints one JSON object and no table.
    pub json: bool,
    /// Builds first what is measured.
    pub build: bool,
    /// Fails when a must is missed, or could not be judged.
    pub enforce: bool,
}

impl Options {
    /// Reads `[--rounds N] [--seconds S] [--json] [--no-build] [--enforce]`; without a number there are so many rounds.
    pub fn parse(bench: &str, arguments: &[String], rounds: usize) -> anyhow::Result<Self> {
        Self::read(bench, arguments, rounds, true)
    }

    /// The same without `--seconds`, for a bench that has no load.
    pub fn without_time(bench: &str, arguments: &[String], rounds: usize) -> anyhow::Result<Self> {
        Self::read(bench, arguments, rounds, false)
    }

    fn read(bench: &str, arguments: &[String], rounds: usize, timed: bool) -> anyhow::Result<Self> {
        let mut options = Self { rounds, time: Duration::from_secs(2), json: false, build: true, enforce: false };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--json" => options.json = true,
                "--no-build" => options.build = false,
                "--enforce" => options.enforce = true,
                "--rounds" => options.rounds = number(words.next())?,
                "--seconds" if timed => options.time = seconds(words.next())?,
                other => anyhow::bail!("bench {bench} does not know {other:?}; see `cargo xtask help`"),
            }
        }
        Ok(options)
    }
}

fn number(word: Option<&String>) -> anyhow::Result<usize> {
    word.and_then(|word| word.parse().ok()).filter(|rounds| *rounds > 0).context("--rounds wants a number from 1")
}

fn seconds(word: Option<&String>) -> anyhow::Result<Duration> {
    word.and_then(|word| word.parse().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| !time.is_zero() && *time <= LONGEST)
        .context("--seconds wants a number above 0, such as 2 or 0.5")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> anyhow::Result<Options> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        Options::parse("connections", &words, 5)
    }

    #[test]
    fn options_are_read_and_what_is_wrong_is_refused() {
        let options = parsed("--rounds 7 --seconds 0.5 --no-build --enforce").expect("options");
        assert_eq!((options.rounds, options.time), (7, Duration::from_millis(500)));
        assert!(!options.build && !options.json && options.enforce);
        for line in ["--rounds", "--rounds 0", "--seconds 0", "--seconds -1", "--seconds 1e9", "--seconds x", "--fast"]
        {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
