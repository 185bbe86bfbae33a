//! Opens stdio paths as the job's user, before the walls: non-blocking, without magic links, so that neither a
//! FIFO nor a link of /proc can hold or misdirect the start. In another root nothing leads out of that.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl};
use wjob_model::message::{OwnFolder, StartFailure, Stdio};
use wjob_sandbox::grants::unfit_for_stdio;
use wjob_sandbox::root::{Root, open_on_host};

/// The three descriptors of the job; `inherited` are those that came with the start message.
///
/// # Errors
/// When a path cannot be opened: then the job is not run (launchd's 78).
pub(crate) fn stdio(
    wanted: &[Stdio; 3],
    inherited: &mut impl Iterator<Item = OwnedFd>,
    own: &[OwnFolder],
    root: Option<&Root>,
) -> Result<[OwnedFd; 3], StartFailure> {
    let mut one = |index: usize| match &wanted[index] {
        Stdio::Inherited => inherited.next().ok_or_else(|| StartFailure::own("stdio", "a descriptor is missing")),
        Stdio::Null => open(index, "/dev/null", own, None),
        Stdio::Path(path) => open(index, path, own, root),
    };
    Ok([one(0)?, one(1)?, one(2)?])
}

const KEYS: [&str; 3] = ["StandardInPath", "StandardOutPath", "StandardErrorPath"];

fn open(index: usize, path: &str, own: &[OwnFolder], root: Option<&Root>) -> Result<OwnedFd, StartFailure> {
    let refuse = |why: String| {
        let advice = "make the folder, or give the job's user the right to it; a FIFO needs its reader first";
        StartFailure::job(format!("{} {path}", KEYS[index]), why, advice)
    };
    let direction = if index == 0 { OFlags::RDONLY } else { OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE };
    let flags = direction | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mode = if index == 0 { Mode::empty() } else { Mode::from_raw_mode(0o666) };
    let descriptor = open_on_host(root, path, flags, mode).map_err(|error| refuse(error.to_string()))?;
    // A program that a descriptor of /proc was left to could write the memory of the process around its walls.
    if let Some(why) = unfit_for_stdio(&descriptor, own) {
        return Err(refuse(why));
    }
    // Non-blocking was for the opening; the job expects a plain descriptor.
    let flags = fcntl_getfl(&descriptor).map_err(|error| refuse(error.to_string()))?;
    fcntl_setfl(&descriptor, flags - OFlags::NONBLOCK).map_err(|error| refuse(error.to_string()))?;
    Ok(descriptor)
}
