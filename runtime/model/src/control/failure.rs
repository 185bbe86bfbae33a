//! Why a call did not do what it was to do: the interface's errors, each with its exit status and its words. The
//! supervisor makes them, the command line reads them back; both say the same.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::status::Status;
use crate::varlink::{Standard, message, shortened};

/// An error of the interface `io.wjob`; as JSON, an answer's `error` and `parameters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "error", content = "parameters")]
pub enum Failure {
    /// No job of that label is loaded.
    #[serde(rename = "io.wjob.NoSuchJob")]
    NoSuchJob {
        /// The label.
        label: String,
    },
    /// The caller may not.
    #[serde(rename = "io.wjob.NotPermitted")]
    NotPermitted {
        /// In words.
        why: String,
    },
    /// The job is disabled.
    #[serde(rename = "io.wjob.JobDisabled")]
    JobDisabled {
        /// Its label.
        label: String,
    },
    /// A job file with errors.
    #[serde(rename = "io.wjob.BadJobFile")]
    BadJobFile {
        /// The file.
        path: String,
        /// What is wrong, one sentence each.
        findings: Vec<String>,
    },
    /// A job of that label is there already, or still leaving.
    #[serde(rename = "io.wjob.AlreadyLoaded")]
    AlreadyLoaded {
        /// The label.
        label: String,
        /// The job file it was loaded from.
        path: String,
    },
    /// The job has no process.
    #[serde(rename = "io.wjob.NotRunning")]
    NotRunning {
        /// Its label.
        label: String,
    },
    /// A file that somebody else than the domain's owner and root could change.
    #[serde(rename = "io.wjob.UnsafeFile")]
    UnsafeFile {
        /// The file, or the folder above it that is to blame.
        path: String,
        /// In words.
        why: String,
    },
    /// The supervisor takes nothing new on.
    #[serde(rename = "io.wjob.ShuttingDown")]
    ShuttingDown {},
    /// The system refused.
    #[serde(rename = "io.wjob.Failed")]
    Failed {
        /// What was tried, and what the system said.
        why: String,
    },
}

/// What a person is told: a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// What happened.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub advice: String,
}

impl Words {
    /// From any three texts.
    pub fn new(what: impl Into<String>, why: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), advice: advice.into() }
    }

    /// The lines, in order.
    pub fn lines(self) -> [String; 3] {
        [self.what, self.why, self.advice]
    }
}

impl Failure {
    /// Its name in Varlink, and its exit status.
    fn row(&self) -> (&'static str, Status) {
        match self {
            Self::NoSuchJob { .. } => ("io.wjob.NoSuchJob", Status::NoSuchJob),
            Self::NotPermitted { .. } => ("io.wjob.NotPermitted", Status::NotPermitted),
            Self::JobDisabled { .. } => ("io.wjob.JobDisabled", Status::Disabled),
            Self::BadJobFile { .. } => ("io.wjob.BadJobFile", Status::BadJobFile),
            Self::AlreadyLoaded { .. } => ("io.wjob.AlreadyLoaded", Status::AlreadyLoaded),
            Self::NotRunning { .. } => ("io.wjob.NotRunning", Status::NotRunning),
            Self::UnsafeFile { .. } => ("io.wjob.UnsafeFile", Status::UnsafeFile),
            Self::ShuttingDown {} => ("io.wjob.ShuttingDown", Status::ShuttingDown),
            Self::Failed { .. } => ("io.wjob.Failed", Status::System),
        }
    }

