//! No capability is held, can be regained or can be gained by executing a program.
//! The user itself is set before exec, by whoever makes the process.

use rustix::process::DumpableBehavior;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};
use wjob_model::wall::Wall;

use crate::{Doing, WallError};

/// Sets no_new_privs (prctl(2), PR_SET_NO_NEW_PRIVS); it cannot be unset.
///
/// # Errors
/// When the kernel refuses, which none does that wjob runs on.
pub fn no_new_privileges() -> Result<(), WallError> {
    rustix::thread::set_no_new_privs(true).doing(Wall::NoNewPrivileges, "PR_SET_NO_NEW_PRIVS")
}

/// A worker holds other jobs' authority in memory as little as its own: no core files, no tracer of the same user.
/// A native program becomes dumpable again by its exec, as everywhere.
pub(crate) fn never_dumpable() -> Result<(), WallError> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).doing(Wall::Capabilities, "PR_SET_DUMPABLE")
}

/// Empties every capability set: bounding first, which needs CAP_SETPCAP, then ambient, then the rest; a user
/// namespace of one's own had given all of them (user_namespaces(7)), or a supervisor some.
///
/// # Errors
/// When the kernel refuses; the process must end, since it may still hold some.
pub fn drop_all() -> Result<(), WallError> {
    take_up()?;
    lock_secure_bits()?;
    drop_bounding()?;
    rustix::thread::clear_ambient_capability_set().doing(Wall::Capabilities, "PR_CAP_AMBIENT_CLEAR_ALL")?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).doing(Wall::Capabilities, "capset")
}

/// What root leaves a worker that is to see its peers' users, and so has no user namespace: the right to mount, and that
/// to give up for good whatever could come back.
const TO_MOUNT: CapabilitySet = CapabilitySet::SYS_ADMIN.union(CapabilitySet::SETPCAP);

/// Has what is held outlast the next change of user, for [`leave_to_mount`]; an exec ends it in any case. A system call
/// and nothing else, so that it may be called between fork and exec.
///
/// # Errors
/// When the kernel refuses.
pub fn keep_through_change_of_user() -> rustix::io::Result<()> {
    rustix::thread::set_keep_capabilities(true)
}

/// Leaves a process of root's that has become an ordinary user the right to mount, through its next exec (capabilities(7),
/// "Ambient capability set"), and no other. System calls and nothing else, so that it may be called between fork and exec.
///
/// # Errors
/// When the caller has not got it: after the exec nothing is held then.
pub fn leave_to_mount() -> rustix::io::Result<()> {
    let sets = CapabilitySets { effective: CapabilitySet::empty(), permitted: TO_MOUNT, inheritable: TO_MOUNT };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)?;
    rustix::thread::configure_capability_in_ambient_set(CapabilitySet::SETPCAP, true)
}

/// What is held has no effect until it is taken up again: what is opened for the job is opened by its user's rights alone.
pub(crate) fn set_aside() -> Result<(), WallError> {
    have_effect(|held| CapabilitySets { effective: CapabilitySet::empty(), ..held }, "set capabilities aside")
}

/// What is held has effect; whoever has set nothing aside, or holds nothing, is left as he is.
pub(crate) fn take_up() -> Result<(), WallError> {
    have_effect(|held| CapabilitySets { effective: held.permitted, ..held }, "take capabilities up")
}

fn have_effect(change: impl FnOnce(CapabilitySets) -> CapabilitySets, doing: &str) -> Result<(), WallError> {
    let held = rustix::thread::capabilities(None).doing(Wall::Capabilities, doing)?;
    let wanted = change(held);
    if wanted == held {
        return Ok(());
    }
    rustix::thread::set_capabilities(None, wanted).doing(Wall::Capabilities, doing)
}

/// A user namespace of one's own gives power over the modes of one's own files, which the job's user does not have:
/// what is opened for the job from here on is opened as that user would (capabilities(7), CAP_DAC_OVERRIDE).
pub(crate) fn no_override() -> Result<(), WallError> {
    let doing = "give up power over file modes";
    let mut held = rustix::thread::capabilities(None).doing(Wall::Capabilities, doing)?;
    let over = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    held.effective.remove(over);
    held.permitted.remove(over);
    rustix::thread::set_capabilities(None, held).doing(Wall::Capabilities, doing)
}

/// uid 0 gains nothing by exec (SECBIT_NOROOT and its lock, capabilities(7)); needs CAP_SETPCAP, which only a
/// root caller or an own user namespace has. Without it there is nothing to gain either: no_new_privs holds.
fn lock_secure_bits() -> Result<(), WallError> {
    if !may_set()? {
        return Ok(());
    }
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    rustix::thread::set_capabilities_secure_bits(bits).doing(Wall::Capabilities, "PR_SET_SECUREBITS")
}

fn drop_bounding() -> Result<(), WallError> {
    if !may_set()? {
        return Ok(());
    }
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        // EINVAL: past the last capability this kernel knows.
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Err(rustix::io::Errno::INVAL) => break,
            result => result.doing(Wall::Capabilities, "PR_CAPBSET_DROP")?,
        }
    }
    Ok(())
}

/// Whether a process of uid 0 has capabilities after an exec from here (capabilities(7), SECBIT_NOROOT).
pub(crate) fn root_gains_by_exec() -> bool {
    rustix::thread::capabilities_secure_bits().is_ok_and(|bits| !bits.contains(CapabilitiesSecureBits::NO_ROOT))
}

fn may_set() -> Result<bool, WallError> {
    let held = rustix::thread::capabilities(None).doing(Wall::Capabilities, "capget")?;
    Ok(held.effective.contains(CapabilitySet::SETPCAP))
}
