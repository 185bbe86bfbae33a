//! What this machine can put up. Looking is cheap and optimistic, for every start; trying is done by `wjob info`
//! and `wjob audit` in a child. A wall that was expected and then fails still refuses the start.

use std::fs;

use wjob_model::wall::{CompileBounds, LANDLOCK_LEAST, Machine, MountPlan, WALLS, Wall, compile_plan};

use crate::{cgroup, confine, mount, namespaces};

/// Looks, without trying.
pub fn look() -> Machine {
    let uid = rustix::process::geteuid().as_raw();
    Machine {
        landlock_abi: landlock_abi(),
        seccomp: seccomp(),
        namespaces: namespaces(uid),
        cgroup: cgroup::look(),
        mappings: mappings(),
        ..Machine::able(uid)
    }
}

/// Landlock's ABI, 0 when the kernel has none (landlock_create_ruleset(2), LANDLOCK_CREATE_RULESET_VERSION).
fn landlock_abi() -> u32 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the call takes no pointer and only returns a number.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, VERSION) };
    u32::try_from(abi).unwrap_or(0)
}

/// Whether filters can be installed: the action that ends a process is known to the kernel.
fn seccomp() -> bool {
    const SECCOMP_GET_ACTION_AVAIL: u32 = 2;
    let action: u32 = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the third argument points at a u32 that outlives the call, which only reads it.
    unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0u32, &raw const action) == 0 }
}

/// The setting of the whole machine; without /proc it is not known.
fn mappings() -> Option<u64> {
    fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()
}

/// Settings that keep an ordinary user from having a user namespace.
const REFUSALS: &[(&str, &str)] = &[
    ("/proc/sys/user/max_user_namespaces", "0"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
];

/// The same for another user, which a process of root's is to become: what root may have is not always an ordinary
/// user's.
pub fn for_user(machine: &Machine, uid: u32) -> Machine {
    let namespaces = match machine.namespaces {
        Ok(()) => namespaces(uid),
        Err(_) => machine.namespaces.clone(),
    };
    Machine { uid, namespaces, ..machine.clone() }
}

fn namespaces(uid: u32) -> Result<(), String> {
    if uid == 0 {
        return Ok(());
    }
    for (setting, refusing) in REFUSALS {
        let value = fs::read_to_string(setting).unwrap_or_default();
        if value.trim() == *refusing {
            return Err(format!("{setting} is {refusing}: no user namespaces for ordinary users"));
        }
    }
    Ok(())
}

/// Tries each wall in a child of its own, for those who have one thread: `wjob info` and `wjob audit`.
pub fn try_walls(machine: &Machine) -> Vec<(Wall, Result<(), String>)> {
    WALLS.iter().map(|row| (row.wall, in_child(|| try_wall(row.wall, machine)))).collect()
}

fn try_wall(wall: Wall, machine: &Machine) -> Result<(), String> {
    let mut plan = compile_plan(machine, CompileBounds::default());
    plan.user_namespace = machine.uid != 0;
    match wall {
        Wall::User => return Ok(()),
        // Making one would move this process out of its own.
        Wall::Cgroup => return machine.cgroup.clone().map(drop),
        Wall::Mount | Wall::Processes | Wall::Network => {
            machine.namespaces.clone()?;
            plan.mount = Some(MountPlan::default());
            plan.processes = wall == Wall::Processes;
            plan.network_namespace = wall == Wall::Network;
            namespaces::enter(&plan).map_err(|error| error.to_string())?;
            if wall == Wall::Mount {
                mount::put_up(&MountPlan::default(), &[], None).map_err(|error| error.to_string())?;
            }
            return Ok(());
        }
        Wall::Landlock if machine.landlock_abi < LANDLOCK_LEAST => {
            return Err(format!("the kernel has ABI {}, {LANDLOCK_LEAST} is needed", machine.landlock_abi));
        }
        Wall::Seccomp if !machine.seccomp => return Err("the kernel has no filters".into()),
        Wall::Landlock => plan.seccomp = false,
        Wall::Seccomp => plan.landlock_abi = 0,
        Wall::Limits | Wall::NoNewPrivileges | Wall::Capabilities => {}
    }
    confine(&plan, &[]).map_err(|error| error.to_string())
}

/// Runs `attempt` in a child and takes its answer.
fn in_child(attempt: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let (read, write) = rustix::pipe::pipe().map_err(|error| error.to_string())?;
    // SAFETY: the callers of `try_walls` have one thread, so the child may do anything its parent could; it ends
    // without running what its parent registered for its own end.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error().to_string()),
        0 => {
            let answer = attempt().err().unwrap_or_default();
            let _ = rustix::io::write(&write, answer.as_bytes());
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(i32::from(!answer.is_empty())) }
        }
        child => {
            drop(write);
            let answer = std::io::read_to_string(std::fs::File::from(read)).unwrap_or_default();
            let waited =
                rustix::process::waitpid(rustix::process::Pid::from_raw(child), rustix::process::WaitOptions::empty());
            match waited {
                Ok(Some((_, status))) if status.exit_status() == Some(0) => Ok(()),
                _ if answer.is_empty() => Err("the attempt was ended by the kernel".into()),
                _ => Err(answer),
            }
        }
    }
}
