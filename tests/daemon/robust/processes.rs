//! Processes as /proc shows them: who made whom, what is in their command lines, how often they went to sleep. What is
//! to be expected of them is each test's to say.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};

use crate::harness::{Running, pidfd, wait_for_end};

/// A process, held by a descriptor, so that its number cannot come to mean another one.
pub struct Process {
    /// Its number.
    pub number: u32,
    words: String,
    descriptor: OwnedFd,
}

impl Process {
    /// The process of this number; `None` = there is none any more.
    pub fn of(number: u32) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(number).ok()?)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        Some(Self { number, words: words(number), descriptor })
    }

    /// Ends it without a chance to do anything.
    #[track_caller]
    pub fn kill(&self) {
        let killed = pidfd_send_signal(&self.descriptor, Signal::KILL);
        killed.unwrap_or_else(|error| panic!("process {} ({}): {error}", self.number, self.words));
    }

    /// Waits for its end, which must come.
    #[track_caller]
    pub fn ends(&self) {
        assert!(wait_for_end(&self.descriptor), "process {} ({}) goes on", self.number, self.words);
    }
}

/// Stops a child, and waits until it has stopped.
#[track_caller]
pub fn stop(child: &Running) {
    let descriptor = pidfd(child.pid());
    child.signal(Signal::STOP);
    let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    waitid(WaitId::PidFd(descriptor.as_fd()), stopped).expect("a child of the test");
}

/// All that a process made, and all that these made in turn.
pub fn family(process: u32) -> Vec<Process> {
    let mut numbers = children(process);
    let mut next = 0;
    while let Some(number) = numbers.get(next).copied() {
        numbers.extend(children(number));
        next += 1;
    }
    numbers.into_iter().filter_map(Process::of).collect()
}

fn children(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let numbers = |list: String| list.split_whitespace().filter_map(|number| number.parse().ok()).collect::<Vec<u32>>();
    lists.flat_map(numbers).collect()
}

/// The process that made this one, or took it over (proc_pid_stat(5), field 4).
pub fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Whether a process, or one that made it, was made by the other.
pub fn descends(process: u32, other: u32) -> bool {
    let mut above = parent(process);
    while let Some(number) = above.filter(|number| *number != other) {
        above = parent(number);
    }
    above.is_some()
}

/// The processes that have this as one of their arguments.
pub fn with_argument(argument: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|number| words(*number).split(' ').any(|word| word == argument)).collect()
}

fn words(process: u32) -> String {
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ")
}

/// How often the threads of a process have waited for something (proc_pid_status(5)): each wait ends by a wake-up.
pub fn waits(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("a process that is there").flatten();
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let waits = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|number| number.trim().parse::<u64>().ok())
    };
    statuses.filter_map(waits).sum()
}
