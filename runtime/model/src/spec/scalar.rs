//! Single values against their kinds: strings, numbers, booleans, and what an ASCII list's strings stand for.
//! Dictionaries and arrays are walked by `raw`; what a value means is not known here.

use crate::keys::Kind;
use crate::plist::Value;

use super::raw::RawData;

/// What one setting of `Config` may be.
pub const SETTING: Kind =
    Kind::AnyOf(&[Kind::Text, Kind::Boolean, Kind::Integer { least: i64::MIN, most: i64::MAX }, Kind::Settings]);

/// Longest path, bytes: the kernel takes no longer one (PATH_MAX of limits.h, its NUL left out). Messages about other
/// values name paths, and so their length bounds what a file of many values makes of itself.
pub const LONGEST_PATH: usize = 4095;

/// Why a value was refused.
#[derive(Debug)]
pub enum Fault {
    /// It is of another type.
    Type,
    /// It is of the type, but none of the values.
    Value {
        /// The finding's code.
        code: &'static str,
        /// The value in words.
        found: String,
    },
}

/// Whether a value has the type of a kind; its range is not looked at.
pub fn fits(kind: &Kind, value: &Value, ascii: bool) -> bool {
    match kind {
        Kind::Anything => true,
        Kind::Text | Kind::Path | Kind::Endpoint | Kind::OneOf(_) | Kind::Word(_) => {
            matches!(value, Value::String(_))
        }
        Kind::Umask => matches!(value, Value::String(_) | Value::Integer(_)),
        Kind::Boolean => boolean(value, ascii).is_some(),
        Kind::Integer { .. } => integer(value, ascii).is_some(),
        Kind::Array(_) => matches!(value, Value::Array(_)),
        Kind::Dictionary(_) | Kind::Map(_) | Kind::Settings => {
            matches!(value, Value::Dictionary(_))
        }
        Kind::AnyOf(kinds) => kinds.iter().any(|kind| fits(kind, value, ascii)),
    }
}

/// Reads a single value.
pub fn read(kind: &Kind, value: &Value, ascii: bool) -> Result<RawData, Fault> {
    match (kind, value) {
        (Kind::Path, Value::String(text)) if text.len() > LONGEST_PATH => {
            let found = format!("a path of {} bytes, and the kernel takes {LONGEST_PATH}", text.len());
            Err(Fault::Value { code: "out-of-range", found })
        }
        (Kind::Text | Kind::Path | Kind::Endpoint, Value::String(text)) => plain_text(text),
        (Kind::OneOf(words), Value::String(text)) => word(words, text, |word| word == text),
        (Kind::Word(words), Value::String(text)) => word(words, text, |word| word.eq_ignore_ascii_case(text)),
        (Kind::Boolean, value) => boolean(value, ascii).map(RawData::Boolean).ok_or(Fault::Type),
        (Kind::Integer { least, most }, value) => bounded(integer(value, ascii).ok_or(Fault::Type)?, *least, *most),
        (Kind::Umask, value) => umask(value),
        _ => Err(Fault::Type),
    }
}

fn plain_text(text: &str) -> Result<RawData, Fault> {
    if text.contains('\0') {
        let found = format!("{text:?}, which has a NUL character");
        return Err(Fault::Value { code: "nul-character", found });
    }
    Ok(RawData::Text(text.into()))
}

/// The table's spelling of a word.
fn word(words: &[&str], text: &str, same: impl Fn(&str) -> bool) -> Result<RawData, Fault> {
    match words.iter().find(|word| same(word)) {
        Some(word) => Ok(RawData::Text((*word).into())),
        None => Err(Fault::Value { code: "wrong-value", found: format!("{text:?}") }),
    }
}

fn bounded(number: i128, least: i64, most: i64) -> Result<RawData, Fault> {
    match i64::try_from(number) {
        Ok(number) if (least..=most).contains(&number) => Ok(RawData::Integer(number)),
        _ => Err(Fault::Value { code: "out-of-range", found: number.to_string() }),
    }
}

/// A number as it is, a string as C reads it: octal if it begins with 0. What strtoul would make of
/// anything else is an accident, so it is refused.
fn umask(value: &Value) -> Result<RawData, Fault> {
    let number = match value {
        Value::Integer(number) => Some(*number),
        Value::String(text) => octal_or_decimal(text),
        _ => return Err(Fault::Type),
    };
    match (number, value) {
        (Some(number), _) => bounded(number, 0, 0o777),
        (None, Value::String(text)) => Err(Fault::Value { code: "wrong-value", found: format!("{text:?}") }),
        (None, _) => Err(Fault::Type),
    }
}

fn octal_or_decimal(text: &str) -> Option<i128> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let radix = if text.starts_with('0') { 8 } else { 10 };
    i128::from_str_radix(text, radix).ok()
}

fn integer(value: &Value, ascii: bool) -> Option<i128> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::String(text) if ascii => text.parse().ok(),
        _ => None,
    }
}

fn boolean(value: &Value, ascii: bool) -> Option<bool> {
    match value {
        Value::Boolean(value) => Some(*value),
        Value::String(text) if ascii => truth(text),
        _ => None,
    }
}

/// The words for true and false in ASCII lists.
fn truth(text: &str) -> Option<bool> {
    let is = |words: [&str; 3]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    match (is(["YES", "true", "1"]), is(["NO", "false", "0"])) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// The type in words, with its article.
pub fn with_article(value: &Value) -> String {
    let name = value.type_name();
    match name {
        "array" | "integer" => format!("an {name}"),
        "data" => name.into(),
        _ => format!("a {name}"),
    }
}

/// How a value of the wrong type would be written, where that is plain.
pub fn correction(kind: &Kind, value: &Value) -> Option<String> {
    match (kind, value) {
        (Kind::AnyOf(kinds), _) => kinds.iter().find_map(|kind| correction(kind, value)),
        (Kind::Text | Kind::Path, Value::Integer(number)) => Some(format!("<string>{number}</string>")),
        (Kind::Text, Value::Real(number)) => Some(format!("<string>{number}</string>")),
        (Kind::Text, Value::Boolean(value)) => Some(format!("<string>{value}</string>")),
        (Kind::Integer { .. }, Value::String(text)) => {
            text.parse::<i64>().ok().map(|number| format!("<integer>{number}</integer>"))
        }
        (Kind::Integer { .. }, Value::Real(number)) if number.fract() == 0.0 => {
            Some(format!("<integer>{number}</integer>"))
        }
        (Kind::Boolean, Value::String(text)) => truth(text).map(|value| format!("<{value}/>")),
        (Kind::Boolean, Value::Integer(0)) => Some("<false/>".into()),
        (Kind::Boolean, Value::Integer(1)) => Some("<true/>".into()),
        (Kind::Array(Kind::Text | Kind::Path | Kind::Endpoint), Value::String(text)) if is_plain(text) => {
            Some(format!("<array><string>{text}</string></array>"))
        }
        _ => None,
    }
}

/// Whether text reads the same as XML content and fits in a line of advice.
fn is_plain(text: &str) -> bool {
    text.len() <= 60 && !text.contains(['<', '>', '&', '\n'])
}
