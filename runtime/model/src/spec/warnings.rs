//! What is probably not meant: keys that are right each for itself and together do something else than a reader
//! thinks. Every warning must be true of the file alone; what depends on the machine is not said here.

use std::collections::HashSet;

use crate::finding::{Finding, Severity};

use super::raw::{RawData, RawJob, RawValue, items};
use super::{Context, sockets};

mod calendar;

/// Looks at the whole job.
pub fn check(raw: &RawJob, context: &Context, findings: &mut Vec<Finding>) {
    keep_alive(raw, findings);
    calendar::check(raw, findings);
    sockets::check(raw, context, findings);
    findings.extend(on_demand(raw));
    findings.extend(inetd(raw));
    findings.extend(globbing(raw));
    findings.extend(bare_component(raw));
    findings.extend(isolation(raw));
    tildes(raw, findings);
    modes(raw, findings);
    variables(raw, findings);
    repeated_config(raw, findings);
}

fn warning(value: &RawValue, code: &'static str, message: impl Into<String>) -> Finding {
    value.finding(Severity::Warning, code, message)
}

fn is(value: &RawValue, expected: bool) -> bool {
    value.boolean() == Some(expected)
}

/// The conditions that start a job again for ever although nothing is wrong.
fn keep_alive(raw: &RawJob, findings: &mut Vec<Finding>) {
    let Some(value) = raw.get("KeepAlive") else {
        return;
    };
    if let Some(crashed) = value.get("Crashed").filter(|value| is(value, false)) {
        let message = "Crashed false starts the job again after every end that is no crash, success included";
        findings.push(warning(crashed, "endless", message).help("Crashed true starts it again after a crash"));
    }
    if let Some(exit) = value.get("SuccessfulExit").filter(|value| is(value, true)) {
        let message = "SuccessfulExit true starts the job again each time it succeeds, until it fails";
        findings.push(warning(exit, "endless", message).help("SuccessfulExit false starts it again after a failure"));
    }
    findings.extend(own_label(raw, value));
    findings.extend(schedule_beside(raw, value));
}

/// A job that waits for itself to be loaded is always wanted.
fn own_label(raw: &RawJob, keep_alive: &RawValue) -> Option<Finding> {
    let label = raw.get("Label")?.text()?;
    let others = keep_alive.get("OtherJobEnabled")?.entries();
    let own = others.iter().find(|entry| entry.name == label && is(&entry.value, true))?;
    let message = "OtherJobEnabled names this job, which is enabled as long as it is loaded";
    Some(warning(&own.value, "endless", message))
}

fn schedule_beside(raw: &RawJob, keep_alive: &RawValue) -> Option<Finding> {
    let schedule = raw.get("StartInterval").or(raw.get("StartCalendarInterval"))?;
    is(keep_alive, true).then(|| {
        let message =
            format!("KeepAlive true starts the job again whenever it ends, so {} changes nothing", schedule.path);
        warning(keep_alive, "endless", message).help("for a job that runs on time only, remove KeepAlive")
    })
}

fn on_demand(raw: &RawJob) -> Option<Finding> {
    let (keep_alive, on_demand) = (raw.get("KeepAlive")?, raw.get("OnDemand")?);
    let agree = is(keep_alive, false) && is(on_demand, true) || is(keep_alive, true) && is(on_demand, false);
    let conditional = !is(keep_alive, true) && !is(keep_alive, false);
    // OnDemand true is the default, which no condition of KeepAlive contradicts.
    let defaulted = conditional && is(on_demand, true);
    (!(agree || defaulted)).then(|| {
        let message = "OnDemand is KeepAlive turned round; both are given and disagree, and KeepAlive counts";
        warning(on_demand, "on-demand-and-keep-alive", message).help("remove OnDemand")
    })
}

fn inetd(raw: &RawJob) -> Option<Finding> {
    let value = raw.get("inetdCompatibility")?;
    raw.get("Sockets").is_none().then(|| {
        warning(value, "inetd-without-sockets", "inetdCompatibility without Sockets: there is nothing to connect to")
    })
}

fn globbing(raw: &RawJob) -> Option<Finding> {
    let value = raw.get("EnableGlobbing")?;
    (is(value, true) && raw.get("ProgramArguments").is_none())
        .then(|| warning(value, "no-effect", "EnableGlobbing expands ProgramArguments, and there are none"))
}

