//! Processes that a job left and that came to the supervisor when their parents ended: they are nobody else's to wait
//! for. What the supervisor started itself it waits for elsewhere, and that is left alone here.

use rustix::process::{Pid, WaitOptions, getpid, waitpid};

use crate::spawn::is_ours;

/// Waits for those that have ended.
pub fn reap() {
    let own = getpid().as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/self/task/{own}/children")).unwrap_or_default();
    let numbers = children.split_whitespace().filter_map(|number| number.parse::<u32>().ok());
    for number in numbers.filter(|number| !is_ours(*number)) {
        // One that goes on is waited for when its end is told.
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| waitpid(Some(pid), WaitOptions::NOHANG));
    }
}
