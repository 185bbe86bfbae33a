//! Opens a job file or a program if nobody but its owner and root can have put it there or can change it (launchd's
//! check of owner and mode, and the daemon guide's of every folder up to the root). It reads nothing of the file.
//!
//! Each name on the way is opened as a mere place, never following a link, and what was opened is checked; the file
//! is then opened for reading through the very descriptor that was checked. So nothing can be exchanged between
//! check and use. A write grant in an access list shows as a group's in the mode, and is refused with it.
//!
//! Nothing is asked of a mount for which another user's process answers, since it may never do. Servers and automounts are
//! root's to have, and programs do lie on them.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, open, openat, readlinkat};
use rustix::io::Errno;
use thiserror::Error;

use crate::mounts::{Closed, Mounts, NotOpened};

/// As many symbolic links as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// Group's and others' write permission.
const OTHERS_WRITE: u32 = 0o022;
/// In such a folder one's entries are safe from others.
const STICKY: u32 = 0o1000;

thread_local! {
    /// The mounts that this thread has met: a supervisor walks to thousands of files, and reads of each mount once.
    static MOUNTS: RefCell<Option<Mounts>> = const { RefCell::new(None) };
}

/// What a file is to be used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedKind {
    /// A job file: its name must end in `.plist`, in any letter case.
    JobFile,
    /// A job's program.
    Program,
    /// The supervisor's own configuration.
    Configuration,
}

/// Why a file is not trusted. The message says which component is to blame, what is wrong with it, what was
/// expected and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}: {wrong}; expected {expected}; {advice}", .component.display())]
pub struct Distrust {
    /// The file, folder or link to blame.
    pub component: PathBuf,
    /// The kind of fault.
    pub fault: Fault,
    /// What is wrong with it.
    pub wrong: String,
    /// What was expected.
    pub expected: String,
    /// What to do.
    pub advice: String,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The path is not absolute.
    Relative,
    /// A job file is not called `*.plist`.
    Name,
    /// Somebody else owns it.
    Owner,
    /// Others may write to it.
    Writable,
    /// It is not a regular file.
    Kind,
    /// Too many symbolic links.
    Links,
    /// It lies on a mount for which another user's process answers.
    Mount,
    /// It is not there.
    Missing,
    /// The system refused to open it for another reason.
    System,
}

/// Opens a file for reading, if it and every folder and link on the way to it belong to root or to `owner` and
/// nobody else may write to them. A sticky folder may be open to all, as `/tmp` is. For owner 0 only root counts.
///
/// The file's size is not looked at: whoever reads it bounds it.
///
/// # Errors
/// Names the component to blame.
pub fn open_trusted(path: &Path, owner: u32, kind: TrustedKind) -> Result<File, Distrust> {
    check_name(path, kind)?;
    let file = Way::from_the_top(owner)?.follow(path, Wanted::File)?;
    reopen(&file).map_err(|error| refused(path, error))
}

/// The same for a folder, opened as a place only.
///
/// # Errors
/// Names the component to blame.
pub fn open_trusted_folder(path: &Path, owner: u32) -> Result<File, Distrust> {
    Way::from_the_top(owner)?.follow(path, Wanted::Folder)
}

/// The same for a program inside another root, as chroot(2) would have it: an absolute link begins at that root, and
/// `..` does not lead out of it. The way to the root itself is held to the same rules.
///
/// # Errors
/// Names the component to blame.
pub fn open_trusted_below(root: &Path, path: &Path, owner: u32) -> Result<File, Distrust> {
    let folder = Way::from_the_top(owner)?.follow(root, Wanted::Folder)?;
    let file = Way::new(folder, root, owner).follow(path, Wanted::File)?;
    reopen(&file).map_err(|error| refused(&root.join(path), error))
}

fn check_name(path: &Path, kind: TrustedKind) -> Result<(), Distrust> {
    if !path.is_absolute() {
        let (wrong, expected) = ("a relative path", "an absolute one");
        return Err(distrust(path, Fault::Relative, wrong, expected, "write it from / on"));
    }
    let is_plist = path.extension().is_some_and(|end| end.as_bytes().eq_ignore_ascii_case(b"plist"));
    if kind == TrustedKind::JobFile && !is_plist {
        let (wrong, expected) = ("not the name of a job file", "a name that ends in .plist");
        return Err(distrust(path, Fault::Name, wrong, expected, "rename it"));
    }
    Ok(())
}

