//! A job file, as written and as meant: bytes to a checked tree ([`RawJob`]), the tree to a [`Job`], and
//! everything worth saying on the way. It opens no file: whether a path exists is for whoever starts the job.

mod contradictions;
mod grants;
mod launch;
mod limits;
mod meant;
mod paths;
mod raw;
mod scalar;
mod sockets;
mod warnings;

use std::collections::HashSet;

use crate::finding::{Finding, Severity};
use crate::job::Job;
use crate::keys::Key;
use crate::plist::{self, Format};

pub use meant::label_fault;
pub use paths::supervisors_folder;
pub(crate) use paths::{below, lies_in};
pub use raw::{RawData, RawEntry, RawJob, RawValue};

/// What a job file is read against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The absolute folder of the job file; relative paths start here.
    pub folder: &'a str,
    /// The absolute home of the job's user; `~/` stands for it.
    pub home: &'a str,
    /// The job's user.
    pub uid: u32,
}

/// What became of a job file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The job; `None` if any finding is an error.
    pub job: Option<Job>,
    /// Everything there is to say, in the order of the file.
    pub findings: Vec<Finding>,
    /// How the file is encoded; `None` if it is no property list.
    pub format: Option<Format>,
    /// The known keys of the job file itself that it has, for saying which of them wait for a supervisor.
    pub keys: Vec<&'static Key>,
}

/// Reads a job file.
pub fn load(bytes: &[u8], context: &Context) -> Loaded {
    let document = match plist::read(bytes) {
        Ok(document) => document,
        Err(finding) => {
            return Loaded { job: None, findings: vec![finding], format: None, keys: Vec::new() };
        }
    };
    let mut findings = Vec::new();
    let raw = raw::read(&document, &mut findings);
    let job = meant::job(&raw, context, &mut findings);
    warnings::check(&raw, context, &mut findings);
    leave_out_outdone(&mut findings);
    findings.sort_by_key(|finding| finding.span.map_or(0, |span| span.start));
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    Loaded { job: job.filter(|_| !refused), findings, format: Some(document.format), keys: raw.keys }
}

/// An error says what a warning of the same kind, at the same place, only begins to say.
fn leave_out_outdone(findings: &mut Vec<Finding>) {
    let errors: HashSet<(&'static str, String)> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| (finding.code, finding.key_path.clone()))
        .collect();
    findings.retain(|finding| {
        finding.severity == Severity::Error || !errors.contains(&(finding.code, finding.key_path.clone()))
    });
}

#[cfg(test)]
mod tests;
