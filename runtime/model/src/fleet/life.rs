//! The life of one job, decided: `(state, event, now)` to the next state and what is to be done. At most one worker
//! is its current one and at most one more is draining; a demand that comes while it runs waits for its end.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::cause::{Cause, Causes};
use super::keep::{self, Ended, Facts, Other};
use super::schedule::{Now, Schedule};
use super::throttle::Throttle;
use crate::job::Job;
use crate::message::Fault;
use crate::outcome::StopReason;
use crate::run::{self, End, Moment, Terms};

/// One run of one job, unique as long as the supervisor lives: the job's number and how often it was started.
pub type RunId = u64;

/// A run under way.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The wall clock was set, or the time zone is another.
    ClockSet,
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
    /// An operator wants it started, a running one ended before if `kill` says so.
    Kickstart {
        /// Whether a running one is ended first.
        kill: bool,
        /// Whose wish it is.
        uid: u32,
    },
    /// Something about one of its runs.
    Run(RunId, run::Event),
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// Exit status; a signal is negative.
    pub status: i64,
    /// In words.
    pub words: String,
}

/// A job's life so far.
#[derive(Clone, Debug)]
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

    /// The run that was told to end while another took its place.
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

    /// What others see of it.
    pub fn seen(&self) -> Other {
        match self.state {
            State::Gone => Other::Absent,
            State::Active { .. } | State::Leaving { run: Some(_) } => Other::Active,
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
    /// The moment its state machine asked for; a far one is none.
    fn deadline(&self) -> Option<Moment> {
        self.state.deadline().and_then(|after| self.began.checked_add(after))
    }
}

/// One step under way.
struct Step<'a> {
    life: &'a mut Life,
    setting: &'a Setting<'a>,
    actions: Vec<Action>,
}

