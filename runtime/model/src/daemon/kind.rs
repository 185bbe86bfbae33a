//! What an option's value may be, and which field of the configuration it is. Kind and field stand together, so
//! that a row of the registry cannot name a field of another type. It knows no option.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::configuration::{Configuration, LogLevel, UidRange};

/// Longest path, bytes without the NUL (PATH_MAX).
pub(super) const PATH_BYTES: usize = 4095;
/// Longest path of a Unix socket, bytes without the NUL (unix(7)).
pub(super) const SOCKET_BYTES: usize = 107;
/// Most folders of job files.
const MOST_FOLDERS: usize = 64;

/// A field of the configuration.
type Field<T> = fn(&mut Configuration) -> &mut T;

/// The type of an option's value.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// An array of absolute folders; the flag may be given several times.
    Folders(Field<Option<Vec<PathBuf>>>),
    /// An absolute path.
    Path {
        /// What it names, as the flag's value is called in `--help`.
        names: &'static str,
        /// Its greatest length, bytes.
        most: usize,
        /// Its field.
        field: Field<Option<PathBuf>>,
    },
    /// A log level.
    Level(Field<LogLevel>),
    /// True or false; the flag has no value and means true.
    Switch(fn(&mut Configuration, bool)),
    /// A whole number.
    Number {
        /// What is counted.
        unit: &'static str,
        /// Smallest value.
        least: u64,
        /// Largest value.
        most: u64,
        /// Its field.
        field: Field<u64>,
    },
    /// A time in whole seconds.
    Seconds {
        /// Shortest time.
        least: u64,
        /// Longest time.
        most: u64,
        /// Its field.
        field: Field<Duration>,
    },
    /// A range of uids: an array of its first and last, and FIRST-LAST in the flag.
    Users(Field<UidRange>),
}

impl Kind {
    /// What a value may be, as in "expected a whole number of seconds from 1 to 60".
    pub fn words(&self) -> String {
        match self {
            Self::Folders(_) => format!("an array of at most {MOST_FOLDERS} absolute paths without `..`"),
            Self::Path { most, .. } => format!("an absolute path without `..`, of at most {most} bytes"),
            Self::Level(_) => format!("one of {}", LogLevel::ALL.map(LogLevel::word).join(", ")),
            Self::Switch(_) => "true or false".into(),
            Self::Number { unit, least, most, .. } => format!("a whole number of {unit} from {least} to {most}"),
            Self::Seconds { least, most, .. } => format!("a whole number of seconds from {least} to {most}"),
            Self::Users(_) => format!("an array of {}", UidRange::words()),
        }
    }

    /// What a flag's value may be.
    pub fn flag_words(&self) -> String {
        match self {
            Self::Folders(_) => format!("an absolute path without `..`, at most {MOST_FOLDERS} times"),
            Self::Switch(_) => "no value".into(),
            Self::Users(_) => format!("FIRST-LAST: {}", UidRange::words()),
            other => other.words(),
        }
    }

    /// What a flag's value is called in `--help`; empty for one without.
    pub(super) fn hint(&self) -> &'static str {
        match *self {
            Self::Folders(_) => "DIR",
            Self::Path { names, .. } => names,
            Self::Level(_) => "LEVEL",
            Self::Switch(_) => "",
            Self::Number { .. } => "NUMBER",
            Self::Seconds { .. } => "SECONDS",
            Self::Users(_) => "FIRST-LAST",
        }
    }

    /// The value that a flag's text stands for; text that is none of this kind stays text, to be refused.
    pub(super) fn value_of(&self, text: &str) -> Value {
        let number = |text: &str| text.parse::<u64>().map(Value::from);
        let value = match self {
            Self::Number { .. } | Self::Seconds { .. } => number(text).ok(),
            Self::Users(_) => text.split_once('-').and_then(|(first, last)| {
                let (first, last) = (number(first).ok()?, number(last).ok()?);
                Some(Value::Array(vec![first, last]))
            }),
            Self::Folders(_) | Self::Path { .. } | Self::Level(_) | Self::Switch(_) => None,
        };
        value.unwrap_or_else(|| Value::String(text.to_owned()))
    }

    /// Puts a value into its field; whether it was one of this kind.
    pub(super) fn set(&self, configuration: &mut Configuration, value: &Value) -> bool {
        match *self {
            Self::Folders(field) => put(folders(value).map(Some), field(configuration)),
            Self::Path { most, field, .. } => put(path(value, most).map(Some), field(configuration)),
            Self::Level(field) => put(value.as_str().and_then(LogLevel::named), field(configuration)),
            Self::Switch(switch) => value.as_bool().map(|on| switch(configuration, on)).is_some(),
            Self::Number { least, most, field, .. } => put(number(value, least, most), field(configuration)),
            Self::Seconds { least, most, field } => {
                put(number(value, least, most).map(Duration::from_secs), field(configuration))
            }
            Self::Users(field) => put(users(value), field(configuration)),
        }
    }

    /// Puts the running value in the place of the new one; whether they differed. A switch has no field of its own.
    pub(super) fn keep(&self, new: &mut Configuration, running: &mut Configuration) -> bool {
        match *self {
            Self::Folders(field) => swap(field(new), field(running)),
            Self::Path { field, .. } => swap(field(new), field(running)),
            Self::Level(field) => swap(field(new), field(running)),
            Self::Switch(_) => false,
            Self::Number { field, .. } => swap(field(new), field(running)),
            Self::Seconds { field, .. } => swap(field(new), field(running)),
            Self::Users(field) => swap(field(new), field(running)),
        }
    }
}

fn put<T>(value: Option<T>, field: &mut T) -> bool {
    let Some(value) = value else { return false };
    *field = value;
    true
}

fn swap<T: PartialEq>(new: &mut T, running: &mut T) -> bool {
    std::mem::swap(new, running);
    new != running
}

fn folders(value: &Value) -> Option<Vec<PathBuf>> {
    let folders = value.as_array().filter(|folders| folders.len() <= MOST_FOLDERS)?;
    folders.iter().map(|folder| path(folder, PATH_BYTES)).collect()
}

fn path(value: &Value, most: usize) -> Option<PathBuf> {
    let text = value.as_str()?;
    let plain = text.starts_with('/') && text.len() <= most && !text.contains('\0');
    (plain && text.split('/').all(|part| part != "..")).then(|| PathBuf::from(text))
}

fn number(value: &Value, least: u64, most: u64) -> Option<u64> {
    value.as_u64().filter(|number| (least..=most).contains(number))
}

fn users(value: &Value) -> Option<UidRange> {
    match value.as_array()?.as_slice() {
        [first, last] => UidRange::new(first.as_u64()?, last.as_u64()?),
        _ => None,
    }
}
