//! The logger's other end: starts it, hands it the pipes of jobs and the record of each run, and starts it again when
//! it dies; the pipes wait meanwhile. It looks at no byte of what a job writes. While there is no logger at all, what
//! jobs write is dropped, so that none of them waits for it.

mod events;
mod rest;
mod saved;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use wjob_model::daemon::Configuration;
use wjob_model::fleet::RunId;
pub use wjob_model::record::Stream;
use wjob_model::record::{self, Attach, Began, Bounds, Ended, Open, ToLogger};
use wjob_model::run::{End, Moment};

use super::bound::{Bound, bind};
use super::log::Line;
use super::record::Record;
use super::settings::Settings;
use super::setup::SetupError;
use super::{clock, describe};
use crate::spawn::{Image, Standing, Worker, spawn};

pub use saved::SavedLogger;

/// Name by which the `wjob` file knows that it is to be the logger.
const LOGGER_NAME: &std::ffi::CStr = c"wjob-logger";
/// Most messages that wait for a logger that is down or slow; the oldest go first.
const MOST_WAITING: usize = 100_000;
/// First and longest wait before a logger that died is started again, milliseconds.
const SOON: Moment = 100;
const LONGEST: Moment = 60_000;
/// One that kept things for so long works, milliseconds.
const HEALTHY: Moment = 10_000;
/// How long its channel may be full at the end, milliseconds and seconds.
const LAST: Moment = 5_000;
const LAST_SECONDS: i64 = 1;
/// How long it may take to end with everything else, seconds. What it has read and not written is lost with it.
const END_SECONDS: i64 = 5;
/// How soon a full channel is tried again, milliseconds.
const AGAIN: Moment = 50;

/// A pipe of a job.
#[derive(Debug)]
struct Pipe {
    label: String,
    read: OwnedFd,
    /// The run is over and writes no more.
    over: bool,
    /// The logger that runs now has it.
    handed: bool,
    /// What comes is taken here and dropped.
    dropped: bool,
}

/// The logger, if there is one. Resting it was told to end, so that another one may begin, and is killed when it has not
/// until then, which is the last moment of all once it is.
#[derive(Debug)]
enum Process {
    Up { worker: Worker, ready: bool, since: Moment },
    Resting { worker: Worker, until: Moment },
    Down { again_at: Moment, why: String },
}

/// The logger and what waits for it.
#[derive(Debug)]
pub struct Logger {
    process: Process,
    failures: u32,
    pipes: BTreeMap<(RunId, Stream), Pipe>,
    waiting: VecDeque<ToLogger>,
    /// Runs that have begun and are not over.
    runs: BTreeMap<RunId, Began>,
    /// When a channel that was full is tried again.
    full_until: Option<Moment>,
    /// Whether pipes are read here because there is no logger, and whether anything was lost by that.
    dropping: bool,
    has_dropped: bool,
    state: OwnedFd,
    queries: Bound,
    bounds: Bounds,
    build: String,
    owner: u32,
}

