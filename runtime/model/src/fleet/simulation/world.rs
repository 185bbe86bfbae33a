//! A world around a fleet: workers that start, hang, crash and obey or not, paths that come and go, operators, a wall
//! clock that is set and machines that sleep. Everything that happens comes from one seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::jobs::{self, LABELS, PATHS};
use super::random::Random;
use super::watch::Watched;
use crate::fleet::{Action, Event, Fleet, JobAction, Label, Now, RunId, State};
use crate::message::{Evidence, FromWorker, StartFailure, ToWorker};
use crate::outcome::Outcome;
use crate::run::{self, Exit, Moment};
use crate::wall::Wall;

/// What is going to happen.
#[derive(Clone, Debug)]
enum Coming {
    Worker(RunId, run::Event),
    Anything,
}

/// The world.
pub struct World {
    /// What is judged.
    pub fleet: Fleet,
    random: Random,
    boot: Moment,
    /// What is to be added to the boot clock for the wall's.
    offset: Moment,
    coming: BTreeMap<(Moment, u64), Coming>,
    sequence: u64,
    existing: BTreeSet<&'static str>,
    /// What the invariants are held against.
    pub watched: Watched,
    /// Everything that was done, for comparing two runs of one seed.
    pub trace: u64,
    /// Whether the supervisor was told to exit.
    pub exited: bool,
    /// When another supervisor takes this one's place: by a chance of its own, so that the rest of the world stays as
    /// it is without.
    successions: Option<Random>,
}

/// 2026-01-01, in milliseconds.
const BEGINNING: Moment = 1_767_225_600_000;
/// Longest time in which nothing happens by chance: 50 days.
const LONGEST_CALM: u64 = 50 * 86_400_000;

impl World {
    /// The world of a seed.
    pub fn new(seed: u64) -> Self {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let mut world = Self {
            fleet: Fleet::new(zone),
            random: Random::new(seed),
            boot: 1,
            offset: BEGINNING,
            coming: BTreeMap::new(),
            sequence: 0,
            existing: BTreeSet::new(),
            watched: Watched::default(),
            trace: 0,
            exited: false,
            successions: None,
        };
        for label in LABELS {
            world.load(label);
        }
        world.begin();
        world.soon(Coming::Anything, LONGEST_CALM);
        world
    }

    /// The same, in which supervisors follow each other.
    pub fn with_successions(seed: u64) -> Self {
        Self { successions: Some(Random::new(!seed)), ..Self::new(seed) }
    }

    /// The moment.
    pub fn now(&self) -> Now {
        let wall = i64::try_from(self.boot + self.offset).unwrap();
        Now { boot: self.boot, wall: Timestamp::from_millisecond(wall).unwrap() }
    }

    /// How long the world has been there, in milliseconds.
    pub fn age(&self) -> Moment {
        self.boot
    }

    /// The next thing that happens, whatever it is; false if nothing ever will.
    pub fn turn(&mut self) -> bool {
        let next = self.coming.first_key_value().map(|((moment, _), _)| *moment);
        let (boot, wall) = self.fleet.deadline();
        let wall = wall.map(|wall| self.boot + millis(wall.duration_since(self.now().wall)));
        let due = boot.into_iter().chain(wall).min();
        let Some(moment) = next.into_iter().chain(due).min() else {
            return false;
        };
        self.boot = self.boot.max(moment);
        if due.is_some_and(|due| due <= self.boot) {
            let actions = self.fleet.due(self.now());
            self.perform(actions);
            self.watched.is_not_due(&self.fleet, self.now());
        }
        if let Some(entry) = self.coming.first_entry().filter(|entry| entry.key().0 <= self.boot) {
            match entry.remove() {
                Coming::Worker(run, event) => self.worker(run, event),
                Coming::Anything => self.anything(),
            }
        }
        self.watched.check(&self.fleet);
        if self.successions.as_mut().is_some_and(|chance| chance.one_in(7)) {
            self.succeed();
        }
        true
    }

    /// The fleet is written down as it would be for another program, and read again.
    fn succeed(&mut self) {
        let bytes = postcard::to_stdvec(&self.fleet.saved()).unwrap();
        let saved = postcard::from_bytes(&bytes).unwrap();
        self.fleet = Fleet::restored(saved, self.fleet.zone().clone());
        self.watched.check(&self.fleet);
    }

    /// An orderly shutdown, to the end; the time it took.
    pub fn shut_down(&mut self, within: Moment) -> Moment {
        let began = self.boot;
        self.coming.retain(|_, coming| !matches!(coming, Coming::Anything));
        self.watched.no_more_starts();
        let actions = self.fleet.shut_down(self.boot + within, self.now());
        self.perform(actions);
        while !self.exited && self.turn() {}
        self.boot - began
    }