/// A component is hardly ever in the standard PATH; beside the job file it needs a slash.
fn bare_component(raw: &RawJob) -> Option<Finding> {
    let first = raw.get("ProgramArguments").and_then(|value| value.items().first());
    let value = raw.get("Program").or(first)?;
    let name = value.text()?;
    (!name.contains('/') && name.ends_with(".wasm")).then(|| {
        let message = format!("{name} has no slash, so it is looked for in the standard PATH only");
        warning(value, "bare-name", message).help(format!("for the file beside the job file write ./{name}"))
    })
}

fn isolation(raw: &RawJob) -> Option<Finding> {
    let value = raw.get("Isolation").filter(|value| value.text() == Some("None"))?;
    let grants = raw.get("Grants")?;
    (!grants.entries().is_empty())
        .then(|| warning(value, "no-effect", "with Isolation None nothing holds the job to its Grants"))
}

/// launchd expands no `~`, and neither do these keys here.
fn tildes(raw: &RawJob, findings: &mut Vec<Finding>) {
    const PATHS: [&str; 6] =
        ["Program", "WorkingDirectory", "RootDirectory", "StandardInPath", "StandardOutPath", "StandardErrorPath"];
    let single = PATHS.iter().filter_map(|key| raw.get(key));
    let several = ["WatchPaths", "QueueDirectories"].into_iter().filter_map(|key| raw.get(key));
    let first = raw.get("ProgramArguments").filter(|_| raw.get("Program").is_none());
    let first = first.and_then(|value| value.items().first());
    for value in single.chain(several.flat_map(RawValue::items)).chain(first) {
        if value.text().is_some_and(|text| text == "~" || text.starts_with("~/")) {
            let message = format!("~ is an ordinary letter in {}: no home takes its place", value.path);
            findings.push(warning(value, "tilde", message).help("write the whole path"));
        }
    }
}

/// Modes whose decimal digits are those everybody writes in octal.
fn modes(raw: &RawJob, findings: &mut Vec<Finding>) {
    const UMASKS: [i64; 3] = [22, 27, 77];
    const SOCKET_MODES: [i64; 10] = [600, 620, 622, 644, 660, 664, 666, 700, 770, 777];
    findings.extend(decimal_mode(raw.get("Umask"), &UMASKS));
    for socket in sockets::all(raw) {
        findings.extend(decimal_mode(socket.get("SockPathMode"), &SOCKET_MODES));
    }
}

fn decimal_mode(value: Option<&RawValue>, suspects: &[i64]) -> Option<Finding> {
    let value = value?;
    let number = value.integer().filter(|number| suspects.contains(number))?;
    let meant = i64::from_str_radix(&number.to_string(), 8).ok()?;
    let message = format!("{} is {number} in decimal, which is 0{number:o} as a mode", value.path);
    Some(warning(value, "decimal-mode", message).help(format!("0{number} in octal is {meant} in decimal")))
}

/// A variable that is both set and passed on.
fn variables(raw: &RawJob, findings: &mut Vec<Finding>) {
    let Some(set) = raw.get("EnvironmentVariables") else {
        return;
    };
    let passed = raw.get("Grants").and_then(|grants| grants.get("Environment"));
    for value in items(passed) {
        if let Some(name) = value.text().filter(|name| set.get(name).is_some()) {
            let message = format!("{name} is also set in EnvironmentVariables, which counts");
            findings.push(warning(value, "no-effect", message));
        }
    }
}

/// Two settings that become one name once nested dictionaries are joined by dots.
fn repeated_config(raw: &RawJob, findings: &mut Vec<Finding>) {
    let mut names = HashSet::new();
    if let Some(config) = raw.get("Config") {
        collect(&config.path, "", config, &mut names, findings);
    }
}

fn collect(root: &str, name: &str, value: &RawValue, names: &mut HashSet<String>, findings: &mut Vec<Finding>) {
    if let RawData::Dictionary(entries) = &value.data {
        for entry in entries {
            let below = if name.is_empty() { entry.name.clone() } else { format!("{name}.{}", entry.name) };
            collect(root, &below, &entry.value, names, findings);
        }
    } else if !names.insert(name.to_owned()) {
        let message = format!("{root} gives {name} twice, once as nested dictionaries");
        findings.push(value.finding(Severity::Error, "duplicate-key", message));
    }
}
