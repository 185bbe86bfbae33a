//! Gives a job its three standard descriptors, as the job's user, before the walls; how a path is judged and opened is
//! the sandbox's.

use std::os::fd::OwnedFd;

use wjob_model::message::{OwnFolder, StartFailure, Stdio};
use wjob_sandbox::root::Root;
use wjob_sandbox::stdio::{self, Direction};

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
    let way = if index == 0 { Direction::In } else { Direction::Out };
    stdio::open(path, way, own, root).map_err(|why| {
        let advice = "make the folder, or give the job's user the right to it; a FIFO needs its reader first";
        StartFailure::job(format!("{} {path}", KEYS[index]), why, advice)
    })
}
