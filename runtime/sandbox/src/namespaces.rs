//! The namespaces a plan asks for, entered by the worker before it opens anything: a mount made visible by a
//! descriptor of another mount namespace could not be bound. What is shown in them is `mount`'s business.

use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;
use wjob_model::wall::{Wall, WallPlan};

use crate::{Doing, WallError, capabilities};

/// What the kernel answers when too many are in use (unshare(2), namespaces(7)).
const EXHAUSTED: [Errno; 4] = [Errno::AGAIN, Errno::NOMEM, Errno::NOSPC, Errno::USERS];

/// Enters the namespaces of the plan; the caller must be single-threaded.
///
/// # Errors
/// When the kernel refuses one, naming the wall it was for.
pub fn enter(plan: &WallPlan) -> Result<(), WallError> {
    if plan.mount.is_none() {
        return Ok(());
    }
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    for (wall, flags) in flags(plan).into_iter().filter(|(_, flags)| !flags.is_empty()) {
        // SAFETY: no flag touches descriptors or memory that safe code relies on: CLONE_FILES is not among them.
        unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(|error| WallError {
            is_exhaustion: EXHAUSTED.contains(&error),
            ..WallError::new(wall, "unshare", error)
        })?;
    }
    if plan.user_namespace {
        map_self(user, group)?;
        return capabilities::no_override();
    }
    // The right to mount was left to a user who is to open what the job names without it.
    if user == 0 { Ok(()) } else { capabilities::set_aside() }
}

/// What each wall takes, in the order in which it is entered: a user namespace gives the right to the others.
fn flags(plan: &WallPlan) -> [(Wall, UnshareFlags); 3] {
    let empty = UnshareFlags::empty();
    let mut view = UnshareFlags::NEWNS;
    view.set(UnshareFlags::NEWUSER, plan.user_namespace);
    // A guest's worker may make no call that the others of these would part; see `syscalls`.
    let mut table = UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    // Where it is among the machine's groups, by whose label, is nothing that a program has to read in its /proc.
    table.set(UnshareFlags::NEWCGROUP, plan.cgroup.is_some());
    [
        (Wall::Mount, view),
        (Wall::Processes, if plan.processes { table } else { empty }),
        (Wall::Network, if plan.network_namespace { UnshareFlags::NEWNET } else { empty }),
    ]
}

/// Maps the user and group to themselves and nobody else (user_namespaces(7)); setgroups must be denied first.
fn map_self(user: u32, group: u32) -> Result<(), WallError> {
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{user} {user} 1")),
        ("/proc/self/gid_map", format!("{group} {group} 1")),
    ] {
        std::fs::write(file, text).doing(Wall::Mount, file)?;
    }
    Ok(())
}
