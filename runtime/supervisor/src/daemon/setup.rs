//! A supervisor's beginnings: who and where it is, its folders and its control socket, each checked before anything
//! is loaded. What cannot be had is said with what to do about it.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::Mode;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use wjob_model::daemon::{Configuration, Partial};
use wjob_model::fleet::Fleet;
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};
use wjob_sandbox::signals::Signals;

use super::clock::{self, Timer};
use super::files::Reader;
use super::lock::Lock;
use super::log::Log;
use super::logger::Logger;
use super::notify::{Manager, handed_in};
use super::orphans::Orphans;
use super::overrides::Overrides;
use super::own_users::OwnUsers;
use super::poller::Poller;
use super::sources::ZONE;
use super::{Daemon, Wakes};
use crate::cache::Cache;
use crate::places::{Places, private_folder};
use crate::spawn::{Image, raise_files};
use crate::watch::{Want, Watcher};

/// Signals the supervisor acts on.
const SIGNALS: [i32; 5] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGCHLD];

/// The logger's socket, beside the control socket.
const LOG_SOCKET: &str = "log.sock";

/// How often, and how far apart, a socket that is answered is asked again.
const TRIES: u32 = 20;
const BETWEEN_TRIES: std::time::Duration = std::time::Duration::from_millis(10);

/// Where a supervisor is, settled for as long as it lives, whatever program its process executes meanwhile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Version and build.
    pub build: String,
    /// The user it serves; 0 = the system.
    pub uid: u32,
    /// That user's home.
    pub home: String,
    /// State and cache.
    pub state: PathBuf,
    /// Compiled programs.
    pub cache: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// The configuration file.
    pub configuration: PathBuf,
    /// Whether that file was named, and so has to be there.
    pub configuration_named: bool,
    /// Where job files are, unless the configuration says so.
    pub folders: Vec<PathBuf>,
    /// The command line's part of the configuration.
    #[serde(skip)]
    pub flags: Partial,
    /// The `wjob` file.
    pub worker: PathBuf,
    /// The program's own file, by the name it was started under: what is found there later may be another build.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// Why there is no supervisor.
#[derive(Debug, Error)]
pub enum SetupError {
    /// Something on the way.
    #[error("{0}")]
    Place(String),
    /// Another serves the same state.
    #[error("{0}")]
    Held(String),
    /// The program before this one has left nothing that this one could go on with.
    #[error("nothing can be taken over: {0}")]
    Handover(#[from] HandoverError),
    /// The system refused.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        error: std::io::Error,
    },
}

impl Settings {
    /// `system` or `user/UID`.
    pub fn domain(&self) -> String {
        if self.uid == 0 { "system".into() } else { format!("user/{}", self.uid) }
    }

    /// The `wjob` file that belongs to a `wjobd` file: the one that is named, or the one beside it.
    pub fn worker_beside(configuration: &Configuration, program: &Path) -> PathBuf {
        configuration.worker.clone().unwrap_or_else(|| program.with_file_name("wjob"))
    }

    /// The socket on which the logger answers.
    pub(super) fn log_socket(&self) -> PathBuf {
        self.socket.with_file_name(LOG_SOCKET)
    }

