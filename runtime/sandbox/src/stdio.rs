//! Opens what a job names for its standard input, output and error, as the job's user and before the walls. It is judged
//! before it is opened: opening alone makes a file, starts what a driver does, or wakes who waits at a FIFO. Nothing
//! blocks, no magic link of /proc is followed, and in another root nothing leads out of that.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fcntl_getfl, fcntl_setfl, fstat, openat, openat2,
    readlinkat, statat,
};
use rustix::io::Errno;
use wjob_model::message::OwnFolder;

use crate::root::{Root, open_on_host};
use crate::whereabouts::{forbidden, is_harmless, real_path};

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The job reads.
    In,
    /// The job appends; what is not there is made, with mode 0666 but for the umask.
    Out,
}

/// Links to nothing that are followed, and attempts at a name that comes and goes.
const MOST_TRIES: usize = 16;
/// A descriptor that stands for a place and opens nothing.
const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Opens a path of the host.
///
/// # Errors
/// When it cannot be opened or made, is no file, FIFO, terminal or harmless device, or leads to the kernel's trees or to
/// wjob's own folders: in words.
pub fn open(path: &str, way: Direction, own: &[OwnFolder], root: Option<&Root>) -> Result<OwnedFd, String> {
    let mut path = path.to_owned();
    for _ in 0..MOST_TRIES {
        match open_on_host(root, &path, PLACE, Mode::empty()) {
            Ok(place) => return open_judged(&place, way, own),
            Err(Errno::NOENT) if way == Direction::Out => {}
            Err(error) => return Err(error.to_string()),
        }
        match make(&path, own, root)? {
            Made::File(file) => return Ok(file),
            Made::Nothing(next) => path = next,
        }
    }
    Err("what is there changes while it is opened, or its links go round in a circle".into())
}

/// What is there is opened by its descriptor, so that it is what was judged.
fn open_judged(place: &OwnedFd, way: Direction, own: &[OwnFolder]) -> Result<OwnedFd, String> {
    let status = fstat(place).map_err(in_words)?;
    let real = real_path(place)?;
    if let Some(why) = unfit(&status).or_else(|| forbidden(place, &real, own)) {
        return Err(why);
    }
    let shared = if way == Direction::Out { in_shared_folder(&status, &real) } else { None };
    let opened = match shared {
        Some((folder, name)) => openat(&folder, name, flags(way) | OFlags::CREATE | OFlags::NOFOLLOW, NEW),
        None => openat(CWD, format!("/proc/self/fd/{}", place.as_raw_fd()), flags(way), Mode::empty()),
    };
    let opened = opened.map_err(in_words)?;
    // Asked again, since a file of an overlay may get another number by being opened to be written.
    let identity = |file: &OwnedFd| fstat(file).map(|status| (status.st_dev, status.st_ino)).map_err(in_words);
    if identity(place)? != identity(&opened)? {
        return Err("it was changed for another file while it was opened".into());
    }
    blocking(opened)
}

const NEW: Mode = Mode::from_raw_mode(0o666);

fn flags(way: Direction) -> OFlags {
    let way = match way {
        Direction::In => OFlags::RDONLY,
        Direction::Out => OFlags::WRONLY.union(OFlags::APPEND),
    };
    way | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY
}

/// Non-blocking was for the opening; the job expects a plain descriptor.
fn blocking(file: OwnedFd) -> Result<OwnedFd, String> {
    let flags = fcntl_getfl(&file).map_err(in_words)?;
    fcntl_setfl(&file, flags - OFlags::NONBLOCK).map_err(in_words)?;
    Ok(file)
}

fn in_words(error: Errno) -> String {
    error.to_string()
}

/// What came of making a file.
enum Made {
    /// It is there, and open.
    File(OwnedFd),
    /// Something is there already: this path is to be opened.
    Nothing(String),
}

/// Makes a file where nothing is, in a folder that is judged before.
fn make(path: &str, own: &[OwnFolder], root: Option<&Root>) -> Result<Made, String> {
    let last = path.rsplit_once('/').filter(|(_, name)| !["", ".", ".."].contains(name));
    let (folder, name) = last.ok_or_else(|| in_words(Errno::NOENT))?;
    let above = if folder.is_empty() { "/" } else { folder };
    let parent = open_on_host(root, above, PLACE | OFlags::DIRECTORY, Mode::empty()).map_err(in_words)?;
    if let Some(why) = forbidden(&parent, &real_path(&parent)?.join(name), own) {
        return Err(why);
    }
    match openat(&parent, name, flags(Direction::Out) | OFlags::CREATE | OFlags::EXCL, NEW) {
        Ok(file) => Ok(Made::File(blocking(file)?)),
        Err(Errno::EXIST) => Ok(Made::Nothing(led_to(&parent, folder, name, root).unwrap_or_else(|| path.to_owned()))),
        Err(error) => Err(in_words(error)),
    }
}

