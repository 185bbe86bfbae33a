//! Places in mounts that may be entered. There are file systems for which another user's process or a server answers; who
//! asks one that does not answer waits for ever, and a supervisor has one thread. So which mount a name leads into is
//! found out before its file system is asked anything. Which are entered says `rule`.
//!
//! Not found out here: what a file system lies on. One that root has put upon another's (overlay, loop) is entered.

mod rule;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

pub(crate) use rule::Closed;
use rule::Mount;

/// The mounts that this process can see (proc_pid_mountinfo(5)).
const TABLE: &str = "/proc/self/mountinfo";
/// How a mere place in the tree is opened: neither followed, nor read, nor waited for.
const PLACE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why a name is not opened.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// It lies in a mount that is not entered.
    Closed(Closed),
    /// The system refuses.
    System(Errno),
}

/// The mounts that this process has met.
#[derive(Debug)]
pub(crate) struct Mounts {
    table: File,
    /// The same table. The kernel tells each descriptor once that the mounts are others now: this one tells whoever waits
    /// for that, and the other one is asked before what is known is believed.
    bell: File,
    /// By their numbers, as long as no mount has come or gone: a number is given again.
    known: BTreeMap<u64, Option<Closed>>,
    /// That of `/`, out of which this program came.
    root: u64,
    /// Whose process this is.
    own: u32,
    turned: bool,
}

impl Mounts {
    /// Those of this process.
    ///
    /// # Errors
    /// When `/proc` is not mounted, or no descriptor is left.
    pub(crate) fn new() -> io::Result<Self> {
        Self::of_table(Path::new(TABLE))
    }

    /// Those of a table in the kernel's form.
    pub(crate) fn of_table(path: &Path) -> io::Result<Self> {
        let open = || {
            File::open(path).map_err(|error| {
                let advice = "which says what file systems may be entered: mount /proc";
                io::Error::new(error.kind(), format!("{}: {error}; {advice}", path.display()))
            })
        };
        let (table, bell) = (open()?, open()?);
        let root = number(openat(CWD, "/", PLACE, Mode::empty())?.as_fd())?;
        let own = rustix::process::geteuid().as_raw();
        Ok(Self { table, bell, known: BTreeMap::new(), root, own, turned: false })
    }

    /// Opens a name in a folder as a mere place, if it lies in a mount that may be entered; the folder lies in one.
    ///
    /// Until that is known nobody but the folder's own file system is asked. The first call ends where a mount begins. The
    /// second looks the name up in the folder again and takes the root of what is mounted there, which the kernel has in
    /// memory: it is neither looked up nor asked for its state, as it would be by fstat(2), readlink(2),
    /// inotify_add_watch(2) and whatever looks for a name in it. An automount is not set off by the last name of a mere
    /// place. /proc tells a place's mount from memory, while statx(2) asks some file systems whatever it is told not to
    /// (9p). Two may still be waited for, and root alone makes either: a 9p mount that is asked whether its root is
    /// still what it was, and an automount that its daemon is mounting or taking off at that moment.
    pub(crate) fn open(&mut self, folder: impl AsFd, name: &OsStr) -> Result<File, NotOpened> {
        self.open_but(folder, name, |_| false)
    }

    /// The same, of mounts that are not entered but those that `entered` says are all the same.
    pub(crate) fn open_but(
        &mut self,
        folder: impl AsFd,
        name: &OsStr,
        entered: impl Fn(&Closed) -> bool,
    ) -> Result<File, NotOpened> {
        if let Ok(place) = openat2(&folder, name, PLACE, Mode::empty(), ResolveFlags::NO_XDEV) {
            return Ok(File::from(place));
        }
        let place = openat(&folder, name, PLACE, Mode::empty()).map_err(NotOpened::System)?;
        match number(place.as_fd()).and_then(|number| self.closed(number)) {
            Ok(Some(closed)) if !entered(&closed) => Err(NotOpened::Closed(closed)),
            Ok(_) => Ok(File::from(place)),
            Err(error) => Err(NotOpened::System(Errno::from_io_error(&error).unwrap_or(Errno::IO))),
        }
    }

    /// Whether mounts have come or gone since this was last asked.
    pub(crate) fn are_others(&mut self) -> bool {
        self.forget_others();
        std::mem::take(&mut self.turned)
    }