/// What is to be at the end of a way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    File,
    Folder,
}

/// The way to a file.
struct Way {
    owner: u32,
    /// Where absolute links begin, and its path.
    top: File,
    name: PathBuf,
    /// The folder reached, for messages.
    here: PathBuf,
    /// Names still to come, the next one last.
    ahead: Vec<OsString>,
    links: usize,
}

impl Way {
    fn new(top: File, name: &Path, owner: u32) -> Self {
        Self { owner, top, name: name.to_owned(), here: name.to_owned(), ahead: Vec::new(), links: 0 }
    }

    fn from_the_top(owner: u32) -> Result<Self, Distrust> {
        let name = Path::new("/");
        // Where this program came out of: it is entered whatever it lies on.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let top = openat(CWD, name, flags, Mode::empty()).map_err(|error| refused(name, error))?;
        Ok(Self::new(File::from(top), name, owner))
    }

    fn expect(&mut self, path: &Path) {
        self.ahead.extend(path.components().rev().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        }));
    }

    /// What is at the end of the way, opened as a place only.
    fn follow(mut self, path: &Path, wanted: Wanted) -> Result<File, Distrust> {
        self.expect(path);
        let mut folder = self.root()?;
        while let Some(name) = self.ahead.pop() {
            // A root is its own parent.
            if name == ".." && self.here == self.name {
                continue;
            }
            let place = self.place(&name);
            let (file, status) = place_of(&folder, &name, &place)?;
            if status.file_type().is_symlink() {
                self.check_owner(&place, &status)?;
                if self.turn(&file, &place, path)? {
                    folder = self.root()?;
                }
            } else if self.ahead.is_empty() && wanted == Wanted::File {
                return self.check_file(&place, &status).map(|()| file);
            } else {
                self.check_folder(&place, &status)?;
                (folder, self.here) = (file, place);
            }
        }
        match wanted {
            Wanted::Folder => Ok(folder),
            // Only the root, or a link to a folder, has no name left.
            Wanted::File => Err(not_a_file(path, "a directory")),
        }
    }

    fn root(&mut self) -> Result<File, Distrust> {
        self.here.clone_from(&self.name);
        let root = self.top.try_clone().map_err(|error| refused(&self.here, error))?;
        let status = root.metadata().map_err(|error| refused(&self.here, error))?;
        self.check_folder(&self.here, &status)?;
        Ok(root)
    }

    /// Where a name leads from here.
    fn place(&self, name: &OsStr) -> PathBuf {
        if name == ".." {
            return self.here.parent().unwrap_or(&self.here).to_owned();
        }
        self.here.join(name)
    }

    /// Takes the way a link points; whether it starts at `/` again.
    fn turn(&mut self, link: &File, place: &Path, path: &Path) -> Result<bool, Distrust> {
        self.links += 1;
        if self.links > MOST_LINKS {
            let wrong = "more than 40 symbolic links on the way to it";
            return Err(distrust(path, Fault::Links, wrong, "at most 40", "name the file itself"));
        }
        let target = readlinkat(link, "", Vec::<u8>::new()).map_err(|error| refused(place, error))?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        self.expect(&target);
        Ok(target.is_absolute())
    }

    fn check_folder(&self, place: &Path, status: &Metadata) -> Result<(), Distrust> {
        if !status.is_dir() {
            let (wrong, expected) = (format!("found {}", in_words(status)), "a directory");
            return Err(distrust(place, Fault::Kind, wrong, expected, "correct the path"));
        }
        self.check_owner(place, status)?;
        let sticky = status.mode() & STICKY != 0;
        check_mode(place, status, sticky, "a folder that only its owner may write to, or a sticky one")
    }

    fn check_file(&self, place: &Path, status: &Metadata) -> Result<(), Distrust> {
        if !status.is_file() {
            return Err(not_a_file(place, in_words(status)));
        }
        self.check_owner(place, status)?;
        check_mode(place, status, false, "a file that only its owner may write to")
    }

    fn check_owner(&self, place: &Path, status: &Metadata) -> Result<(), Distrust> {
        if [0, self.owner].contains(&status.uid()) {
            return Ok(());
        }
        let (option, thing) = if status.file_type().is_symlink() { ("-h ", "the link ") } else { ("", "it ") };
        let wrong = format!("{thing}belongs to user {}", status.uid());
        let expected = if self.owner == 0 { "root".into() } else { format!("user {} or root", self.owner) };
        let advice = format!("if it is meant to be trusted: chown {option}{} {}", self.owner, place.display());
        Err(distrust(place, Fault::Owner, wrong, expected, advice))
    }
}

