//! Answers: replies and errors, written for a client and read by one.

use serde::Serialize;
use serde_json::Value;

use super::{BadMessage, flag, message, object, parameters, text, wrong};

/// An answer as a client reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// An object; empty when the answer had none.
    pub parameters: Value,
    /// Whether another one follows.
    pub continues: bool,
    /// An error's name, as in `io.wjob.NoSuchJob`; the parameters are then the error's.
    pub error: Option<String>,
}

#[derive(Serialize)]
struct Reply<'a, T> {
    parameters: &'a T,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    continues: bool,
}

#[derive(Serialize)]
struct Fault<'a, T> {
    error: &'a str,
    parameters: &'a T,
}

/// A reply as a message; `continues` if another one follows.
pub fn reply(parameters: &impl Serialize, continues: bool) -> Vec<u8> {
    message(&Reply { parameters, continues })
}

/// An error as a message; its name has the interface before it.
pub fn error(name: &str, parameters: &impl Serialize) -> Vec<u8> {
    message(&Fault { error: name, parameters })
}

impl Answer {
    /// Reads a message, its NUL already cut off.
    ///
    /// # Errors
    /// Says what was found and what was expected.
    pub fn parse(message: &[u8]) -> Result<Self, BadMessage> {
        let mut members = object(text(message)?)?;
        let error = match members.remove("error") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(other) => return Err(wrong("error", &other, "a string, or nothing")),
        };
        Ok(Self { parameters: parameters(&mut members)?, continues: flag(&mut members, "continues")?, error })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let answer = |parameters, continues, error: Option<&str>| Answer {
            parameters,
            continues,
            error: error.map(str::to_owned),
        };
        for (bytes, text, expected) in [
            (reply(&json!({}), false), r#"{"parameters":{}}"#, answer(json!({}), false, None)),
            (
                reply(&json!({ "x": 1 }), true),
                r#"{"parameters":{"x":1},"continues":true}"#,
                answer(json!({ "x": 1 }), true, None),
            ),
            (
                error("a.B", &json!({ "why": "\0" })),
                r#"{"error":"a.B","parameters":{"why":"\u0000"}}"#,
                answer(json!({ "why": "\0" }), false, Some("a.B")),
            ),
        ] {
            assert_eq!(bytes, [text.as_bytes(), b"\0"].concat());
            assert_eq!(Answer::parse(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn bad_answers_are_told_apart() {
        for (text, expected) in [
            ("", "not JSON"),
            ("[]", "it is an array"),
            (r#"{"error":1}"#, "\"error\" is a number"),
            (r#"{"parameters":"x"}"#, "\"parameters\" is a string"),
            (r#"{"continues":0}"#, "\"continues\" is a number"),
        ] {
            let said = Answer::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(expected), "{said:?} lacks {expected:?}");
        }
    }
}
