//! Calls: what a client asks, read with a sentence for every fault, and written.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{BadMessage, Standard, flag, message, object, parameters, shortened, text, wrong};

/// Values read in a call. A megabyte of empty objects would unfold to a hundred; ours have three parameters.
pub const MOST_VALUES: usize = 10_000;

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Interface and method, as in `io.wjob.List`.
    pub method: String,
    /// An object; empty when the call had none.
    pub parameters: Value,
    /// Whether several replies are wanted.
    pub more: bool,
    /// Whether no reply is wanted.
    pub oneway: bool,
}

/// The parameters of a method that has none, and the reply that says no more than that it was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

#[derive(Serialize)]
struct Written<'a, T> {
    method: &'a str,
    parameters: &'a T,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

/// A call as a message.
pub fn call(method: &str, parameters: &impl Serialize, more: bool) -> Vec<u8> {
    message(&Written { method, parameters, more })
}

/// Reads a message, its NUL already cut off.
///
/// # Errors
/// Says what was found and what was expected. Members that Varlink does not know are passed over.
pub fn parse(message: &[u8]) -> Result<Call, BadMessage> {
    const METHOD: &str = "a string, as in \"io.wjob.List\"";
    let text = text(message)?;
    if values(text) > MOST_VALUES {
        return Err(BadMessage::TooMany { most: MOST_VALUES });
    }
    let mut members = object(text)?;
    let method = match members.remove("method") {
        Some(Value::String(method)) => method,
        Some(other) => return Err(wrong("method", &other, METHOD)),
        None => return Err(BadMessage::Missing { member: "method", expected: METHOD }),
    };
    let parameters = parameters(&mut members)?;
    if flag(&mut members, "upgrade")? {
        return Err(BadMessage::Upgrade);
    }
    Ok(Call { method, parameters, more: flag(&mut members, "more")?, oneway: flag(&mut members, "oneway")? })
}