/// Where a link leads at which nothing is; `None` if there is no link.
fn led_to(parent: &OwnedFd, folder: &str, name: &str, root: Option<&Root>) -> Option<String> {
    let target = readlinkat(parent, name, Vec::new()).ok()?;
    let target = target.to_str().ok()?;
    Some(match target.starts_with('/') {
        true => format!("{}{target}", root.map(Root::path).unwrap_or_default()),
        false => format!("{folder}/{target}"),
    })
}

/// The folder of a file or FIFO in which many may make files, each his own. To whoever would make a file there the
/// kernel refuses one that is another's already (proc_sys_fs(5), protected_regular, protected_fifos), and it is asked in
/// these words. No device gets there by its users.
fn in_shared_folder<'a>(file: &Stat, real: &'a Path) -> Option<(OwnedFd, &'a OsStr)> {
    if !matches!(FileType::from_raw_mode(file.st_mode), FileType::RegularFile | FileType::Fifo) {
        return None;
    }
    let plainly = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let folder = openat2(CWD, real.parent()?, PLACE | OFlags::DIRECTORY, Mode::empty(), plainly).ok()?;
    let mode = fstat(&folder).ok()?.st_mode;
    let name = real.file_name()?;
    let there = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let is_it = (there.st_dev, there.st_ino) == (file.st_dev, file.st_ino);
    let is_shared = mode & 0o1000 != 0 && mode & 0o022 != 0;
    (is_it && is_shared).then_some((folder, name))
}

/// Why it is nothing to read from or write to, by its kind: what it holds or does may be beyond all walls.
fn unfit(status: &Stat) -> Option<String> {
    let what = match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => return Some("is a directory, expected a file".into()),
        FileType::BlockDevice => "is a block device",
        FileType::Socket => "is a socket",
        FileType::CharacterDevice if !is_harmless(status.st_rdev) && !is_terminal(status.st_rdev) => "is a device",
        _ => return None,
    };
    Some(format!("{what}, expected a file, a terminal or /dev/null"))
}

/// Whether a device is a terminal, by what the kernel says of its drivers: asking the device means to open it.
fn is_terminal(device: u64) -> bool {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let drivers = std::fs::read_to_string("/proc/tty/drivers").unwrap_or_default();
    drivers.lines().any(|driver| drives(driver, major, minor).unwrap_or(false))
}

