//! `Grants` as meant: every path absolute, every endpoint read, and what contradicts itself refused.
//! Nothing is widened or repaired here: a grant is what it says or an error.

use crate::finding::{Finding, Severity};
use crate::grant::{Access, Control, Endpoint, EndpointError, Grants, Host, PathGrant};

use super::contradictions::contradictions;
use super::paths::{self, lies_in, normalise};
use super::raw::{RawData, RawJob, RawValue, items};
use super::{Context, sockets};

/// Reads the grants of a job; in another root, the host's paths are inside it.
pub fn read(raw: &RawJob, context: &Context, root: Option<&str>, findings: &mut Vec<Finding>) -> Grants {
    let Some(grants) = raw.get("Grants") else {
        return Grants::default();
    };
    services(grants, findings);
    Grants {
        paths: path_grants(grants, context, root, findings),
        connect: endpoints(grants, "Connect", |entry, text| connect(entry, text, context, root), findings),
        bind: endpoints(grants, "Bind", |entry, text| endpoint(entry, text, Endpoint::parse_bind), findings),
        environment: environment(grants, findings),
        services: Vec::new(),
        users: users(raw, grants, findings),
        control: control(grants),
    }
}

fn path_grants(
    grants: &RawValue,
    context: &Context,
    root: Option<&str>,
    findings: &mut Vec<Finding>,
) -> Vec<PathGrant> {
    let mut read: Vec<PathGrant> = Vec::new();
    let mut entries: Vec<&RawValue> = Vec::new();
    for entry in items(grants.get("Paths")) {
        match path_grant(entry, context, root) {
            Ok(Some(grant)) => {
                read.push(grant);
                entries.push(entry);
            }
            Ok(None) => {}
            Err(finding) => findings.push(finding),
        }
    }
    findings.extend(contradictions(&read, &entries));
    read
}

/// One entry; `None` if it was refused before.
fn path_grant(entry: &RawValue, context: &Context, root: Option<&str>) -> Result<Option<PathGrant>, Finding> {
    let (path, guest, access) = match entry.data {
        RawData::Text(_) => (entry, None, Access::default()),
        RawData::Dictionary(_) => {
            let path = entry
                .get("Path")
                .ok_or_else(|| error(entry, "missing-key", "a Paths entry needs Path, the path on the host"))?;
            (path, entry.get("GuestPath"), access(entry))
        }
        _ => return Ok(None),
    };
    let Some(host) = path.text() else {
        return Ok(None);
    };
    let seen = absolute(path, host, context)?;
    let host = host_path(path, seen.clone(), context, root)?;
    let guest = match guest.and_then(|guest| Some((guest, guest.text()?))) {
        Some((value, text)) => guest_path(value, text)?,
        None => seen,
    };
    Ok(Some(PathGrant { host, guest, access }))
}

fn access(entry: &RawValue) -> Access {
    let word = entry.get("Access").and_then(RawValue::text);
    Access::ALL.into_iter().find(|access| Some(access.word()) == word).unwrap_or_default()
}

fn absolute(value: &RawValue, text: &str, context: &Context) -> Result<String, Finding> {
    match home_path(text, context.home) {
        Some(path) => Ok(path),
        None if text.starts_with('/') => Ok(normalise(text)),
        None if text.starts_with('~') && context.home.is_empty() => {
            let message = format!("{text:?}: the home of the job's user is not known; expected /...");
            Err(error(value, "relative-path", message))
        }
        None => {
            let message = format!("{text:?} is not absolute; expected /... or ~/...");
            Err(error(value, "relative-path", message))
        }
    }
}

fn host_path(value: &RawValue, seen: String, context: &Context, root: Option<&str>) -> Result<String, Finding> {
    let host = paths::below(root, seen);
    match paths::protected(&host, context.home) {
        Some(folder) => Err(protected(value, &host, &folder)),
        None => Ok(host),
    }
}

/// A path that begins at the home of the job's user.
fn home_path(text: &str, home: &str) -> Option<String> {
    if !home.starts_with('/') {
        return None;
    }
    match text.strip_prefix('~')? {
        "" => Some(normalise(home)),
        rest if rest.starts_with('/') => Some(normalise(&format!("{home}{rest}"))),
        _ => None,
    }
}

