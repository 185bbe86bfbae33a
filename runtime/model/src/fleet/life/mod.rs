//! The life of one job, decided: `(state, event, now)` to the next state and what is to be done. At most one worker
//! is its current one and at most one more is draining; a demand that comes while it runs waits for its end.

mod step;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::cause::{Cause, Causes};
use super::keep::{self, Ended, Facts, Other};
use super::schedule::{Now, Schedule};
use super::throttle::Throttle;
use crate::job::Job;
use crate::message::Fault;
use crate::outcome::StopReason;
use crate::run::{self, End, Moment, Terms};

use step::Step;

/// One run of one job, unique as long as the supervisor lives: the job's number and how often it was started.
pub type RunId = u64;

/// A run under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Which.
    pub id: RunId,
    /// When it was begun.
    pub began: Moment,
    /// What demanded it.
    pub causes: Causes,
    /// How far it is.
    pub state: run::State,
    terms: Terms,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// Nothing wants it.
    Idle,
    /// It is wanted, and may not start before a moment.
    Waiting {
        /// When it starts.
        until: Moment,
        /// What wants it.
        causes: Causes,
        /// Why not now.
        hold: Hold,
    },
    /// It has a worker.
    Active {
        /// Its current run.
        run: Run,
        /// Demands that came since.
        pending: Causes,
        /// What starts it anew when this run has ended, whatever else wants it.
        again: Option<Cause>,
    },
    /// It ran once, and LaunchOnlyOnce says that was all.
    Finished,
    /// Nothing may start it.
    Disabled,
    /// It is being taken out and waits for its worker to end.
    Leaving {
        /// The run it waits for; a draining one counts too.
        run: Option<Run>,
    },
    /// Nothing is left of it.
    Gone,
}

/// Why a job that is wanted does not start yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hold {
    /// ThrottleInterval.
    Throttle,
    /// It failed several times in a row.
    BackOff,
    /// Its last start failed through no fault of its own.
    Failed(String),
    /// Its last start failed for want of a program, a user, a folder.
    Misconfigured(String),
}

/// What can happen to a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// All that was loaded with it is loaded; it may begin.
    Begin,
    /// A moment it asked for may have come.
    Due,
    /// The wall clock was set.
    ClockSet,
    /// The time zone is another.
    ZoneSet,
    /// It is wanted.
    Demand(Cause),
    /// A path of PathState exists, or does not.
    PathState(String, bool),
    /// A folder of QueueDirectories has entries, or none.
    Queue(String, bool),
    /// Another job it asks for came, went, started or ended.
    Other(String, Other),
    /// Something that was missing may have appeared.
    Appeared,
    /// A listener was bound anew that it could not begin without, or of which its run has what was shut down.
    Rebound,
    /// An operator wants it started, a running one ended before if `kill` says so.
    Kickstart {
        /// Whether a running one is ended first.
        kill: bool,
        /// Whose wish it is.
        uid: u32,
    },
    /// Something about one of its runs.
    Run(RunId, run::Event),
    /// Another definition has its place from here on; the run that serves goes on until one of that definition does.
    HandOver,
    /// It may be started again.
    Enable,
    /// It may not be started any more; a running one goes on.
    Disable,
    /// It is taken out. Said twice, its worker is killed.
    Unload,
}

/// What is to be done for a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Watch what can start it, and tell the facts.
    Arm,
    /// Watch it no more.
    Disarm,
    /// Watch for what is missing to appear.
    Await,
    /// It is not missed any more.
    Forget,
    /// Prepare a run.
    Start {
        /// Which.
        run: RunId,
        /// What demanded it.
        causes: Causes,
    },
    /// Something for a run's worker.
    Worker {
        /// Which.
        run: RunId,
        /// What its own state machine wants done.
        action: run::Action,
    },
    /// A run is over; what is kept of it can be dropped and its record closed.
    Ended {
        /// Which.
        run: RunId,
        /// How.
        end: End,
    },
    /// Another definition has the job's place, while its run goes on.
    Replaced,
    /// Nothing is left of the job.
    Gone,
}

/// What a job is judged by: nothing of it changes while it is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The job's number in its fleet.
    pub id: u32,
    /// The job.
    pub job: &'a Job,
    /// The zone of its calendar times.
    pub zone: &'a TimeZone,
    /// The moment.
    pub now: Now,
}

/// How the last run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// Exit status; a signal is negative.
    pub status: i64,
    /// In words.
    pub words: String,
}

/// A job's life so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Life {
    state: State,
    draining: Option<Run>,
    throttle: Throttle,
    schedule: Schedule,
    facts: Facts,
    demanded: bool,
    disabled: bool,
    armed: bool,
    awaiting: bool,
    starts: u32,
    last: Option<Last>,
    reason: Causes,
}

