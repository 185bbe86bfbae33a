//! Whether a caller is a job's process or descends from one: then it has that job's Control grant and nothing more,
//! whatever its user. A job's worker leads a session, so a process that lost its parents still belongs to it.

use std::fs;

/// The farthest ancestor looked at.
const FARTHEST: usize = 64;

/// Whom a process belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// A worker, by its process.
    Worker(u32),
    /// No job.
    Nobody,
    /// It cannot be told, or only a job can be meant: it has lost its parents to the supervisor itself, or is the
    /// supervisor, which calls itself for nobody but who has it do so.
    Unknown,
}

/// The worker among these that a process belongs to; `own` is the supervisor, which adopts what its jobs leave.
pub fn of(pid: i32, own: u32, is_worker: impl Fn(u32) -> bool) -> Belongs {
    let Some(mut pid) = u32::try_from(pid).ok().filter(|pid| *pid > 0) else {
        return Belongs::Unknown;
    };
    if pid == own {
        return Belongs::Unknown;
    }
    for _ in 0..FARTHEST {
        if is_worker(pid) {
            return Belongs::Worker(pid);
        }
        let Some((parent, session)) = parent_and_session(pid) else {
            return Belongs::Unknown;
        };
        match parent {
            _ if is_worker(session) => return Belongs::Worker(session),
            _ if parent == own => return Belongs::Unknown,
            0 | 1 => return Belongs::Nobody,
            _ => pid = parent,
        }
    }
    Belongs::Unknown
}

/// Fields 4 and 6 of proc_pid_stat(5).
fn parent_and_session(pid: u32) -> Option<(u32, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let parent = fields.nth(1)?.parse().ok()?;
    Some((parent, fields.nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_and_sessions_count_and_what_cannot_be_told_is_said() {
        let me = std::process::id();
        let own = i32::try_from(me).unwrap();
        let (parent, session) = parent_and_session(me).unwrap();
        assert_eq!(of(own, 0, |pid| pid == parent), Belongs::Worker(parent));
        assert_eq!(of(own, 0, |pid| pid == me), Belongs::Worker(me));
        assert!(session == 0 || of(own, 0, |pid| pid == session) == Belongs::Worker(session));
        assert_eq!(of(own, u32::MAX, |_| false), Belongs::Nobody);
        assert_eq!(of(own, parent, |_| false), Belongs::Unknown, "the supervisor's own child that is no worker");
        assert_eq!(of(own, me, |_| false), Belongs::Unknown, "the supervisor itself");
        for nobody in [-1, 0, i32::MAX] {
            assert_eq!(of(nobody, 0, |_| false), Belongs::Unknown, "{nobody}");
        }
    }
}
