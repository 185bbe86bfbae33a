//! Sockets in folders. One is made where nobody else can reach it, with its mode and its owner, and then renamed into its
//! place; so it is never there half made, and nobody can put something else in its place meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid, chmodat, chownat, fstat, mkdirat, openat, openat2,
    renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind as bind_to, connect, listen, socket_with,
};
use wjob_model::account::{Known, Question};
use wjob_model::socket::{Place, Socket};

use super::private::fresh_name;
use super::{BACKLOG, ListenError, Listener, Owner, acl, kind, system};
use crate::trust::open_trusted_folder;

/// Its name while it is made, in a folder of its own, where its own name would make an address too long.
const NAME: &str = "s";
/// How the names of those folders begin.
const PREFIX: &str = ".wjob-";
/// How many names are tried: what is there already has hit one of 2^64 by chance.
const TRIES: usize = 4;

impl Listener {
    /// Whether it is what a folder has under a name.
    fn is_there(&self, folder: &File, name: &Path) -> bool {
        let own = self.place.as_ref().map(|place| (place.device, place.inode));
        there(folder, name).is_ok_and(|(_, status)| Some((status.st_dev, status.st_ino)) == own)
    }
}

/// A socket in its place.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) folder: File,
    pub(super) name: PathBuf,
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Drop for Placed {
    /// Takes it away if it is still the one that was made.
    fn drop(&mut self) {
        let there = there(&self.folder, &self.name);
        if there.is_ok_and(|(_, status)| (status.st_dev, status.st_ino) == (self.device, self.inode)) {
            let _ = unlinkat(&self.folder, &self.name, AtFlags::empty());
        }
    }
}

/// Binds a socket to its path; one's `own` may be there, and is replaced.
pub(super) fn bind(socket: &Socket, owner: &Owner, own: Option<&Listener>) -> Result<Listener, ListenError> {
    let Place::Path { path, mode, owner: user, group } = &socket.place else {
        return Err(ListenError::Many(0));
    };
    let place = Path::new(path);
    let failed = |error: Errno| system(socket, path, error);
    let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else {
        return Err(failed(Errno::ISDIR));
    };
    let folder = open_trusted_folder(parent, owner.domain)
        .map_err(|distrust| ListenError::Folder { name: socket.name.clone(), distrust: Box::new(distrust) })?;
    let (uid, gid) = identity(socket, path, owner, user.as_deref(), group.as_deref())?;
    if !own.is_some_and(|own| own.is_there(&folder, Path::new(name))) {
        free(socket, path, &folder, Path::new(name), [Some(owner.domain), uid])?;
    }
    let beside = Beside::make(&folder, parent, name).map_err(failed)?;
    let mode = mode.filter(|_| owner.admitted.is_none()).unwrap_or(0o600);
    let descriptor =
        bind_in(&beside.folder, &beside.socket, socket, Mode::from_raw_mode(mode), uid, gid).map_err(failed)?;
    if let Some(users) = &owner.admitted {
        let place = inside(&beside.folder, beside.made());
        acl::set(&place, users, owner.job.map(|(uid, _)| uid)).map_err(|error| unlisted(socket, path, error))?;
    }
    let status = beside.settle(Path::new(name)).map_err(failed)?;
    drop(beside);
    let placed = Placed { folder, name: name.into(), device: status.st_dev, inode: status.st_ino };
    let address = format!("unix://{path}");
    let (socket, place, admitted) = (socket.clone(), Some(placed), owner.admitted.clone());
    Ok(Listener { socket, descriptor, address, place, folder: None, admitted, connection: None })
}

/// Users would be held by nothing where a socket is accepted on by its own job.
fn unlisted(socket: &Socket, path: &str, error: Errno) -> ListenError {
    if error != Errno::OPNOTSUPP {
        return system(socket, path, error);
    }
    let what = "its file system keeps no access lists, by which Users is held; choose a folder of another".into();
    ListenError::Taken { name: socket.name.clone(), place: path.to_owned(), what }
}

