//! The job as meant: defaults filled in, paths resolved, values converted. Every value was checked for its own
//! kind before; what is refused here is a value that cannot mean anything.

use crate::finding::{Finding, Severity};
use crate::job::{DEFAULT_EXIT_TIMEOUT, Isolation, Job, Program, ProgramFile};
use crate::terminal::printable;

use super::paths::{below, normalise, protected, resolve};
use super::raw::{RawData, RawJob, RawValue, entries, items, number, text, truth};
use super::{Context, grants, launch, limits, sockets};

/// Longest label, bytes: it is a line's beginning in logs and tables.
const LABEL_BYTES: usize = 1024;
/// Labels that stay launchd's own, whatever the letter case (jobmgr_label_test of launchd 842).
const RESERVED_LABELS: [&str; 2] = ["com.apple.launchd", "com.apple.launchctl"];

/// The job, if it has a label and a program; whether it counts is up to the findings.
pub fn job(raw: &RawJob, context: &Context, findings: &mut Vec<Finding>) -> Option<Job> {
    if !raw.is_dictionary() {
        return None;
    }
    let label = label(raw, findings);
    let root = root_directory(raw, context, findings);
    let outside = context;
    // Whatever the job names for itself is in its root, and what is relative begins there (chroot(2)).
    let context = &root.as_ref().map_or(*outside, |_| Context { folder: "/", ..*outside });
    let program = program(raw, context, root.as_deref(), findings);
    let grants = grants::read(raw, context, root.as_deref(), findings);
    let (mut limits, resource_limits) = limits::read(raw, findings);
    let served = raw.get("inetdCompatibility").and_then(|inetd| inetd.get("Instances")).and_then(RawValue::integer);
    limits.instances = limits.instances.or(served.and_then(|served| u64::try_from(served).ok()));
    let environment = environment(raw, findings);
    let isolation = isolation(raw, findings);
    let working_directory = working_directory(raw, context);
    let stdio = |key| stdio(raw, key, working_directory.as_deref(), context, root.as_deref());
    Some(Job {
        label: label?,
        program: program?,
        launch: launch::read(raw, outside),
        environment,
        umask: number(raw, "Umask"),
        standard_in: stdio("StandardInPath"),
        standard_out: stdio("StandardOutPath"),
        standard_error: stdio("StandardErrorPath"),
        nice: number(raw, "Nice"),
        user: text(raw, "UserName").map(String::from),
        group: text(raw, "GroupName").map(String::from),
        exit_timeout: number(raw, "ExitTimeOut").unwrap_or(DEFAULT_EXIT_TIMEOUT),
        abandon_process_group: truth(raw, "AbandonProcessGroup"),
        wait_for_debugger: truth(raw, "WaitForDebugger"),
        grants,
        limits,
        resource_limits,
        isolation,
        instance_reuse: number(raw, "InstanceReuse").unwrap_or(1),
        config: config(raw),
        sockets: sockets::meant(raw),
        services: names(raw, "MachServices"),
        inetd_wait: inetd_wait(raw),
        root_directory: root,
        working_directory,
    })
}

fn names(raw: &RawJob, key: &str) -> Vec<String> {
    entries(raw.get(key)).iter().map(|entry| entry.name.clone()).collect()
}

fn inetd_wait(raw: &RawJob) -> Option<bool> {
    let inetd = raw.get("inetdCompatibility")?;
    Some(inetd.get("Wait").and_then(RawValue::boolean).unwrap_or(false))
}

fn missing(raw: &RawJob, code: &'static str, key: &str, message: &str) -> Finding {
    Finding::new(Severity::Error, code, message).at(key, raw.start())
}

fn label(raw: &RawJob, findings: &mut Vec<Finding>) -> Option<String> {
    let Some(value) = raw.get("Label") else {
        let message = "no Label; expected the job's name, such as com.example.job";
        findings.push(missing(raw, "missing-key", "Label", message));
        return None;
    };
    let label = value.text()?;
    match label_fault(label) {
        Some(fault) => {
            let message = format!("Label is {label:?}; {fault}");
            findings.push(value.finding(Severity::Error, "wrong-label", message));
            None
        }
        None => Some(label.into()),
    }
}

/// Why a text cannot be a label.
pub fn label_fault(label: &str) -> Option<&'static str> {
    let lower = label.to_ascii_lowercase();
    if label.is_empty() {
        return Some("a label cannot be empty");
    }
    if label.len() > LABEL_BYTES {
        return Some("a label has at most 1024 bytes");
    }
    if label.chars().any(|letter| !printable(letter)) {
        return Some("a label has no control characters, and none that turn the direction of writing");
    }
    RESERVED_LABELS
        .iter()
        .any(|reserved| lower.starts_with(reserved))
        .then_some("names that begin so are launchd's own")
}