fn check_mode(place: &Path, status: &Metadata, sticky: bool, expected: &str) -> Result<(), Distrust> {
    let others = match status.mode() & OTHERS_WRITE {
        0 => return Ok(()),
        _ if sticky => return Ok(()),
        0o020 => "its group",
        _ => "everybody",
    };
    let wrong = format!("mode {:o} lets {others} write", status.mode() & 0o7777);
    Err(distrust(place, Fault::Writable, wrong, expected, format!("chmod go-w {}", place.display())))
}

/// Opens a name as a mere place in the tree: neither followed, nor read, nor waited for; `place` is its path.
fn place_of(folder: &File, name: &OsStr, place: &Path) -> Result<(File, Metadata), Distrust> {
    let opened = with_mounts(|mounts| mounts.open_but(folder, name, is_entered));
    let file = match opened.map_err(|error| refused(place, error))? {
        Ok(file) => file,
        Err(NotOpened::System(error)) => return Err(refused(place, error)),
        Err(NotOpened::Closed(closed)) => return Err(not_entered(place, &closed)),
    };
    let status = file.metadata().map_err(|error| refused(place, error))?;
    Ok((file, status))
}

/// What only root can have put in its place, and whoever names something there relies on.
fn is_entered(closed: &Closed) -> bool {
    matches!(closed, Closed::Server { .. } | Closed::Automount)
}

/// Lends the mounts that this thread knows.
fn with_mounts<T>(act: impl FnOnce(&mut Mounts) -> T) -> std::io::Result<T> {
    MOUNTS.with_borrow_mut(|known| {
        let mounts = match known.take() {
            Some(mounts) => mounts,
            None => Mounts::new()?,
        };
        Ok(act(known.insert(mounts)))
    })
}

/// The same inode, for reading.
fn reopen(file: &File) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    open(format!("/proc/self/fd/{}", file.as_raw_fd()), flags, Mode::empty()).map(File::from)
}

fn refused(place: &Path, error: impl Into<std::io::Error>) -> Distrust {
    let error = error.into();
    let fault = if error.kind() == std::io::ErrorKind::NotFound { Fault::Missing } else { Fault::System };
    let expected = "a file that can be opened, in folders that can be entered";
    distrust(place, fault, error.to_string(), expected, "correct the path, or the permissions on the way")
}

fn not_entered(place: &Path, closed: &Closed) -> Distrust {
    let expected = "a place for which the kernel, root or this user answers";
    distrust(place, Fault::Mount, format!("it {closed}"), expected, "take the mount off, or keep it elsewhere")
}

fn not_a_file(place: &Path, found: &str) -> Distrust {
    distrust(place, Fault::Kind, format!("found {found}"), "a regular file", "name a regular file")
}

fn distrust(
    component: &Path,
    fault: Fault,
    wrong: impl Into<String>,
    expected: impl Into<String>,
    advice: impl Into<String>,
) -> Distrust {
    let (wrong, expected, advice) = (wrong.into(), expected.into(), advice.into());
    Distrust { component: component.to_owned(), fault, wrong, expected, advice }
}

/// What kind of thing a status is of.
pub(crate) fn in_words(status: &Metadata) -> &'static str {
    let kind = status.file_type();
    if kind.is_file() {
        "a file"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests;
