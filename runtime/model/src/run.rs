//! One run of one job, decided: what to do when something happens, and when to look again.
//! Time is an argument (milliseconds since the run began), actions are returned; nothing is performed here.

use serde::{Deserialize, Serialize};

use crate::job::Job;
use crate::limit::Limit;
use crate::message::{Evidence, FromWorker, Manner, StartFailure, ToWorker};
use crate::outcome::{HeldBy, Outcome, StopReason, Verdict};
use crate::wall::Wall;

/// Milliseconds since the run began.
pub type Moment = u64;

/// A worker that has not put its walls up by then hangs (a dead mount, a FIFO): it is killed.
pub const START_DEADLINE: Moment = 30_000;
/// What a guest or a limit gets between being told and being killed.
pub const GRACE: Moment = 1_000;
/// The status of a process that was to be a worker and could not become the job's user: it has executed nothing.
pub const NOT_ITS_USER: u8 = 126;
/// The same of one that could not have the job's Nice.
pub const NOT_ITS_PRIORITY: u8 = 125;

/// What a run needs to know of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// RunTime in milliseconds.
    pub run_time: Option<Moment>,
    /// ExitTimeOut in milliseconds; `None` = for ever.
    pub exit_timeout: Option<Moment>,
    /// Whether the program is native, and so can hear a signal.
    pub native: bool,
    /// Whether Memory is limited.
    pub memory: bool,
    /// Whether what a native program leaves running lives on after it (AbandonProcessGroup).
    pub abandon: bool,
    /// Whether listeners were handed to it and nothing else, so that a successor can accept while it ends.
    pub listens: bool,
}

impl Terms {
    /// Those of a job, of whose program it is known whether it is native.
    pub fn of(job: &Job, native: bool) -> Self {
        let milliseconds = |seconds: u64| seconds.saturating_mul(1000);
        Self {
            run_time: job.limits.run_time.map(milliseconds),
            exit_timeout: (job.exit_timeout > 0).then(|| milliseconds(job.exit_timeout.into())),
            native,
            memory: job.limits.memory.is_some(),
            abandon: job.abandon_process_group,
            listens: false,
        }
    }

    /// How long a run may take to end once it was asked to; `None` = for ever.
    fn exit(&self, manner: Manner) -> Option<Moment> {
        match (self.native, manner.hears) {
            (true, _) => self.exit_timeout,
            // Its worker ends it at ExitTimeOut itself; this is for one that does not.
            (false, true) => self.exit_timeout.map(|timeout| timeout + GRACE),
            (false, false) => Some(GRACE),
        }
    }
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// There is no worker yet: the program is looked for, its names looked up, its code compiled.
    Preparing,
    /// The worker is putting its walls up.
    Starting {
        /// When it hangs.
        until: Moment,
        /// How it will be run.
        manner: Manner,
    },
    /// The job runs.
    Running {
        /// When RunTime is over.
        until: Option<Moment>,
        /// How it is run.
        manner: Manner,
    },
    /// The job was told to stop.
    Stopping {
        /// Why.
        reason: StopReason,
        /// When it is killed; `None` = never.
        kill_at: Option<Moment>,
    },
    /// SIGKILL was sent.
    Killed {
        /// Why, if it was a stop.
        reason: Option<StopReason>,
        /// When it is killed once more, should it still be there.
        again_at: Moment,
    },
    /// The worker has said how it ended and is going.
    Leaving {
        /// What it said.
        end: End,
        /// When it is killed.
        kill_at: Moment,
    },
    /// Nothing is left of it.
    Over,
}

/// How a run was over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum End {
    /// It ran.
    Ran(Verdict),
    /// It could not begin.
    Failed(StartFailure),
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The worker was started.
    Prepared {
        /// Whether the program is a native one.
        native: bool,
        /// Whether listeners were handed to it, and nothing that only one run can have.
        listens: bool,
    },
    /// There will be another worker, and it takes a while: what this one was given did not fit.
    Renewing,
    /// There will be no worker.
    Unprepared(StartFailure),
    /// The worker said something.
    Said(FromWorker),
    /// The walls were read back from outside, all of them.
    WallsRead(Vec<Evidence>),
    /// The worker is gone; its exit status or signal.
    Gone(Exit),
    /// Somebody wants the run to stop.
    Stop(StopReason),
    /// The moment asked for has come.
    Deadline,
}