/// Whose it is to be: the job's, unless the list says otherwise. Only root gives sockets away.
pub(super) fn identity(
    socket: &Socket,
    path: &str,
    owner: &Owner,
    user: Option<&str>,
    group: Option<&str>,
) -> Result<(Option<u32>, Option<u32>), ListenError> {
    if owner.domain != 0 {
        return Ok((None, None));
    }
    let taken = |what: String| ListenError::Taken { name: socket.name.clone(), place: path.to_owned(), what };
    let missing = |key: &str, name: &str| taken(format!("{key} is {name}: there is no such account in the files"));
    let known = |user: &str, group: Option<&str>| {
        crate::accounts::of_files(&Question { user: user.to_owned(), group: group.map(str::to_owned) })
    };
    let uid = match user.map(|user| (user, number(user).or_else(|| uid_of(&known(user, None))))) {
        None => owner.job.map(|(uid, _)| uid),
        Some((_, Some(uid))) => Some(uid),
        Some((user, None)) => return Err(missing("SockPathOwner", user)),
    };
    let gid = match group.map(|group| (group, number(group).or_else(|| known("root", Some(group)).group))) {
        None => owner.job.map(|(_, gid)| gid),
        Some((_, Some(gid))) => Some(gid),
        Some((group, None)) => return Err(missing("SockPathGroup", group)),
    };
    match uid {
        Some(_) => Ok((uid, gid)),
        None => Err(taken("the job's user is not in the files; name the socket's by SockPathOwner".into())),
    }
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

fn uid_of(known: &Known) -> Option<u32> {
    known.account.as_ref().map(|account| account.uid)
}

/// What is at a socket's place may be replaced if it is a socket that nobody answers, and one of the `owners`: the
/// domain's, and whose the new one becomes, as one that a killed supervisor has left is. In a folder that is open to all
/// it may be anybody's, who would have root for a client: nobody else's is connected to.
fn free(socket: &Socket, path: &str, folder: &File, name: &Path, owners: [Option<u32>; 2]) -> Result<(), ListenError> {
    let taken = |what: String| {
        let what = format!("{what}, or choose another SockPathName");
        ListenError::Taken { name: socket.name.clone(), place: path.to_owned(), what }
    };
    let (there, status) = match there(folder, name) {
        Ok(there) => there,
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::XDEV) => return Err(taken("a file system is mounted there; take it off".into())),
        Err(error) => return Err(system(socket, path, error)),
    };
    if FileType::from_raw_mode(status.st_mode) != FileType::Socket {
        return Err(taken("something else is there; remove it".into()));
    }
    if !owners.contains(&Some(status.st_uid)) {
        return Err(taken(format!("a socket of user {} is there; remove it", status.st_uid)));
    }
    match answers(&there, kind(socket.kind)) {
        Err(Errno::CONNREFUSED) => Ok(()),
        // Whoever answers, or would if he had time.
        _ => Err(taken("another process answers there; end it".into())),
    }
}

/// What a folder has under a name, as a mere place, and its state; `XDEV` when something is mounted there: for that
/// another user's process may have to answer, and never do.
pub(super) fn there(folder: impl AsFd, name: &Path) -> Result<(OwnedFd, Stat), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = openat2(folder, name, flags, Mode::empty(), ResolveFlags::NO_XDEV)?;
    let status = fstat(&place)?;
    Ok((place, status))
}

/// Connects to the very socket that was looked at, whatever has its name by now.
pub(super) fn answers(there: &OwnedFd, kind: SocketType) -> Result<(), Errno> {
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", there.as_raw_fd()))?;
    connect(&socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?, &address)
}

/// A name in a folder that is open: the folder's own path may be longer than an address can be.
fn address(folder: &impl AsRawFd, name: &Path) -> Result<SocketAddrUnix, Errno> {
    SocketAddrUnix::new(inside(folder, name))
}

fn inside(folder: &impl AsRawFd, name: &Path) -> PathBuf {
    Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name)
}

