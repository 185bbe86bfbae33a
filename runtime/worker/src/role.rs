//! What every role has and does: its channel, its descriptors, and how it opens, refuses and reports.
//! Which role is played is `start`'s decision.

use std::os::fd::OwnedFd;

use wjob_model::message::{Fault, FromWorker, INLINE_BYTES, Run, StartFailure, TEXT_BYTES, ToWorker};
use wjob_model::wall::Wall;
use wjob_sandbox::channel::Channel;
use wjob_sandbox::grants::{self, Opened};
use wjob_sandbox::root::Root;

/// What a worker has once it knows its role.
pub(crate) struct Started {
    /// The way to the supervisor.
    pub channel: Channel,
    /// Descriptors that came with the role, in its order.
    pub descriptors: Vec<OwnedFd>,
}

/// Tells the supervisor why the role could not begin.
pub(crate) fn report(channel: &Channel, failure: StartFailure) {
    // Without a supervisor there is nobody to tell, and the parent-death signal is on its way.
    let failure = StartFailure {
        what: bounded(failure.what),
        why: bounded(failure.why),
        advice: bounded(failure.advice),
        ..failure
    };
    let _ = channel.send(&FromWorker::Failed(failure), &[]);
}

/// The supervisor has read the walls back.
pub(crate) fn told_to_go(channel: &Channel) -> bool {
    matches!(channel.receive::<ToWorker>(INLINE_BYTES), Ok(Some(ToWorker::Go)))
}

/// Namespaces that the kernel refuses, which only trying can tell. What comes with them and is refused is another wall's;
/// and where there are just too many of them somebody may have seen to that, so that nothing is done without them.
pub(crate) fn no_namespaces(error: &wjob_sandbox::WallError) -> StartFailure {
    match error.wall {
        Wall::Mount | Wall::Processes | Wall::Network if !error.is_exhaustion => {
            StartFailure { fault: Fault::Namespaces(error.wall), ..wall(error) }
        }
        _ => wall(error),
    }
}

/// A wall that could not be put up, as a failure of the start.
pub(crate) fn wall(error: &wjob_sandbox::WallError) -> StartFailure {
    StartFailure::refused(error.wall, format!("{}: {}", error.doing, error.why))
}

pub(crate) fn set_umask(run: &Run) {
    if let Some(umask) = run.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    }
}

/// The root that the job takes for its own, if that is another one; for a native program with everything in it that
/// its view is put together on.
pub(crate) fn open_root(run: &Run) -> Result<Option<Root>, StartFailure> {
    let Some(path) = &run.root else {
        return Ok(None);
    };
    let refuse = |why: String, advice: &str| StartFailure::job(format!("RootDirectory {path}"), why, advice);
    let reach = "make it, or give the job's user the right to reach it";
    let root = grants::open_root(path, &run.own).map_err(|error| refuse(error.why, reach))?;
    let shown = run.walls.mount.as_ref().filter(|plan| plan.root.is_some());
    match shown.and_then(|plan| root.lacks(plan)) {
        None => Ok(Some(root)),
        Some((point, error)) => {
            let make = "make it there, a folder, or an empty file for a device: the root is shown read-only";
            Err(refuse(format!("nothing can be shown at {point} in it: {error}"), make))
        }
    }
}

pub(crate) fn open_grants(run: &Run, root: Option<&Root>) -> Result<Vec<Opened>, StartFailure> {
    grants::open(&run.paths, &run.own, root).map_err(|error| {
        let advice = "make it, or give the job's user the right to reach it";
        StartFailure::job(format!("granted path {}", error.path), error.why, advice)
    })
}

/// A text short enough for a message.
pub(crate) fn bounded(mut text: String) -> String {
    let end = (0..=TEXT_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
}