impl Life {
    /// Of a job that was just loaded.
    pub fn new(disabled: bool) -> Self {
        Self {
            state: State::Idle,
            draining: None,
            throttle: Throttle::default(),
            schedule: Schedule::default(),
            facts: Facts::default(),
            demanded: false,
            disabled,
            armed: false,
            awaiting: false,
            starts: 0,
            last: None,
            reason: Causes::default(),
        }
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The run whose place another takes: it serves until that one does, and ends then.
    pub fn draining(&self) -> Option<&Run> {
        self.draining.as_ref()
    }

    /// The current run.
    pub fn current(&self) -> Option<&Run> {
        match &self.state {
            State::Active { run, .. } => Some(run),
            State::Leaving { run } => run.as_ref(),
            _ => None,
        }
    }

    /// What demanded the current or last run.
    pub fn reason(&self) -> &Causes {
        &self.reason
    }

    /// How the last run ended.
    pub fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }

    /// How often it was started.
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// Failed starts in a row.
    pub fn failures(&self) -> u32 {
        self.throttle.failures
    }

    /// Whether its demand sources are watched.
    pub fn is_armed(&self) -> bool {
        self.armed
    }

    /// Whether what it misses is watched for.
    pub fn is_awaiting(&self) -> bool {
        self.awaiting
    }

    /// Whether it may not be started, now or after its current run.
    pub fn is_disabled(&self) -> bool {
        self.disabled
    }

    /// Its timers.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Whether a run of it serves clients, so that another can begin before that one ends.
    pub fn serves(&self) -> bool {
        let current = matches!(&self.state, State::Active { run, .. } if run.terms.listens);
        (current || self.draining.is_some()) && !matches!(self.state, State::Leaving { .. } | State::Gone)
    }

    /// What others see of it.
    pub fn seen(&self) -> Other {
        match self.state {
            State::Gone => Other::Absent,
            State::Active { .. } | State::Leaving { run: Some(_) } => Other::Active,
            _ if self.draining.is_some() => Other::Active,
            _ => Other::Loaded,
        }
    }

    /// When it is to be looked at again, on the clock that counts sleep.
    pub fn deadline(&self) -> Option<Moment> {
        let waiting = match &self.state {
            State::Waiting { until, .. } => Some(*until),
            _ => None,
        };
        let runs = self.current().into_iter().chain(self.draining.as_ref());
        let runs = runs.filter_map(Run::deadline).min();
        [waiting, runs, self.schedule.interval()].into_iter().flatten().min()
    }

    /// When it is to be looked at again, on the wall clock.
    pub fn calendar(&self) -> Option<Timestamp> {
        self.schedule.calendar()
    }

    /// The next life, and what is to be done, in order.
    pub fn step(mut self, event: Event, setting: &Setting<'_>) -> (Self, Vec<Action>) {
        let mut step = Step { life: &mut self, setting, actions: Vec::new() };
        step.take(event);
        let actions = step.actions;
        (self, actions)
    }
}

impl Run {
    /// Whether its walls stand and nobody has told it to end.
    pub fn is_up(&self) -> bool {
        matches!(self.state, run::State::Running { .. })
    }

    /// Whether it has not come so far.
    fn is_starting(&self) -> bool {
        matches!(self.state, run::State::Preparing | run::State::Starting { .. })
    }

    /// The moment its state machine asked for; a far one is none.
    fn deadline(&self) -> Option<Moment> {
        self.state.deadline().and_then(|after| self.began.checked_add(after))
    }
}

impl Life {
    fn run_mut(&mut self, id: RunId) -> Option<&mut Run> {
        let current = match &mut self.state {
            State::Active { run, .. } => Some(run),
            State::Leaving { run } => run.as_mut(),
            _ => None,
        };
        current.into_iter().chain(self.draining.as_mut()).find(|run| run.id == id)
    }
}

impl Last {
    fn of(end: &End) -> Self {
        match end {
            End::Failed(failure) => Self { status: 78, words: format!("not started: {failure}") },
            End::Ran(verdict) => Self {
                status: verdict.list_status(),
                words: verdict.in_words().unwrap_or_else(|| format!("exit {}", verdict.status())),
            },
        }
    }
}

/// Whether a start counts as failed: it did not come to run, or ended badly with nobody asking.
fn fails(end: &End) -> bool {
    match end {
        End::Failed(_) => true,
        End::Ran(verdict) => verdict.stop.is_none() && !Ended::of(verdict).success,
    }
}