    /// The folder in which it answers, and in which sockets are made that have no place of their own.
    pub(super) fn runtime(&self) -> PathBuf {
        self.socket.parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// Folders of job files.
    pub(super) fn folders(&self, configuration: &Configuration) -> Vec<PathBuf> {
        configuration.jobs.clone().unwrap_or_else(|| self.folders.clone())
    }

    /// The configuration file's name and text; `None` = it is not there and need not be.
    ///
    /// # Errors
    /// When it cannot be read, or was named and is not there.
    pub fn configuration_text(&self) -> Result<(String, Option<String>), String> {
        let name = self.configuration.display().to_string();
        match fs::read_to_string(&self.configuration) {
            Ok(text) => Ok((name, Some(text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.configuration_named => Ok((name, None)),
            Err(error) => Err(format!("{name}: {error}")),
        }
    }
}

/// A socket that was bound, as it lay in its folder then.
#[derive(Debug)]
pub(super) struct Bound {
    /// The listening socket.
    pub listener: UnixListener,
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
        Self { listener, place: status.map(|status| (path.to_owned(), status.dev(), status.ino())) }
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
        Ok(Self { listener: inherited.take(saved.listener)?.into(), place: saved.place })
    }
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

/// What a supervisor has before it waits for anything, whether it was made or handed over.
pub(super) struct Parts {
    pub settings: Settings,
    pub configuration: Configuration,
    pub signals: Signals,
    pub lock: Lock,
    pub overrides: Overrides,
    pub users: OwnUsers,
    pub orphans: Orphans,
    pub image: Image,
    pub listener: Bound,
    pub watcher: Watcher,
    pub logger: Logger,
    pub fleet: Fleet,
    pub since: Timestamp,
}

impl Daemon {
    /// Makes a supervisor of these settings, which serves nothing yet.
    ///
    /// # Errors
    /// What is missing, or in the way.
    pub fn new(settings: Settings, configuration: Configuration) -> Result<Self, SetupError> {
        private_folder(&settings.state, settings.uid).map_err(SetupError::Place)?;
        let lock = Lock::take(&settings.state).map_err(SetupError::Held)?;
        let overrides = Overrides::open(&settings.state).map_err(|error| SetupError::Place(error.to_string()))?;
        let range = configuration.uid_range;
        let users = OwnUsers::open(&settings.state, range.first(), range.last()).map_err(SetupError::Place)?;
        let orphans = Orphans::open(&settings.state).map_err(system("the folder of running jobs"))?;
        orphans.await_logger();
        let signals = own_process(None)?;
        let image = Image::open(&settings.worker, &settings.build).map_err(|why| {
            SetupError::Place(format!("no worker: {why}; `wjob` belongs beside wjobd, or name it by --worker"))
        })?;
        let listener = listener(&settings)?;
        crate::listen::sweep(&settings.runtime(), settings.uid);
        let mut watcher = Watcher::new().map_err(system("inotify"))?;
        // Without it the zone is still looked at with every reload.
        let _ = watcher.add(ZONE, Path::new(clock::ZONE_FILE), Want::Change);
        let logger = Logger::new(&settings, &configuration)?;
        let (fleet, since) = (Fleet::new(clock::zone()), Timestamp::now());
        Self::of(Parts {
            settings,
            configuration,
            signals,
            lock,
            overrides,
            users,
            orphans,
            image,
            listener,
            watcher,
            logger,
            fleet,
            since,
        })
    }

    /// A supervisor of these parts, which waits for what may come and has no run yet.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub(super) fn of(parts: Parts) -> Result<Self, SetupError> {
        let Parts { settings, configuration, .. } = &parts;
        let places = Places { cache: settings.cache.clone(), state: settings.state.clone() };
        let mut log = Log::new(configuration.log_level);
        let cache = Cache::open(&places, settings.uid, &settings.build)
            .inspect_err(|why| {
                log.say(super::Level::Warn, None, false, &format!("compiled programs are not kept: {why}"))
            })
            .ok();
        let reader = Reader { owner: settings.uid, home: settings.home.clone() };
        let mut poller = Poller::new().map_err(system("epoll"))?;
        let boot_timer = Timer::boot().map_err(system("a timer"))?;
        let wall_timer = Timer::wall().map_err(system("a timer"))?;
        for (source, name) in [
            (parts.signals.as_fd(), Wakes::Signals),
            (boot_timer.as_fd(), Wakes::BootTimer),
            (wall_timer.as_fd(), Wakes::WallTimer),
            (parts.watcher.as_fd(), Wakes::Watcher),
            (parts.listener.listener.as_fd(), Wakes::Listener),
        ] {
            poller.add(source, name).map_err(system("epoll"))?;
        }
        Ok(Self {
            machine: wjob_sandbox::machine::look(),
            manager: Manager::of(std::env::var("NOTIFY_SOCKET").ok().as_deref()),
            fleet: parts.fleet,
            since: parts.since,
            settings: parts.settings,
            configuration: parts.configuration,
            image: parts.image,
            cache,
            reader,
            runs: Default::default(),
            asking: Default::default(),
            left_over: Vec::new(),
            origins: Default::default(),
            watched: Default::default(),
            tokens: Default::default(),
            next_token: 0,
            sockets: Default::default(),
            traffic: Default::default(),
            watcher: parts.watcher,
            look_again_at: None,
            look_at_paths: false,
            poller,
            boot_timer,
            wall_timer,
            signals: parts.signals,
            listener: parts.listener,
            listen_again_at: None,
            refusals: (0, 0),
            reserve: Vec::new(),
            clients: Default::default(),
            callers: Default::default(),
            leaving: Vec::new(),
            subscribers: Vec::new(),
            busy: Default::default(),
            compiling: Default::default(),
            queued: Default::default(),
            most_compiling: std::thread::available_parallelism().map_or(1, usize::from),
            overrides: parts.overrides,
            users: parts.users,
            orphans: parts.orphans,
            log,
            logger: parts.logger,
            upgrade: None,
            exiting: false,
            lock: parts.lock,
        })
    }
}

fn system(what: &'static str) -> impl Fn(std::io::Error) -> SetupError {
    move |error| SetupError::System { what, error }
}

/// Makes this process what a supervisor is, and says what signals it gets. `files` is what an earlier program of it let
/// jobs have open.
pub(super) fn own_process(files: Option<(u64, u64)>) -> Result<Signals, SetupError> {
    wjob_sandbox::signals::default_for_children();
    raise_files(files);
    let signals = Signals::block(&SIGNALS).map_err(system("signals"))?;
    // Short of memory the kernel is to take jobs first (proc_pid_oom_score_adj(5)); only root may ask for that.
    let _ = fs::write("/proc/self/oom_score_adj", "-900");
    // What a job leaves comes to this process and not to init's: so nobody is a job's and looks like nobody's.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| system("becoming the parent of what jobs leave")(error.into()))?;
    Ok(signals)
}

/// The control socket: the one that was handed in, or one of our own.
fn listener(settings: &Settings) -> Result<Bound, SetupError> {
    let variable = |name: &str| std::env::var(name).ok();
    let given = handed_in(variable("LISTEN_PID").as_deref(), variable("LISTEN_FDS").as_deref());
    let bound = match given.map_err(SetupError::Place)? {
        Some(socket) => Bound { listener: UnixListener::from(socket), place: None },
        None => bind(&settings.socket, settings.uid).map_err(SetupError::Place)?,
    };
    bound.listener.set_nonblocking(true).map_err(|error| SetupError::System { what: "the control socket", error })?;
    Ok(bound)
}

/// Binds a Unix socket beside its place and renames it into it, so that it is never there without its mode. The folder
/// is the owner's; everybody may connect to the system's, and is asked who he is.
pub(super) fn bind(path: &Path, uid: u32) -> Result<Bound, String> {
    let name = path.display();
    let failed = |error: std::io::Error| format!("the socket {name}: {error}");
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
        stale(path, &status)?;
    }
    let beside = folder.join(format!(".{}.{}", path.file_name().unwrap_or_default().display(), std::process::id()));
    let _ = fs::remove_file(&beside);
    let mode = if uid == 0 { 0o666 } else { 0o600 };
    // Made with its mode: a name that is asked for again might be another file's by then. There is one thread.
    let umask = rustix::process::umask(Mode::from_raw_mode(!mode & 0o777));
    let listener = UnixListener::bind(&beside).map_err(failed);
    rustix::process::umask(umask);
    let listener = listener?;
    fs::rename(&beside, path).map_err(failed)?;
    Ok(Bound::at(listener, path))
}

/// What is at the socket's place may be replaced if it is a socket that nobody answers.
fn stale(path: &Path, status: &fs::Metadata) -> Result<(), String> {
    let name = path.display();
    if !status.file_type().is_socket() {
        return Err(format!("the socket {name}: something else is there; remove it, or choose another --socket"));
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
    use super::*;

    #[test]
    fn a_socket_nobody_answers_is_replaced_and_everything_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let path = folder.path().join("run/wjob.sock");
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
}
