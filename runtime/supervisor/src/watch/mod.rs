//! Watches paths for the jobs that name them: WatchPaths, QueueDirectories, KeepAlive's PathState, and programs that
//! are missing. It says what it saw and starts nothing.
//!
//! Every folder on the way from `/` to a path is watched, links included, so that nothing is lost while the path
//! does not exist, is replaced, or has a folder above it renamed; after each event on the way the path is walked
//! anew. Changes inside sub-directories are not reported. What inotify cannot see stays unseen: mounts over a folder
//! on the way, changes that other machines make on a network file system, and folders that this user may pass but
//! not read.
//!
//! A path in a mount that is not entered, because another user's process or a server answers for it (`crate::mounts`),
//! counts as one that cannot be looked at until mounts are others.

mod kernel;
mod place;
mod saved;
mod table;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::ReadFlags;
use serde::{Deserialize, Serialize};

use kernel::{Kernel, MOST_WATCHES, Shortage};
use place::Place;
use table::{Attention, Id, Table};
use walk::{Look, Trail, Walk, walk};

use crate::mounts::{Closed, Mounts};

pub use saved::SavedWatcher;

/// Longest path, bytes without the NUL (PATH_MAX).
const MOST_PATH_BYTES: usize = 4095;

/// What somebody wants to know of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Want {
    /// Any change (WatchPaths): written, attributes set, replaced, renamed, made or deleted; in a directory, an
    /// entry made, renamed or deleted. The first fact is not reported.
    Change,
    /// Whether a directory has entries (QueueDirectories), at once and whenever that turns.
    Queue,
    /// Whether something is there, links followed (PathState), at once and whenever that turns.
    Existence,
    /// That something missing is there; at once, if it came between being missed and being watched.
    Appearance,
}

/// What was seen of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It changed.
    Changed,
    /// It exists from now on, or no longer does.
    Exists(bool),
    /// It is a directory that has entries from now on, or no longer is.
    Queue {
        /// Whether it has any entry but `.` and `..`; false for a directory that is missing or may not be read.
        entries: bool,
    },
}

/// One thing seen for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whoever asked, as given to [`Watcher::add`].
    pub token: u64,
    /// The path.
    pub path: PathBuf,
    /// What was seen.
    pub what: What,
}

/// All watched paths. Its descriptor is readable when [`Watcher::read`] has something to do, and that of the mounts has
/// an error then.
#[derive(Debug)]
pub struct Watcher {
    kernel: Kernel,
    mounts: Mounts,
    table: Table,
    places: BTreeMap<Id, Place>,
    /// By every byte of the path: as paths, `/a/b/` and `/a/b` would be one, and whoever asked for one be told of the
    /// other.
    ids: HashMap<OsString, Id>,
    tokens: HashMap<u64, BTreeSet<Id>>,
    /// Paths to be attended to by the next read.
    due: BTreeMap<Id, Attention>,
    /// Paths that lack a watch, and why; each read tries again.
    short: BTreeMap<Id, Shortage>,
    /// Paths in mounts that are not entered; they are tried again when mounts are others.
    closed: BTreeMap<Id, Closed>,
    /// Which of these nobody has been told of.
    news: BTreeSet<Id>,
    next: Id,
    /// Most watches, and most paths.
    most: usize,
}

