//! Proof from outside: what /proc says of a worker, against what its plan promised.
//! It is read by the supervisor, so a worker that lies about its walls is caught.

use std::collections::BTreeSet;
use std::fs;

use rustix::thread::CapabilitySet;
use wjob_model::limit::ResourceLimit;
use wjob_model::message::Evidence;
use wjob_model::wall::{Wall, WallPlan};

use crate::capabilities;

/// Who a worker must be.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// Its user.
    pub user: u32,
    /// Its group and its further groups; `None` = those of its supervisor, which has changed none.
    pub groups: Option<(u32, &'a [u32])>,
}

/// More groups than this are counted and not named.
const MOST_GROUPS: usize = 16;

/// Reads /proc/PID/status and /proc/PID/limits of a worker.
pub fn read(pid: u32, who: Who<'_>, plan: &WallPlan) -> Vec<Evidence> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let mut evidence = judge_status(&status, who, plan, capabilities::root_gains_by_exec());
    evidence.push(judge_limits(&limits, &plan.limits));
    evidence
}

/// The lines of /proc/PID/status that show a wall (proc_pid_status(5)); `root_gains` is whether uid 0 had capabilities
/// when it began.
pub fn judge_status(status: &str, who: Who<'_>, plan: &WallPlan, root_gains: bool) -> Vec<Evidence> {
    let all = |value: &str, number: u32| value.split_whitespace().all(|id| id == number.to_string());
    let mut evidence = vec![judge(status, Wall::User, "Uid", |value| all(value, who.user))];
    if let Some((group, further)) = who.groups {
        evidence.push(judge(status, Wall::User, "Gid", |value| all(value, group)));
        evidence.push(few(judge(status, Wall::User, "Groups", |value| are(value, further))));
    }
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
        // Whoever never had the right to cannot empty the bounding set, and gains nothing by what is in it.
        if plan.user_namespace || plan.mounts_by_leave(who.user) {
            evidence.push(judge(status, Wall::Capabilities, "CapBnd", no_bit));
        } else if who.user == 0 && root_gains {
            evidence.push(judge(status, Wall::Capabilities, "CapBnd", |value| no_bit(value) || could_not_empty(value)));
        }
    }
    evidence
}

/// Whether a bounding set is that of a root who was given no right to empty it: then that right is not in it.
fn could_not_empty(value: &str) -> bool {
    u64::from_str_radix(value, 16).is_ok_and(|set| set & CapabilitySet::SETPCAP.bits() == 0)
}

/// Whether these are the groups, in any order.
fn are(value: &str, groups: &[u32]) -> bool {
    let found: Option<BTreeSet<u32>> = value.split_whitespace().map(|id| id.parse().ok()).collect();
    found.is_some_and(|found| found == groups.iter().copied().collect())
}

/// A user may be in thousands of groups.
fn few(evidence: Evidence) -> Evidence {
    let words: Vec<&str> = evidence.found.split(' ').collect();
    match words.len().saturating_sub(1 + MOST_GROUPS) {
        0 => evidence,
        more => Evidence { found: format!("{} and {more} more", words[..=MOST_GROUPS].join(" ")), ..evidence },
    }
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

    const STATUS: &str = "Name:\tx\nUid:\t7\t7\t7\t7\nGid:\t3\t3\t3\t3\nGroups:\t3 40 \nNSpid:\t9\n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
        CapBnd:\t0000000000000400\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";

    /// Whoever has that status.
    const SEVEN: Who<'_> = Who { user: 7, groups: Some((3, &[40, 3])) };

    fn plan() -> WallPlan {
        compile_plan(&Machine::able(7), CompileBounds::default())
    }

    fn fallen(status: &str, who: Who<'_>, plan: &WallPlan) -> Vec<Wall> {
        let evidence = judge_status(status, who, plan, true);
        evidence.into_iter().filter(|evidence| !evidence.stands).map(|evidence| evidence.wall).collect()
    }

    #[test]
    fn each_line_is_held_against_the_plan() {
        assert_eq!(fallen(STATUS, SEVEN, &plan()), []);
        assert_eq!(fallen(&STATUS.replace("Seccomp:\t2", "Seccomp:\t0"), SEVEN, &plan()), [Wall::Seccomp]);
        assert_eq!(fallen(&STATUS.replace("NoNewPrivs:\t1", ""), SEVEN, &plan()), [Wall::NoNewPrivileges]);
        let capable = STATUS.replace("CapEff:\t0000000000000000", "CapEff:\t0000000000000400");
        assert_eq!(fallen(&capable, SEVEN, &plan()), [Wall::Capabilities]);
        let mapped = WallPlan { user_namespace: true, ..plan() };
        assert_eq!(fallen(STATUS, SEVEN, &mapped), [Wall::Capabilities], "it could have emptied that set");
        let table = WallPlan { processes: true, ..plan() };
        assert_eq!(fallen(STATUS, SEVEN, &table), [Wall::Processes]);
        assert_eq!(fallen(&STATUS.replace("NSpid:\t9", "NSpid:\t9\t1"), SEVEN, &table), []);
    }

    #[test]
    fn root_has_emptied_the_set_that_bounds_it_where_it_could() {
        let root = STATUS.replace("Uid:\t7\t7\t7\t7", "Uid:\t0\t0\t0\t0");
        let who = Who { user: 0, ..SEVEN };
        let plan = compile_plan(&Machine::able(0), CompileBounds::default());
        for (bounding, gains, stands) in [
            ("0000000000000000", true, true),
            ("000001ffffffffff", true, false),
            ("0000000000000100", true, false),
            // A container that took the right away.
            ("000001fffffffeff", true, true),
            // Root without power over the machine, as SECBIT_NOROOT has it.
            ("000001ffffffffff", false, true),
            ("none", true, false),
        ] {
            let status = root.replace("0000000000000400", bounding);
            let evidence = judge_status(&status, who, &plan, gains);
            assert_eq!(evidence.iter().all(|evidence| evidence.stands), stands, "{bounding}: {evidence:?}");
            let read = evidence.iter().any(|evidence| evidence.found.starts_with("CapBnd: "));
            assert_eq!(read, gains, "{bounding}");
        }
    }

    #[test]
    fn a_worker_is_one_user_and_in_no_group_but_its_own() {
        let user = [Wall::User];
        for (who, expected) in [
            (SEVEN, &[][..]),
            (Who { groups: None, ..SEVEN }, &[]),
            (Who { user: 8, ..SEVEN }, &user),
            (Who { groups: Some((4, &[3, 40])), ..SEVEN }, &user),
            (Who { groups: Some((3, &[3])), ..SEVEN }, &user),
            (Who { groups: Some((3, &[3, 40, 41])), ..SEVEN }, &user),
        ] {
            assert_eq!(fallen(STATUS, who, &plan()), expected, "{who:?}");
        }
        let saved = STATUS.replace("Uid:\t7\t7\t7\t7", "Uid:\t7\t7\t0\t7");
        assert_eq!(fallen(&saved, SEVEN, &plan()), user, "root's would come back");
    }

    #[test]
    fn many_groups_are_counted() {
        let groups: Vec<u32> = (0..100).collect();
        let words: Vec<String> = groups.iter().map(u32::to_string).collect();
        let status = STATUS.replace("3 40 ", &words.join(" "));
        let evidence = judge_status(&status, Who { groups: Some((3, &groups)), ..SEVEN }, &plan(), true);
        let line = evidence.iter().find(|evidence| evidence.found.starts_with("Groups: ")).unwrap();
        assert!(line.stands && line.found.ends_with(" 15 and 84 more"), "{}", line.found);
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