/// How many values a text can hold inside its outermost one, keys counted too; found without making one of them.
fn values(text: &str) -> usize {
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b':' | b'[' | b'{' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

impl Call {
    /// The parameters as the method's own type.
    ///
    /// # Errors
    /// Names the parameter that is missing, of another type, or not the method's: what is passed over in silence is
    /// what a caller relies on in vain.
    pub fn take<T: DeserializeOwned + Serialize>(&self) -> Result<T, Standard> {
        let taken = T::deserialize(&self.parameters).map_err(|fault| self.invalid::<T>(&fault.to_string()))?;
        match self.given().find(|(name, value)| !value.is_null() && !has(&taken, name)) {
            Some((name, _)) => Err(invalid(name, &format!("{} has no such parameter", shortened(&self.method)))),
            None => Ok(taken),
        }
    }

    fn given(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.parameters.as_object().into_iter().flat_map(Map::iter)
    }

    /// serde names a missing field, but not one of another type; that is the one whose presence alone is a fault.
    fn invalid<T: DeserializeOwned>(&self, fault: &str) -> Standard {
        if let Some(name) = missing(fault) {
            return invalid(name, "it is missing");
        }
        let bad = self.given().find(|(name, value)| {
            let alone = Value::from_iter([((*name).clone(), (*value).clone())]);
            T::deserialize(&alone).is_err_and(|fault| missing(&fault.to_string()).is_none())
        });
        invalid(bad.map_or("parameters", |(name, _)| name.as_str()), fault)
    }
}

/// The field in serde's words for one that is missing.
fn missing(fault: &str) -> Option<&str> {
    fault.strip_prefix("missing field `")?.strip_suffix('`')
}

fn has(taken: &impl Serialize, name: &str) -> bool {
    serde_json::to_value(taken).is_ok_and(|value| value.get(name).is_some())
}

fn invalid(parameter: &str, why: &str) -> Standard {
    Standard::InvalidParameter { parameter: shortened(parameter), why: shortened(why) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::control::{Kickstart, Reload};

    #[test]
    fn calls_are_read() {
        for (text, parameters, more, oneway) in [
            (r#"{"method":"a.B"}"#, json!({}), false, false),
            (r#"{"method":"a.B","parameters":null,"more":null}"#, json!({}), false, false),
            (r#" {"parameters":{"x":[1]},"method":"a.B","more":true} "#, json!({"x": [1]}), true, false),
            (r#"{"method":"a.B","oneway":true,"upgrade":false,"else":7}"#, json!({}), false, true),
        ] {
            let expected = Call { method: "a.B".into(), parameters, more, oneway };
            assert_eq!(parse(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn bad_calls_are_told_what_is_bad() {
        let many = format!("{{\"method\":\"a.B\",\"parameters\":{{\"x\":[{}0]}}}}", "0,".repeat(MOST_VALUES));
        let deep = "[".repeat(9_000);
        for (bytes, expected) in [
            (&b"{\"method\":\"\xff\"}"[..], "byte 11 is not UTF-8"),
            (b"", "line 1 column 0"),
            (b"{\"method\" \"a.B\"}", "it is not JSON: expected `:` at line 1 column 11"),
            (b"{\"method\":\"a.B\"}{}", "trailing characters"),
            (b"[1]", "it is an array; expected an object"),
            (b"7", "it is a number"),
            (b"{}", "\"method\" is missing; expected a string, as in \"io.wjob.List\""),
            (b"{\"method\":null}", "\"method\" is null; expected a string"),
            (b"{\"method\":\"a.B\",\"parameters\":[]}", "\"parameters\" is an array; expected an object"),
            (b"{\"method\":\"a.B\",\"more\":\"yes\"}", "\"more\" is a string; expected true, false or nothing"),
            (b"{\"method\":\"a.B\",\"oneway\":1}", "\"oneway\" is a number"),
            (b"{\"method\":\"a.B\",\"upgrade\":true}", "\"upgrade\" is not offered"),
            (many.as_bytes(), "more than 10000 values"),
            (deep.as_bytes(), "recursion limit"),
        ] {
            let said = parse(bytes).unwrap_err().to_string();
            assert!(said.contains(expected), "{said:?} lacks {expected:?}");
        }
    }

    #[test]
    fn values_are_counted_outside_of_text_only() {
        for (text, expected) in
            [("{}", 1), (r#"{"a,[":"\",{"}"#, 2), (r#"[{"a":1},{"b":[]}]"#, 7), (r#"["\\",1]"#, 2), ("7", 0)]
        {
            assert_eq!(values(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let parameters = json!({ "label": "a\0b" });
        let bytes = call("a.B", &parameters, true);
        let (nul, message) = bytes.split_last().unwrap();
        let expected = Call { method: "a.B".into(), parameters, more: true, oneway: false };
        assert_eq!((*nul, parse(message)), (0, Ok(expected)));
        assert_eq!(call("a.B", &Nothing {}, false), b"{\"method\":\"a.B\",\"parameters\":{}}\0");
    }

    fn kickstart(parameters: Value) -> Result<Kickstart, Standard> {
        Call { method: "io.wjob.Kickstart".into(), parameters, more: false, oneway: false }.take()
    }

    #[test]
    fn parameters_are_taken_or_the_bad_one_is_named() {
        let good = kickstart(json!({ "label": "a", "kill": true, "else": null }));
        assert_eq!(good, Ok(Kickstart { label: "a".into(), kill: true }));
        for (parameters, name, part) in [
            (json!({ "label": "a" }), "kill", "missing"),
            (json!({ "label": 1, "kill": true }), "label", "invalid type: integer `1`, expected a string"),
            (json!({ "label": 1 }), "label", "expected a string"),
            (json!({ "label": "a", "kill": "no" }), "kill", "expected a boolean"),
            (json!({ "label": "a", "kill": null }), "kill", "null"),
            (json!({ "label": "a", "kill": true, "kil": true }), "kil", "io.wjob.Kickstart has no such parameter"),
        ] {
            let Err(Standard::InvalidParameter { parameter, why }) = kickstart(parameters.clone()) else {
                panic!("{parameters} was taken");
            };
            assert_eq!(parameter, name, "{parameters}");
            assert!(why.contains(part), "{why:?} lacks {part:?}");
        }
    }

    #[test]
    fn a_parameter_that_may_be_left_out_may_be_null() {
        for (parameters, label) in
            [(json!({}), None), (json!({ "label": null }), None), (json!({ "label": "a" }), Some("a".to_owned()))]
        {
            let call = Call { method: "io.wjob.Reload".into(), parameters, more: false, oneway: false };
            assert_eq!(call.take(), Ok(Reload { label }), "{call:?}");
        }
    }
}
