//! The kernel wall: puts up, around the calling process, what `model` planned, and reads it back.
//!
//! The order is law and is kept by the callers in `worker`: [`namespaces::enter`], open what the job names,
//! load code, [`mount::put_up`], then [`confine`]; a right to mount that is the machine's own is with another process
//! meanwhile ([`mounter`]). Nothing is decided here: a plan that cannot be carried out is an error, never a weaker wall.
//! All of it works on one thread, before any other is made.

#![deny(unsafe_op_in_unsafe_fn)]

pub mod capabilities;
pub mod cgroup;
pub mod channel;
mod filter;
pub mod grants;
pub mod handover;
pub mod landlock;
pub mod limits;
pub mod machine;
pub mod memory;
pub mod mount;
pub mod mounter;
pub mod namespaces;
pub mod peer;
pub mod probe;
pub mod readback;
pub mod root;
pub mod seccomp;
pub mod signals;
pub mod stdio;
pub mod syscalls;
mod whereabouts;

use thiserror::Error;
use wjob_model::wall::{Wall, WallPlan};

use grants::Opened;

/// A wall that could not be put up.
#[derive(Debug, Error)]
#[error("{}: {doing}: {why}", .wall.row().name)]
pub struct WallError {
    /// Which wall.
    pub wall: Wall,
    /// What was being done.
    pub doing: String,
    /// The system's answer.
    pub why: String,
    /// Whether the system has none left just now, rather than none at all.
    pub is_exhaustion: bool,
}

impl WallError {
    /// An error of a wall.
    pub fn new(wall: Wall, doing: impl Into<String>, why: impl ToString) -> Self {
        Self { wall, doing: doing.into(), why: why.to_string(), is_exhaustion: false }
    }
}

/// Names what a failed call was for.
pub(crate) trait Doing<T> {
    /// The error as a [`WallError`].
    fn doing(self, wall: Wall, doing: &str) -> Result<T, WallError>;
}

impl<T, E: ToString> Doing<T> for Result<T, E> {
    fn doing(self, wall: Wall, doing: &str) -> Result<T, WallError> {
        self.map_err(|error| WallError::new(wall, doing, error.to_string()))
    }
}

/// Puts up what remains once code is loaded and the view stands: limits, no_new_privs, capabilities,
/// landlock, seccomp. After it nothing can be opened, executed or connected but what the plan granted.
///
/// # Errors
/// Names the wall that refused; the process must end, since it may be half walled.
pub fn confine(plan: &WallPlan, opened: &[Opened]) -> Result<(), WallError> {
    limits::set(&plan.limits)?;
    if plan.is_unwalled() {
        return Ok(());
    }
    capabilities::never_dumpable()?;
    capabilities::no_new_privileges()?;
    capabilities::drop_all()?;
    landlock::restrict(plan, opened)?;
    seccomp::install(plan)
}
