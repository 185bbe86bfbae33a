//! Opens what `Grants.Paths`, the unix:// sockets of `Grants.Connect` and `RootDirectory` name, as the job's user, by
//! descriptor: the only place that does. Descriptors carry no right to read, write or connect (O_PATH); the walls are
//! built on them.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat};
use thiserror::Error;
use wjob_model::grant::{Access, PathGrant};
use wjob_model::message::OwnFolder;
use wjob_model::spec::supervisors_folder;

use crate::root::{Root, open_on_host};

/// A granted path, opened.
#[derive(Debug)]
pub struct Opened {
    /// What was granted.
    pub grant: PathGrant,
    /// O_PATH descriptor of the file, directory or socket.
    pub descriptor: OwnedFd,
    /// Whether it is a directory.
    pub directory: bool,
}

/// A grant that cannot be opened.
#[derive(Debug, Error)]
#[error("granted path {path}: {why}")]
pub struct GrantError {
    /// The host path.
    pub path: String,
    /// Why.
    pub why: String,
}

/// Opens every granted path; symbolic links are followed, magic links of /proc are not, and nothing leads out of
/// another root.
///
/// # Errors
/// When one is missing, may not be reached by the job's user, or is neither file nor directory, and no socket where one
/// may be connected to: a FIFO or a device could hang the job or reach beyond the file system.
pub fn open(grants: &[PathGrant], own: &[OwnFolder], root: Option<&Root>) -> Result<Vec<Opened>, GrantError> {
    grants.iter().map(|grant| open_one(grant, own, root)).collect()
}

/// Opens a folder that is to be the job's root: all of it will be seen, so it is held to the rules of a grant.
///
/// # Errors
/// When it is missing, may not be reached by the job's user, or shows what no job may see.
pub fn open_root(path: &str, own: &[OwnFolder]) -> Result<Root, GrantError> {
    let refuse = |why: String| GrantError { path: path.to_owned(), why };
    let root = Root::open(path).map_err(|error| refuse(error.to_string()))?;
    forbidden(root.descriptor(), own).map_or(Ok(root), |why| Err(refuse(why)))
}

fn open_one(grant: &PathGrant, own: &[OwnFolder], root: Option<&Root>) -> Result<Opened, GrantError> {
    let refuse = |why: String| GrantError { path: grant.host.clone(), why };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let descriptor =
        open_on_host(root, &grant.host, flags, Mode::empty()).map_err(|error| refuse(error.to_string()))?;
    let status = fstat(&descriptor).map_err(|error| refuse(error.to_string()))?;
    let directory = match (grant.access, FileType::from_raw_mode(status.st_mode)) {
        (Access::Connect, FileType::Socket) => false,
        (Access::Connect, other) => return Err(refuse(format!("expected a socket, found {}", in_words(other)))),
        (_, FileType::Directory) => true,
        (_, FileType::RegularFile) => false,
        (_, FileType::CharacterDevice) if HARMLESS_DEVICES.contains(&grant.host.as_str()) => false,
        (_, other) => return Err(refuse(format!("expected a file or a directory, found {}", in_words(other)))),
    };
    match forbidden(&descriptor, own) {
        Some(why) => Err(refuse(why)),
        None => Ok(Opened { grant: grant.clone(), descriptor, directory }),
    }
}

/// Why an open file is none that a job may be given for its standard input, output or error.
pub fn unfit_for_stdio(descriptor: &OwnedFd, own: &[OwnFolder]) -> Option<String> {
    let status = match fstat(descriptor) {
        Ok(status) => status,
        Err(error) => return Some(error.to_string()),
    };
    match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => return Some("is a directory, expected a file".into()),
        FileType::BlockDevice => return Some("is a block device, expected a file, a terminal or /dev/null".into()),
        FileType::CharacterDevice if !is_harmless(status.st_rdev) && !rustix::termios::isatty(descriptor) => {
            return Some("is a device, expected a file, a terminal or /dev/null".into());
        }
        _ => {}
    }
    if descriptor_in_proc(descriptor) {
        return Some("it leads into /proc or /sys".into());
    }
    touches_own(descriptor, own).map(|folder| format!("it leads to {folder}, which is wjob's own"))
}

/// Whether a device is one of [`HARMLESS_DEVICES`] (null(4), full(4), random(4)), whatever it is called.
fn is_harmless(device: u64) -> bool {
    const MEMORY: u32 = 1;
    rustix::fs::major(device) == MEMORY && [3, 5, 7, 8, 9].contains(&rustix::fs::minor(device))
}