    /// A descriptor with an error (EPOLLERR), once, whenever mounts have come or gone; it is always readable.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Why a mount is not entered, if it is not. Whoever asks has something of it open, so that its number stays its own.
    fn closed(&mut self, number: u64) -> io::Result<Option<Closed>> {
        // In another root the table may lack this one.
        if number == self.root {
            return Ok(None);
        }
        self.forget_others();
        if let Some(closed) = self.known.get(&number) {
            return Ok(closed.clone());
        }
        let closed = self.read(number)?;
        self.known.insert(number, closed.clone());
        Ok(closed)
    }

    fn forget_others(&mut self) {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut asked = [PollFd::new(&self.table, PollFlags::PRI)];
        // Without an answer nothing that is known is to be believed.
        let same = poll(&mut asked, Some(&at_once)).is_ok_and(|count| count == 0);
        if !same {
            self.known.clear();
            self.turned = true;
        }
    }

    fn read(&self, number: u64) -> io::Result<Option<Closed>> {
        (&self.table).rewind()?;
        for line in BufReader::new(&self.table).split(b'\n') {
            let line = line?;
            let text = String::from_utf8_lossy(&line);
            if let Some(mount) = Mount::of(&text).filter(|mount| mount.number == number) {
                return Ok(mount.closed_to(self.own));
            }
        }
        // It was taken off while somebody still has it, or lies beside this process's root.
        Ok(Some(Closed::Untold))
    }
}

/// The number of the mount that a place lies in.
fn number(place: BorrowedFd<'_>) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", place.as_raw_fd()))?;
    let number = text.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    let number = number.and_then(|number| number.trim().parse().ok());
    number.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn top() -> File {
        openat(CWD, "/", PLACE, Mode::empty()).map(File::from).unwrap()
    }

    /// Mounts of whose table `/proc`, which is one wherever this runs, is said to be this.
    fn of_proc(kind: &str, options: &str) -> Mounts {
        let mut mounts = Mounts::new().unwrap();
        let place = mounts.open(top(), OsStr::new("proc")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let line = format!("{} 1 0:1 / /proc rw - {kind} none {options}\n", number(place.as_fd()).unwrap());
        let table = folder.path().join("table");
        fs::write(&table, format!("1 1 0:2 / /elsewhere rw - nfs none rw\n{line}")).unwrap();
        Mounts::of_table(&table).unwrap()
    }

    #[test]
    fn a_mount_that_may_be_entered_is() {
        let mut mounts = of_proc("proc", "rw");
        let place = mounts.open(top(), OsStr::new("proc")).unwrap();
        assert_ne!(number(place.as_fd()).unwrap(), mounts.root);
        // Out of it again, where another begins.
        let above = mounts.open(&place, OsStr::new("..")).unwrap();
        assert_eq!(number(above.as_fd()).unwrap(), mounts.root);
        let inside = mounts.open(&place, OsStr::new("version")).unwrap();
        assert_eq!(number(inside.as_fd()).unwrap(), number(place.as_fd()).unwrap());
    }

    #[test]
    fn a_mount_that_is_closed_is_said_to_be_each_time() {
        let mut mounts = of_proc("fuse.x", "rw,user_id=59999");
        for _ in 0..2 {
            let refused = mounts.open(top(), OsStr::new("proc")).unwrap_err();
            let NotOpened::Closed(closed) = refused else { panic!("{refused:?}") };
            assert_eq!(closed, Closed::Process { kind: "fuse.x".into(), user: 59_999 });
        }
    }

    #[test]
    fn what_the_table_does_not_have_is_closed_and_what_is_missing_is_missing() {
        let mut mounts = of_proc("proc", "rw");
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("table");
        fs::write(&table, "").unwrap();
        let mut others = Mounts::of_table(&table).unwrap();
        let refused = others.open(top(), OsStr::new("proc")).unwrap_err();
        assert!(matches!(refused, NotOpened::Closed(Closed::Untold)), "{refused:?}");
        let missing = mounts.open(top(), OsStr::new("no such name")).unwrap_err();
        assert!(matches!(missing, NotOpened::System(Errno::NOENT)), "{missing:?}");
    }
}
