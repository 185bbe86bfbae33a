//! Reads `daemon.json`: strict JSON, one object, each option once. It is given the text and opens no file.
//!
//! Keys and values are first taken as the stretches of text they are, so that a message can point at them and a
//! name given twice is seen: a JSON reader's own map would keep the last and say nothing.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::{ConfigurationError, shown};
use super::kind::Kind;
use super::merge::{Partial, Written};
use super::options::{named, nearest};
use crate::finding::line_and_column;

/// Longest file read, bytes.
pub const MOST_BYTES: usize = 1 << 20;

/// Reads the text of a configuration file; `file` is its name in messages.
///
/// # Errors
/// At the first fault, with its line and column.
pub fn read(file: &str, text: &str) -> Result<Partial, ConfigurationError> {
    let name = file.to_owned();
    if text.len() > MOST_BYTES {
        return Err(ConfigurationError::TooLong { file: name, bytes: text.len() });
    }
    if text.trim_start_matches(is_space).is_empty() {
        return Err(ConfigurationError::Empty { file: name });
    }
    let entries: Entries<'_> = serde_json::from_str(text).map_err(|error| syntax(file, text, &error))?;
    let mut partial = Partial::default();
    for (key, value) in entries.0 {
        take(&mut partial, key.get(), value.get(), |part| place(file, text, offset_of(text, part)))?;
    }
    Ok(partial)
}

fn take(
    partial: &mut Partial,
    key: &str,
    value: &str,
    place: impl Fn(&str) -> String,
) -> Result<(), ConfigurationError> {
    let name: String = serde_json::from_str(key).unwrap_or_else(|_| key.to_owned());
    let Some(option) = named(&name) else {
        let advice = match nearest(&name) {
            Some(option) => format!("did you mean {}?", option.name),
            None => "remove it".into(),
        };
        return Err(ConfigurationError::Unknown { place: place(key), name: shown(&name), advice });
    };
    let at = place(if partial.has(option.name) { key } else { value });
    // What only a deeper reading refuses, such as 1e999, is no value of any option.
    let read = serde_json::from_str(value).unwrap_or(Value::Null);
    partial.take(option, read, Written { place: at, text: value, words: Kind::words })
}

/// The members of one object, as written.
struct Entries<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'t> Deserialize<'t> for Entries<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'t> Visitor<'t> for EntriesVisitor {
    type Value = Entries<'t>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'t>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry::<&'t RawValue, &'t RawValue>()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

/// White space as JSON has it.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

/// Where a part of the text begins.
fn offset_of(text: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

fn place(file: &str, text: &str, offset: usize) -> String {
    let (line, column) = line_and_column(text.as_bytes(), offset);
    format!("{file}:{line}:{column}")
}

/// A fault that the JSON reader found, in words that say what to do about the usual ones.
fn syntax(file: &str, text: &str, error: &serde_json::Error) -> ConfigurationError {
    let offset = if error.is_eof() { text.len() } else { offset_at(text, error.line(), error.column()) };
    let (before, rest) = text.split_at(offset);
    let before = before.trim_end_matches(is_space);
    let fault = |offset: usize, found: &str, expected: &str, advice: &'static str| {
        let place = place(file, text, offset);
        ConfigurationError::Syntax { place, found: found.into(), expected: expected.into(), advice }
    };
    if error.is_data() {
        let start = text.len() - text.trim_start_matches(is_space).len();
        return fault(start, &shown(&text[start..]), "an object", "put the options between { and }");
    }
    if error.is_eof() {
        let expected = "the rest of what was begun before it";
        return fault(offset, "the end of the file", expected, "close every quote, bracket and brace");
    }
    if before.ends_with(',') && rest.starts_with(['}', ']']) {
        let expected = "a comma only between two members";
        return fault(before.len() - 1, "a comma after the last member", expected, "remove the comma");
    }
    if rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with('#') {
        return fault(offset, "a comment", "plain JSON", "JSON has no comments; remove it");
    }
    if rest.starts_with('\'') {
        return fault(offset, "a single quote", "a double quote", "JSON quotes with \" only");
    }
    let found = rest.chars().next().map_or_else(String::new, |character| format!("{character:?}"));
    let position = format!(" at line {} column {}", error.line(), error.column());
    let expected = format!("well-formed JSON ({})", error.to_string().replace(&position, ""));
    fault(offset, &found, &expected, "correct it there, or just before")
}

/// The byte at a line and a column of bytes, both from 1, as the JSON reader counts them.
fn offset_at(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let offset = (start + column).saturating_sub(1).min(text.len());
    (0..=offset).rev().find(|offset| text.is_char_boundary(*offset)).unwrap_or(0)
}