/// Where no job may get, whatever links led there.
fn forbidden(descriptor: &OwnedFd, own: &[OwnFolder]) -> Option<String> {
    if descriptor_in_proc(descriptor) {
        return Some("it leads into /proc or /sys".into());
    }
    let real = real_path(descriptor)?;
    let folder = touches_own(descriptor, own).or_else(|| supervisors_folder(real.to_str()?));
    folder.map(|folder| format!("it leads to {folder}, which is wjob's own"))
}

/// Where an open file is, whatever links led there.
fn real_path(descriptor: &OwnedFd) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).ok()
}

/// Devices that can be granted: they hold nothing and reach nothing.
const HARMLESS_DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// The folder of wjob's own that an open file or folder lies in, is or contains, whatever links led to it.
pub fn touches_own<'a>(descriptor: &OwnedFd, own: &'a [OwnFolder]) -> Option<&'a str> {
    let real = real_path(descriptor)?;
    let identity = |folder: &Path| std::fs::metadata(folder).ok().map(|status| (status.dev(), status.ino()));
    let above: Vec<_> = real.ancestors().map(|folder| (folder, identity(folder))).collect();
    let inside = |own: &&OwnFolder| {
        let is = |(folder, found): &(&Path, Option<(u64, u64)>)| {
            *folder == Path::new(&own.path) || *found == Some((own.device, own.inode))
        };
        above.iter().any(is)
    };
    let contains = |own: &&OwnFolder| Path::new(&own.path).starts_with(&real);
    own.iter().find(|own| inside(own) || contains(own)).map(|own| own.path.as_str())
}

/// A symbolic link may lead where the text of a grant may not.
fn descriptor_in_proc(descriptor: &OwnedFd) -> bool {
    const PROC: u64 = 0x9fa0;
    const SYSFS: u64 = 0x6265_6572;
    rustix::fs::fstatfs(descriptor).is_ok_and(|status| {
        let kind = u64::try_from(status.f_type).unwrap_or_default();
        kind == PROC || kind == SYSFS
    })
}

fn in_words(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        FileType::Symlink => "a symbolic link",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What opening a grant comes to; the folder `own` is wjob's.
    fn refusal(folder: &Path, name: &str, access: Access) -> Option<String> {
        let own = folder.join("own");
        let status = fs::metadata(&own).unwrap();
        let own = OwnFolder { path: own.display().to_string(), device: status.dev(), inode: status.ino() };
        let grant = PathGrant { host: folder.join(name).display().to_string(), guest: "/granted".into(), access };
        open(&[grant], &[own], None).err().map(|error| error.why)
    }

    #[test]
    fn only_a_socket_is_connected_to_and_none_of_wjobs_own() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::create_dir(folder.join("own")).unwrap();
        fs::write(folder.join("file"), "").unwrap();
        let _sockets = ["socket", "own/socket"].map(|name| UnixListener::bind(folder.join(name)).unwrap());
        symlink("socket", folder.join("link")).unwrap();
        symlink("own/socket", folder.join("sly")).unwrap();
        fs::hard_link(folder.join("own/socket"), folder.join("elsewhere")).unwrap();
        for (name, access, expected) in [
            ("socket", Access::Connect, None),
            ("link", Access::Connect, None),
            ("socket", Access::ReadWrite, Some("expected a file or a directory, found a socket")),
            ("file", Access::Connect, Some("expected a socket, found a file")),
            ("own", Access::Connect, Some("expected a socket, found a directory")),
            ("none", Access::Connect, Some("No such file")),
            ("own/socket", Access::Connect, Some("which is wjob's own")),
            ("sly", Access::Connect, Some("which is wjob's own")),
        ] {
            let found = refusal(folder, name, access);
            let as_expected = match (&found, expected) {
                (Some(found), Some(words)) => found.contains(words),
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(as_expected, "{name} {access:?}: {found:?}");
        }
        // By another name it is known if it is named itself, as the control socket is.
        let status = fs::metadata(folder.join("own/socket")).unwrap();
        let own = OwnFolder { path: "/gone".into(), device: status.dev(), inode: status.ino() };
        let host = folder.join("elsewhere").display().to_string();
        let grant = PathGrant { host, guest: "/granted".into(), access: Access::Connect };
        assert!(open(&[grant], &[own], None).is_err());
    }
}
