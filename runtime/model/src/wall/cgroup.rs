//! Control groups (cgroup v2), decided: whether a part of their tree is a supervisor's to divide, what the group of a run
//! holds, and what its files say of it. Nothing is read or written here; whoever does hands over what it has read.
//!
//! A resource limit holds for one process; a group holds for all of a job's together, with what the kernel keeps for
//! them. Where no part of the tree was delegated there is none, and resource limits are all there is.

use serde::{Deserialize, Serialize};

use super::limits::{DEFAULT_INSTANCES, PROCESSES_BASE};
use super::{Machine, Wall, WallPlan, WallRefusal, WorkerKind};
use crate::job::{Isolation, Job};
use crate::limit::{Limit, Resource};
use crate::message::Evidence;

/// The group that a supervisor moves itself into before it divides its own: one that has processes of its own gives no
/// controller on (cgroups(7), "Cgroups v2 no internal processes rule").
pub const OWN_GROUP: &str = "wjob.supervisor";
/// How the names of runs' groups begin: no file of the kernel's does.
pub const RUN_GROUP: &str = "job-";
/// Longest part of a label in such a name, bytes.
const MOST_LABEL: usize = 128;
/// Bytes beside a job's memory: what the kernel keeps for its processes, the pages of programs and libraries that they
/// were the first to touch, and for a native job its worker and its init. An estimate.
const KERNEL_BASE: u64 = 64 << 20;

/// A part of the tree of control groups that is a supervisor's to divide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegated {
    /// Its folder in cgroupfs.
    pub folder: String,
    /// Whether it can give the controller of memory on.
    pub memory: bool,
    /// Whether it can give the controller of processes on.
    pub processes: bool,
}

impl Delegated {
    /// What is written into `cgroup.subtree_control` for the groups below to have the controllers.
    pub fn controllers(&self) -> String {
        let names = [("+memory", self.memory), ("+pids", self.processes)];
        let wanted: Vec<&str> = names.into_iter().filter_map(|(name, wanted)| wanted.then_some(name)).collect();
        wanted.join(" ")
    }
}

/// Whether a group is a supervisor's to divide, by the text of its `cgroup.controllers`, whether it can be written to, and
/// how many processes are in it that are not the supervisor's own, which is asked last.
///
/// # Errors
/// Why it is not.
pub fn delegated(
    folder: &str,
    controllers: &str,
    writable: bool,
    others: impl FnOnce() -> usize,
) -> Result<Delegated, String> {
    let has = |name: &str| controllers.split_whitespace().any(|controller| controller == name);
    let delegated = Delegated { folder: folder.to_owned(), memory: has("memory"), processes: has("pids") };
    if !delegated.memory && !delegated.processes {
        return Err(format!("{folder} has neither the controller memory nor pids"));
    }
    if !writable {
        return Err(format!("{folder} is not this user's to divide; a service manager delegates it (Delegate=yes)"));
    }
    match others() {
        0 => Ok(delegated),
        others => {
            Err(format!("{folder} has {others} processes in it that are not wjob's; give wjob a group of its own"))
        }
    }
}

/// The group of a process in the unified tree, by the text of /proc/PID/cgroup (cgroups(7)); `None` = it is in none.
pub fn own_group(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The group that a supervisor divides: its own, or the one above where it has moved out of that before.
pub fn to_divide(own: &str) -> &str {
    match own.strip_suffix(OWN_GROUP).and_then(|above| above.strip_suffix('/')) {
        Some("") => "/",
        Some(above) => above,
        None => own,
    }
}

/// The name of a run's group: the label as far as a name of a folder may have it, and two numbers that tell it from
/// others.
pub fn group_name(label: &str, supervisor: u32, number: u32) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
    let label: String = label.chars().take(MOST_LABEL).map(plain).collect();
    format!("{RUN_GROUP}{label}-{supervisor}-{number}")
}

/// What the group of one run holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupPlan {
    /// Memory of all its processes together, bytes, with what the kernel keeps for them.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
}

/// One file of a group and what is written into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub file: &'static str,
    /// The number.
    pub value: u64,
    /// Whether the group holds nothing without it; other files are not there on every kernel.
    pub required: bool,
}

