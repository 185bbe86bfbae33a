//! Varlink's messages (varlink.org): JSON objects, each ended by a NUL. What comes is cut, bounded and read here, what
//! goes is written here; it knows no socket, no method of ours and no clock. It is our own because whoever reads a
//! message must decide how long it may be, and because a bad message deserves an answer that says what is bad.

mod answer;
mod call;
mod frames;
mod service;

use serde::Serialize;
use serde_json::{Map, Value, json};
use thiserror::Error;

pub use answer::{Answer, error, reply};
pub use call::{Call, MOST_VALUES, Nothing, call, parse};
pub use frames::Frames;
pub use service::{Interface, SERVICE, Standard, introspect};

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadMessage {
    /// No end within the limit.
    #[error("it is longer than {limit} bytes; send less at a time")]
    TooLong {
        /// In bytes.
        limit: usize,
    },
    /// No end within the time; whoever waits says it.
    #[error("its end did not come within {seconds} seconds; send a message in one go, and a NUL after it")]
    Unfinished {
        /// How long was waited.
        seconds: u64,
    },
    /// Bytes that are no text.
    #[error("byte {at} is not UTF-8; expected one JSON object in UTF-8 and a NUL after it")]
    NotText {
        /// Counted from 0.
        at: usize,
    },
    /// More than any call of ours needs: a value costs far more memory than its text.
    #[error("it holds more than {most} values; no call has as many parameters")]
    TooMany {
        /// How many are read.
        most: usize,
    },
    /// Text that is no JSON; the fault and its place.
    #[error("it is not JSON: {0}; expected one object, as in {{\"method\": \"io.wjob.List\"}}")]
    NotJson(String),
    /// JSON, but no object.
    #[error("it is {found}; expected an object, as in {{\"method\": \"io.wjob.List\"}}")]
    NotObject {
        /// In words.
        found: &'static str,
    },
    /// Something every call has.
    #[error("{member:?} is missing; expected {expected}")]
    Missing {
        /// Its name.
        member: &'static str,
        /// In words.
        expected: &'static str,
    },
    /// A member of another type.
    #[error("{member:?} is {found}; expected {expected}")]
    WrongType {
        /// Its name.
        member: &'static str,
        /// In words.
        found: &'static str,
        /// In words.
        expected: &'static str,
    },
    /// A wish to speak another protocol on this connection.
    #[error("\"upgrade\" is not offered; expected it to be false or left out")]
    Upgrade,
}

impl BadMessage {
    /// The error to answer with.
    pub fn reply(&self) -> Vec<u8> {
        let parameter = match self {
            Self::Missing { member, .. } | Self::WrongType { member, .. } => *member,
            Self::Upgrade => "upgrade",
            _ => "message",
        };
        Standard::InvalidParameter { parameter: parameter.into(), why: self.to_string() }.reply()
    }
}

/// A value as a message, with its NUL; JSON text itself never holds one.
pub(crate) fn message(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).unwrap_or_else(|fault| unsayable(&fault));
    bytes.push(0);
    bytes
}

/// Sent in place of a value that JSON has no form for (keys that are no text): nobody is to wait for ever.
fn unsayable(fault: &serde_json::Error) -> Vec<u8> {
    let why = format!("a value has no form in JSON: {fault}");
    json!({ "error": "io.wjob.Failed", "parameters": { "why": why } }).to_string().into_bytes()
}

fn text(message: &[u8]) -> Result<&str, BadMessage> {
    str::from_utf8(message).map_err(|fault| BadMessage::NotText { at: fault.valid_up_to() })
}

fn object(text: &str) -> Result<Map<String, Value>, BadMessage> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(other) => Err(BadMessage::NotObject { found: kind(&other) }),
        Err(fault) => Err(BadMessage::NotJson(fault.to_string())),
    }
}

/// The member `parameters`: an object, empty when it was left out.
fn parameters(members: &mut Map<String, Value>) -> Result<Value, BadMessage> {
    match members.remove("parameters") {
        None | Some(Value::Null) => Ok(Value::Object(Map::new())),
        Some(parameters @ Value::Object(_)) => Ok(parameters),
        Some(other) => Err(wrong("parameters", &other, "an object, or nothing")),
    }
}

/// A member that is true, false or left out.
fn flag(members: &mut Map<String, Value>, member: &'static str) -> Result<bool, BadMessage> {
    match members.remove(member) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(other) => Err(wrong(member, &other, "true, false or nothing")),
    }
}

fn wrong(member: &'static str, found: &Value, expected: &'static str) -> BadMessage {
    BadMessage::WrongType { member, found: kind(found), expected }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// How much of a caller's own text is sent back to it, in characters.
const ECHOED: usize = 200;

/// The beginning of a text that somebody else made as long as they liked.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(ECHOED) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_bad_message_is_answered_with_what_is_bad() {
        for (bad, parameter, part) in [
            (BadMessage::TooLong { limit: 9 }, "message", "longer than 9 bytes"),
            (BadMessage::Unfinished { seconds: 5 }, "message", "within 5 seconds"),
            (BadMessage::NotText { at: 3 }, "message", "byte 3"),
            (BadMessage::NotJson("expected value at line 1 column 1".into()), "message", "line 1 column 1"),
            (BadMessage::Missing { member: "method", expected: "a string" }, "method", "\"method\" is missing"),
            (wrong("more", &json!(1), "true or false"), "more", "\"more\" is a number; expected true or false"),
            (BadMessage::Upgrade, "upgrade", "not offered"),
        ] {
            let bytes = bad.reply();
            let answer = Answer::parse(&bytes[..bytes.len() - 1]).unwrap();
            assert_eq!(answer.error.as_deref(), Some("org.varlink.service.InvalidParameter"), "{bad:?}");
            assert_eq!(answer.parameters["parameter"], parameter, "{bad:?}");
            let why = answer.parameters["why"].as_str().unwrap();
            assert!(why.contains(part), "{why:?} lacks {part:?}");
        }
    }

    #[test]
    fn a_message_has_one_nul_and_that_is_its_end() {
        let unsayable = BTreeMap::from([((1, 2), 3)]);
        for bytes in [message(&"a\0b"), message(&json!({ "\0": ["\0"] })), message(&unsayable)] {
            assert_eq!(bytes.iter().position(|byte| *byte == 0), Some(bytes.len() - 1), "{bytes:?}");
        }
        assert!(String::from_utf8_lossy(&message(&unsayable)).contains("io.wjob.Failed"));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        for (text, expected) in [
            ("ä".repeat(ECHOED), "ä".repeat(ECHOED)),
            ("ä".repeat(ECHOED + 1), format!("{}...", "ä".repeat(ECHOED))),
            (String::new(), String::new()),
        ] {
            assert_eq!(shortened(&text), expected);
        }
    }
}