/// A process's end, as wait(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// exit(2)
    Status(u8),
    /// A signal.
    Signal(u8),
    /// SIGKILL by the kernel, since all of its control group together had used up the memory it may have.
    OutOfMemory,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Read the walls back from outside, then say so.
    ReadWalls(Vec<Evidence>),
    /// Send the worker a message.
    Send(ToWorker),
    /// SIGKILL the worker.
    Kill,
    /// Report a denial.
    Report(crate::denial::Denial),
    /// Note that a grant was used.
    Note(crate::noted::Used),
    /// Learn from a deed.
    Learn(crate::learn::Deed),
    /// Look the granted names up again.
    LookUp,
    /// Keep the worker for what its program left running; it is the run's no more, and nothing of it is waited for.
    LeaveBehind,
    /// The run is over.
    Finish(End),
}

const SIGTERM: u8 = 15;
const SIGINT: u8 = 2;
const SIGKILL: u8 = 9;
const SIGXCPU: u8 = 24;
const SIGABRT: u8 = 6;

impl State {
    /// When [`Event::Deadline`] is wanted.
    pub fn deadline(&self) -> Option<Moment> {
        match self {
            Self::Preparing => None,
            Self::Starting { until, .. } => Some(*until),
            Self::Running { until, .. } => *until,
            Self::Stopping { kill_at, .. } => *kill_at,
            Self::Leaving { kill_at, .. } => Some(*kill_at),
            Self::Killed { again_at, .. } => Some(*again_at),
            Self::Over => None,
        }
    }

    /// The next state, and what is to be done, in order.
    pub fn step(self, event: Event, now: Moment, terms: &Terms) -> (Self, Vec<Action>) {
        match event {
            Event::Prepared { .. } => self.prepared(now),
            Event::Renewing => self.renewing(),
            Event::Unprepared(failure) => self.unprepared(failure),
            Event::Said(said) => self.said(said, now, terms),
            Event::WallsRead(evidence) => self.walls_read(&evidence, now, terms),
            Event::Stop(reason) => self.stop(reason, now, terms),
            Event::Deadline => self.overdue(now),
            Event::Gone(exit) => self.gone(exit, terms),
        }
    }

    fn prepared(self, now: Moment) -> (Self, Vec<Action>) {
        match self {
            Self::Preparing | Self::Starting { .. } => {
                (Self::Starting { until: now + START_DEADLINE, manner: Manner::default() }, Vec::new())
            }
            state => (state, Vec::new()),
        }
    }

    fn renewing(self) -> (Self, Vec<Action>) {
        match self {
            Self::Starting { .. } => (Self::Preparing, Vec::new()),
            state => (state, Vec::new()),
        }
    }

    fn unprepared(self, failure: StartFailure) -> (Self, Vec<Action>) {
        let end = match self {
            Self::Preparing | Self::Starting { .. } => End::Failed(failure),
            // What was asked for was an end, and this is one.
            Self::Killed { reason, .. } => End::Ran(Verdict { outcome: Outcome::Stopped, stop: reason }),
            state => return (state, Vec::new()),
        };
        (Self::Over, vec![Action::Finish(end)])
    }

    fn said(self, said: FromWorker, now: Moment, terms: &Terms) -> (Self, Vec<Action>) {
        match (self, said) {
            (Self::Starting { until, .. }, FromWorker::Manner(manner)) => {
                (Self::Starting { until, manner }, Vec::new())
            }
            (state @ Self::Starting { .. }, FromWorker::Walls(evidence)) => (state, vec![Action::ReadWalls(evidence)]),
            (state, FromWorker::Denied(denial)) => (state, vec![Action::Report(denial)]),
            (state, FromWorker::Used(used)) => (state, vec![Action::Note(used)]),
            (state, FromWorker::Did(deed)) => (state, vec![Action::Learn(deed)]),
            (state @ Self::Running { .. }, FromWorker::NamesWanted) => (state, vec![Action::LookUp]),
            (Self::Starting { .. } | Self::Running { .. }, FromWorker::Failed(failure)) => {
                leaving(End::Failed(failure), now)
            }
            (Self::Running { .. }, FromWorker::Ended(outcome)) => ended(Verdict { outcome, stop: None }, now, terms),
            (Self::Stopping { reason, .. }, FromWorker::Ended(outcome)) => {
                ended(Verdict { outcome: held(outcome, reason, terms), stop: Some(reason) }, now, terms)
            }
            // Anything else is out of turn; a worker that talks nonsense changes nothing.
            (state, _) => (state, Vec::new()),
        }
    }