impl CgroupPlan {
    /// Its files, in the order in which they are written.
    pub fn settings(&self) -> Vec<Setting> {
        let setting = |file, value, required| Setting { file, value, required };
        let memory = self.memory.into_iter().flat_map(|bytes| {
            [
                setting("memory.max", bytes, true),
                // Else what does not fit goes to the disk, and the limit is none.
                setting("memory.swap.max", 0, false),
                // A run that has used its memory up ends as a whole.
                setting("memory.oom.group", 1, false),
            ]
        });
        let processes = self.processes.map(|count| setting("pids.max", count, true));
        memory.chain(processes).collect()
    }

    /// Whether the group stands: the worker is in it, and each file has what was planned or less. `read` is given the
    /// names of its files.
    pub fn judge(&self, worker: u32, read: impl Fn(&str) -> Option<String>) -> Evidence {
        let processes = read("cgroup.procs").unwrap_or_default();
        let inside = processes.lines().any(|line| line.trim().parse::<u32>() == Ok(worker));
        let mut stands = inside;
        let mut found = vec![if inside { "the worker is in it" } else { "the worker is not in it" }.to_owned()];
        for setting in self.settings().into_iter().filter(|setting| setting.required) {
            let value = read(setting.file).map(|text| text.trim().to_owned());
            // The kernel rounds memory down to pages.
            let holds = |value: &String| value.parse::<u64>().is_ok_and(|value| value <= setting.value);
            stands &= value.as_ref().is_some_and(holds);
            found.push(format!("{} {}", setting.file, value.as_deref().unwrap_or("not there")));
        }
        Evidence { wall: Wall::Cgroup, found: found.join(", "), stands }
    }
}

/// Whether `memory.events` says that processes of the group were ended because they had used up what it may have. Those
/// that were ended for the machine's own want of memory have reached no limit.
pub fn ran_out_of_memory(events: &str) -> bool {
    count(events, "oom ") > 0 && count(events, "oom_kill ") > 0
}

/// Whether `pids.events` says that a process was refused because the group had as many as it may have.
pub fn ran_out_of_processes(events: &str) -> bool {
    count(events, "max ") > 0
}

fn count(events: &str, name: &str) -> u64 {
    let value = events.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_default()
}

/// Whether the job has a limit that a group would hold.
pub(super) fn has_something_to_hold(job: &Job, kind: WorkerKind) -> bool {
    job.limits.memory.is_some() || (kind == WorkerKind::Native && job.limits.processes.is_some())
}

/// The group of a run, where one can be had and there is something for it to hold.
pub(super) fn planned(job: &Job, plan: &WallPlan, machine: &Machine) -> Option<CgroupPlan> {
    let delegated = machine.cgroup.as_ref().ok()?;
    let native = plan.kind == WorkerKind::Native;
    let memory = memory(job, plan).filter(|_| delegated.memory);
    let processes = job.limits.processes.filter(|_| native && delegated.processes);
    let group = CgroupPlan { memory, processes: processes.map(|count| count.saturating_add(PROCESSES_BASE)) };
    (group != CgroupPlan::default()).then_some(group)
}

/// All memory of a run: of a guest's worker what its process may have, which is the sum of its instances already; of a
/// native job `Memory`, or where each connection has a process of its own so many times that.
fn memory(job: &Job, plan: &WallPlan) -> Option<u64> {
    let limit = job.limits.memory?;
    let bytes = if plan.kind == WorkerKind::Native {
        let many = job.inetd_wait == Some(false) && !job.sockets.is_empty();
        limit.saturating_mul(if many { job.limits.instances.unwrap_or(DEFAULT_INSTANCES) } else { 1 })
    } else {
        plan.limits.iter().find(|limit| limit.resource == Resource::Data)?.hard?
    };
    Some(bytes.saturating_add(KERNEL_BASE))
}