impl Step<'_> {
    fn take(&mut self, event: Event) {
        match event {
            Event::Begin => self.begin(),
            Event::Due => self.due(),
            Event::ClockSet => {
                self.life.schedule.clock_set(&self.setting.job.launch, self.setting.now, self.setting.zone);
                self.due();
            }
            Event::Demand(cause) => self.want(Causes::of(cause)),
            Event::PathState(path, exists) => {
                self.life.facts.path(path, exists);
                self.keep();
            }
            Event::Queue(path, entries) => {
                self.life.facts.queue(path, entries);
                self.keep();
            }
            Event::Other(label, is) => {
                self.life.facts.other(label, is);
                self.keep();
            }
            Event::Appeared => self.appeared(),
            Event::Kickstart { kill, uid } => self.kickstart(kill, Cause::Operator(uid)),
            Event::Run(id, event) => self.run(id, event),
            Event::Enable => self.enable(),
            Event::Disable => self.disable(),
            Event::Unload => self.unload(),
        }
    }

    fn begin(&mut self) {
        if self.life.disabled {
            self.life.state = State::Disabled;
            return;
        }
        self.arm();
        if let Some(cause) = keep::at_begin(&self.setting.job.launch) {
            self.want(Causes::of(cause));
        }
        self.keep();
    }

    /// Timers run and sources are watched from here on.
    fn arm(&mut self) {
        if !self.life.armed {
            self.life.armed = true;
            self.life.schedule = Schedule::armed(&self.setting.job.launch, self.setting.now, self.setting.zone);
            self.actions.push(Action::Arm);
        }
    }

    fn disarm(&mut self) {
        self.await_missing(false);
        if std::mem::take(&mut self.life.armed) {
            self.life.schedule = Schedule::default();
            self.life.facts = Facts::default();
            self.actions.push(Action::Disarm);
        }
    }

    fn await_missing(&mut self, wanted: bool) {
        if self.life.awaiting != wanted {
            self.life.awaiting = wanted;
            self.actions.push(if wanted { Action::Await } else { Action::Forget });
        }
    }

    fn due(&mut self) {
        let now = self.setting.now.boot;
        let late = |run: &&Run| run.deadline().is_some_and(|deadline| deadline <= now);
        let late: Vec<RunId> =
            self.life.current().into_iter().chain(self.life.draining()).filter(late).map(|run| run.id).collect();
        for id in late {
            self.run(id, run::Event::Deadline);
        }
        let mut causes = Causes::default();
        let due = self.life.schedule.due(&self.setting.job.launch, self.setting.now, self.setting.zone);
        due.into_iter().for_each(|cause| causes.add(cause));
        self.want(causes);
        if let State::Waiting { until, causes, .. } = &mut self.life.state
            && *until <= now
        {
            let causes = std::mem::take(causes);
            self.start(causes);
        }
    }

    /// Demands, however many: one run answers them. They start the job, wait for its time, or for the end of what runs.
    fn want(&mut self, wanted: Causes) {
        if wanted.is_empty() {
            return;
        }
        match &mut self.life.state {
            State::Idle => self.start_when_allowed(wanted),
            State::Waiting { causes, .. } => causes.join(wanted),
            State::Active { pending, .. } => pending.join(wanted),
            State::Finished | State::Disabled | State::Leaving { .. } | State::Gone => {}
        }
    }

    /// What holds now may want it; only a job that has nothing to do is asked.
    fn keep(&mut self) {
        if self.life.state == State::Idle && self.life.armed {
            self.want(keep::now(&self.setting.job.launch, &self.life.facts, self.life.demanded));
        }
    }

    fn start_when_allowed(&mut self, causes: Causes) {
        let until = self.life.throttle.earliest(self.setting.job.launch.throttle);
        if until <= self.setting.now.boot {
            return self.start(causes);
        }
        let hold = if self.life.throttle.backs_off() { Hold::BackOff } else { Hold::Throttle };
        self.life.state = State::Waiting { until, causes, hold };
    }

    fn start(&mut self, causes: Causes) {
        let life = &mut self.life;
        let now = self.setting.now.boot;
        life.starts = life.starts.wrapping_add(1);
        life.demanded |= causes.named().iter().any(Cause::is_demand);
        life.throttle.started(now);
        life.reason.clone_from(&causes);
        let id = RunId::from(self.setting.id) << 32 | RunId::from(life.starts);
        let terms = Terms::of(self.setting.job, false);
        let run = Run { id, began: now, causes: causes.clone(), state: run::State::Preparing, terms };
        life.state = State::Active { run, pending: Causes::default(), again: None };
        self.await_missing(false);
        self.actions.push(Action::Start { run: id, causes });
    }

    /// What was missing may be there: a misconfigured job is tried again as soon as its throttle allows.
    fn appeared(&mut self) {
        let earliest = self.life.throttle.earliest(self.setting.job.launch.throttle.max(1)).min(
            // However often it failed, somebody has just acted on it.
            self.setting.now.boot + Moment::from(self.setting.job.launch.throttle.max(1)) * 1000,
        );
        if let State::Waiting { until, hold: Hold::Misconfigured(_), .. } = &mut self.life.state {
            *until = (*until).min(earliest);
        }
        self.due();
    }

    fn kickstart(&mut self, kill: bool, cause: Cause) {
        let overlaps = self.overlaps();
        match &mut self.life.state {
            State::Idle => self.start(Causes::of(cause)),
            State::Waiting { causes, .. } => {
                let mut causes = std::mem::take(causes);
                causes.add(cause);
                self.start(causes);
            }
            State::Active { .. } if kill && overlaps => self.drain(cause),
            State::Active { run, again, .. } if kill => {
                let id = run.id;
                *again = Some(cause);
                self.run(id, run::Event::Stop(StopReason::Terminate));
            }
            State::Active { .. } | State::Finished | State::Disabled | State::Leaving { .. } | State::Gone => {}
        }
    }

    /// A job with listeners loses no client when the new worker accepts while the old one ends.
    fn overlaps(&self) -> bool {
        self.life.draining.is_none() && !self.setting.job.sockets.is_empty()
    }

    fn drain(&mut self, cause: Cause) {
        let State::Active { run, pending, .. } = std::mem::replace(&mut self.life.state, State::Idle) else {
            return;
        };
        let id = run.id;
        self.life.draining = Some(run);
        let mut causes = Causes::of(cause);
        causes.join(pending);
        self.start(causes);
        self.run(id, run::Event::Stop(StopReason::Terminate));
    }

    fn enable(&mut self) {
        self.life.disabled = false;
        if self.life.state == State::Disabled {
            self.life.state = State::Idle;
            self.arm();
        }
    }

    fn disable(&mut self) {
        self.life.disabled = true;
        if matches!(self.life.state, State::Idle | State::Waiting { .. } | State::Finished) {
            self.life.state = State::Disabled;
            self.disarm();
        }
    }

    fn unload(&mut self) {
        self.disarm();
        self.life.state = match std::mem::replace(&mut self.life.state, State::Gone) {
            State::Active { run, .. } => State::Leaving { run: Some(run) },
            State::Leaving { run } => State::Leaving { run },
            State::Gone => return,
            _ => State::Leaving { run: None },
        };
        let runs: Vec<RunId> = self.life.current().into_iter().chain(self.life.draining()).map(|run| run.id).collect();
        for id in runs {
            self.run(id, run::Event::Stop(StopReason::Terminate));
        }
        self.go();
    }

    /// Gone, once no worker is left.
    fn go(&mut self) {
        if self.life.state == (State::Leaving { run: None }) && self.life.draining.is_none() {
            self.life.state = State::Gone;
            self.actions.push(Action::Gone);
        }
    }

    /// Steps the state machine of one of its runs.
    fn run(&mut self, id: RunId, event: run::Event) {
        let Some(run) = self.life.run_mut(id) else {
            return;
        };
        if let run::Event::Prepared { native } = event {
            run.terms.native = native;
        }
        let since = self.setting.now.boot.saturating_sub(run.began);
        let state = std::mem::replace(&mut run.state, run::State::Over);
        let (state, actions) = state.step(event, since, &run.terms);
        run.state = state;
        for action in actions {
            match action {
                run::Action::Finish(end) => self.ended(id, end),
                action => self.actions.push(Action::Worker { run: id, action }),
            }
        }
    }

    fn ended(&mut self, id: RunId, end: End) {
        self.actions.push(Action::Ended { run: id, end: end.clone() });
        self.life.last = Some(Last::of(&end));
        if self.life.draining.as_ref().is_some_and(|run| run.id == id) {
            self.life.draining = None;
            return self.go();
        }
        match std::mem::replace(&mut self.life.state, State::Idle) {
            State::Active { run, pending, again } => self.after(run, pending, again, end),
            _ => {
                self.life.state = State::Leaving { run: None };
                self.go();
            }
        }
    }

    /// The current run is over: what is next?
    fn after(&mut self, run: Run, pending: Causes, again: Option<Cause>, end: End) {
        let failed = fails(&end);
        if again.is_none() {
            self.life.throttle.ended(self.setting.now.boot, failed);
        }
        if matches!(&end, End::Ran(verdict) if Ended::was_idle(verdict)) {
            self.life.throttle.was_idle();
        }
        if self.life.disabled {
            self.life.state = State::Disabled;
            return self.disarm();
        }
        if let Some(cause) = again {
            let mut causes = Causes::of(cause);
            causes.join(pending);
            return self.start(causes);
        }
        match end {
            End::Failed(failure) => {
                let mut causes = run.causes;
                causes.join(pending);
                self.hold(causes, failure.fault, failure.to_string());
            }
            End::Ran(_) if self.setting.job.launch.only_once => {
                self.life.state = State::Finished;
                self.disarm();
            }
            End::Ran(verdict) => {
                let launch = &self.setting.job.launch;
                let mut causes = pending;
                keep::after(launch, Ended::of(&verdict)).into_iter().for_each(|cause| causes.add(cause));
                causes.join(keep::now(launch, &self.life.facts, self.life.demanded));
                self.want(causes);
            }
        }
    }

    /// A demand is never lost: what could not be started is tried again, later and later.
    fn hold(&mut self, causes: Causes, fault: Fault, why: String) {
        let hold = if fault == Fault::Job { Hold::Misconfigured(why) } else { Hold::Failed(why) };
        let misconfigured = fault == Fault::Job;
        let until = self.life.throttle.earliest(self.setting.job.launch.throttle.max(1));
        self.life.state = State::Waiting { until, causes, hold };
        self.await_missing(misconfigured);
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
