//! Whether a caller is a job's process or descends from one: then it has that job's Control grant and nothing more,
//! whatever its user. A job's worker leads a session, so a process that lost its parents still belongs to it.

use std::fs;

/// The farthest ancestor looked at.
const FARTHEST: usize = 64;

/// The worker among these that a process belongs to.
pub fn worker_of(pid: i32, is_worker: impl Fn(u32) -> bool) -> Option<u32> {
    let mut pid = u32::try_from(pid).ok()?;
    for _ in 0..FARTHEST {
        if is_worker(pid) {
            return Some(pid);
        }
        let (parent, session) = parent_and_session(pid)?;
        if is_worker(session) {
            return Some(session);
        }
        if parent <= 1 {
            return None;
        }
        pid = parent;
    }
    None
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
    fn ancestors_and_sessions_count_and_strangers_do_not() {
        let own = i32::try_from(std::process::id()).unwrap();
        let (parent, session) = parent_and_session(std::process::id()).unwrap();
        assert_eq!(worker_of(own, |pid| pid == parent), Some(parent));
        assert_eq!(worker_of(own, |pid| pid == std::process::id()), Some(std::process::id()));
        assert!(session == 0 || worker_of(own, |pid| pid == session) == Some(session));
        assert_eq!(worker_of(own, |_| false), None);
        assert_eq!(worker_of(-1, |_| true), None);
    }
}
