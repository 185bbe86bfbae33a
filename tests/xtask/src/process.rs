//! What /proc tells of processes that were started: whom they started in turn, what they hold, how often they ran.
//! It changes nothing about them.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// What processes hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Memory in RAM, bytes; what is shared counts for each (Rss).
    pub resident: u64,
    /// The same, each having its part of what is shared (Pss).
    pub proportional: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Held {
    /// By these processes, all of which must be there and let this one look.
    pub fn by(processes: &[u32]) -> anyhow::Result<Self> {
        let mut held = Self::default();
        for process in processes {
            let memory = read(*process, "smaps_rollup")?;
            held.resident += bytes(&memory, "Rss:");
            held.proportional += bytes(&memory, "Pss:");
            let descriptors = fs::read_dir(format!("/proc/{process}/fd"));
            held.descriptors += descriptors.with_context(|| format!("the descriptors of process {process}"))?.count();
        }
        Ok(held)
    }
}

/// USER_HZ, which is 100 on every architecture wjob runs on (proc_pid_stat(5), sysconf(3)).
const TICKS_A_SECOND: u64 = 100;

/// Processor time of all processes that this one has started and waited for, and theirs.
pub fn spent_by_children(process: u32) -> anyhow::Result<Duration> {
    let stat = read(process, "stat")?;
    let ticks = children_ticks(&stat).with_context(|| format!("the times of process {process}"))?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
}

/// Fields 16 and 17, counted behind the name, which may hold anything (proc_pid_stat(5)).
fn children_ticks(stat: &str) -> Option<u64> {
    let behind = stat.rsplit_once(") ")?.1;
    behind.split(' ').skip(13).take(2).map(|field| field.parse::<u64>().ok()).sum()
}

/// How often the threads of these processes left a processor: because they waited, or because others had their turn.
pub fn switches(processes: &[u32]) -> u64 {
    processes.iter().flat_map(|process| tasks(*process)).map(|task| task_switches(&task)).sum()
}

fn task_switches(status: &str) -> u64 {
    let counts = status.lines().filter(|line| line.contains("voluntary_ctxt_switches:"));
    counts.filter_map(|line| line.rsplit('\t').next()?.trim().parse::<u64>().ok()).sum()
}

/// The status of each thread; one that is gone has none.
fn tasks(process: u32) -> Vec<String> {
    in_tasks(process, "status")
}

/// A process and all that descend from it, itself first.
pub fn family(process: u32) -> Vec<u32> {
    let mut found = vec![process];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = in_tasks(parent, "children").join(" ");
        found.extend(children.split_whitespace().filter_map(|number| number.parse::<u32>().ok()));
        next += 1;
    }
    found
}

/// Whether a process still runs; one that nobody has asked for its status does not (proc_pid_stat(5), field 3).
pub fn runs(process: u32) -> bool {
    let stat = read(process, "stat").unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with('Z'))
}

/// The processes that a tracer holds.
pub fn traced_by(tracing: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    processes.filter(|process| tracer(*process) == Some(tracing)).collect()
}

/// Who traces a process, nobody being 0 (proc_pid_status(5), TracerPid).
pub fn tracer(process: u32) -> Option<u32> {
    let status = read(process, "status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim().parse().ok()
}

/// The name of a process, which it may choose (proc_pid_comm(5)); of one that is gone, none.
pub fn name(process: u32) -> String {
    read(process, "comm").unwrap_or_default().trim_end_matches('\n').to_owned()
}

fn in_tasks(process: u32, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| fs::read_to_string(task.path().join(name)).ok()).collect()
}

fn read(process: u32, name: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{process}/{name}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

/// A number of KiB behind a name (proc_pid_smaps(5)), in bytes.
fn bytes(memory: &str, name: &str) -> u64 {
    let line = memory.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_by_its_whole_name() {
        let memory =
            "55d0-7ffc ---p 00000000 00:00 0    [rollup]\nRss:    4452 kB\nPss:    2997 kB\nPss_Dirty:  900 kB\n";
        for (name, expected) in [("Rss:", 4452 * 1024), ("Pss:", 2997 * 1024), ("Swap:", 0)] {
            assert_eq!(bytes(memory, name), expected, "{name}");
        }
    }

    #[test]
    fn both_kinds_of_switches_count() {
        let status = "Name:\twjobd\nThreads:\t1\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n";
        assert_eq!(task_switches(status), 42);
        assert_eq!(task_switches(""), 0);
    }

    #[test]
    fn the_time_of_children_is_counted_whatever_the_name_holds() {
        for name in ["sh", "a) S 5"] {
            let stat = format!("7 ({name}) S 1 2 3 0 -1 0 9 9 9 9 10 20 300 4000 20 0");
            assert_eq!(children_ticks(&stat), Some(4300), "{name}");
        }
        assert_eq!(children_ticks("7 sh"), None);
    }

    #[test]
    fn a_process_holds_something_and_heads_its_family() {
        let own = std::process::id();
        assert_eq!(family(own).first(), Some(&own));
        let held = Held::by(&[own]).expect("this process");
        assert!(held.resident > 0 && held.descriptors > 0, "{held:?}");
        assert!(runs(own) && !runs(u32::MAX) && Held::by(&[u32::MAX]).is_err());
        assert!(!name(own).is_empty() && name(u32::MAX).is_empty());
        let tracing = tracer(own).expect("this process");
        assert!(traced_by(tracing).contains(&own) && !traced_by(own).contains(&own) && tracer(u32::MAX).is_none());
    }
}
