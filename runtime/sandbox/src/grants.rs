//! Opens what `Grants.Paths`, the unix:// sockets of `Grants.Connect` and `RootDirectory` name, as the job's user, by
//! descriptor: the only place that does. Descriptors carry no right to read, write or connect (O_PATH); the walls are
//! built on them.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags, fstat};
use thiserror::Error;
use wjob_model::grant::{Access, PathGrant};
use wjob_model::message::OwnFolder;
use wjob_model::mounts::Mounts;

use crate::root::{Root, open_on_host};
use crate::whereabouts::{self, HARMLESS_DEVICES, real_path};

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
/// may be connected to: a FIFO or a device could hang the job or reach beyond the file system. When it shows, itself or
/// by what is mounted inside of it, what no job may see.
pub fn open(grants: &[PathGrant], own: &[OwnFolder], root: Option<&Root>) -> Result<Vec<Opened>, GrantError> {
    let Some(first) = grants.first() else {
        return Ok(Vec::new());
    };
    // Asked once for all of them.
    let mounts = whereabouts::mounts(own).map_err(|why| GrantError { path: first.host.clone(), why })?;
    grants.iter().map(|grant| open_one(grant, own, &mounts, root)).collect()
}

/// Opens a folder that is to be the job's root: all of it will be seen, so it is held to the rules of a grant.
///
/// # Errors
/// When it is missing, may not be reached by the job's user, or shows what no job may see.
pub fn open_root(path: &str, own: &[OwnFolder]) -> Result<Root, GrantError> {
    let refuse = |why: String| GrantError { path: path.to_owned(), why };
    let root = Root::open(path).map_err(|error| refuse(error.to_string()))?;
    let mounts = whereabouts::mounts(own).map_err(refuse)?;
    // It is shown without what is mounted inside of it.
    forbidden(root.descriptor(), own, &mounts, false).map_err(refuse)?;
    Ok(root)
}

fn open_one(grant: &PathGrant, own: &[OwnFolder], mounts: &Mounts, root: Option<&Root>) -> Result<Opened, GrantError> {
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
    forbidden(&descriptor, own, mounts, directory).map_err(refuse)?;
    Ok(Opened { grant: grant.clone(), descriptor, directory })
}

/// Where no job may get, whatever links led there and whatever is mounted there; `inner` = all that is mounted inside is
/// shown as well. What root mounts after this and before the mount wall is not judged: nobody else can mount any of it.
fn forbidden(descriptor: &OwnedFd, own: &[OwnFolder], mounts: &Mounts, inner: bool) -> Result<(), String> {
    let real = real_path(descriptor)?;
    let kind = FileType::from_raw_mode(fstat(descriptor).map_err(|error| error.to_string())?.st_mode);
    let text = real.to_string_lossy();
    // A device that can be granted, and a socket, are in a file system of the kernel's wherever they are.
    let holds_files = matches!(kind, FileType::Directory | FileType::RegularFile);
    let why = whereabouts::forbidden(descriptor, &real, own)
        .or_else(|| mounts.kernels(&text, inner).filter(|_| holds_files))
        .or_else(|| mounts.wjobs_own(&text, inner));
    why.map_or(Ok(()), Err)
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
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::*;

    fn own_folder(path: &Path, known_as: &Path) -> OwnFolder {
        let status = fs::metadata(path).unwrap();
        let path = known_as.display().to_string();
        OwnFolder { path, device: status.dev(), inode: status.ino(), missing: String::new() }
    }

    /// What opening a grant comes to; the folder `own` is wjob's.
    fn refusal(folder: &Path, name: &str, access: Access) -> Option<String> {
        let own = own_folder(&folder.join("own"), &folder.join("own"));
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
        let own = own_folder(&folder.join("own/socket"), Path::new("/gone"));
        let host = folder.join("elsewhere").display().to_string();
        let grant = PathGrant { host, guest: "/granted".into(), access: Access::Connect };
        assert!(open(&[grant], &[own], None).is_err());
    }
}