/// The root is shown to the job as a whole, so what cannot be granted cannot be in it; `/` is no other root.
fn root_directory(raw: &RawJob, context: &Context, findings: &mut Vec<Finding>) -> Option<String> {
    let value = raw.get("RootDirectory")?;
    let root = normalise(&resolve(context.folder, value.text()?));
    if root == "/" {
        return None;
    }
    if let Some(folder) = protected(&root, context.home) {
        let message = format!("{root} cannot be a job's root: it is, contains or lies in {folder}");
        let finding = value.finding(Severity::Error, "protected-path", message);
        findings.push(finding.help("name a folder made for the job, such as /srv/NAME"));
    }
    Some(root)
}

fn program(raw: &RawJob, context: &Context, root: Option<&str>, findings: &mut Vec<Finding>) -> Option<Program> {
    let arguments = raw.get("ProgramArguments");
    let words = items(arguments);
    let Some(value) = raw.get("Program").or(words.first()) else {
        if arguments.is_none_or(|value| !matches!(value.data, RawData::Invalid)) {
            let message = "nothing to run; expected Program, or ProgramArguments with at least one string";
            findings.push(missing(raw, "no-program", "Program", message));
        }
        return None;
    };
    let written = value.text()?;
    if written.is_empty() {
        let message = format!("{} is empty; expected a path or a name", value.path);
        findings.push(value.finding(Severity::Error, "no-program", message));
        return None;
    }
    let arguments = match words {
        [] => vec![written.into()],
        words => words.iter().filter_map(RawValue::text).map(String::from).collect(),
    };
    let globbing = truth(raw, "EnableGlobbing");
    Some(Program { file: program_file(written, context, root), arguments, globbing })
}

fn program_file(written: &str, context: &Context, root: Option<&str>) -> ProgramFile {
    match written.contains('/') {
        true => ProgramFile::Path(below(root, resolve(context.folder, written))),
        false => ProgramFile::Name(written.into()),
    }
}

fn working_directory(raw: &RawJob, context: &Context) -> Option<String> {
    text(raw, "WorkingDirectory").map(|path| resolve(context.folder, path))
}

/// The path of a standard stream. launchd opens it after the change of folder, so a relative one lies in
/// WorkingDirectory; without that launchd's own folder would count, and here the job file's does.
fn stdio(raw: &RawJob, key: &str, directory: Option<&str>, context: &Context, root: Option<&str>) -> Option<String> {
    text(raw, key).map(|path| below(root, resolve(directory.unwrap_or(context.folder), path)))
}

fn environment(raw: &RawJob, findings: &mut Vec<Finding>) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for entry in entries(raw.get("EnvironmentVariables")) {
        if !grants::is_variable_name(&entry.name) {
            let message = format!("{:?} is no name of a variable; expected text without =", entry.name);
            findings.push(entry.value.finding(Severity::Error, "wrong-value", message));
        } else if entry.name.starts_with("__LAUNCHD_FD") {
            let message = format!("{} is left out: the name is launchd's own", entry.name);
            findings.push(entry.value.finding(Severity::Warning, "reserved-variable", message));
        } else if let Some(value) = entry.value.text() {
            variables.push((entry.name.clone(), value.to_owned()));
        }
    }
    variables
}

fn isolation(raw: &RawJob, findings: &mut Vec<Finding>) -> Isolation {
    let Some(value) = raw.get("Isolation") else {
        return Isolation::default();
    };
    match value.text() {
        Some("None") => Isolation::None,
        Some("Shared") => {
            let message = "a shared worker is not offered yet";
            let finding = value.finding(Severity::Error, "not-yet", message);
            findings.push(finding.help("use Process, a worker of its own"));
            Isolation::Shared
        }
        _ => Isolation::Process,
    }
}

fn config(raw: &RawJob) -> Vec<(String, String)> {
    let mut flat = Vec::new();
    if let Some(value) = raw.get("Config") {
        flatten("", value, &mut flat);
    }
    flat
}

fn flatten(name: &str, value: &RawValue, into: &mut Vec<(String, String)>) {
    let below = |entry: &str| match name {
        "" => entry.to_owned(),
        _ => format!("{name}.{entry}"),
    };
    match &value.data {
        RawData::Text(text) => into.push((name.into(), text.clone())),
        RawData::Integer(number) => into.push((name.into(), number.to_string())),
        RawData::Boolean(value) => into.push((name.into(), value.to_string())),
        RawData::Dictionary(entries) => {
            for entry in entries {
                flatten(&below(&entry.name), &entry.value, into);
            }
        }
        RawData::Array(_) | RawData::Ignored | RawData::Invalid => {}
    }
}