    /// Calm: nothing happens by chance for so long; timers and workers go on.
    pub fn calm(&mut self, span: Moment) {
        self.coming.retain(|_, coming| !matches!(coming, Coming::Anything));
        let until = self.boot + span;
        let mut turns = 0;
        while self.boot < until && turns < 300 && self.turn() {
            turns += 1;
        }
        self.soon(Coming::Anything, 1000);
    }

    fn soon(&mut self, coming: Coming, within: Moment) {
        self.sequence += 1;
        let moment = self.boot + self.random.span(within);
        self.coming.insert((moment, self.sequence), coming);
    }

    fn load(&mut self, label: &str) {
        let job = jobs::any(label, &mut self.random);
        let disabled = self.random.one_in(8);
        let admitted = self.fleet.admits(label);
        let loaded = self.fleet.load(job, disabled);
        assert_eq!(admitted, loaded, "the question and the act disagree");
        if loaded.is_ok() {
            self.watched.loaded(label);
        }
    }

    fn begin(&mut self) {
        let actions = self.fleet.begin(self.now());
        self.perform(actions);
    }

    fn tell(&mut self, label: &str, event: Event) {
        self.watched.told(&self.fleet, label, &event);
        let actions = self.fleet.tell(label, event, self.now());
        self.perform(actions);
    }

    /// Something nobody planned.
    fn anything(&mut self) {
        let label = *self.random.of(&LABELS);
        match self.random.below(14) {
            0 => self.load(label),
            1 => self.tell(label, Event::Unload),
            2 => self.tell(label, Event::Disable),
            3 => self.tell(label, Event::Enable),
            4 => self.reload(label),
            5..=6 => {
                let kill = self.random.one_in(2);
                self.tell(label, Event::Kickstart { kill, uid: 0 });
            }
            7 => self.set_clock(),
            8 => self.boot += self.random.span(LONGEST_CALM),
            9 => {
                let event = if self.random.one_in(2) { Event::Appeared } else { Event::Rebound };
                self.tell(label, event);
            }
            _ => self.path(),
        }
        self.begin();
        let calm = *self.random.of(&[10, 10_000, 3_600_000, LONGEST_CALM]);
        self.soon(Coming::Anything, calm);
    }

    fn reload(&mut self, label: &str) {
        let job = jobs::any(label, &mut self.random);
        let disabled = self.random.one_in(4);
        if let Ok(actions) = self.fleet.reload(job, disabled, self.now()) {
            self.watched.reloaded(label);
            self.perform(actions);
        }
    }

    fn set_clock(&mut self) {
        let span = self.random.span(400 * 86_400_000);
        self.offset = if self.random.one_in(2) { self.offset + span } else { self.offset.saturating_sub(span) };
        let actions = self.fleet.clock_set(self.now());
        self.perform(actions);
    }

    /// A path comes, goes or changes, and whoever watches it is told.
    fn path(&mut self) {
        let path = *self.random.of(&PATHS);
        if !self.existing.remove(path) {
            self.existing.insert(path);
        }
        let watching: Vec<Label> = self.watched.armed().cloned().collect();
        for label in watching {
            self.facts(&label, Some(path));
        }
    }

    /// Tells a job what it watches: of one path that changed, or of all at the start.
    fn facts(&mut self, label: &Label, changed: Option<&str>) {
        let Some(member) = self.fleet.member(label) else {
            return;
        };
        let launch = member.job.launch.clone();
        let concerns = |path: &str| changed.is_none_or(|changed| changed == path);
        if let crate::launch::KeepAlive::While(conditions) = &launch.keep_alive {
            for (path, _) in conditions.path_state.iter().filter(|(path, _)| concerns(path)) {
                self.tell(label, Event::PathState(path.clone(), self.existing.contains(path.as_str())));
            }
        }
        for path in launch.queue_directories.iter().filter(|path| concerns(path)) {
            self.tell(label, Event::Queue(path.clone(), self.existing.contains(path.as_str())));
        }
        for path in launch.watch_paths.iter().filter(|path| changed == Some(path.as_str())) {
            self.tell(label, Event::Demand(crate::fleet::Cause::Path(path.clone())));
        }
    }