    fn walls_read(self, evidence: &[Evidence], now: Moment, terms: &Terms) -> (Self, Vec<Action>) {
        let Self::Starting { manner, .. } = self else {
            return (self, Vec::new());
        };
        if let Some(fallen) = evidence.iter().find(|evidence| !evidence.stands) {
            let what = format!("the {} wall does not stand", fallen.wall.row().name);
            let end = End::Failed(StartFailure::wall(what, &fallen.found));
            return (Self::Leaving { end, kill_at: now + GRACE }, vec![Action::Kill]);
        }
        // Where many serve, each has its own time, and the worker counts it.
        let until = terms.run_time.filter(|_| !manner.serves).map(|run_time| now + run_time);
        (Self::Running { until, manner }, vec![Action::Send(ToWorker::Go)])
    }

    fn stop(self, reason: StopReason, now: Moment, terms: &Terms) -> (Self, Vec<Action>) {
        match self {
            Self::Preparing | Self::Starting { .. } => killed(Some(reason), now),
            Self::Running { until, manner } => stopping(reason, until, now, terms.exit(manner)),
            // It ends already, and nobody asks for more than that.
            Self::Stopping { .. } if matches!(reason, StopReason::RunTime | StopReason::Replace) => (self, Vec::new()),
            // One that sees its clients to the end for another hears that there is none. Its time is what it had.
            Self::Stopping { reason: StopReason::Replace, kill_at } => {
                (Self::Stopping { reason, kill_at }, vec![Action::Send(word(reason))])
            }
            // A second request does not wait for the first one's time.
            Self::Stopping { reason: first, .. } => killed(Some(first), now),
            state => (state, Vec::new()),
        }
    }

    fn overdue(self, now: Moment) -> (Self, Vec<Action>) {
        match self {
            state if state.deadline().is_none_or(|deadline| now < deadline) => (state, Vec::new()),
            Self::Starting { .. } => {
                let why = format!("its walls were not up after {} s", START_DEADLINE / 1000);
                let advice = "a path it opens hangs: a dead network mount, or a FIFO nobody writes to";
                let end = End::Failed(StartFailure::job("the job could not be started", why, advice));
                (Self::Leaving { end, kill_at: now + GRACE }, vec![Action::Kill])
            }
            Self::Running { .. } => {
                let reason = StopReason::RunTime;
                let kill_at = Some(now + GRACE);
                let send = Action::Send(ToWorker::Stop { signal: SIGTERM });
                (Self::Stopping { reason, kill_at }, vec![send])
            }
            Self::Stopping { reason, .. } => killed(Some(reason), now),
            Self::Killed { reason, .. } => (Self::Killed { reason, again_at: Moment::MAX }, vec![Action::Kill]),
            Self::Leaving { end, .. } => (Self::Leaving { end, kill_at: Moment::MAX }, vec![Action::Kill]),
            state => (state, Vec::new()),
        }
    }

    fn gone(self, exit: Exit, terms: &Terms) -> (Self, Vec<Action>) {
        let end = match self {
            Self::Leaving { end, .. } => end,
            // Somebody ended it before it could begin; that is no fault of what it was to run.
            Self::Starting { .. } if matches!(exit, Exit::Signal(SIGKILL | SIGTERM) | Exit::OutOfMemory) => {
                End::Ran(Verdict { outcome: unasked(exit, terms), stop: None })
            }
            Self::Preparing | Self::Starting { .. } => End::Failed(not_begun(exit)),
            Self::Running { .. } => End::Ran(Verdict { outcome: unasked(exit, terms), stop: None }),
            Self::Stopping { reason, .. } => End::Ran(Verdict { outcome: unasked(exit, terms), stop: Some(reason) }),
            Self::Killed { reason, .. } => End::Ran(Verdict { outcome: Outcome::Signaled(SIGKILL), stop: reason }),
            Self::Over => return (Self::Over, Vec::new()),
        };
        (Self::Over, vec![Action::Finish(end)])
    }
}

