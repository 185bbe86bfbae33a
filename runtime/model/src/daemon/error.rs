//! Why wjobd refuses a configuration: each message says where, what was found, what was expected and what to do.
//! It finds nothing itself.

use thiserror::Error;

use super::read::MOST_BYTES;

/// A fault of the file or of the command line. Places are FILE:LINE:COLUMN, or the flag.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigurationError {
    /// The file has nothing in it.
    #[error("{file}: an empty file; expected a JSON object; write {{}} for all defaults, or remove the file")]
    Empty {
        /// The file.
        file: String,
    },
    /// The file is no configuration.
    #[error("{file}: {bytes} bytes; expected at most {MOST_BYTES}; is it the right file?")]
    TooLong {
        /// The file.
        file: String,
        /// Its length.
        bytes: usize,
    },
    /// The file is not JSON, or not an object.
    #[error("{place}: found {found}; expected {expected}; {advice}")]
    Syntax {
        /// Where.
        place: String,
        /// What is there.
        found: String,
        /// What ought to be.
        expected: String,
        /// What to do.
        advice: &'static str,
    },
    /// No option has this name.
    #[error("{place}: no option is called {name}; expected one of those that wjobd --help lists; {advice}")]
    Unknown {
        /// Where; the flag itself on the command line.
        place: String,
        /// The name, shortened.
        name: String,
        /// What to do: the nearest option.
        advice: String,
    },
    /// A value of another type, or out of bounds.
    #[error("{place}: {name} is {found}; expected {expected}; correct it, or leave it out for the default")]
    Wrong {
        /// Where.
        place: String,
        /// The option.
        name: &'static str,
        /// Its value, shortened.
        found: String,
        /// What its value may be.
        expected: String,
    },
    /// The same option twice in one place.
    #[error("{place}: {name} for the second time, first given at {first}; expected it once; remove one of them")]
    Twice {
        /// Where the second is.
        place: String,
        /// The option.
        name: &'static str,
        /// Where the first is.
        first: String,
    },
    /// The same option in the file and on the command line (S-121, S-122).
    #[error(
        "{name} is given both at {file} and with {flag} on the command line; expected one of them; remove it from the \
         file, or the flag from whatever starts wjobd (systemctl cat wjobd shows it, systemctl edit wjobd overrides it)"
    )]
    InBoth {
        /// The option.
        name: &'static str,
        /// Where it is in the file.
        file: String,
        /// The flag.
        flag: &'static str,
    },
    /// Two options that say the same.
    #[error(
        "{second} is given at {place} and {first} at {other}; expected one of them: both set the log level; remove one"
    )]
    Contradiction {
        /// One option.
        first: &'static str,
        /// Where it is.
        other: String,
        /// The other one.
        second: &'static str,
        /// Where that is.
        place: String,
    },
    /// One job's log would not fit into that of all.
    #[error(
        "log-job-bytes is {job} and log-total-bytes {total}; expected one job's part to be no more than the total; \
         lower log-job-bytes or raise log-total-bytes"
    )]
    JobOverTotal {
        /// Bytes of one job.
        job: u64,
        /// Bytes of all.
        total: u64,
    },
    /// A flag without its value.
    #[error("{flag}: no value; expected {expected}; write {flag} VALUE or {flag}=VALUE")]
    NoValue {
        /// The flag.
        flag: String,
        /// What its value may be.
        expected: String,
    },
    /// A value for a flag that has none.
    #[error("{flag}: the value {found}; expected none; write {flag} alone")]
    NeedlessValue {
        /// The flag.
        flag: String,
        /// The value, shortened.
        found: String,
    },
    /// An argument that is no flag.
    #[error(
        "{found}: not a flag; expected only flags; job files come from the folders of --jobs, or by wjob bootstrap"
    )]
    Stray {
        /// The argument, shortened.
        found: String,
    },
}

/// Text from outside for a message: its beginning, without control characters.
pub(super) fn shown(text: &str) -> String {
    const MOST_CHARACTERS: usize = 60;
    let mut shown: String = text
        .chars()
        .take(MOST_CHARACTERS)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if text.chars().nth(MOST_CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}
