//! Sockets without a place of their own (SecureSocketWithKey): each in a fresh folder below the supervisor's own, which
//! only the job's user may enter. Where it is, the job is told by a variable and nobody else is.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fstat, mkdirat, openat2, unlinkat};
use rustix::io::Errno;
use rustix::net::SocketType;
use wjob_model::socket::{LONGEST_PATH, Socket};

use super::path::{answers, bind_in, identity, there};
use super::{ListenError, Listener, Owner, system};
use crate::trust::open_trusted_folder;

/// How the names of such folders begin.
const PREFIX: &str = "wjob-private-";
/// The socket's name in its folder.
const NAME: &str = "socket";

/// A folder with one socket in it, which goes with it.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) parent: File,
    pub(super) name: String,
    pub(super) folder: OwnedFd,
}

impl Folder {
    fn make(parent: File, name: String) -> Result<Self, Errno> {
        mkdirat(&parent, &name, Mode::from_raw_mode(0o700))?;
        match open(&parent, &name) {
            Ok(folder) => Ok(Self { parent, name, folder }),
            Err(error) => {
                let _ = unlinkat(&parent, &name, AtFlags::REMOVEDIR);
                Err(error)
            }
        }
    }

    /// Binds the socket and gives both to the job's user.
    fn bind(&self, path: &Path, socket: &Socket, uid: Option<u32>, gid: Option<u32>) -> Result<OwnedFd, Errno> {
        let descriptor = bind_in(&self.folder, path, socket, Mode::from_raw_mode(0o600), uid, gid)?;
        if uid.is_some() {
            let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
            chownat(&self.parent, &self.name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(descriptor)
    }
}

impl Drop for Folder {
    /// What its user has put there besides is that user's, and keeps the folder.
    fn drop(&mut self) {
        let _ = unlinkat(&self.folder, NAME, AtFlags::empty());
        let _ = unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR);
    }
}

/// The folder itself and nothing that its user may have mounted over it, for which his process would answer.
fn open(parent: &File, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::PATH | OFlags::CLOEXEC;
    openat2(parent, name, flags, Mode::empty(), ResolveFlags::NO_XDEV)
}

/// Binds a socket in a folder of its own.
pub(super) fn bind(socket: &Socket, owner: &Owner) -> Result<Listener, ListenError> {
    let place = owner.runtime.display().to_string();
    let failed = |error: Errno| system(socket, &place, error);
    let parent = open_trusted_folder(&owner.runtime, owner.domain)
        .map_err(|distrust| ListenError::Folder { name: socket.name.clone(), distrust: Box::new(distrust) })?;
    let name = fresh_name(PREFIX).map_err(|_| failed(Errno::IO))?;
    let path = owner.runtime.join(&name).join(NAME).display().to_string();
    if path.len() > LONGEST_PATH {
        let what = format!("a socket below it would have a path of more than {LONGEST_PATH} bytes");
        return Err(ListenError::Taken { name: socket.name.clone(), place: place.clone(), what });
    }
    let (uid, gid) = identity(socket, &path, owner, None, None)?;
    let folder = Folder::make(parent, name).map_err(failed)?;
    let descriptor = folder.bind(Path::new(&path), socket, uid, gid).map_err(failed)?;
    Ok(Listener {
        socket: socket.clone(),
        descriptor,
        address: format!("unix://{path}"),
        place: None,
        folder: Some(folder),
        admitted: None,
        connection: None,
    })
}

/// A name that nobody could foresee.
pub(crate) fn fresh_name(prefix: &str) -> std::io::Result<String> {
    let mut random = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(format!("{prefix}{:016x}", u64::from_ne_bytes(random)))
}

/// Takes away what a supervisor that was killed has left in its folder: sockets of this kind that nobody answers.
pub(crate) fn sweep(runtime: &Path, owner: u32) {
    let Ok(parent) = open_trusted_folder(runtime, owner) else {
        return;
    };
    for entry in std::fs::read_dir(runtime).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX)
            && let Ok(folder) = open(&parent, &name)
            && !is_answered(&folder)
            && let Ok(parent) = parent.try_clone()
        {
            drop(Folder { parent, name, folder });
        }
    }
}

/// Whether somebody listens at the socket of a folder, which is its user's to change: what is there is opened as a mere
/// place, and that very thing connected to, if it is that user's too.
fn is_answered(folder: &OwnedFd) -> bool {
    let (Ok(user), Ok((there, status))) = (fstat(folder), there(folder, Path::new(NAME))) else {
        return false;
    };
    // One that is of another type is there all the same (EPROTOTYPE).
    status.st_uid == user.st_uid && answers(&there, SocketType::STREAM) != Err(Errno::CONNREFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_answers_is_swept_away_and_nothing_else() {
        let runtime = tempfile::tempdir().unwrap();
        let owner = Owner { runtime: runtime.path().to_owned(), ..Owner::caller() };
        let socket = Socket::on_port("a", 0);
        let listener = bind(&socket, &owner).unwrap();
        let left = runtime.path().join(format!("{PREFIX}left"));
        std::fs::create_dir(&left).unwrap();
        drop(std::os::unix::net::UnixListener::bind(left.join(NAME)).unwrap());
        std::fs::create_dir(runtime.path().join("other")).unwrap();
        sweep(runtime.path(), owner.domain);
        let count = || std::fs::read_dir(runtime.path()).unwrap().count();
        assert_eq!((left.exists(), count()), (false, 2), "one that is answered, and one that is no business of ours");
        drop(listener);
        assert_eq!(count(), 1);
    }
}
