//! What every Varlink service has: its description of itself, and the errors that are about calls and not about what
//! they ask (interface `org.varlink.service`). Clients that know nothing of us learn all from here.

use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

use super::{Call, Nothing, message, reply, shortened};

/// The interface of that name.
pub const SERVICE: &str = "org.varlink.service";

/// Its description.
const DESCRIPTION: &str = include_str!("org.varlink.service.varlink");

/// An interface that is offered beside it.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// As in `io.wjob`.
    pub name: &'static str,
    /// Its description, in Varlink's words.
    pub description: &'static str,
}

/// The errors of `org.varlink.service`; as JSON, an answer's `error` and `parameters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(tag = "error", content = "parameters")]
pub enum Standard {
    /// No such interface here.
    #[serde(rename = "org.varlink.service.InterfaceNotFound")]
    #[error("there is no interface {interface}")]
    InterfaceNotFound {
        /// What was asked for.
        interface: String,
    },
    /// The interface has no such method.
    #[serde(rename = "org.varlink.service.MethodNotFound")]
    #[error("there is no method {method}")]
    MethodNotFound {
        /// What was asked for.
        method: String,
    },
    /// The interface has it, this service does not.
    #[serde(rename = "org.varlink.service.MethodNotImplemented")]
    #[error("the method {method} is not offered here")]
    MethodNotImplemented {
        /// What was asked for.
        method: String,
    },
    /// A parameter, or another part of the call.
    #[serde(rename = "org.varlink.service.InvalidParameter")]
    #[error("{parameter} is not as expected: {why}")]
    InvalidParameter {
        /// Its name.
        parameter: String,
        /// What was found and expected; an addition of ours, so others may leave it out.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// The caller may not.
    #[serde(rename = "org.varlink.service.PermissionDenied")]
    #[error("permission denied")]
    PermissionDenied {},
    /// The method answers many times, and the call did not say `more`.
    #[serde(rename = "org.varlink.service.ExpectedMore")]
    #[error("the method answers many times; call it with \"more\": true")]
    ExpectedMore {},
}

impl Standard {
    /// The error as a message.
    pub fn reply(&self) -> Vec<u8> {
        message(self)
    }
}

/// The answer to a call of `org.varlink.service`; `None` if the call is to another interface.
pub fn introspect(call: &Call, product: &str, version: &str, interfaces: &[Interface]) -> Option<Vec<u8>> {
    let method = call.method.strip_prefix(SERVICE)?.strip_prefix('.')?;
    let answer = match method {
        "GetInfo" => call.take().map(|Nothing {}| information(product, version, interfaces)),
        "GetInterfaceDescription" => call.take().and_then(|wanted: Wanted| describe(&wanted, interfaces)),
        _ => Err(Standard::MethodNotFound { method: shortened(&call.method) }),
    };
    Some(answer.unwrap_or_else(|fault| fault.reply()))
}

#[derive(Serialize, Deserialize)]
struct Wanted {
    interface: String,
}

fn information(product: &str, version: &str, interfaces: &[Interface]) -> Vec<u8> {
    let names: Vec<_> = interfaces.iter().map(|interface| interface.name).chain([SERVICE]).collect();
    let information =
        json!({ "vendor": "wjob", "product": product, "version": version, "url": "", "interfaces": names });
    reply(&information, false)
}

fn describe(wanted: &Wanted, interfaces: &[Interface]) -> Result<Vec<u8>, Standard> {
    let own = Interface { name: SERVICE, description: DESCRIPTION };
    let found = interfaces.iter().chain([&own]).find(|interface| interface.name == wanted.interface);
    match found {
        Some(interface) => Ok(reply(&json!({ "description": interface.description }), false)),
        None => Err(Standard::InterfaceNotFound { interface: shortened(&wanted.interface) }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::varlink::Answer;

    const OURS: Interface = Interface { name: "a.b", description: "interface a.b" };

    fn asked(method: &str, parameters: Value) -> Option<Answer> {
        let call = Call { method: method.into(), parameters, more: false, oneway: false };
        let bytes = introspect(&call, "wjobd", "1.2", &[OURS])?;
        Some(Answer::parse(bytes.strip_suffix(b"\0").unwrap()).unwrap())
    }

    #[test]
    fn the_service_describes_itself() {
        let info = asked("org.varlink.service.GetInfo", json!({})).unwrap().parameters;
        assert_eq!(info["interfaces"], json!(["a.b", SERVICE]));
        assert_eq!((&info["product"], &info["version"]), (&json!("wjobd"), &json!("1.2")));
        for (interface, begins) in [("a.b", "interface a.b"), (SERVICE, "# ")] {
            let answer = asked("org.varlink.service.GetInterfaceDescription", json!({ "interface": interface }));
            let description = answer.unwrap().parameters["description"].as_str().unwrap().to_owned();
            assert!(description.starts_with(begins), "{description}");
        }
        assert!(DESCRIPTION.contains("\ninterface org.varlink.service\n"));
    }

    #[test]
    fn other_calls_are_not_its_own_or_are_errors() {
        for method in ["io.wjob.List", "org.varlink.serviceGetInfo", "org.varlink.service", ""] {
            assert_eq!(asked(method, json!({})), None, "{method}");
        }
        for (method, parameters, error) in [
            ("GetInfo", json!({ "x": 1 }), "InvalidParameter"),
            ("GetInterfaceDescription", json!({}), "InvalidParameter"),
            ("GetInterfaceDescription", json!({ "interface": "x.y" }), "InterfaceNotFound"),
            ("Else", json!({}), "MethodNotFound"),
        ] {
            let answer = asked(&format!("{SERVICE}.{method}"), parameters).unwrap();
            assert_eq!(answer.error, Some(format!("{SERVICE}.{error}")), "{method}");
        }
    }

    #[test]
    fn every_standard_error_is_described_and_read_back() {
        let text = || "x".to_owned();
        for standard in [
            Standard::InterfaceNotFound { interface: text() },
            Standard::MethodNotFound { method: text() },
            Standard::MethodNotImplemented { method: text() },
            Standard::InvalidParameter { parameter: text(), why: String::new() },
            Standard::PermissionDenied {},
            Standard::ExpectedMore {},
        ] {
            let value = serde_json::to_value(&standard).unwrap();
            let name = value["error"].as_str().unwrap().strip_prefix("org.varlink.service.").unwrap();
            let parameter = value["parameters"].as_object().unwrap().keys().next();
            let described = match parameter {
                Some(parameter) => format!("\nerror {name} ({parameter}: string)\n"),
                None => format!("\nerror {name} ()\n"),
            };
            assert!(DESCRIPTION.contains(&described), "{described}");
            assert_eq!(Standard::deserialize(&value).unwrap(), standard);
        }
    }
}