    /// Its name in Varlink.
    pub fn name(&self) -> &'static str {
        self.row().0
    }

    /// What a verb that failed so exits with.
    pub fn status(&self) -> Status {
        self.row().1
    }

    /// The error as a message.
    pub fn reply(&self) -> Vec<u8> {
        message(self)
    }

    /// The failure that an answer's error tells of. An error that is not ours, or not as ours are, is told as it came.
    pub fn from_answer(name: &str, parameters: Value) -> Self {
        let answer = json!({ "error": name, "parameters": parameters });
        if let Ok(own) = Self::deserialize(&answer) {
            return own;
        }
        match Standard::deserialize(&answer) {
            Ok(Standard::PermissionDenied {}) => Self::NotPermitted { why: "the supervisor denied it".into() },
            Ok(standard) => Self::Failed { why: format!("{standard}; are wjob and wjobd of one version?") },
            Err(_) => Self::Failed { why: format!("it answered {}", shortened(&answer.to_string())) },
        }
    }

    /// What, why and what to do.
    pub fn words(&self) -> Words {
        match self {
            Self::NoSuchJob { label } => Words::new(
                format!("there is no job {label}"),
                "no job of that label is loaded in this domain",
                "`wjob list` shows the labels, `wjob bootstrap FILE` loads a job",
            ),
            Self::NotPermitted { why } => {
                Words::new("not permitted", why, "ask as the domain's owner or as root; a job needs the grant Control")
            }
            Self::JobDisabled { label } => Words::new(
                format!("the job {label} is disabled"),
                "it was disabled by `wjob disable`, or its job file says so",
                format!("`wjob enable {label}`, then try again"),
            ),
            Self::BadJobFile { path, findings } => Words::new(
                format!("{path} was refused"),
                findings.join("; "),
                format!("`wjob check {path}` shows each error with its line"),
            ),
            Self::AlreadyLoaded { label, path } => Words::new(
                format!("a job {label} is loaded already"),
                format!("it is from {path}"),
                format!("`wjob reload {label}` reads that file again, `wjob bootout {label}` takes the job out"),
            ),
            Self::NotRunning { label } => Words::new(
                format!("the job {label} is not running"),
                "it has no process to send a signal to",
                format!("`wjob kickstart {label}` starts it"),
            ),
            Self::UnsafeFile { path, why } => Words::new(
                format!("{path} is not trusted"),
                why,
                "let only the domain's owner and root own and write it and every folder above it",
            ),
            Self::ShuttingDown {} => Words::new(
                "the supervisor is shutting down",
                "it loads and starts nothing more",
                "try again when it has been started anew",
            ),
            Self::Failed { why } => Words::new(
                "the supervisor could not do it",
                why,
                "correct what the line above names and try again; the supervisor's own log may say more",
            ),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Words { what, why, .. } = self.words();
        write!(out, "{what}: {why}")
    }
}

impl std::error::Error for Failure {}

/// One of each, for tests that walk them.
#[cfg(test)]
pub(super) fn samples() -> Vec<Failure> {
    let text = || "TEXT".to_owned();
    vec![
        Failure::NoSuchJob { label: text() },
        Failure::NotPermitted { why: text() },
        Failure::JobDisabled { label: text() },
        Failure::BadJobFile { path: text(), findings: vec![text()] },
        Failure::AlreadyLoaded { label: text(), path: text() },
        Failure::NotRunning { label: text() },
        Failure::UnsafeFile { path: text(), why: text() },
        Failure::ShuttingDown {},
        Failure::Failed { why: text() },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::row;
    use crate::varlink::Answer;

    fn answer(bytes: &[u8]) -> (String, Value) {
        let answer = Answer::parse(bytes.strip_suffix(b"\0").unwrap()).unwrap();
        (answer.error.unwrap(), answer.parameters)
    }

    #[test]
    fn a_client_reads_what_the_supervisor_said() {
        for failure in samples() {
            let (name, parameters) = answer(&failure.reply());
            assert_eq!(name, failure.name());
            assert_eq!(serde_json::to_value(&failure).unwrap()["error"], name.as_str());
            assert_eq!(Failure::from_answer(&name, parameters), failure);
        }
    }

    #[test]
    fn every_failure_has_its_status_and_three_lines() {
        let codes = [113, 77, 119, 65, 37, 3, 122, 124, 71];
        for (failure, code) in samples().into_iter().zip(codes) {
            assert_eq!(failure.status().code(), code, "{failure:?}");
            assert!(row(code).is_some(), "{code} is in the table");
            let named = !matches!(failure, Failure::ShuttingDown {});
            let lines = failure.words().lines();
            assert!(lines.iter().all(|line| !line.is_empty() && !line.contains('\n')), "{lines:?}");
            assert_eq!(lines.concat().contains("TEXT"), named, "{lines:?}");
        }
    }

    #[test]
    fn foreign_errors_are_understood_or_told_as_they_came() {
        let denied = Failure::from_answer("org.varlink.service.PermissionDenied", json!({}));
        assert_eq!(denied.status(), Status::NotPermitted);
        for (name, parameters, part) in [
            ("org.varlink.service.MethodNotFound", json!({ "method": "io.wjob.X" }), "no method io.wjob.X"),
            ("org.varlink.service.InvalidParameter", json!({ "parameter": "label" }), "label is not as expected"),
            ("io.wjob.NoSuchJob", json!({ "label": 1 }), "io.wjob.NoSuchJob"),
            ("org.example.Else", json!({ "x": 1 }), "org.example.Else"),
        ] {
            let failure = Failure::from_answer(name, parameters);
            assert_eq!(failure.status(), Status::System, "{name}");
            assert!(failure.to_string().contains(part), "{failure} lacks {part}");
        }
    }
}
