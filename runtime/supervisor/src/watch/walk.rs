//! Walks from `/` to a watched path, one name at a time, and leaves a watch on every folder it passes: what makes
//! the path exist, vanish or mean another file happens in one of these. It opens nothing for reading but a
//! directory whose entries are asked for.
//!
//! Each folder is watched before a name is looked up in it, and the last inode before its state is taken: whatever
//! changes after the look is reported by a watch.
//!
//! A mount that may not be entered ends the way: nothing is there, as far as this user can reach. Its name is watched in
//! the folder above, and its root is not: whoever answers for it would be asked whether this user may watch it.
//!
//! A link is followed if it and its folder belong to root or to this process's user. Through anybody else's he could have
//! root look where he may not look himself: such a link is what is watched, and not what it leads to.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Dir, Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::kernel::{Kernel, Shortage, Watch};
use crate::mounts::{Closed, Mounts, NotOpened};

/// As many symbolic links as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// Names looked up on one way; a longer one counts as leading nowhere.
const MOST_NAMES: usize = 1024;

/// The watches of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trail {
    /// The folders on the way, each with the name that was looked up in it.
    pub(super) steps: Vec<Step>,
    /// The inode at the end, if there is one that may be watched.
    pub(super) end: Option<Watch>,
}

/// A folder on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    /// The folder's watch.
    pub(super) watch: Watch,
    /// The name looked up in it.
    pub(super) name: OsString,
    /// Whether it is the path's own name, or the last one of a link that is: not just a folder on the way.
    pub(super) last: bool,
}

impl Trail {
    /// All its watches; the same one may come twice.
    pub(super) fn watches(&self) -> impl Iterator<Item = Watch> {
        self.steps.iter().map(|step| step.watch).chain(self.end)
    }

    /// Drops the watches that `lost` is true of.
    pub(super) fn lose(&mut self, lost: impl Fn(Watch) -> bool) {
        self.steps.retain(|step| !lost(step.watch));
        self.end = self.end.filter(|watch| !lost(*watch));
    }
}

/// What a path was when it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Look {
    /// The state of what is there; `None` when nothing is, or nothing that this user can reach.
    pub(super) status: Option<Status>,
    /// Whether it is a directory with entries; false when that was not asked, or may not be read.
    pub(super) entries: bool,
}

/// An inode's state, as far as a change shows in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Status {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Status {
    fn of(status: &Metadata) -> Self {
        Self {
            device: status.dev(),
            inode: status.ino(),
            bytes: status.size(),
            modified: (status.mtime(), status.mtime_nsec()),
            changed: (status.ctime(), status.ctime_nsec()),
        }
    }
}

/// What a walk found.
#[derive(Debug)]
pub(super) struct Walk {
    /// The watches left on the way.
    pub(super) trail: Trail,
    /// What is at the end; `None` when it could not be looked at.
    pub(super) look: Option<Look>,
    /// Why a watch, or the look, is missing that the kernel would have allowed.
    pub(super) shortage: Option<Shortage>,
    /// The mount at which it ended, if one is not entered.
    pub(super) closed: Option<Closed>,
}

/// Walks to an absolute path; `list` asks whether a directory has entries. Without a `kernel` to put watches on it only
/// looks.
pub(super) fn walk(kernel: Option<&Kernel>, mounts: &mut Mounts, path: &Path, list: bool) -> Walk {
    let (trail, ahead) = (Trail::default(), Vec::new());
    let mut walker = Walker { kernel, mounts, trail, ahead, links: 0, shortage: None, closed: None };
    walker.expect(path);
    let look = walker.arrive(list);
    let shortage = look.err().or(walker.shortage);
    Walk { trail: walker.trail, look: look.ok(), shortage, closed: walker.closed }
}

struct Walker<'k> {
    kernel: Option<&'k Kernel>,
    mounts: &'k mut Mounts,
    trail: Trail,
    /// Names still to be looked up, the next one last.
    ahead: Vec<OsString>,
    links: usize,
    shortage: Option<Shortage>,
    closed: Option<Closed>,
}