/// Whether a line of /proc/tty/drivers, `NAME FILE MAJOR MINOR[-MINOR] KIND`, is about a device (proc(5)).
fn drives(driver: &str, major: u32, minor: u32) -> Option<bool> {
    let mut fields = driver.split_whitespace().rev().skip(1);
    let minors = fields.next()?;
    let of: u32 = fields.next()?.parse().ok()?;
    let (first, last) = minors.split_once('-').unwrap_or((minors, minors));
    let minors: std::ops::RangeInclusive<u32> = first.parse().ok()?..=last.parse().ok()?;
    Some(of == major && minors.contains(&minor))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    /// A folder whose folder `own` is wjob's, and in that one `jobs`, which is not there yet.
    fn scene() -> (tempfile::TempDir, PathBuf, Vec<OwnFolder>) {
        let top = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(top.path()).unwrap();
        for name in ["own", "config", "folder"] {
            fs::create_dir(real.join(name)).unwrap();
        }
        fs::write(real.join("own/key"), "key").unwrap();
        fs::write(real.join("file"), "was;").unwrap();
        let of = |there: &str, missing: &str| {
            let status = fs::metadata(real.join(there)).unwrap();
            let path = real.join(there).join(missing).display().to_string();
            OwnFolder { path, device: status.dev(), inode: status.ino(), missing: missing.into() }
        };
        let own = vec![of("own", ""), of("config", "wjob/jobs")];
        (top, real, own)
    }

    fn append(folder: &Path, name: &str, own: &[OwnFolder]) -> Result<(), String> {
        let path = folder.join(name).display().to_string();
        let file = open(&path, Direction::Out, own, None)?;
        File::from(file).write_all(b"more;").map_err(|error| error.to_string())
    }

    #[test]
    fn files_are_appended_to_and_made() {
        let (_top, folder, own) = scene();
        symlink("file", folder.join("link")).unwrap();
        symlink("folder/later", folder.join("dangling")).unwrap();
        symlink(folder.join("folder/by-its-path"), folder.join("absolute")).unwrap();
        for (name, at, expected) in [
            ("file", "file", "was;more;"),
            ("link", "file", "was;more;more;"),
            ("new", "new", "more;"),
            ("new", "new", "more;more;"),
            ("folder/../beside", "beside", "more;"),
            ("dangling", "folder/later", "more;"),
            ("absolute", "folder/by-its-path", "more;"),
        ] {
            append(&folder, name, &own).unwrap_or_else(|why| panic!("{name}: {why}"));
            assert_eq!(fs::read_to_string(folder.join(at)).unwrap(), expected, "{name}");
        }
        assert_eq!(fs::metadata(folder.join("new")).unwrap().mode() & 0o111, 0);
        let path = folder.join("file").display().to_string();
        let file = open(&path, Direction::In, &own, None).unwrap();
        assert!(!fcntl_getfl(&file).unwrap().contains(OFlags::NONBLOCK));
        assert_eq!(std::io::read_to_string(File::from(file)).unwrap(), "was;more;more;");
    }

    /// In a folder like /tmp the kernel is asked in other words.
    #[test]
    fn a_file_of_ones_own_in_a_shared_folder_is_appended_to() {
        use std::os::unix::fs::PermissionsExt;
        let (_top, folder, own) = scene();
        fs::set_permissions(folder.join("folder"), fs::Permissions::from_mode(0o1777)).unwrap();
        for expected in ["more;", "more;more;"] {
            append(&folder, "folder/mine", &own).unwrap();
            assert_eq!(fs::read_to_string(folder.join("folder/mine")).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_refused_was_not_opened_and_not_made() {
        let (_top, folder, own) = scene();
        let fifo = folder.join("own/fifo");
        rustix::fs::mkfifoat(CWD, &fifo, Mode::from_raw_mode(0o600)).unwrap();
        let reader = rustix::fs::open(&fifo, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();
        let _socket = UnixListener::bind(folder.join("socket")).unwrap();
        symlink("own/made", folder.join("sly")).unwrap();
        symlink("circle", folder.join("circle")).unwrap();
        fs::create_dir(folder.join("config/wjob")).unwrap();
        for (name, expected) in [
            ("own/fifo", "which is wjob's own"),
            ("own/key", "which is wjob's own"),
            ("own/made", "which is wjob's own"),
            ("sly", "which is wjob's own"),
            ("config/wjob/jobs", "which is wjob's own"),
            ("config/wjob", "is a directory"),
            ("folder", "is a directory"),
            ("folder/", "is a directory"),
            ("new/", "No such file"),
            ("none/new", "No such file"),
            ("circle", "symbolic link"),
            ("socket", "is a socket"),
        ] {
            let why = append(&folder, name, &own).expect_err(name);
            assert!(why.contains(expected), "{name}: {why}");
        }
        assert_eq!(fs::read_to_string(folder.join("own/key")).unwrap(), "key");
        assert!(!folder.join("own/made").exists() && !folder.join("new").exists());
        // Its other end would have seen somebody come and go (poll(2), POLLHUP).
        let mut seen = [PollFd::new(&reader, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(poll(&mut seen, Some(&now)).unwrap(), 0, "{:?}", seen[0].revents());
        let missing = folder.join("missing").display().to_string();
        assert!(open(&missing, Direction::In, &own, None).unwrap_err().contains("No such file"));
    }

    #[test]
    fn nothing_is_made_outside_of_another_root() {
        let (_top, folder, own) = scene();
        let path = folder.join("folder").display().to_string();
        symlink("/made", folder.join("folder/absolute")).unwrap();
        symlink("../../made-above", folder.join("folder/up")).unwrap();
        let root = Root::open(&path).unwrap();
        for (name, made) in [("absolute", "made"), ("up", "made-above")] {
            open(&format!("{path}/{name}"), Direction::Out, &own, Some(&root)).unwrap();
            assert!(folder.join("folder").join(made).exists(), "{name}");
        }
        assert!(!folder.join("made-above").exists());
    }

    #[test]
    fn terminals_are_known_by_their_drivers() {
        for (driver, major, minor, expected) in [
            ("/dev/tty             /dev/tty        5       0 system:/dev/tty", 5, 0, true),
            ("/dev/tty             /dev/tty        5       0 system:/dev/tty", 5, 1, false),
            ("serial               /dev/ttyS       4 64-95 serial", 4, 70, true),
            ("serial               /dev/ttyS       4 64-95 serial", 4, 96, false),
            ("pty_slave            /dev/pts      136 0-1048575 pty:slave", 136, 3, true),
            ("pty_slave            /dev/pts      136 0-1048575 pty:slave", 10, 130, false),
            ("nonsense", 5, 0, false),
            ("", 0, 0, false),
        ] {
            assert_eq!(drives(driver, major, minor).unwrap_or(false), expected, "{driver} {major}:{minor}");
        }
    }
}