/// Binds a socket in a folder that nobody else can reach, with its mode and its owner. The kernel shows ever after by
/// which words that was done (getsockname(2), ss(8)): its path there, unless that is too long for an address. One that
/// led elsewhere meanwhile would not be found in the folder.
pub(super) fn bind_in(
    folder: &OwnedFd,
    path: &Path,
    socket: &Socket,
    mode: Mode,
    uid: Option<u32>,
    gid: Option<u32>,
) -> Result<OwnedFd, Errno> {
    let descriptor = socket_with(AddressFamily::UNIX, kind(socket.kind), SocketFlags::CLOEXEC, None)?;
    let name = path.file_name().ok_or(Errno::ISDIR)?;
    bind_to(&descriptor, &SocketAddrUnix::new(path).or_else(|_| address(folder, Path::new(name)))?)?;
    chmodat(folder, name, mode, AtFlags::empty())?;
    if uid.is_some() || gid.is_some() {
        chownat(folder, name, uid.map(Uid::from_raw), gid.map(Gid::from_raw), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    if socket.kind.accepts() {
        listen(&descriptor, BACKLOG)?;
    }
    Ok(descriptor)
}

/// A folder beside the place, in which the socket is made.
struct Beside<'a> {
    parent: &'a File,
    name: String,
    folder: OwnedFd,
    /// Where it is made.
    socket: PathBuf,
}

impl<'a> Beside<'a> {
    /// Makes the folder in the one that `path` leads to, for a socket that is to be called `wanted`.
    fn make(parent: &'a File, path: &Path, wanted: &OsStr) -> Result<Self, Errno> {
        let name = fresh_folder(parent, || fresh_name(PREFIX))?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::PATH | OFlags::CLOEXEC;
        match openat(parent, &name, flags, Mode::empty()) {
            Ok(folder) => {
                let place = path.join(&name);
                let fits = SocketAddrUnix::new(place.join(wanted)).is_ok();
                let socket = place.join(if fits { wanted } else { OsStr::new(NAME) });
                Ok(Self { parent, name, folder, socket })
            }
            Err(error) => {
                let _ = unlinkat(parent, &name, AtFlags::REMOVEDIR);
                Err(error)
            }
        }
    }

    /// Its name while it is made.
    fn made(&self) -> &Path {
        Path::new(self.socket.file_name().unwrap_or_default())
    }

    /// Puts it into its place; its state. Looked at there, it could be its user's next thing already.
    fn settle(&self, name: &Path) -> Result<Stat, Errno> {
        let status = statat(&self.folder, self.made(), AtFlags::SYMLINK_NOFOLLOW)?;
        renameat(&self.folder, self.made(), self.parent, name)?;
        Ok(status)
    }
}

/// Makes a folder under a name that nobody could foresee: in a sticky folder anybody may put what stands in the way.
fn fresh_folder(parent: &File, name: impl Fn() -> std::io::Result<String>) -> Result<String, Errno> {
    for _ in 0..TRIES {
        let name = name().map_err(|_| Errno::IO)?;
        match mkdirat(parent, &name, Mode::from_raw_mode(0o700)) {
            Ok(()) => return Ok(name),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EXIST)
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        let _ = unlinkat(&self.folder, self.made(), AtFlags::empty());
        let _ = unlinkat(self.parent, &self.name, AtFlags::REMOVEDIR);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_name_that_is_taken_is_not_the_last_that_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("0")).unwrap();
        let parent = File::open(folder.path()).unwrap();
        let counted = || {
            let next = Cell::new(0);
            move || Ok(next.replace(next.get() + 1).to_string())
        };
        assert_eq!(fresh_folder(&parent, counted()), Ok("1".to_owned()));
        assert_eq!(fresh_folder(&parent, || Ok("0".to_owned())), Err(Errno::EXIST));
        assert_eq!(fresh_folder(&parent, || Err(std::io::ErrorKind::NotFound.into())), Err(Errno::IO));
    }

    #[test]
    fn no_two_folders_have_one_name() {
        let names: std::collections::BTreeSet<String> = (0..64).map(|_| fresh_name(PREFIX).unwrap()).collect();
        assert_eq!(names.len(), 64);
        assert!(names.iter().all(|name| name.len() == PREFIX.len() + 16), "{names:?}");
    }
}
