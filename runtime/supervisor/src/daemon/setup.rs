//! A supervisor's beginnings: who and where it is, its folders and its control socket, each checked before anything
//! is loaded. What cannot be had is said with what to do about it.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

use jiff::Timestamp;
use thiserror::Error;
use wjob_model::daemon::Configuration;
use wjob_model::fleet::Fleet;
use wjob_model::wall::Machine;
use wjob_sandbox::handover::HandoverError;
use wjob_sandbox::signals::Signals;

use super::bound::{Bound, bind};
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
use super::settings::Settings;
use super::sources::ZONE;
use super::{Daemon, Wakes};
use crate::cache::Cache;
use crate::places::{Places, private_folder};
use crate::spawn::{Image, raise_files};
use crate::watch::{Want, Watcher};

/// Signals the supervisor acts on.
const SIGNALS: [i32; 5] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGCHLD];

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
        // It can be read at any time, and has an error when there is news.
        poller.add_for(parts.watcher.mounts(), Wakes::Watcher, false, false).map_err(system("epoll"))?;
        let machine = machine(configuration, &mut log);
        Ok(Self {
            machine,
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
            unbound: Default::default(),
            unconnected: Default::default(),
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
            patience: None,
            lock: parts.lock,
        })
    }
}

/// What this machine can put up. A group that was named and cannot be divided is no reason to serve nobody: jobs have
/// their resource limits all the same.
fn machine(configuration: &Configuration, log: &mut Log) -> Machine {
    let mut machine = wjob_sandbox::machine::look();
    if let Some(folder) = &configuration.cgroup {
        machine.cgroup = wjob_sandbox::cgroup::named(folder);
        if let Err(why) = &machine.cgroup {
            log.say(super::Level::Warn, None, false, &format!("jobs get no control groups: {why}"));
        }
    }
    machine
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
        Some(socket) => Bound::handed_in(UnixListener::from(socket)),
        None => bind(&settings.socket, settings.uid).map_err(SetupError::Place)?,
    };
    bound.listener.set_nonblocking(true).map_err(|error| SetupError::System { what: "the control socket", error })?;
    Ok(bound)
}
