//! Unix sockets of the supervisor's own: bound without a race, taken away when it ends, or handed over. Sockets of jobs
//! are bound in `listen`.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind as name_socket, listen, socket_with};
use serde::{Deserialize, Serialize};
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};

use crate::listen::fresh_name;

/// How the name of one begins while it is made.
const PREFIX: &str = ".wjob-";
/// Most clients that wait to be accepted: as many as the kernel lets (listen(2)). They wait while a program is replaced.
const BACKLOG: i32 = i32::MAX;
/// How often, and how far apart, a socket that is answered is asked again.
const TRIES: u32 = 20;
const BETWEEN_TRIES: std::time::Duration = std::time::Duration::from_millis(10);

/// A socket that was bound, as it lay in its folder then.
#[derive(Debug)]
pub(super) struct Bound {
    /// The listening socket.
    pub listener: UnixListener,
    /// Device and inode of its file, if that was found. They are no other file's while this one is open.
    pub file: Option<(u64, u64)>,
    place: Option<(PathBuf, u64, u64)>,
}

/// The same as it is handed over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedBound {
    listener: i32,
    place: Option<(PathBuf, u64, u64)>,
}

impl Bound {
    fn at(listener: UnixListener, path: &Path) -> Self {
        let status = fs::symlink_metadata(path).ok();
        Self::of(listener, status.map(|status| (path.to_owned(), status.dev(), status.ino())))
    }

    fn of(listener: UnixListener, place: Option<(PathBuf, u64, u64)>) -> Self {
        let file = match &place {
            Some((_, device, inode)) => Some((*device, *inode)),
            None => file_of(&listener),
        };
        Self { listener, file, place }
    }

    /// One that was handed in: its place is for whoever has bound it to take away.
    pub fn handed_in(listener: UnixListener) -> Self {
        Self::of(listener, None)
    }

    /// What the next program of this process is told of it.
    pub fn saved(&self, kept: &mut Kept) -> SavedBound {
        SavedBound { listener: kept.keep(&self.listener), place: self.place.clone() }
    }

    /// The one that the program before this one has bound.
    ///
    /// # Errors
    /// When it was not handed over.
    pub fn resumed(saved: SavedBound, inherited: &mut Inherited) -> Result<Self, HandoverError> {
        Ok(Self::of(inherited.take(saved.listener)?.into(), saved.place))
    }
}

/// Device and inode of what is where a socket was bound by somebody else.
fn file_of(listener: &UnixListener) -> Option<(u64, u64)> {
    let address = listener.local_addr().ok()?;
    let status = fs::symlink_metadata(address.as_pathname().filter(|path| path.is_absolute())?).ok()?;
    Some((status.dev(), status.ino()))
}

impl Drop for Bound {
    /// Takes it away if it is still the one that was made. One that stays is answered by nobody and replaced at the
    /// next start, so failing here costs nothing.
    fn drop(&mut self) {
        if let Some((path, device, inode)) = &self.place
            && fs::symlink_metadata(path).is_ok_and(|status| (status.dev(), status.ino()) == (*device, *inode))
        {
            let _ = fs::remove_file(path);
        }
    }
}

/// Binds a Unix socket beside its place and renames it into it, so that it is never there without its mode. The folder
/// is the owner's, or a sticky one: there the name beside is one that nobody could foresee and take. Everybody may
/// connect to the system's, and is asked who he is.
pub(super) fn bind(path: &Path, uid: u32) -> Result<Bound, String> {
    let name = path.display();
    let failed = |error: io::Error| format!("the socket {name}: {error}");
    // Bound by another name it would be there, and no client could connect.
    SocketAddr::from_pathname(path).map_err(failed)?;
    let folder = path.parent().ok_or_else(|| format!("the socket {name}: expected an absolute path"))?;
    let mode = if uid == 0 { 0o755 } else { 0o700 };
    fs::DirBuilder::new().recursive(true).mode(mode).create(folder).map_err(failed)?;
    let status = fs::symlink_metadata(folder).map_err(failed)?;
    if !status.is_dir()
        || ![0, uid].contains(&status.uid())
        || status.mode() & 0o022 != 0 && status.mode() & 0o1000 == 0
    {
        return Err(format!(
            "the socket {name}: its folder is not this user's alone to change; choose another --socket"
        ));
    }
    if let Ok(status) = fs::symlink_metadata(path) {
        stale(path, &status, uid)?;
    }
    let beside = folder.join(fresh_name(PREFIX).map_err(failed)?);
    let mode = if uid == 0 { 0o666 } else { 0o600 };
    let listener = listen_at(folder, &beside, mode).and_then(|listener| fs::rename(&beside, path).map(|()| listener));
    let listener = listener.map_err(|error| {
        let _ = fs::remove_file(&beside);
        failed(error)
    })?;
    Ok(Bound::at(listener, path))
}

