//! `wjobd`: the loop with all jobs of one user or of the system in it. Events come from the kernel, the model decides,
//! actions go out, and what they cause comes back as events. It waits in one place only and does nothing that waits.

/// What runs use, without borrowing all of the supervisor.
macro_rules! tools {
    ($daemon:expr) => {
        $crate::order::Tools {
            image: &$daemon.image,
            machine: &$daemon.machine,
            cache: $daemon.cache.as_ref(),
            may_compile: $daemon.compiling.len() < $daemon.most_compiling,
            compile: wjob_model::wall::CompileBounds {
                memory: $daemon.configuration.compile_memory,
                seconds: $daemon.configuration.compile_time.as_secs(),
            },
        }
    };
}

mod adopted;
mod ancestry;
mod asking;
mod bound;
mod clock;
mod describe;
mod exposure;
mod files;
mod left_over;
mod load;
mod lock;
mod log;
mod logger;
mod notify;
mod orphans;
mod overrides;
mod own_users;
mod perform;
mod poller;
mod record;
mod scan;
mod serve;
mod settings;
mod setup;
mod sockets;
mod sources;
mod upgrade;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wjob_model::control::who::Peer;
use wjob_model::daemon::Configuration;
use wjob_model::fleet::{Action, Fleet, Label, RunId};
use wjob_model::message::StartFailure;
use wjob_model::run::End;
use wjob_model::wall::Machine;

use crate::attempt::{Attempt, Source};
use crate::cache::Cache;
use crate::control::clients::Clients;
use crate::spawn::Image;
use crate::watch::Watcher;

use asking::Asking;
use bound::Bound;
use clock::Timer;
use files::Reader;
use left_over::LeftOver;
use lock::Lock;
use log::{Level, Log};
use logger::{Logger, Stream};
use notify::Manager;
use orphans::Orphans;
use overrides::Overrides;
use own_users::OwnUsers;
use poller::Poller;
use record::Record;
use sockets::{Sockets, Unbound};
use sources::Watched;
use upgrade::Upgrade;

pub use settings::Settings;
pub use setup::SetupError;
pub use upgrade::{Begun, Resumed, begun, read_state, tell_version};

/// What wakes the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wakes {
    Signals,
    BootTimer,
    WallTimer,
    Watcher,
    Listener,
    Client(u64),
    Run(RunId, Source),
    Asking(RunId),
    Output(RunId, Stream),
    Traffic(u64),
    Logger,
    LoggerGone,
    LeftOver(u32),
    Successor,
}

/// A run that has a worker, or is about to.
#[derive(Debug)]
struct Running {
    attempt: Attempt,
    record: Record,
    /// The worker that was written down for the next supervisor.
    written: Option<u32>,
}

/// Where a job comes from, and what is left of its last run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Origin {
    path: PathBuf,
    /// Whether it was found in one of the domain's folders, and not named by an operator.
    found: bool,
    walls: Vec<wjob_model::message::Evidence>,
    denials: Vec<wjob_model::noted::Noted>,
}

/// A supervisor.
pub struct Daemon {
    settings: Settings,
    configuration: Configuration,
    image: Image,
    machine: Machine,
    cache: Option<Cache>,
    reader: Reader,
    fleet: Fleet,
    runs: BTreeMap<RunId, Running>,
    /// Runs for which it is still found out who they are.
    asking: BTreeMap<RunId, Asking>,
    /// Workers without a run, the oldest first.
    left_over: Vec<LeftOver>,
    origins: BTreeMap<Label, Origin>,
    /// Jobs by the token their paths are watched under, and the tokens by job and kind.
    watched: HashMap<u64, (Label, Watched)>,
    tokens: HashMap<(Label, Watched), u64>,
    next_token: u64,
    /// The sockets of jobs, and the jobs by the number under which their traffic is waited for.
    sockets: BTreeMap<Label, Sockets>,
    traffic: HashMap<u64, Label>,
    /// Jobs of which a listener could not be bound anew.
    unbound: BTreeMap<Label, Unbound>,
    /// Jobs with a socket that is not connected and should be, and when that is tried again, if nobody has it.
    unconnected: BTreeMap<Label, Option<u64>>,
    watcher: Watcher,
    /// When paths that lack a watch are looked at again, if there are any.
    look_again_at: Option<u64>,
    /// Paths were added, and what there is to see of them at once was not looked at.
    look_at_paths: bool,
    poller: Poller<Wakes>,
    boot_timer: Timer,
    wall_timer: Timer,
    signals: wjob_sandbox::signals::Signals,
    listener: Bound,
    /// When clients are taken in again, if they are not now.
    listen_again_at: Option<u64>,
    /// Since when it was said how often that a client was sent away.
    refusals: (u64, u32),
    /// Descriptors that are given up for a moment when a client comes.
    reserve: Vec<OwnedFd>,
    clients: Clients,
    /// Who they are, as found out when they came.
    callers: HashMap<u64, Peer>,
    /// Clients that wait for a job to be gone, and those that watch events.
    leaving: Vec<(u64, Label)>,
    subscribers: Vec<u64>,
    /// Clients with calls that were left for the next turn.
    busy: BTreeSet<u64>,
    /// Runs whose program is being compiled, and those that wait until one of them is done.
    compiling: BTreeSet<RunId>,
    queued: BTreeSet<RunId>,
    /// Most compilations at once: one for each processor.
    most_compiling: usize,
    overrides: Overrides,
    users: OwnUsers,
    orphans: Orphans,
    log: Log,
    logger: Logger,
    manager: Manager,
    since: Timestamp,
    /// The program that may take over, while it is asked or waits for its moment.
    upgrade: Option<Upgrade>,
    exiting: bool,
    /// Until when sockets that another has are tried again, while the first load goes on.
    patience: Option<std::time::Instant>,
    /// The last: as long as it is held, nobody else serves this state.
    lock: Lock,
}

