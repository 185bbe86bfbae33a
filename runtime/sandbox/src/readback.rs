//! Proof from outside: what /proc says of a worker, against what its plan promised.
//! It is read by the supervisor, so a worker that lies about its walls is caught.

use std::fs;

use wjob_model::limit::ResourceLimit;
use wjob_model::message::Evidence;
use wjob_model::wall::{Wall, WallPlan};

/// Reads /proc/PID/status and /proc/PID/limits of a worker; `user` is who it must be.
pub fn read(pid: u32, user: u32, plan: &WallPlan) -> Vec<Evidence> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let mut evidence = judge_status(&status, user, plan);
    evidence.push(judge_limits(&limits, &plan.limits));
    evidence
}

/// The lines of /proc/PID/status that show a wall (proc_pid_status(5)).
pub fn judge_status(status: &str, user: u32, plan: &WallPlan) -> Vec<Evidence> {
    let mut evidence =
        vec![judge(status, Wall::User, "Uid", |value| value.split_whitespace().all(|id| id == user.to_string()))];
    if plan.processes {
        evidence.push(judge(status, Wall::Processes, "NSpid", |value| value.split_whitespace().count() > 1));
    }
    if plan.seccomp {
        evidence.push(judge(status, Wall::Seccomp, "Seccomp", |value| value == "2"));
    }
    if !plan.is_unwalled() {
        evidence.push(judge(status, Wall::NoNewPrivileges, "NoNewPrivs", |value| value == "1"));
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            evidence.push(judge(status, Wall::Capabilities, set, no_bit));
        }
    }
    evidence
}

fn no_bit(value: &str) -> bool {
    u64::from_str_radix(value, 16) == Ok(0)
}

fn judge(status: &str, wall: Wall, field: &str, good: impl Fn(&str) -> bool) -> Evidence {
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).map(str::trim);
    match value {
        Some(value) => {
            let found = value.split_whitespace().collect::<Vec<_>>().join(" ");
            Evidence { wall, found: format!("{field}: {found}"), stands: good(value) }
        }
        None => Evidence { wall, found: format!("{field}: not there"), stands: false },
    }
}

/// Each planned limit must be in force, or a lower one.
pub fn judge_limits(text: &str, planned: &[ResourceLimit]) -> Evidence {
    let mut found = Vec::new();
    for limit in planned {
        let name = limit.resource.row().proc_name;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.split_whitespace().nth(1).map(ToOwned::to_owned));
        let stands = match (&value, limit.hard) {
            (_, None) => true,
            (Some(value), Some(hard)) => value.parse::<u64>().is_ok_and(|value| value <= hard),
            (None, Some(_)) => false,
        };
        let value = value.unwrap_or_else(|| "not there".into());
        found.push(format!("{}: {value}", limit.resource.row().key));
        if !stands {
            return Evidence { wall: Wall::Limits, found: found.join(", "), stands: false };
        }
    }
    Evidence { wall: Wall::Limits, found: found.join(", "), stands: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wjob_model::limit::Resource;
    use wjob_model::wall::{CompileBounds, Machine, compile_plan};

    const STATUS: &str = "Name:\tx\nUid:\t7\t7\t7\t7\nNSpid:\t9\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n\
        CapEff:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";

    fn plan() -> WallPlan {
        let machine = Machine { uid: 7, landlock_abi: 7, seccomp: true, namespaces: Ok(()), under_root: false };
        compile_plan(&machine, CompileBounds::default())
    }

    fn fallen(status: &str, user: u32) -> Vec<Wall> {
        let evidence = judge_status(status, user, &plan());
        evidence.into_iter().filter(|evidence| !evidence.stands).map(|evidence| evidence.wall).collect()
    }

    #[test]
    fn each_line_is_held_against_the_plan() {
        assert_eq!(fallen(STATUS, 7), []);
        assert_eq!(fallen(STATUS, 8), [Wall::User]);
        assert_eq!(fallen(&STATUS.replace("Seccomp:\t2", "Seccomp:\t0"), 7), [Wall::Seccomp]);
        assert_eq!(fallen(&STATUS.replace("NoNewPrivs:\t1", ""), 7), [Wall::NoNewPrivileges]);
        let capable = STATUS.replace("CapEff:\t0000000000000000", "CapEff:\t0000000000000400");
        assert_eq!(fallen(&capable, 7), [Wall::Capabilities]);
    }

    #[test]
    fn limits_may_be_lower_but_not_higher() {
        let text = "Limit  Soft Limit  Hard Limit  Units\nMax data size             100  200  bytes\n";
        for (hard, stands) in [(200, true), (300, true), (199, false)] {
            let planned = [ResourceLimit { resource: Resource::Data, soft: Some(1), hard: Some(hard) }];
            assert_eq!(judge_limits(text, &planned).stands, stands);
        }
        let absent = [ResourceLimit { resource: Resource::Cpu, soft: None, hard: Some(1) }];
        assert!(!judge_limits(text, &absent).stands);
    }
}