/// By the folder, which is open: a name beside may be longer than an address can be, where the socket's own is not.
fn listen_at(folder: &Path, beside: &Path, mode: u32) -> io::Result<UnixListener> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // What is made has this mode at most (net/unix/af_unix.c), and then, whatever the umask, this one. The name is nobody
    // else's to change meanwhile.
    fchmod(&socket, Mode::from_raw_mode(mode))?;
    // It need not be one that may be read.
    let folder = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(folder)?;
    let name = beside.file_name().unwrap_or_default();
    let inside = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    name_socket(&socket, &SocketAddrUnix::new(&inside)?)?;
    fs::set_permissions(&inside, fs::Permissions::from_mode(mode))?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// What is at the socket's place may be replaced if it is a socket that nobody answers, and nobody else's: in a sticky
/// folder it may be anybody's, who would have a supervisor wait for him.
fn stale(path: &Path, status: &fs::Metadata, uid: u32) -> Result<(), String> {
    let name = path.display();
    if !status.file_type().is_socket() {
        return Err(format!("the socket {name}: something else is there; remove it, or choose another --socket"));
    }
    if ![0, uid].contains(&status.uid()) {
        let owner = status.uid();
        return Err(format!("the socket {name}: one of user {owner} is there; remove it, or choose another --socket"));
    }
    // A supervisor that was killed has answered until the last of its children began its own program.
    for _ in 0..TRIES {
        if UnixStream::connect(path).is_err() {
            return Ok(());
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    Err(format!("the socket {name}: another process answers there; end it, or choose another --socket"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, lchown};

    use wjob_model::socket::LONGEST_PATH;

    use super::*;

    /// A folder of the test's own, by a path that is short however long that of the folder for temporary files is: it may
    /// be longer than an address can be.
    struct Scene {
        /// Its path goes by this descriptor.
        _open: File,
        _folder: tempfile::TempDir,
        path: PathBuf,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let open = File::open(folder.path()).unwrap();
            let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
            Self { _open: open, _folder: folder, path }
        }
    }

    #[test]
    fn a_socket_nobody_answers_is_replaced_and_everything_else_stays() {
        let scene = Scene::new();
        let uid = rustix::process::geteuid().as_raw();
        let path = scene.path.join("run/wjob.sock");
        let first = bind(&path, uid).unwrap();
        assert!(bind(&path, uid).unwrap_err().contains("another process answers"));
        drop(first.listener.try_clone().unwrap());
        drop(first);
        assert!(!path.exists(), "it took its own away");
        // One whose supervisor was killed stays, and answers nobody.
        drop(UnixListener::bind(&path).unwrap());
        let second = bind(&path, uid).unwrap();
        let mode = fs::symlink_metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(mode, if uid == 0 { 0o666 } else { 0o600 });
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(bind(&path, uid).unwrap_err().contains("something else"));
        drop(second);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious", "what is not its own stays");
    }

    #[test]
    fn its_file_is_known_whoever_has_bound_it() {
        let scene = Scene::new();
        let [own, other] = ["own", "other"].map(|name| scene.path.join(name).join("wjob.sock"));
        fs::create_dir(other.parent().unwrap()).unwrap();
        let file = |path: &Path| fs::symlink_metadata(path).ok().map(|status| (status.dev(), status.ino()));
        let bound = bind(&own, rustix::process::geteuid().as_raw()).unwrap();
        let handed_in = Bound::handed_in(UnixListener::bind(&other).unwrap());
        assert!(bound.file.is_some() && bound.file == file(&own), "{bound:?}");
        assert!(handed_in.file.is_some() && handed_in.file == file(&other), "{handed_in:?}");
        drop(handed_in);
        assert!(other.exists(), "it is for another to take away");
    }

    #[test]
    fn in_a_sticky_folder_nobody_else_keeps_it_from_being_bound() {
        const OTHER: u32 = 54_321;
        let scene = Scene::new();
        let folder = scene.path.join("sticky");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let path = folder.join("wjob.sock");
        // What was foreseen was taken, and by what is not removed.
        fs::create_dir(folder.join(format!(".wjob.sock.{}", std::process::id()))).unwrap();
        drop(bind(&path, uid).unwrap());
        let entries = fs::read_dir(&folder).unwrap().count();
        assert_eq!(entries, 1, "nothing of it is left");
        let _theirs = UnixListener::bind(&path).unwrap();
        if lchown(&path, Some(OTHER), None).is_ok() {
            let refused = bind(&path, uid).unwrap_err();
            assert!(refused.contains("one of user 54321 is there"), "{refused}");
        } else {
            assert!(bind(&path, uid).unwrap_err().contains("another process answers"));
        }
    }

    #[test]
    fn a_path_may_be_as_long_as_an_address() {
        let scene = Scene::new();
        let uid = rustix::process::geteuid().as_raw();
        let of_length = |length: usize| {
            let room = length - scene.path.as_os_str().len() - "//s".len();
            scene.path.join("x".repeat(room)).join("s")
        };
        let path = of_length(LONGEST_PATH);
        let _bound = bind(&path, uid).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        let longer = of_length(LONGEST_PATH + 1);
        assert!(bind(&longer, uid).is_err());
        assert!(!longer.parent().unwrap().exists(), "nothing was made for it");
    }
}