impl Logger {
    /// Opens what it will be handed; it is started by `Daemon::logger_due`.
    ///
    /// # Errors
    /// When the state directory or its socket cannot be opened.
    pub fn new(settings: &Settings, configuration: &Configuration) -> Result<Self, SetupError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let state = rustix::fs::open(&settings.state, flags, Mode::empty())
            .map_err(|error| SetupError::System { what: "the state directory", error: error.into() })?;
        let queries = bind(&settings.log_socket(), settings.uid).map_err(SetupError::Place)?;
        queries
            .listener
            .set_nonblocking(true)
            .map_err(|error| SetupError::System { what: "the log's socket", error })?;
        Ok(Self::of(state, queries, bounds(configuration), &settings.build, settings.uid))
    }

    /// One that has not been started, of a supervisor of this build and user.
    fn of(state: OwnedFd, queries: Bound, bounds: Bounds, build: &str, owner: u32) -> Self {
        Self {
            process: Process::Down { again_at: 0, why: "it has not been started".into() },
            failures: 0,
            pipes: BTreeMap::new(),
            waiting: VecDeque::new(),
            runs: BTreeMap::new(),
            full_until: None,
            dropping: false,
            has_dropped: false,
            state,
            queries,
            bounds,
            build: build.to_owned(),
            owner,
        }
    }

    /// A pipe for what a run writes.
    pub fn attach(&mut self, run: RunId, label: &str, stream: Stream, read: OwnedFd) {
        self.pipes
            .insert((run, stream), Pipe { label: label.to_owned(), read, over: false, handed: false, dropped: false });
        self.flush();
    }

    /// A run begins; its worker may be there already.
    pub fn began(&mut self, run: RunId, label: &str, causes: &[String], pid: Option<u32>) {
        let wall_ms = clock::now().wall.as_millisecond();
        let pid = pid.unwrap_or_default();
        let began = Began { run, label: label.to_owned(), causes: causes.to_vec(), pid, wall_ms };
        self.runs.insert(run, began.clone());
        self.tell(ToLogger::Began(began));
    }

    /// The process of a run that had none when it began.
    pub fn has_process(&mut self, run: RunId, pid: Option<u32>) {
        if let (Some(began), Some(pid)) = (self.runs.get_mut(&run), pid) {
            began.pid = pid;
            let began = began.clone();
            self.tell(ToLogger::Began(began));
        }
    }

    /// A run is over.
    pub fn ended(&mut self, run: RunId, label: &str, words: &str, end: &End, record: &Record) {
        let status = match end {
            End::Ran(verdict) => i32::try_from(verdict.list_status()).ok(),
            End::Failed(_) => None,
        };
        self.runs.remove(&run);
        self.tell(ToLogger::Ended(Ended {
            run,
            label: label.to_owned(),
            end: words.to_owned(),
            status,
            cpu_micros: record.usage.cpu_micros,
            peak_memory: record.usage.peak_memory,
            walls: record.walls.iter().map(describe::wall).collect(),
            denials: record.denials.clone(),
            grants: record.grants(),
            wall_ms: clock::now().wall.as_millisecond(),
        }));
        for stream in [Stream::Out, Stream::Error] {
            if let Some(pipe) = self.pipes.get_mut(&(run, stream)) {
                pipe.over = true;
            }
        }
        self.forget_pipes();
    }

    /// Lines of the supervisor's own log.
    pub fn lines(&mut self, lines: Vec<Line>) {
        for Line { label, level, text } in lines {
            self.tell(ToLogger::Line(record::Line { label, level: level.into(), text }));
        }
    }

    /// Other bounds from here on.
    pub fn set_bounds(&mut self, configuration: &Configuration) {
        self.bounds = bounds(configuration);
        self.tell(ToLogger::Bounds(self.bounds));
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        match &self.process {
            Process::Up { worker, .. } | Process::Resting { worker, .. } => Some(worker.pid),
            Process::Down { .. } => None,
        }
    }

    /// Device and inode of the socket on which it answers.
    pub fn socket_file(&self) -> Option<(u64, u64)> {
        self.queries.file
    }

    /// Whether it runs, in words.
    pub fn in_words(&self) -> String {
        match &self.process {
            Process::Up { ready: true, worker, .. } => format!("running, process {}", worker.pid),
            Process::Up { worker, .. } => format!("starting, process {}", worker.pid),
            Process::Resting { worker, .. } => format!("ending for the next one, process {}", worker.pid),
            Process::Down { why, .. } => format!("down: {why}"),
        }
    }

    /// When it has something to do.
    pub fn deadline(&self) -> Option<Moment> {
        match &self.process {
            Process::Down { again_at, .. } => Some(*again_at),
            Process::Resting { until, .. } => Some(*until),
            Process::Up { .. } => self.full_until,
        }
    }

    /// Nothing more comes: what is in the pipes is written, then it ends by itself.
    fn finish(&mut self) {
        let end = clock::now().boot + LAST;
        // One that is still starting takes it later; what it is not sent now it never is.
        if let Process::Up { ready, .. } = &mut self.process {
            *ready = true;
        }
        self.flush();
        // A slow disk gets some time; nobody else is kept waiting by now.
        while self.full_until.is_some() && clock::now().boot < end && self.writable() {
            self.flush();
        }
        let down = Process::Down { again_at: Moment::MAX, why: "the supervisor ends".into() };
        match std::mem::replace(&mut self.process, down) {
            Process::Up { worker, .. } | Process::Resting { worker, .. } => worker.wait_after_close(END_SECONDS),
            Process::Down { .. } => {}
        }
    }

    /// Waits until the channel takes something again; false when it will not.
    fn writable(&self) -> bool {
        let Process::Up { worker, .. } = &self.process else {
            return false;
        };
        let patience = Timespec { tv_sec: LAST_SECONDS, tv_nsec: 0 };
        let mut channel = [PollFd::new(&worker.channel, PollFlags::OUT)];
        matches!(poll(&mut channel, Some(&patience)), Ok(1..)) && !channel[0].revents().contains(PollFlags::HUP)
    }

    fn tell(&mut self, message: ToLogger) {
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(message);
        self.flush();
    }

    /// Sends what waits, as far as the logger takes it: pipes first, so that a run's end never comes before them.
    fn flush(&mut self) {
        let Process::Up { worker, ready: true, .. } = &self.process else {
            return;
        };
        let mut full = false;
        for ((run, stream), pipe) in self.pipes.iter_mut().filter(|(_, pipe)| !pipe.handed) {
            let message = ToLogger::Attach(Attach { label: pipe.label.clone(), run: *run, stream: *stream });
            pipe.handed = worker.channel.offer_with(&message, &[pipe.read.as_fd()]).is_ok();
            full |= !pipe.handed;
        }
        while !full && let Some(message) = self.waiting.pop_front() {
            if worker.channel.offer_with(&message, &[]).is_err() {
                self.waiting.push_front(message);
                full = true;
            }
        }
        self.full_until = full.then(|| clock::now().boot + AGAIN);
        self.forget_pipes();
    }

    /// A pipe whose run is over is the logger's alone, once it has it.
    fn forget_pipes(&mut self) {
        self.pipes.retain(|_, pipe| !(pipe.over && pipe.handed));
    }

    fn start(&mut self, image: &Image) -> Result<(), String> {
        let standing = Standing { name: Some(LOGGER_NAME), ..Standing::default() };
        let worker = spawn(image, &standing)?;
        // Another one's clients have left with it, and this one's have the same numbers.
        self.waiting.retain(|message| !matches!(message, ToLogger::Asker(_)));
        let open = ToLogger::Open(Open { build: self.build.clone(), owner: self.owner, limits: self.bounds });
        let descriptors: [BorrowedFd<'_>; 2] = [self.state.as_fd(), self.queries.listener.as_fd()];
        worker.hand(&open, &descriptors)?;
        self.process = Process::Up { worker, ready: false, since: clock::now().boot };
        // Said again, a run is the same run: a logger that was restarted goes on with it.
        for began in self.runs.values() {
            self.waiting.push_front(ToLogger::Began(began.clone()));
        }
        Ok(())
    }

    /// It is gone, or never came: once more later.
    fn down(&mut self, why: String) {
        let now = clock::now().boot;
        if matches!(&self.process, Process::Up { ready: true, since, .. } if now.saturating_sub(*since) >= HEALTHY) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let wait = (SOON << self.failures.min(16)).min(LONGEST);
        self.process = Process::Down { again_at: now + wait, why };
        self.pipes.values_mut().for_each(|pipe| pipe.handed = false);
        self.full_until = None;
    }

    /// The first time the pipes wait; a logger that does not come back holds nobody up.
    fn is_missed(&self) -> bool {
        matches!(self.process, Process::Down { .. }) && self.failures > 1
    }
}

fn bounds(configuration: &Configuration) -> Bounds {
    Bounds {
        per_job_bytes: configuration.log_job_bytes,
        total_bytes: configuration.log_total_bytes,
        runs_per_job: configuration.history_runs,
    }
}