/// That `Processes` is held by something. The kernel exempts uid 0 of the first user namespace from RLIMIT_NPROC
/// (kernel/fork.c), and without a user namespace of its own it counts all processes of the user, which a group does not;
/// a job without walls is told so.
///
/// # Errors
/// When nothing holds it here.
pub(super) fn hold_processes(job: &Job, plan: &mut WallPlan, machine: &Machine) -> Result<(), WallRefusal> {
    if job.limits.processes.is_none() || plan.kind != WorkerKind::Native {
        return Ok(());
    }
    let why = match (machine.uid, &machine.namespaces) {
        (0, _) => "the kernel does not count the processes of uid 0; run it as another user".to_owned(),
        (_, Err(why)) if job.isolation != Isolation::None => why.clone(),
        _ => return Ok(()),
    };
    if plan.cgroup.is_some_and(|group| group.processes.is_some()) {
        plan.limits.retain(|limit| limit.resource != Resource::NumberOfProcesses);
        return Ok(());
    }
    Err(WallRefusal::Limit { limit: Limit::Processes, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::plan;

    const FOLDER: &str = "/sys/fs/cgroup/a";

    #[test]
    fn a_group_is_divided_that_is_ones_own_and_has_controllers() {
        for (controllers, writable, others, expected) in [
            ("cpuset cpu memory pids\n", true, 0, Ok("+memory +pids")),
            ("memory", true, 0, Ok("+memory")),
            ("cpu pids", true, 0, Ok("+pids")),
            ("hugetlb", true, 0, Err("neither the controller memory nor pids")),
            ("", true, 0, Err("neither")),
            ("memory pids", false, 0, Err("not this user's to divide")),
            ("memory pids", true, 3, Err("3 processes in it that are not wjob's")),
        ] {
            let found = delegated(FOLDER, controllers, writable, || others);
            let found = found.map(|delegated| delegated.controllers());
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(why), Err(part)) => assert!(why.starts_with(FOLDER) && why.contains(part), "{why}"),
                (found, _) => panic!("{controllers:?} {writable} {others}: {found:?}"),
            }
        }
    }

    #[test]
    fn the_group_to_divide_is_ones_own_or_the_one_that_was_left() {
        let hybrid = "9:name=systemd:/x\n4:memory:/y\n0::/user.slice/wjobd.service\n";
        assert_eq!(own_group(hybrid), Some("/user.slice/wjobd.service"));
        assert_eq!(own_group("4:memory:/y\n"), None);
        for (own, expected) in [
            ("/", "/"),
            ("/wjob.supervisor", "/"),
            ("/a/wjobd.service", "/a/wjobd.service"),
            ("/a/wjobd.service/wjob.supervisor", "/a/wjobd.service"),
            ("/a/not-wjob.supervisor", "/a/not-wjob.supervisor"),
        ] {
            assert_eq!(to_divide(own), expected, "{own}");
        }
    }

    #[test]
    fn the_name_of_a_group_is_the_name_of_a_folder() {
        assert_eq!(group_name("org.example.a", 7, 1), "job-org.example.a-7-1");
        assert_eq!(group_name("../a b\n\u{e4}", 7, 2), "job-.._a_b__-7-2");
        assert!(group_name(&"x".repeat(5000), u32::MAX, u32::MAX).len() < 255, "NAME_MAX");
    }

    #[test]
    fn a_run_that_was_ended_for_its_own_memory_is_told_from_others() {
        for (events, expected) in [
            ("low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n", true),
            ("max 12\noom 1\noom_kill 0\n", false),
            ("max 0\noom 0\noom_kill 1\n", false),
            ("", false),
            ("oom many\noom_kill 1\n", false),
        ] {
            assert_eq!(ran_out_of_memory(events), expected, "{events}");
        }
    }

    #[test]
    fn a_run_that_was_refused_a_process_is_told_from_others() {
        for (events, expected) in [("max 3\n", true), ("max 0\n", false), ("", false), ("max many\n", false)] {
            assert_eq!(ran_out_of_processes(events), expected, "{events}");
        }
    }

    #[test]
    fn what_was_read_is_held_against_the_plan() {
        let plan = CgroupPlan { memory: Some(100_000), processes: Some(9) };
        let judge = |processes: &str, memory: Option<&str>, count: &str| {
            let read = |file: &str| match file {
                "cgroup.procs" => Some(processes.to_owned()),
                "memory.max" => memory.map(str::to_owned),
                "pids.max" => Some(count.to_owned()),
                _ => None,
            };
            plan.judge(41, read)
        };
        for (processes, memory, count, stands) in [
            ("40\n41\n", Some("98304\n"), "9\n", true),
            ("410\n", Some("98304\n"), "9\n", false),
            ("41\n", Some("max\n"), "9\n", false),
            ("41\n", Some("100001\n"), "9\n", false),
            ("41\n", Some("98304\n"), "max\n", false),
            ("41\n", None, "9\n", false),
        ] {
            let evidence = judge(processes, memory, count);
            assert_eq!((evidence.wall, evidence.stands), (Wall::Cgroup, stands), "{}", evidence.found);
        }
        assert_eq!(judge("41", Some("5"), "6").found, "the worker is in it, memory.max 5, pids.max 6");
    }

    fn job(keys: &str) -> Job {
        let text = format!("{{ Label = a; Program = \"/bin/a\"; {keys} }}");
        let loaded = crate::spec::load(text.as_bytes(), &crate::spec::Context { folder: "/", home: "/root", uid: 0 });
        loaded.job.unwrap_or_else(|| panic!("{keys}: {:?}", loaded.findings))
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_job_has_a_group_where_there_is_a_limit_for_it_to_hold() {
        const MEMORY: &str = "Limits = { Memory = 1048576; };";
        const BOTH: &str = "Limits = { Memory = 1048576; Processes = 7; };";
        const MANY: &str = "Limits = { Memory = 1048576; Instances = 10; }; inetdCompatibility = { Wait = NO; }; \
                            Sockets = { a = { SockServiceName = \"80\"; }; };";
        let whole = |memory, processes| Ok(Delegated { folder: FOLDER.into(), memory, processes });
        let group = |memory: Option<u64>, processes| {
            let memory = memory.map(|bytes| bytes * MIB + KERNEL_BASE);
            Some(CgroupPlan { memory, processes })
        };
        for (keys, wasm, cgroup, expected) in [
            ("", true, whole(true, true), None),
            ("", false, whole(true, true), None),
            // A worker has 96 MiB for itself.
            (MEMORY, true, whole(true, true), group(Some(97), None)),
            (BOTH, true, whole(true, true), group(Some(97), None)),
            (MEMORY, false, whole(true, true), group(Some(1), None)),
            (BOTH, false, whole(true, true), group(Some(1), Some(9))),
            (MANY, false, whole(true, true), group(Some(10), None)),
            (BOTH, false, whole(true, false), group(Some(1), None)),
            (BOTH, false, whole(false, true), group(None, Some(9))),
            (MEMORY, false, whole(false, true), None),
            (BOTH, false, Err("none".into()), None),
            ("Isolation = None; Limits = { Memory = 1048576; };", false, whole(true, true), None),
        ] {
            let machine = Machine { cgroup, ..Machine::able(1000) };
            let plan = plan(&job(keys), "/bin/a", wasm, &machine, false).unwrap();
            assert_eq!(plan.cgroup, expected, "{keys} wasm {wasm} {:?}", machine.cgroup);
        }
    }

    #[test]
    fn processes_are_counted_by_a_group_where_the_kernel_counts_none_of_the_users() {
        let job = job("Limits = { Processes = 7; };");
        let whole = || Ok(Delegated { folder: FOLDER.into(), memory: true, processes: true });
        let counts = |plan: &WallPlan| {
            let resource = plan.limits.iter().any(|limit| limit.resource == Resource::NumberOfProcesses);
            (resource, plan.cgroup.and_then(|group| group.processes))
        };
        for (uid, cgroup, namespaces, expected) in [
            (1000, Err("none".to_owned()), Ok(()), Ok((true, None))),
            (1000, whole(), Ok(()), Ok((true, Some(9)))),
            (0, whole(), Ok(()), Ok((false, Some(9)))),
            (1000, whole(), Err("no namespaces".to_owned()), Ok((false, Some(9)))),
            (0, Err("none".to_owned()), Ok(()), Err("uid 0")),
            (1000, Err("none".to_owned()), Err("no namespaces".to_owned()), Err("no namespaces")),
        ] {
            let machine = Machine { cgroup, namespaces, ..Machine::able(uid) };
            match (plan(&job, "/bin/a", false, &machine, true), expected) {
                (Ok(plan), Ok(expected)) => assert_eq!(counts(&plan), expected, "{machine:?}"),
                (Err(refusal), Err(part)) => assert!(refusal.to_string().contains(part), "{refusal}"),
                (plan, _) => panic!("{machine:?}: {plan:?}"),
            }
        }
    }

    #[test]
    fn without_walls_the_processes_of_root_are_counted_by_nobody() {
        let job = job("Isolation = None; Limits = { Processes = 7; };");
        let whole = || Ok(Delegated { folder: FOLDER.into(), memory: true, processes: true });
        for (uid, namespaces, counted) in [(0, Ok(()), false), (1000, Ok(()), true), (1000, Err("none".into()), true)] {
            let machine = Machine { cgroup: whole(), namespaces, ..Machine::able(uid) };
            match plan(&job, "/bin/a", false, &machine, false) {
                Ok(plan) => {
                    let resource = plan.limits.iter().any(|limit| limit.resource == Resource::NumberOfProcesses);
                    assert_eq!((counted, resource, plan.cgroup), (true, true, None), "{machine:?}");
                }
                Err(refusal) => assert!(!counted && refusal.to_string().contains("uid 0"), "{refusal}"),
            }
        }
    }
}
