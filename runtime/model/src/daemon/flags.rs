//! Reads wjobd's command line. The flags are the options of the registry, and three that no file can hold. It prints
//! nothing and opens nothing.

use std::path::PathBuf;
use std::slice::Iter;

use serde_json::Value;

use super::error::{ConfigurationError, shown};
use super::kind::Kind;
use super::merge::{Partial, Written};
use super::options::{DaemonOption, flagged, nearest};

/// What a command line asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ask {
    /// To supervise.
    #[default]
    Serve,
    /// To print the help.
    Help,
    /// To print the version.
    Version,
}

/// A command line, read.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// What it asks for; of `--help` and `--version` the first.
    pub ask: Ask,
    /// `--config`: the configuration file, as written; `None` = the domain's usual one.
    pub config: Option<PathBuf>,
    /// The options it gives.
    pub options: Partial,
}

/// The flags that are no options: name, value as `--help` calls it, summary.
pub(super) const OTHERS: &[(&str, &str, &str)] = &[
    (
        "--config",
        "FILE",
        "read this configuration file; default: /etc/wjob/daemon.json, a user's: $XDG_CONFIG_HOME/wjob/daemon.json",
    ),
    ("--help", "", "print this text"),
    ("--version", "", "print version and build"),
];

/// Reads the arguments after the program's name.
///
/// # Errors
/// At the first argument that is unknown, wrong or given twice.
pub fn from_flags(arguments: &[String]) -> Result<Flags, ConfigurationError> {
    let mut flags = Flags::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (flag, value) = match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
            _ => (argument.as_str(), None),
        };
        flags.read(flag, value, &mut rest)?;
    }
    Ok(flags)
}

impl Flags {
    fn read<'a>(
        &mut self,
        flag: &str,
        value: Option<&'a str>,
        rest: &mut Iter<'a, String>,
    ) -> Result<(), ConfigurationError> {
        match flag {
            "--help" => self.ask(Ask::Help, flag, value),
            "--version" => self.ask(Ask::Version, flag, value),
            "--config" => self.configure(valued(flag, value, rest, || "the name of a file".into())?),
            _ => {
                let option = flagged(flag).ok_or_else(|| unknown(flag))?;
                if let Kind::Switch(_) = option.kind {
                    bare(flag, value)?;
                    return self.give(option, Value::Bool(true), "true");
                }
                let text = valued(flag, value, rest, || option.kind.flag_words())?;
                self.give(option, option.kind.value_of(text), text)
            }
        }
    }

    fn ask(&mut self, ask: Ask, flag: &str, value: Option<&str>) -> Result<(), ConfigurationError> {
        bare(flag, value)?;
        if self.ask == Ask::Serve {
            self.ask = ask;
        }
        Ok(())
    }

    fn configure(&mut self, file: &str) -> Result<(), ConfigurationError> {
        match self.config.replace(file.into()) {
            None => Ok(()),
            Some(first) => Err(ConfigurationError::Twice {
                place: format!("--config {}", shown(file)),
                name: "config",
                first: format!("--config {}", shown(&first.to_string_lossy())),
            }),
        }
    }

    fn give(&mut self, option: &'static DaemonOption, value: Value, text: &str) -> Result<(), ConfigurationError> {
        let value = if let Kind::Folders(_) = option.kind {
            let mut folders = self.options.take_back(option);
            folders.push(value);
            Value::Array(folders)
        } else {
            value
        };
        let written = Written { place: option.flag.to_owned(), text, words: Kind::flag_words };
        self.options.take(option, value, written)
    }
}

/// The value of a flag: what follows its `=`, or the next argument.
fn valued<'a>(
    flag: &str,
    value: Option<&'a str>,
    rest: &mut Iter<'a, String>,
    expected: impl Fn() -> String,
) -> Result<&'a str, ConfigurationError> {
    value
        .or_else(|| rest.next().map(String::as_str))
        .filter(|value| !value.is_empty())
        .ok_or_else(|| ConfigurationError::NoValue { flag: flag.to_owned(), expected: expected() })
}

/// A flag that has no value.
fn bare(flag: &str, value: Option<&str>) -> Result<(), ConfigurationError> {
    match value {
        None => Ok(()),
        Some(found) => Err(ConfigurationError::NeedlessValue { flag: flag.to_owned(), found: shown(found) }),
    }
}

fn unknown(flag: &str) -> ConfigurationError {
    if !flag.starts_with('-') {
        return ConfigurationError::Stray { found: shown(flag) };
    }
    let name = flag.trim_start_matches('-');
    let advice = match nearest(name) {
        Some(option) => format!("did you mean {}?", option.flag),
        None => "remove it".into(),
    };
    ConfigurationError::Unknown { place: shown(flag), name: shown(name), advice }
}