    fn worker(&mut self, run: RunId, event: run::Event) {
        if let run::Event::Gone(_) = event {
            self.watched.worker_gone(run);
        }
        let actions = self.fleet.run(run, event, self.now());
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            self.trace = fold(self.trace, &format!("{} {action:?}", self.boot));
            let Action::Job { label, action } = action else {
                self.exited = true;
                self.watched.exited(&self.fleet);
                continue;
            };
            self.watched.did(&self.fleet, &label, &action, self.now());
            match action {
                JobAction::Arm => self.facts(&label, None),
                JobAction::Start { run, .. } => self.start(run),
                JobAction::Worker { run, action } => self.asked(run, action),
                JobAction::Disarm
                | JobAction::Await
                | JobAction::Forget
                | JobAction::Ended { .. }
                | JobAction::Replaced
                | JobAction::Gone => {}
            }
        }
    }

    fn start(&mut self, run: RunId) {
        let failure = StartFailure::job("the program", "not there", "install it");
        let own = StartFailure::own("a process", "none left");
        let event = match self.random.below(12) {
            0 => run::Event::Unprepared(failure),
            1 => run::Event::Unprepared(own),
            _ => run::Event::Prepared { native: self.random.one_in(2), listens: self.random.one_in(3) },
        };
        if matches!(event, run::Event::Prepared { .. }) {
            // The walls stand some time after the worker was made; some never come so far.
            let walls = run::Event::Said(FromWorker::Walls(evidence(true)));
            self.then(run, event, 2_000);
            if !self.random.one_in(20) {
                self.then(run, walls, 40_000);
            }
        } else {
            self.soon(Coming::Worker(run, event), 100);
        }
    }

    /// Behind everything that is coming for this run, so that nothing overtakes.
    fn then(&mut self, run: RunId, event: run::Event, within: Moment) {
        let of_run = |coming: &Coming| matches!(coming, Coming::Worker(other, _) if *other == run);
        let last = self.coming.iter().filter(|(_, coming)| of_run(coming)).map(|((moment, _), _)| *moment).max();
        self.sequence += 1;
        let moment = last.unwrap_or(self.boot) + self.random.span(within);
        self.coming.insert((moment, self.sequence), Coming::Worker(run, event));
    }

    fn asked(&mut self, run: RunId, action: run::Action) {
        match action {
            run::Action::ReadWalls(_) => {
                let stands = !self.random.one_in(30);
                self.soon(Coming::Worker(run, run::Event::WallsRead(evidence(stands))), 2);
            }
            run::Action::Send(ToWorker::Go) => self.works(run),
            run::Action::Send(ToWorker::Stop { .. }) => self.stops(run),
            run::Action::Kill if !self.random.one_in(40) => self.dies(run, 9),
            run::Action::Kill
            | run::Action::Send(_)
            | run::Action::Report(_)
            | run::Action::Note(_)
            | run::Action::Learn(_)
            | run::Action::LookUp
            | run::Action::LeaveBehind
            | run::Action::Finish(_) => {}
        }
    }

    /// It runs, for a while or for ever.
    fn works(&mut self, run: RunId) {
        let long = *self.random.of(&[100, 100, 20_000, 600_000, 90_000_000]);
        match self.random.below(10) {
            0 => {}
            1 => self.then(run, run::Event::Gone(Exit::Signal(*[9, 11, 6, 15].get(long as usize % 4).unwrap())), long),
            outcome => {
                let outcome = match outcome {
                    2 => Outcome::Trapped("unreachable".into()),
                    3 | 4 => Outcome::Exited(1),
                    _ => Outcome::Exited(0),
                };
                self.then(run, run::Event::Said(FromWorker::Ended(outcome)), long);
                self.then(run, run::Event::Gone(Exit::Status(0)), 50);
            }
        }
    }

    fn stops(&mut self, run: RunId) {
        if !self.random.one_in(4) {
            self.soon(Coming::Worker(run, run::Event::Said(FromWorker::Ended(Outcome::Exited(0)))), 5_000);
            self.soon(Coming::Worker(run, run::Event::Gone(Exit::Status(0))), 30_000);
        }
    }

    fn dies(&mut self, run: RunId, signal: u8) {
        self.coming.retain(|_, coming| !matches!(coming, Coming::Worker(other, _) if *other == run));
        self.soon(Coming::Worker(run, run::Event::Gone(Exit::Signal(signal))), 20);
    }
}

/// Whether a job has nothing to do.
pub fn is_idle(fleet: &Fleet, label: &str) -> bool {
    fleet.member(label).is_some_and(|member| *member.life.state() == State::Idle)
}

fn millis(span: SignedDuration) -> Moment {
    Moment::try_from(span.as_millis()).unwrap_or(0) + 1
}

fn evidence(stands: bool) -> Vec<Evidence> {
    vec![Evidence { wall: Wall::Seccomp, found: String::new(), stands }]
}

fn fold(trace: u64, text: &str) -> u64 {
    text.bytes().fold(trace, |trace, byte| (trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