impl Walker<'_> {
    fn expect(&mut self, path: &Path) {
        self.ahead.extend(path.components().rev().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        }));
    }

    fn arrive(&mut self, list: bool) -> Result<Look, Shortage> {
        let Some(end) = self.follow()? else { return Ok(Look::default()) };
        let Ok(before) = end.metadata() else { return Ok(Look::default()) };
        self.trail.end = self.watch(&end, before.is_dir());
        let status = end.metadata().ok().map(|status| Status::of(&status));
        let entries = list && before.is_dir() && has_entries(&end)?;
        Ok(Look { status, entries })
    }

    /// The inode at the end of the way, links followed.
    fn follow(&mut self) -> Result<Option<File>, Shortage> {
        let Some(mut here) = root()? else { return Ok(None) };
        for _ in 0..MOST_NAMES {
            let Some(name) = self.ahead.pop() else { return Ok(Some(here)) };
            self.leave_watch(&here, &name);
            let Some(next) = self.open(&here, &name)? else { return Ok(None) };
            let Some(target) = target_of(&next) else {
                here = next;
                continue;
            };
            if !(is_own(&next) && is_own(&here)) {
                return Ok(self.ahead.is_empty().then_some(next));
            }
            self.links += 1;
            if self.links > MOST_LINKS {
                return Ok(None);
            }
            if target.is_absolute() {
                let Some(root) = root()? else { return Ok(None) };
                here = root;
            }
            self.expect(&target);
        }
        Ok(None)
    }

    /// Opens a name as a mere place in the tree; `None` when there is nothing this user can reach.
    fn open(&mut self, folder: &File, name: &OsStr) -> Result<Option<File>, Shortage> {
        match self.mounts.open(folder, name) {
            Ok(place) => Ok(Some(place)),
            Err(NotOpened::System(error)) => reached(Err(error)),
            Err(NotOpened::Closed(closed)) => {
                self.closed = Some(closed);
                Ok(None)
            }
        }
    }

    fn leave_watch(&mut self, folder: &File, name: &OsStr) {
        // The parent has no entry `..` that could change.
        if name == ".." {
            return;
        }
        if let Some(watch) = self.watch(folder, true) {
            self.trail.steps.push(Step { watch, name: name.to_owned(), last: self.ahead.is_empty() });
        }
    }

    /// A folder that may be passed but not read cannot be watched; the way goes on.
    fn watch(&mut self, inode: &File, directory: bool) -> Option<Watch> {
        self.kernel?.watch(inode.as_fd(), directory).unwrap_or_else(|shortage| {
            self.shortage = Some(shortage);
            None
        })
    }
}

/// Where this program came out of: it is entered whatever it lies on.
fn root() -> Result<Option<File>, Shortage> {
    reached(openat(CWD, "/", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).map(File::from))
}

/// A place that was opened; `None` when there is nothing this user can reach.
fn reached(opened: Result<File, Errno>) -> Result<Option<File>, Shortage> {
    match opened {
        Ok(place) => Ok(Some(place)),
        Err(error) => Shortage::of(error).map_or(Ok(None), Err),
    }
}

/// Whether nobody but root and this process's user decides what it is.
fn is_own(file: &File) -> bool {
    let owners = [0, rustix::process::geteuid().as_raw()];
    file.metadata().is_ok_and(|status| owners.contains(&status.uid()))
}

/// Where a symbolic link points; `None` for anything else.
fn target_of(file: &File) -> Option<PathBuf> {
    if !file.metadata().ok()?.file_type().is_symlink() {
        return None;
    }
    let target = readlinkat(file, "", Vec::<u8>::new()).ok()?;
    Some(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

/// Whether a directory has any entry but `.` and `..`; one that cannot be read counts as empty (QueueDirectories).
fn has_entries(folder: &File) -> Result<bool, Shortage> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let entries = match openat(folder, ".", flags, Mode::empty()).and_then(Dir::new) {
        Ok(entries) => entries,
        Err(error) => return Shortage::of(error).map_or(Ok(false), Err),
    };
    Ok(entries.map_while(Result::ok).any(|entry| !matches!(entry.file_name().to_bytes(), b"." | b"..")))
}
