//! Paths that were used, as the least grants that would do: whole folders where something was listed, made or removed
//! in them, single files elsewhere, and a folder in the place of three or more that lie in it. What is granted can be
//! loaded and started: where two grants would contradict each other, the one that allows more takes the place of both.

use std::collections::{BTreeMap, BTreeSet};

use super::{Need, folder};
use crate::grant::{Access, PathGrant};
use crate::spec::lies_in;

/// So many in one folder are granted as the folder.
const SEVERAL: usize = 3;

/// Places in the job's view, and whether something is changed there.
type Places<'a> = BTreeMap<&'a str, bool>;

/// What is wanted.
struct Wanted<'a> {
    roots: &'a [PathGrant],
    folders: Places<'a>,
    files: Places<'a>,
}

/// The least grants for what was done with paths below `roots`; a job that begins in `directory` needs that too.
pub(super) fn least<'a>(
    deeds: impl Iterator<Item = (&'a str, Need)>,
    roots: &'a [PathGrant],
    directory: Option<&'a str>,
) -> Vec<PathGrant> {
    let mut wanted = Wanted { roots, folders: Places::new(), files: Places::new() };
    let mut looks = BTreeSet::new();
    for (path, need) in deeds.chain(directory.map(|path| (path, Need::List))) {
        if need == Need::Look {
            looks.insert(path);
        } else {
            wanted.take(path, need);
        }
    }
    // The deepest first: a look at a folder is let go where something in it is granted.
    looks.into_iter().rev().for_each(|path| wanted.look(path));
    wanted.settle();
    wanted.grants()
}

impl<'a> Wanted<'a> {
    fn root(&self, path: &str) -> Option<&'a PathGrant> {
        self.roots.iter().filter(|root| lies_in(path, &root.guest)).max_by_key(|root| root.guest.len())
    }

    fn is_root(&self, path: &str) -> bool {
        self.roots.iter().any(|root| root.guest == path)
    }

    fn take(&mut self, path: &'a str, need: Need) {
        let Some(root) = self.root(path) else {
            return;
        };
        match need {
            Need::Look => {}
            Need::Read => raise(&mut self.files, path, false),
            Need::Change => raise(&mut self.files, path, true),
            Need::List => raise(&mut self.folders, path, false),
            Need::Entry => raise(&mut self.folders, folder(path, &root.guest), true),
        }
    }

    fn look(&mut self, path: &'a str) {
        let mut places = self.files.keys().chain(self.folders.keys());
        if !self.is_root(path) && !places.any(|place| lies_in(place, path)) {
            self.take(path, Need::Read);
        }
    }

    fn settle(&mut self) {
        self.prune();
        self.agree();
        while let Some((folder, changes)) = self.several() {
            raise(&mut self.folders, folder, changes);
            self.prune();
            self.agree();
        }
    }

    /// Leaves out what a folder allows that is granted anyway.
    fn prune(&mut self) {
        // One that was listed and whose times were set is both; the folder takes the change.
        let both = self.files.iter().filter(|(path, changes)| **changes && self.folders.contains_key(*path));
        let both: Vec<&'a str> = both.map(|(path, _)| *path).collect();
        both.into_iter().for_each(|path| raise(&mut self.folders, path, true));
        let folders = self.folders.clone();
        self.folders.retain(|path, changes| !is_allowed(&folders, path, *changes, false));
        self.files.retain(|path, changes| !is_allowed(&folders, path, *changes, true));
    }

    /// The files of one folder share a preopen, and so its access; so do they with the folder, if that is granted.
    fn agree(&mut self) {
        let files: Vec<(&'a str, bool, Option<&'a str>)> =
            self.files.iter().map(|(path, changes)| (*path, *changes, self.folder(path))).collect();
        let changed = files.iter().filter(|(_, changes, _)| *changes).filter_map(|(_, _, folder)| *folder);
        let changed: BTreeSet<&'a str> = changed.collect();
        for (path, _, folder) in files {
            if folder.is_some_and(|folder| changed.contains(folder)) {
                raise(&mut self.files, path, true);
            }
        }
        for folder in changed {
            if let Some(changes) = self.folders.get_mut(folder) {
                *changes = true;
            }
        }
        self.prune();
    }

    fn folder(&self, path: &'a str) -> Option<&'a str> {
        let root = self.root(path)?;
        (path != root.guest).then(|| folder(path, &root.guest))
    }

    /// A folder in which several places with the same access are wanted. Folders never make the whole root one: that is
    /// where the job was let loose, not what it needs.
    fn several(&self) -> Option<(&'a str, bool)> {
        let files = self.files.iter().map(|(path, changes)| (*path, *changes, true));
        let folders = self.folders.iter().map(|(path, changes)| (*path, *changes, false));
        let mut counts: BTreeMap<(&str, bool), usize> = BTreeMap::new();
        for (path, changes, file) in files.chain(folders) {
            let folder = self.folder(path).filter(|folder| file || !self.is_root(folder));
            if let Some(folder) = folder {
                *counts.entry((folder, changes)).or_default() += 1;
            }
        }
        counts.into_iter().find(|(_, count)| *count >= SEVERAL).map(|(found, _)| found)
    }

    fn grants(&self) -> Vec<PathGrant> {
        let all: Places<'_> = self.folders.iter().chain(&self.files).map(|(path, changes)| (*path, *changes)).collect();
        all.into_iter().filter_map(|(path, changes)| self.grant(path, changes)).collect()
    }

    fn grant(&self, path: &str, changes: bool) -> Option<PathGrant> {
        let root = self.root(path)?;
        let below = path.strip_prefix(root.guest.as_str())?.trim_start_matches('/');
        let host = match below {
            "" => root.host.clone(),
            below => format!("{}/{below}", root.host.trim_end_matches('/')),
        };
        let access = if changes { Access::ReadWrite } else { Access::ReadOnly };
        Some(PathGrant { host, guest: path.to_owned(), access })
    }
}

/// Whether the grant of a folder, its own or another's, allows what is wanted of a path.
fn is_allowed(folders: &Places<'_>, path: &str, changes: bool, own: bool) -> bool {
    let allows =
        |(folder, all): (&&str, &bool)| (own || *folder != path) && lies_in(path, folder) && (*all || !changes);
    folders.iter().any(allows)
}

fn raise<'a>(places: &mut Places<'a>, path: &'a str, changes: bool) {
    *places.entry(path).or_default() |= changes;
}
