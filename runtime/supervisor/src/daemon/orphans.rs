//! Runs that a supervisor which was killed may have left. Workers die with it, and so does whatever lives in a process
//! table of its own; this is for the rest: before such a run begins its session is written down, and the next
//! supervisor ends what is left of it.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// The folder of records in the state directory.
const NAME: &str = "running";

/// The record of the logger.
const LOGGER: &str = "logger";
/// How long an earlier logger may take to finish, seconds.
const LOGGER_SECONDS: i64 = 5;

/// The records.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orphans(PathBuf);

impl Orphans {
    /// Makes their folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(state: &Path) -> io::Result<Self> {
        let folder = state.join(NAME);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Self(folder)),
        }
    }

    /// Writes a worker's session down.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begins(&self, pid: u32) -> io::Result<()> {
        let mark = mark(pid).ok_or_else(|| io::Error::other("its process is not there"))?;
        fs::write(self.0.join(pid.to_string()), mark)
    }

    /// It is over.
    pub fn ended(&self, pid: u32) {
        // It was not written down, or somebody cleaned up: either way nothing is left to forget.
        let _ = fs::remove_file(self.0.join(pid.to_string()));
    }

    /// Writes the logger down.
    pub fn logger_begins(&self, pid: u32) {
        if let Some(mark) = mark(pid) {
            // Without it a successor that comes at once waits no moment for this one, and both write for that long.
            let _ = fs::write(self.0.join(LOGGER), format!("{pid} {mark}"));
        }
    }

    /// Lets an earlier supervisor's logger finish what is in its pipes; one that takes too long is ended.
    pub fn await_logger(&self) {
        let text = fs::read_to_string(self.0.join(LOGGER)).unwrap_or_default();
        let Some((pid, marked)) = text.split_once(' ') else {
            return;
        };
        let number = pid.parse::<u32>().ok().filter(|pid| mark(*pid).as_deref() == Some(marked));
        let Some(descriptor) = number.and_then(descriptor) else {
            return;
        };
        let limit = Timespec { tv_sec: LOGGER_SECONDS, tv_nsec: 0 };
        if !matches!(poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&limit)), Ok(1..)) {
            let _ = pidfd_send_signal(&descriptor, Signal::KILL);
        }
        // Not before: a successor that is killed while it waits has one that waits too.
        let _ = fs::remove_file(self.0.join(LOGGER));
    }

    /// Ends what is left of one session.
    pub fn end_session_of(&self, pid: u32) {
        let marked = fs::read_to_string(self.0.join(pid.to_string())).unwrap_or_default();
        end_session(pid, &marked);
    }

    /// Ends what earlier runs left; how many processes that were.
    pub fn end_all(&self) -> usize {
        let mut ended = 0;
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let session = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            let mark = fs::read_to_string(entry.path()).unwrap_or_default();
            if let Some(session) = session {
                ended += end_session(session, &mark);
            }
            let _ = fs::remove_file(entry.path());
        }
        ended
    }
}

/// What tells a process from a later one of the same number: the boot, and when it started.
fn mark(pid: u32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let (_, started) = session_and_start(pid)?;
    Some(format!("{} {started}", boot.trim()))
}

/// Session and start time of a process (proc_pid_stat(5), fields 6 and 22).
fn session_and_start(pid: u32) -> Option<(u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    Some((fields.get(3)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

/// Ends the processes of a session that began with this mark, or later in the same boot.
fn end_session(session: u32, mark: &str) -> usize {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let Some(started) = mark
        .split_once(' ')
        .filter(|(marked, _)| *marked == boot.trim())
        .and_then(|(_, started)| started.parse::<u64>().ok())
    else {
        return 0;
    };
    // The number may be another session's by now: then its leader is there and began at another moment.
    if session_and_start(session).is_some_and(|(_, leader)| leader != started) {
        return 0;
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_session = |pid: u32| session_and_start(pid).is_some_and(|(own, began)| own == session && began >= started);
    numbers.filter(|pid| of_session(*pid) && end(*pid, session)).count()
}

fn descriptor(pid: u32) -> Option<OwnedFd> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    pidfd_open(number, PidfdFlags::empty()).ok()
}

/// SIGKILL, once it is sure that the descriptor is of the process that was looked at.
fn end(pid: u32, session: u32) -> bool {
    let Some(descriptor) = descriptor(pid) else {
        return false;
    };
    session_and_start(pid).is_some_and(|(own, _)| own == session)
        && pidfd_send_signal(&descriptor, Signal::KILL).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::Command;

    use super::*;

    #[test]
    fn what_was_left_is_ended_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let orphans = Orphans::open(folder.path()).unwrap();
        // setsid(1) makes a session; `exec` keeps the number.
        let mut left = Command::new("setsid").args(["--wait", "sleep", "1000"]).process_group(0).spawn().unwrap();
        let child = loop {
            let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", left.id())).unwrap_or_default();
            if let Some(child) = children.split_whitespace().next().and_then(|child| child.parse::<u32>().ok())
                && session_and_start(child).is_some_and(|(session, _)| session == child)
            {
                break child;
            }
            std::thread::yield_now();
        };
        orphans.begins(child).unwrap();
        assert_eq!(Orphans::open(folder.path()).unwrap().end_all(), 1);
        let status = left.wait().unwrap();
        assert!(!status.success() || status.signal().is_some(), "{status}");
        assert_eq!(orphans.end_all(), 0);
    }

    #[test]
    fn a_number_that_is_another_process_by_now_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let orphans = Orphans::open(folder.path()).unwrap();
        let own = std::process::id();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        for mark in [format!("{} 1", boot.trim()), "another-boot 1".into(), String::new()] {
            fs::write(folder.path().join(NAME).join(own.to_string()), mark).unwrap();
            assert_eq!(orphans.end_all(), 0);
        }
    }
}
