//! The namespaces a plan asks for, entered by the worker before it opens anything: a mount made visible by a
//! descriptor of another mount namespace could not be bound. What is shown in them is `mount`'s business.

use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;
use wjob_model::wall::{Wall, WallPlan};

use crate::{Doing, WallError, capabilities};

/// Enters the namespaces of the plan; the caller must be single-threaded.
///
/// # Errors
/// When the kernel refuses one, naming the wall it was for.
pub fn enter(plan: &WallPlan) -> Result<(), WallError> {
    let flags = flags(plan);
    if flags.is_empty() {
        return Ok(());
    }
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    // SAFETY: no flag touches descriptors or memory that safe code relies on: CLONE_FILES is not among them.
    unsafe { rustix::thread::unshare_unsafe(flags) }.doing(Wall::Mount, "unshare")?;
    if plan.user_namespace {
        map_self(user, group)?;
        return capabilities::no_override();
    }
    // The right to mount was left to a user who is to open what the job names without it.
    if user == 0 { Ok(()) } else { capabilities::set_aside() }
}

fn flags(plan: &WallPlan) -> UnshareFlags {
    let mut flags = UnshareFlags::empty();
    if plan.mount.is_some() {
        flags |= UnshareFlags::NEWNS;
        flags.set(UnshareFlags::NEWUSER, plan.user_namespace);
        flags.set(UnshareFlags::NEWPID, plan.processes);
        // A guest's worker may make no call that these two would part; see `syscalls`.
        flags.set(UnshareFlags::NEWIPC | UnshareFlags::NEWUTS, plan.processes);
        flags.set(UnshareFlags::NEWNET, plan.network_namespace);
    }
    flags
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