impl Daemon {
    /// Serves until it is told to end. The exit status.
    pub fn serve(mut self) -> u8 {
        self.load_everything();
        self.turn_until_the_end()
    }

    fn turn_until_the_end(mut self) -> u8 {
        self.manager.say("READY=1\nSTATUS=serving");
        while !self.exiting {
            self.prepare_to_wait();
            for (number, gone) in self.poller.wait(!self.busy.is_empty()) {
                if let Some(name) = self.poller.name(number) {
                    self.woken(name, gone);
                }
                if self.exiting {
                    break;
                }
            }
            self.go_on_with_calls();
            self.next_compilations();
        }
        self.end();
        0
    }

    /// Performs actions, and what they lead to, in order.
    fn act(&mut self, actions: Vec<Action>) {
        let mut queue = VecDeque::from(actions);
        while let Some(action) = queue.pop_front() {
            queue.extend(self.perform(action));
        }
    }

    /// Says something in the log.
    fn say(&mut self, level: Level, label: Option<&str>, text: &str) {
        let debug = label.and_then(|label| self.fleet.member(label)).is_some_and(|member| member.job.launch.debug);
        self.log.say(level, label, debug, text);
        if self.log.is_nearly_full() {
            self.hand_on_log();
        }
    }

    /// Tells those who watch events, and the log.
    fn happened(&mut self, level: Level, label: Option<&str>, what: &str, detail: &str) {
        let text = if detail.is_empty() { what.to_owned() } else { format!("{what}: {detail}") };
        self.say(level, label, &text);
        self.publish(label, what, detail);
    }

    /// What must be true before it waits: timers set, lines handed on, clients listened to as far as they may speak.
    fn prepare_to_wait(&mut self) {
        while std::mem::take(&mut self.look_at_paths) {
            self.paths_seen();
        }
        let now = clock::now();
        let (boot, wall) = self.fleet.deadline();
        let questions = self.asking.values().map(|asking| asking.deadline);
        let helpers = self.runs.values().filter_map(|running| running.attempt.deadline()).chain(questions);
        let successor = self.upgrade.as_ref().and_then(Upgrade::deadline);
        let helpers = helpers.chain(successor).map(|deadline| now.boot + millis_until(deadline));
        let short = self.watcher.shortage().is_some();
        let shortage = short.then(|| self.look_again_at.unwrap_or(now.boot + LOOK_AGAIN));
        self.look_again_at = shortage;
        let unbound = self.unbound.values().map(|unbound| unbound.again_at).min();
        let unconnected = self.unconnected.values().filter_map(|again_at| *again_at).min();
        let unserved = [unbound, unconnected].into_iter().flatten().min();
        let others = [self.clients.deadline(), self.logger.deadline(), shortage, self.listen_again_at, unserved];
        let boot = boot.into_iter().chain(helpers).chain(others.into_iter().flatten()).min();
        self.watch_output();
        self.boot_timer.set(boot.map(|moment| i64::try_from(moment).unwrap_or(i64::MAX)));
        self.wall_timer.set(wall.map(Timestamp::as_millisecond));
        if self.wall_timer.take_was_set() {
            self.clock_was_set();
        }
        self.hand_on_log();
        self.register_clients();
    }

    /// Takes down what would outlive this process.
    fn end(&mut self) {
        self.manager.say("STOPPING=1");
        for (run, running) in std::mem::take(&mut self.runs) {
            let label = running.attempt.job().label.clone();
            let words = "ended by the end of the supervisor";
            self.say(Level::Warn, Some(&label), words);
            let end = End::Failed(StartFailure::own("the run", words));
            self.logger.ended(run, &label, words, &end, &running.record);
            let Running { attempt, record: _, written } = running;
            let abandons = attempt.job().abandon_process_group;
            // Its worker ends here; what it had started without a process table of its own does after it.
            drop(attempt);
            self.end_session(written, abandons);
        }
        for (run, asking) in std::mem::take(&mut self.asking) {
            let words = "ended by the end of the supervisor";
            let end = End::Failed(StartFailure::own("the run", words));
            self.logger.ended(run, asking.label(), words, &end, &Record::default());
        }
        self.end_all_left_over();
        self.say(Level::Info, None, "ended");
        self.hand_on_log();
        self.finish_logger();
    }
}

/// How soon paths are looked at again for which watches had run out, milliseconds.
const LOOK_AGAIN: u64 = 5_000;

/// Milliseconds until a moment, a little more so that it has come then.
fn millis_until(moment: std::time::Instant) -> u64 {
    let left = moment.saturating_duration_since(std::time::Instant::now());
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}
