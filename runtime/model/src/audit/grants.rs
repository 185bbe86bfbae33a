//! What is granted of the host itself: files, variables, services, the supervisor.

use std::path::Path;

use super::{Judged, Subject, WORST, count, named, worst};
use crate::grant::{Access, Control};
use crate::wall::Wall;

/// Whoever changes these decides what others run.
const RUNS_OTHERS: &[&str] =
    &["/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/opt", "/root", "/sbin", "/usr", "/var/spool/cron"];
/// Where secrets of the machine are.
const SECRETS: &[&str] = &["/etc", "/root"];
/// Where users keep their keys, by the name of the folder.
const KEYS: &[&str] = &[".aws", ".docker", ".gnupg", ".kube", ".password-store", ".ssh"];
/// Parts of names of variables that are secrets.
const SECRET_NAMES: &[&str] = &["AUTH", "CREDENTIAL", "KEY", "PASS", "SECRET", "TOKEN"];

/// `Grants.Paths` with ReadWrite.
pub(super) fn changes(subject: &Subject<'_>) -> Judged {
    let steps = [WORST, WORST, 7, 5, 4];
    let granted = subject.job.grants.paths.iter().filter(|grant| grant.access == Access::ReadWrite);
    paths(subject, granted.map(|grant| grant.host.as_str()).collect(), RUNS_OTHERS, steps, "change")
}

/// The rest of `Grants.Paths`.
pub(super) fn reads(subject: &Subject<'_>) -> Judged {
    let steps = [WORST, 8, 5, 3, 2];
    let granted = subject.job.grants.paths.iter().filter(|grant| grant.access != Access::ReadWrite);
    // A native program sees all of a root of its own.
    let root = subject.job.root_directory.as_deref().filter(|_| !subject.is_wasm());
    paths(subject, granted.map(|grant| grant.host.as_str()).chain(root).collect(), SECRETS, steps, "read")
}

/// StandardInPath, StandardOutPath and StandardErrorPath: what it says there is of its own choice, too.
pub(super) fn stdio(subject: &Subject<'_>) -> Judged {
    let job = subject.job;
    let read = job.standard_in.iter().map(|path| (path, SECRETS));
    let written = [&job.standard_out, &job.standard_error].into_iter().flatten().map(|path| (path, RUNS_OTHERS));
    let all: Vec<(&String, &[&str])> = read.chain(written).filter(|(path, _)| *path != "/dev/null").collect();
    let held = subject.held(&[]);
    if all.is_empty() {
        return Judged::new(0, held, "no file is opened for its standard input, output or error");
    }
    let badness: Vec<u32> = all.iter().map(|(path, bad)| breadth(path, bad, [1; 5])).collect();
    let paths: Vec<String> = all.iter().map(|(path, _)| (*path).clone()).collect();
    Judged::new(worst(&badness), held, format!("it reads or writes through what is opened for it: {}", named(&paths)))
}

/// Paths of one kind: those in bad places are the worst, and for the others it counts how far in they lie, since a
/// folder at the top has more in it.
fn paths(subject: &Subject<'_>, granted: Vec<&str>, bad: &[&str], steps: [u32; 5], verb: &str) -> Judged {
    let held = subject.held(&[Wall::Mount, Wall::Landlock]);
    if granted.is_empty() {
        return Judged::new(0, held, format!("it may {verb} no path of the host"));
    }
    let badness: Vec<u32> = granted.iter().map(|host| breadth(host, bad, steps)).collect();
    let hosts: Vec<String> = granted.into_iter().map(str::to_owned).collect();
    Judged::new(worst(&badness), held, format!("it may {verb} {}", named(&hosts)))
}

fn breadth(host: &str, bad: &[&str], steps: [u32; 5]) -> u32 {
    let is_bad = bad.iter().any(|folder| Path::new(host).starts_with(folder));
    let names: Vec<&str> = host.split('/').filter(|name| !name.is_empty()).collect();
    // A home has its user's keys in it, and the folder of homes everybody's.
    let is_home = matches!(names[..], ["home"] | ["home", _]);
    if is_bad || is_home || names.iter().any(|name| KEYS.contains(name)) {
        return WORST;
    }
    steps[names.len().min(steps.len() - 1)]
}

/// `Grants.Environment`.
pub(super) fn environment(subject: &Subject<'_>) -> Judged {
    let names = &subject.job.grants.environment;
    let held = subject.held(&[]);
    if names.is_empty() {
        return Judged::new(0, held, "no variable of the host is passed on");
    }
    let badness: Vec<u32> = names.iter().map(|name| if is_secret(name) { WORST } else { 1 }).collect();
    Judged::new(worst(&badness), held, format!("variables of the host are passed on: {}", named(names)))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// `Grants.Services` and `MachServices`.
pub(super) fn services(subject: &Subject<'_>) -> Judged {
    let job = subject.job;
    let called = job.grants.services.iter().map(|(interface, label)| format!("{interface} of {label}"));
    let all: Vec<String> = called.chain(job.services.iter().map(|name| format!("its own {name}"))).collect();
    let held = subject.held(&[]);
    match all.len() {
        0 => Judged::new(0, held, "it calls no other job, and no other job calls it"),
        several => Judged::new(1 + count(several), held, format!("calls between jobs: {}", named(&all))),
    }
}

/// `Grants.Control`.
pub(super) fn control(subject: &Subject<'_>) -> Judged {
    let (badness, words) = match subject.job.grants.control {
        None => (0, "the supervisor tells it nothing and does nothing for it"),
        Some(Control::Observe) => (4, "it may look at all jobs of its supervisor, and at what they wrote (Observe)"),
        Some(Control::Operate) => (WORST, "it may start and stop all jobs of its supervisor (Operate)"),
    };
    // What asks the supervisor is held by the supervisor, whatever the program is.
    Judged::new(badness, subject.held(&[]), words)
}
