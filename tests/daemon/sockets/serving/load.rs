//! Crowds and hurry: thousands of connections on one job, a thousand jobs, clients that are slow on purpose, and requests
//! without a pause while workers and the supervisor are replaced. What they cost is looked at in /proc and held against
//! bounds. How fast they are served is for the benches to say: nothing here fails because a machine is slow.

mod crowd;
mod descriptors;
mod jobs;
mod requests;
mod slow;
mod takeover;
mod traffic;

use std::fs;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Client, process};
use crate::harness::Supervisor;

/// Connections that are opened before others are served again: fewer than any backlog holds.
const AT_ONCE: usize = 100;
/// Longest IdleTime that a job may have, seconds: no connection ends by it here.
const DAY: u64 = 86_400;

/// The process of the job `a`.
#[track_caller]
fn worker(supervisor: &Supervisor) -> u32 {
    u32::try_from(process(supervisor, "a")).expect("the number of a process")
}

/// How much of a process is in memory, bytes (proc_pid_status(5), VmRSS).
#[track_caller]
pub(super) fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process that is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or_else(|| panic!("it has no memory: {status}")) << 10
}

/// Which connections have ended at their other end; waits so long for the first.
fn ended(clients: &[Client], longest: Timespec) -> Vec<bool> {
    let mut asked: Vec<PollFd<'_>> = clients.iter().map(|client| PollFd::new(&client.0, PollFlags::RDHUP)).collect();
    poll(&mut asked, Some(&longest)).expect("sockets");
    asked.iter().map(|asked| !asked.revents().is_empty()).collect()
}

/// How many connections stand.
fn standing_open(clients: &[Client]) -> usize {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    ended(clients, now).into_iter().filter(|ended| !ended).count()
}