/// The program has ended; its worker goes too, unless it stays for what the program left.
fn ended(verdict: Verdict, now: Moment, terms: &Terms) -> (State, Vec<Action>) {
    let end = End::Ran(verdict);
    if terms.native && terms.abandon {
        return (State::Over, vec![Action::LeaveBehind, Action::Finish(end)]);
    }
    leaving(end, now)
}

/// A native program that was stopped at once has no WASI wall: its time was held from outside.
fn held(outcome: Outcome, reason: StopReason, terms: &Terms) -> Outcome {
    match outcome {
        Outcome::Stopped if terms.native && reason == StopReason::RunTime => Outcome::Signaled(SIGKILL),
        outcome => outcome,
    }
}

fn leaving(end: End, now: Moment) -> (State, Vec<Action>) {
    (State::Leaving { end, kill_at: now + GRACE }, Vec::new())
}

fn killed(reason: Option<StopReason>, now: Moment) -> (State, Vec<Action>) {
    (State::Killed { reason, again_at: now + GRACE }, vec![Action::Kill])
}

/// A run that is to stop still ends with its RunTime, however long it may take to stop.
fn stopping(reason: StopReason, until: Option<Moment>, now: Moment, grace: Option<Moment>) -> (State, Vec<Action>) {
    let kill_at = match (grace.map(|grace| now + grace), until.map(|until| until.max(now) + GRACE)) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    (State::Stopping { reason, kill_at }, vec![Action::Send(word(reason))])
}

/// What a worker is told that is to end.
fn word(reason: StopReason) -> ToWorker {
    match reason {
        StopReason::Replace => ToWorker::Drain,
        StopReason::Interrupt => ToWorker::Stop { signal: SIGINT },
        StopReason::Terminate | StopReason::RunTime => ToWorker::Stop { signal: SIGTERM },
    }
}

/// A worker that ends without a word: the kernel's half of a limit, or a crash.
fn unasked(exit: Exit, terms: &Terms) -> Outcome {
    match exit {
        Exit::Signal(SIGXCPU) => Outcome::LimitHit { limit: Limit::CpuTime, wall: HeldBy::Kernel },
        // The worker's own allocator aborts at RLIMIT_DATA. It can say nothing any more and the kernel keeps no record of
        // what it refused, so that the signal has to stand for it. Nothing else of a worker's ends so but a stack that the
        // host overflows: a guest's faults are traps, of which it tells, and a panic ends by a status.
        Exit::Signal(SIGABRT) if !terms.native && terms.memory => {
            Outcome::LimitHit { limit: Limit::Memory, wall: HeldBy::Kernel }
        }
        Exit::OutOfMemory => Outcome::LimitHit { limit: Limit::Memory, wall: HeldBy::Kernel },
        Exit::Signal(signal) => Outcome::Signaled(signal),
        Exit::Status(status) if terms.native => Outcome::Exited(status),
        Exit::Status(_) => Outcome::Trapped("the worker ended without a word".into()),
    }
}

/// Why there was no worker whose walls could have been read.
fn not_begun(exit: Exit) -> StartFailure {
    match exit {
        Exit::Status(NOT_ITS_USER) => StartFailure::refused(Wall::User, "the job's user or its groups are refused"),
        Exit::Status(NOT_ITS_PRIORITY) => StartFailure::job(
            "Nice",
            "the kernel does not allow this priority (setpriority(2), RLIMIT_NICE)",
            "make it no lower than that of whoever starts the job, or remove it",
        ),
        exit => StartFailure::own("the worker ended before its walls were up", words(exit)),
    }
}

fn words(exit: Exit) -> String {
    match exit {
        Exit::Status(status) => format!("exit {status}"),
        Exit::Signal(signal) => crate::outcome::signal_name(signal),
        Exit::OutOfMemory => "its control group is out of memory".into(),
    }
}

#[cfg(test)]
mod tests;
