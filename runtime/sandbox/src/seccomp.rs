//! Installs the system call list of a plan on the calling process. What is in it is `syscalls`' business.

use libc::sock_fprog;
use wjob_model::wall::{Wall, WallPlan};

use crate::filter::compile;
use crate::syscalls::{NEWEST, rules};
use crate::{Doing, WallError};

/// Installs the filter on every thread of the process; no_new_privs must be set before.
///
/// # Errors
/// When the kernel refuses it.
pub fn install(plan: &WallPlan) -> Result<(), WallError> {
    if !plan.seccomp {
        return Ok(());
    }
    let (rules, default) = rules(plan.kind, &plan.network);
    let mut program = compile(&rules, default, NEWEST);
    let length = u16::try_from(program.len()).doing(Wall::Seccomp, "the filter is too long")?;
    let program = sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: the program points at `length` statements that outlive the call; the kernel checks and copies them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()).doing(Wall::Seccomp, "install"),
    }
}