fn protected(value: &RawValue, host: &str, folder: &str) -> Finding {
    let relation = if lies_in(host, folder) { "lies in" } else { "contains" };
    let message = match host == folder {
        true => format!("{folder} cannot be granted"),
        false => format!("{host} cannot be granted: it {relation} {folder}"),
    };
    let advice = match relation {
        "contains" => format!("grant the folders the job needs, without {folder}"),
        _ => "only null, zero, full, random and urandom of /dev can be granted, and nothing of \
              /proc, /sys or wjob's own folders"
            .into(),
    };
    error(value, "protected-path", message).help(advice)
}

fn guest_path(value: &RawValue, text: &str) -> Result<String, Finding> {
    if !text.starts_with('/') {
        let message = format!("{text:?} is not absolute; expected the path the job sees, /...");
        return Err(error(value, "relative-path", message));
    }
    let guest = normalise(text);
    match paths::kernel_folder(&guest) {
        Some(folder) => {
            let message = format!("{guest} lies in {folder}, where nothing can be placed");
            Err(error(value, "protected-path", message))
        }
        None => Ok(guest),
    }
}

fn endpoints(
    grants: &RawValue,
    key: &str,
    read: impl Fn(&RawValue, &str) -> Result<Endpoint, Finding>,
    findings: &mut Vec<Finding>,
) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for entry in items(grants.get(key)) {
        match entry.text().map(|text| read(entry, text)) {
            Some(Ok(endpoint)) => endpoints.push(endpoint),
            Some(Err(finding)) => findings.push(finding),
            None => {}
        }
    }
    endpoints
}

fn endpoint(
    entry: &RawValue,
    text: &str,
    parse: fn(&str) -> Result<Endpoint, EndpointError>,
) -> Result<Endpoint, Finding> {
    parse(text).map_err(|reason| error(entry, "wrong-endpoint", format!("{text:?}: {reason}")))
}

/// A Unix socket is shown to the job, so what cannot be granted cannot be connected to.
fn connect(entry: &RawValue, text: &str, context: &Context, root: Option<&str>) -> Result<Endpoint, Finding> {
    let endpoint = endpoint(entry, text, Endpoint::parse_connect)?;
    if let Host::Path(path) = &endpoint.host {
        connectable(entry, path, context, root)?;
    }
    Ok(endpoint)
}

/// That a job may have a connection to the Unix socket at an absolute path, whoever makes it.
pub fn connectable(value: &RawValue, path: &str, context: &Context, root: Option<&str>) -> Result<(), Finding> {
    let host = host_path(value, normalise(path), context, root)?;
    match paths::supervisors_folder(&host) {
        Some(folder) => Err(protected(value, &host, folder)),
        None => Ok(()),
    }
}

fn environment(grants: &RawValue, findings: &mut Vec<Finding>) -> Vec<String> {
    let mut names = Vec::new();
    for entry in items(grants.get("Environment")) {
        let Some(name) = entry.text() else {
            continue;
        };
        if is_variable_name(name) {
            names.push(name.to_owned());
        } else {
            let message = format!("{name:?} is no name of a variable; expected text without =");
            findings.push(error(entry, "wrong-value", message));
        }
    }
    names
}

/// Whether a text can be the name of an environment variable.
pub fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

fn services(grants: &RawValue, findings: &mut Vec<Finding>) {
    let Some(services) = grants.get("Services") else {
        return;
    };
    if !services.entries().is_empty() {
        findings.push(error(services, "not-yet", "services cannot be granted yet"));
    }
}

/// Peers of network sockets have no user, so naming users there would promise what nothing holds.
fn users(raw: &RawJob, grants: &RawValue, findings: &mut Vec<Finding>) -> Vec<String> {
    let Some(users) = grants.get("Users") else {
        return Vec::new();
    };
    if let Some(socket) = sockets::all(raw).find(|socket| sockets::is_network(socket)) {
        let message = format!(
            "Users cannot hold on {}, a network socket: only on a Unix socket is the peer's user known",
            socket.path
        );
        findings.push(error(users, "users-on-network-socket", message));
    }
    let mut names = Vec::new();
    for entry in users.items() {
        match (entry.text(), entry.integer()) {
            (Some("" | "@"), _) => findings.push(error(entry, "wrong-value", "an empty name of a user")),
            (Some(name), _) => names.push(name.to_owned()),
            (None, Some(number)) => names.push(number.to_string()),
            (None, None) => {}
        }
    }
    names
}

fn control(grants: &RawValue) -> Option<Control> {
    match grants.get("Control")?.text()? {
        "Observe" => Some(Control::Observe),
        "Operate" => Some(Control::Operate),
        _ => None,
    }
}

fn error(value: &RawValue, code: &'static str, message: impl Into<String>) -> Finding {
    value.finding(Severity::Error, code, message)
}
