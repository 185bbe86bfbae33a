//! Whether what an attacker reported and what was seen from outside is what its row expects. Nothing is run here.

use wjob_model::wall::{LANDLOCK_TCP, Machine, Wall, WorkerKind};

use crate::stage::Stage;
use crate::table::{Case, Expected, Need, Network, REFUSED};

/// What came of an attack, as reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It achieved this.
    Escaped(String),
    /// A call was refused with this errno.
    Stopped(i32),
    /// The attacker was ended by this signal, perhaps with a core dump.
    Killed { signal: i32, dumped: bool },
    /// The walls could not be put up.
    NoWalls(String),
    /// Nothing was reported.
    Silent(String),
    /// Nothing was reported in time.
    Late,
}

/// What a test ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected, with a remark.
    Good(Option<String>),
    /// Not as expected.
    Bad(String),
}

/// Why a case cannot be tried here, if so.
pub fn not_applicable(case: &Case, machine: &Machine, stage: &Stage) -> Option<String> {
    let missing = match case.attack.need {
        Need::Device if !stage.device => Some("only root can place a device node in a grant"),
        Need::Terminal if stage.terminal.is_none() => Some("no terminal can be made here"),
        _ => None,
    };
    missing.map(ToOwned::to_owned).or_else(|| lacking(case, machine))
}

/// A wall that the case is about and this machine does not have.
fn lacking(case: &Case, machine: &Machine) -> Option<String> {
    let network = !matches!(case.attack.network, Network::Nothing | Network::Udp | Network::Unix);
    let (by, since) = match case.row.expected {
        Expected::Held { by, since, .. } => (by, since),
        Expected::LimitBelow(abi, _) if machine.landlock_abi >= abi => {
            return Some(format!("landlock ABI {abi} holds it, and the kernel has {}", machine.landlock_abi));
        }
        Expected::Limit(_) | Expected::LimitBelow(..) | Expected::Works(_) => (Wall::User, 0),
    };
    let least = match (by, network) {
        (Wall::Landlock, true) => since.max(LANDLOCK_TCP),
        (Wall::Landlock, false) => since,
        (_, true) => LANDLOCK_TCP,
        (_, false) => 0,
    };
    if machine.landlock_abi < least {
        return Some(format!("landlock ABI {least} is needed, the kernel has {}", machine.landlock_abi));
    }
    if by == Wall::Seccomp && !machine.seccomp {
        return Some("the kernel has no seccomp filters".into());
    }
    let view = case.row.kind == WorkerKind::Native || matches!(by, Wall::Mount | Wall::Processes | Wall::Network);
    machine.namespaces.as_ref().err().filter(|_| view).cloned()
}

/// Compares.
pub fn judge(case: &Case, report: &Report, stage: &mut Stage) -> Verdict {
    let wrong = match case.row.expected {
        Expected::Limit(why) | Expected::LimitBelow(_, why) => return limit(report, why),
        Expected::Held { by, answers, .. } => held(report, by, answers).or_else(|| arrived(stage, None)),
        Expected::Works(arrives) => works(report).or_else(|| arrived(stage, arrives)),
    };
    let changes = stage.changes();
    match wrong {
        Some(wrong) => Verdict::Bad(wrong),
        None if !changes.is_empty() => Verdict::Bad(format!("seen from outside: {}", changes.join("; "))),
        None => Verdict::Good(met(case, report)),
    }
}

/// What answered an attack that was held, as it was seen: of an errno nobody can tell which wall gave it.
fn met(case: &Case, report: &Report) -> Option<String> {
    let Expected::Held { .. } = case.row.expected else { return None };
    let wall = match report {
        Report::Stopped(REFUSED) => "sandbox:refused".to_owned(),
        Report::Stopped(errno) => format!("kernel:{}", name(*errno)),
        Report::Killed { signal, .. } if *signal == libc::SIGSYS => "seccomp:SIGSYS".to_owned(),
        Report::Killed { signal, .. } => format!("kernel:signal {signal}"),
        _ => return None,
    };
    Some(format!("met: {wall}"))
}

/// The name of an errno that walls answer with.
fn name(errno: i32) -> String {
    const NAMES: &[(i32, &str)] = &[
        (libc::EACCES, "EACCES"),
        (libc::EAFNOSUPPORT, "EAFNOSUPPORT"),
        (libc::EBADF, "EBADF"),
        (libc::ECONNREFUSED, "ECONNREFUSED"),
        (libc::ELOOP, "ELOOP"),
        (libc::ENOENT, "ENOENT"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::ENXIO, "ENXIO"),
        (libc::EPERM, "EPERM"),
        (libc::EROFS, "EROFS"),
        (libc::ESRCH, "ESRCH"),
        (libc::EXDEV, "EXDEV"),
    ];
    let found = NAMES.iter().find(|(number, _)| *number == errno);
    found.map_or_else(|| format!("errno {errno}"), |(_, name)| (*name).to_owned())
}

fn limit(report: &Report, why: &str) -> Verdict {
    match report {
        Report::Escaped(_) => Verdict::Good(Some(format!("documented limit: {why}"))),
        other => Verdict::Bad(format!("documented as a limit ({why}), but {}", in_words(other))),
    }
}

/// What is wrong with the report of an attack that a wall must hold.
fn held(report: &Report, by: Wall, answers: &[i32]) -> Option<String> {
    let good = match report {
        Report::Stopped(errno) => answers.contains(errno),
        Report::Killed { dumped: true, .. } => false,
        Report::Killed { signal, .. } => *signal == libc::SIGSYS || answers.contains(&-signal),
        _ => false,
    };
    let expected: Vec<String> = answers.iter().map(|answer| answer_in_words(*answer)).collect();
    let wall = by.row().name;
    (!good).then(|| format!("{}; the {wall} wall should have answered {}", in_words(report), expected.join(" or ")))
}

fn works(report: &Report) -> Option<String> {
    (!matches!(report, Report::Escaped(_))).then(|| format!("must work, but {}", in_words(report)))
}

/// What is wrong with what arrived.
fn arrived(stage: &Stage, expected: Option<&str>) -> Option<String> {
    let arrivals = stage.arrivals();
    if arrivals.iter().copied().eq(expected) {
        return None;
    }
    let arrivals = if arrivals.is_empty() { "nothing".to_owned() } else { arrivals.join(" and ") };
    Some(format!("seen from outside: reached {arrivals}, expected {}", expected.unwrap_or("nothing")))
}

fn in_words(report: &Report) -> String {
    match report {
        Report::Escaped(what) => format!("escaped: {what}"),
        Report::Stopped(errno) => format!("answered {}", answer_in_words(*errno)),
        Report::Killed { signal, dumped: true } => format!("ended by signal {signal} with its memory dumped"),
        Report::Killed { signal, .. } => format!("ended by signal {signal}"),
        Report::NoWalls(why) => format!("the walls could not be put up: {why}"),
        Report::Silent(why) => format!("nothing was reported: {why}"),
        Report::Late => "nothing was reported in time".into(),
    }
}

fn answer_in_words(answer: i32) -> String {
    match answer {
        REFUSED => "a refusal in words".into(),
        signal if signal < 0 => format!("signal {}", -signal),
        errno => std::io::Error::from_raw_os_error(errno).to_string(),
    }
}