impl Watcher {
    /// A watcher of nothing yet.
    ///
    /// # Errors
    /// When the kernel gives no inotify instance, or `/proc` is not mounted.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            kernel: Kernel::new()?,
            mounts: Mounts::new()?,
            table: Table::default(),
            places: BTreeMap::new(),
            ids: HashMap::new(),
            tokens: HashMap::new(),
            due: BTreeMap::new(),
            short: BTreeMap::new(),
            closed: BTreeMap::new(),
            news: BTreeSet::new(),
            next: 0,
            most: MOST_WATCHES,
        })
    }

    /// Watches an absolute path. What is to be reported at once comes with the next [`Watcher::read`], which must
    /// follow without waiting for the descriptor.
    ///
    /// # Errors
    /// When the path is relative, too long or has a NUL, or when watches, descriptors or memory have run out;
    /// the message says what to raise. Nothing is watched then that was not before.
    pub fn add(&mut self, token: u64, path: &Path, want: Want) -> io::Result<()> {
        check(path)?;
        let id = match self.ids.get(path.as_os_str()) {
            Some(id) => *id,
            None => self.begin(path)?,
        };
        if let Some(place) = self.places.get_mut(&id) {
            place.join(token, want);
        }
        self.tokens.entry(token).or_default().insert(id);
        // Entries may not have been listed before, so that a look is due and not the last one's result.
        heed(&mut self.due, id, if want == Want::Queue { Attention::Look } else { Attention::Tell });
        Ok(())
    }

    /// Whether something that can be looked at is at an absolute path now. It is not watched for that.
    pub fn is_there(&mut self, path: &Path) -> bool {
        if check(path).is_err() {
            return false;
        }
        let look = walk(None, &mut self.mounts, path, false).look;
        look.is_some_and(|look| look.status.is_some())
    }

    /// Ends all watches of a token.
    pub fn remove(&mut self, token: u64) {
        for id in self.tokens.remove(&token).unwrap_or_default() {
            if self.places.get_mut(&id).is_some_and(|place| !place.leave(token)) {
                self.end(id);
            }
        }
    }

    /// What was seen since the last call, each thing once for each user, however often it happened. It takes at
    /// most 1 MiB of events a call; the descriptor stays readable while there are more.
    pub fn read(&mut self) -> Vec<Seen> {
        for id in self.short.keys() {
            heed(&mut self.due, *id, Attention::Look);
        }
        if self.mounts.are_others() {
            self.closed.keys().for_each(|id| heed(&mut self.due, *id, Attention::Look));
        }
        self.drain();
        let mut seen = Vec::new();
        for (id, attention) in std::mem::take(&mut self.due) {
            let differs = attention > Attention::Tell && self.settle(id);
            if let Some(place) = self.places.get_mut(&id) {
                place.tell(differs || attention == Attention::Changed, &mut seen);
            }
        }
        seen
    }

    /// Why some path is not watched in full, if one is not: what ran out after it was added. It is tried again
    /// with every read, which wants to be called from time to time until this is `None`.
    pub fn shortage(&self) -> Option<String> {
        let (id, shortage) = self.short.first_key_value()?;
        self.places.get(id).map(|place| format!("{}: {shortage}", place.path.display()))
    }

    /// What is not seen of a token's paths for now, each with the reason.
    pub fn unseen(&self, token: u64) -> Vec<String> {
        let ids = self.tokens.get(&token).into_iter().flatten();
        ids.filter_map(|id| self.in_words(*id)).collect()
    }

    /// The same of all paths whose mounts were found closed since the last call.
    pub fn newly_unseen(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news).into_iter().filter_map(|id| self.in_words(id)).collect()
    }

    /// A descriptor with an error (EPOLLERR), once, when mounts are others; it is always readable.
    pub fn mounts(&self) -> BorrowedFd<'_> {
        self.mounts.bell()
    }

    /// Why a path is not seen.
    fn in_words(&self, id: Id) -> Option<String> {
        let path = self.places.get(&id)?.path.display();
        let closed = self.closed.get(&id).map(|closed| format!("{path} {closed}"));
        closed.or_else(|| self.short.get(&id).map(|shortage| format!("{path} is not watched in full: {shortage}")))
    }

    /// Notes the mount at which the way to a path ended, if one did not let it pass.
    fn note(&mut self, id: Id, closed: Option<Closed>) {
        let Some(closed) = closed else {
            self.closed.remove(&id);
            return;
        };
        if self.closed.get(&id) != Some(&closed) {
            self.news.insert(id);
            self.closed.insert(id, closed);
        }
    }

    fn drain(&mut self) {
        let (table, due) = (&mut self.table, &mut self.due);
        let mut overflow = false;
        self.kernel.drain(|watch, events, name| {
            overflow |= events.contains(ReadFlags::QUEUE_OVERFLOW);
            table.route(watch, events, name, &mut |id, attention| heed(due, id, attention));
        });
        if overflow {
            self.overflowed();
        }
    }

    /// The kernel dropped events: anything may have happened, and a start too many is better than one too few.
    fn overflowed(&mut self) {
        for id in self.places.keys() {
            heed(&mut self.due, *id, Attention::Changed);
        }
    }

    /// Starts to watch a path.
    fn begin(&mut self, path: &Path) -> io::Result<Id> {
        let mut walk = walk(Some(&self.kernel), &mut self.mounts, path, false);
        self.fit(&mut walk);
        if self.places.len() >= self.most {
            walk.shortage = Some(Shortage::Bound);
        }
        if let Some(shortage) = walk.shortage {
            self.give_back(&walk.trail);
            return Err(io::Error::new(shortage.kind(), format!("{}: {shortage}", path.display())));
        }
        let id = self.next;
        self.next += 1;
        self.table.join(id, &walk.trail);
        self.ids.insert(path.as_os_str().to_owned(), id);
        self.places.insert(id, Place::new(path, walk.trail, walk.look.unwrap_or_default()));
        self.note(id, walk.closed);
        Ok(id)
    }

    /// Walks to a path anew and moves its watches; whether another thing is there than before.
    fn settle(&mut self, id: Id) -> bool {
        let Some(place) = self.places.get(&id) else { return false };
        let mut walk = walk(Some(&self.kernel), &mut self.mounts, &place.path, place.lists());
        self.fit(&mut walk);
        self.note(id, walk.closed.take());
        match walk.shortage {
            Some(shortage) => self.short.insert(id, shortage),
            None => self.short.remove(&id),
        };
        // Without a look nothing is known: the old state and watches stay until one succeeds.
        let Some(look) = walk.look else {
            self.give_back(&walk.trail);
            return false;
        };
        self.move_to(id, look, walk.trail)
    }

    fn move_to(&mut self, id: Id, look: Look, trail: Trail) -> bool {
        let Some(place) = self.places.get_mut(&id) else { return false };
        let (changed, old) = place.look(look, trail);
        if old != place.trail {
            self.table.leave(id, &old);
            self.table.join(id, &place.trail);
            self.sweep(&old);
        }
        changed
    }

    fn end(&mut self, id: Id) {
        if let Some(place) = self.places.remove(&id) {
            self.ids.remove(place.path.as_os_str());
            self.table.leave(id, &place.trail);
            self.sweep(&place.trail);
        }
        self.due.remove(&id);
        self.short.remove(&id);
        self.closed.remove(&id);
        self.news.remove(&id);
    }

    fn sweep(&mut self, trail: &Trail) {
        for watch in self.table.sweep(trail) {
            self.kernel.unwatch(watch);
        }
    }

    /// Holds a walk to the bound of watches.
    fn fit(&self, walk: &mut Walk) {
        let fresh = self.table.fresh(&walk.trail);
        if self.table.len() + fresh.len() > self.most {
            self.give_back(&walk.trail);
            walk.trail.lose(|watch| fresh.contains(&watch));
            walk.shortage = Some(Shortage::Bound);
        }
    }

    /// Takes off those watches of a trail that no path has.
    fn give_back(&self, trail: &Trail) {
        for watch in self.table.fresh(trail) {
            self.kernel.unwatch(watch);
        }
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kernel.as_fd()
    }
}

fn heed(due: &mut BTreeMap<Id, Attention>, id: Id, attention: Attention) {
    let noted = due.entry(id).or_insert(attention);
    *noted = attention.max(*noted);
}

fn check(path: &Path) -> io::Result<()> {
    let bytes = path.as_os_str().as_bytes();
    let wrong = if !path.is_absolute() {
        "a relative path cannot be watched; write it from / on"
    } else if bytes.len() > MOST_PATH_BYTES {
        "a path of more than 4095 bytes cannot be watched; shorten it"
    } else if bytes.contains(&0) {
        "a path with a NUL cannot be watched; correct it"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {wrong}", path.display())))
}
