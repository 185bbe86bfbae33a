//! What an attack on a job comes to: what contained it, that nothing of the job would, that it got through, or that it
//! says nothing of this job. It runs nothing.

use std::net::SocketAddr;

use wjob_model::grant::{Host, Transport};
use wjob_model::job::Job;
use wjob_model::limit::{LIMITS, Limit, Limits};
use wjob_model::outcome::{Outcome, Verdict};

use super::copy::{Ended, RUN_TIME, Run};
use super::corpus::Attack;
use super::stage::only_read;

/// What an attack says of itself (guests/hostile).
const THROUGH: &str = "got THROUGH";
const HELD: &str = "held: ";
/// Statuses of an attack that was held: of a component of 0.2 or a module, and of a command of 0.3.
const HELD_STATUSES: [u8; 2] = [3, 1];
/// The status of an attack that was told too little to begin.
const MISUSED: u8 = 2;

/// What an attack comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// This contained it.
    Contained {
        /// Which wall.
        wall: String,
        /// How it ended.
        how: String,
    },
    /// Nothing of the job ends it.
    Open(String),
    /// It did what it should not.
    Through(String),
    /// It says nothing of this job.
    LeftOut(String),
}

/// Why an attack cannot be tried with the grants of a job, or would be none with them.
pub(super) fn missing(attack: &Attack, job: &Job, [tcp, udp]: [SocketAddr; 2]) -> Option<String> {
    let grants = &job.grants;
    let folder = |reads: bool| grants.paths.iter().any(|grant| only_read(grant) == reads);
    let covered = |address: SocketAddr, serves: fn(Transport) -> bool| {
        let mut reached = grants.connect.iter().filter(|grant| serves(grant.transport));
        reached.any(|grant| grant.port.covers(address.port()))
    };
    let named = grants.connect.iter().any(|grant| matches!(grant.host, Host::Name(_)));
    let fault = |need: &String| match need.as_str() {
        "ro" if !folder(true) => Some("no folder is granted ReadOnly".to_owned()),
        "rw" if !folder(false) => Some("no folder is granted ReadWrite".to_owned()),
        "tcp" if covered(tcp, Transport::is_tcp) => Some("Connect lets it reach any port".to_owned()),
        "udp" if covered(udp, |transport| transport == Transport::Udp) => {
            Some("Connect lets it send to any port".to_owned())
        }
        "no-bind" if !grants.bind.is_empty() => Some("Bind lets it listen".to_owned()),
        "no-names" if named => Some("Connect has names, which it may look up".to_owned()),
        "room" => Some("it takes 4 GiB, which wjob's tests give it; copy_all_memory is the same with less".to_owned()),
        "ro" | "rw" | "tcp" | "udp" | "no-bind" | "no-names" => None,
        _ => Some("it needs a server of the corpus that the job is granted; wjob's tests have one".to_owned()),
    };
    attack.needs.iter().find_map(fault)
}

/// Which limits would end an attack that nothing else ends, if the job has none of them.
pub(super) fn endless(attack: &Attack, limits: &Limits) -> Option<String> {
    let keys: Option<Vec<&str>> = attack.ends.iter().map(|end| end.strip_prefix("limit:")).collect();
    let wanted: Vec<Limit> = keys?.into_iter().flat_map(that_end).copied().collect();
    let mut limits = limits.clone();
    if wanted.is_empty() || wanted.contains(&Limit::Handles) {
        // Handles have a limit that nobody has to write.
        return None;
    }
    let ended = wanted.iter().any(|limit| limits.slot(*limit).is_some());
    let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    (!ended).then(|| format!("the job has no limit that ends it; one of these would: {}", names.join(", ")))
}

/// The limits that end what is to end at one.
fn that_end(key: &str) -> &'static [Limit] {
    match LIMITS.iter().find(|row| row.key == key).map(|row| row.limit) {
        Some(Limit::CpuTime) => &[Limit::CpuTime, Limit::RunTime],
        Some(Limit::RunTime) => &[Limit::RunTime],
        Some(Limit::Memory) => &[Limit::Memory],
        Some(Limit::Handles) => &[Limit::Handles],
        Some(Limit::OutputSize) => &[Limit::OutputSize, Limit::CpuTime, Limit::RunTime],
        _ => &[],
    }
}

/// What a run comes to.
pub(super) fn of(attack: &Attack, job: &Job, run: &Run) -> Judgement {
    if let Some(line) = run.said.lines().find(|line| line.contains(THROUGH)) {
        return Judgement::Through(line.to_owned());
    }
    let verdict = match &run.ended {
        Ended::Ran(verdict) => verdict,
        Ended::Refused(why) => return contained("compiler", first_line(why)),
    };
    match (&verdict.outcome, limit(verdict)) {
        (_, Some(Limit::RunTime)) if job.limits.run_time.is_none() && endless(attack, &job.limits).is_none() => {
            unfinished(attack)
        }
        (_, Some(_)) => contained("limits", &verdict.in_words().unwrap_or_default()),
        (Outcome::Trapped(why), None) => contained("engine", first_line(why)),
        (Outcome::Exited(status), None) => exited(attack, *status, &run.said),
        (_, None) => contained("process", &verdict.in_words().unwrap_or_else(|| "its worker ended".into())),
    }
}

/// The limit that ended a run.
fn limit(verdict: &Verdict) -> Option<Limit> {
    use wjob_model::outcome::StopReason;
    match (&verdict.outcome, verdict.stop) {
        (_, Some(StopReason::RunTime)) => Some(Limit::RunTime),
        (Outcome::LimitHit { limit, .. }, _) => Some(*limit),
        _ => None,
    }
}

/// The audit's own patience ended it, which the job does not have.
fn unfinished(attack: &Attack) -> Judgement {
    if attack.ends.iter().any(|end| end.starts_with("limit:")) {
        // Another limit of the job ends it, later than anybody waits here.
        return contained("limits", "a limit of the job ends it");
    }
    Judgement::Open(format!("it did not end within {RUN_TIME} s, and the job has no RunTime"))
}

fn exited(attack: &Attack, status: u8, said: &str) -> Judgement {
    let line = said.lines().find(|line| line.starts_with(HELD));
    let speaks = attack.payload.starts_with("hostile");
    match (status, line) {
        (MISUSED, _) => Judgement::LeftOut(format!("it could not begin: {}", first_line(said))),
        (status, Some(line)) if HELD_STATUSES.contains(&status) => contained(&attack.wall, line),
        (status, None) if !speaks && status == HELD_STATUSES[0] => contained(&attack.wall, "held"),
        (status, _) => Judgement::Through(format!("it ended with status {status}, which no held attack does")),
    }
}

fn contained(wall: &str, how: &str) -> Judgement {
    Judgement::Contained { wall: wall.to_owned(), how: how.to_owned() }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
