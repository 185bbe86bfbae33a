//! The invariants, held against what a fleet was told and what it did. They know nothing of how it decides.

use std::collections::{BTreeMap, BTreeSet};

use super::world::is_idle;
use crate::fleet::{Cause, Event, Fleet, JobAction, Label, Now, RunId, State};
use crate::run::Moment;

/// What must be true of one job.
#[derive(Debug, Default)]
struct Of {
    armed: bool,
    awaiting: bool,
    last_start: Option<Moment>,
    /// A demand came and no start has answered it.
    owed: bool,
    runs: BTreeSet<RunId>,
}

/// Everything watched.
#[derive(Debug, Default)]
pub struct Watched {
    jobs: BTreeMap<Label, Of>,
    dead: BTreeSet<RunId>,
    stopping: bool,
    /// Starts seen.
    pub starts: u64,
}

impl Watched {
    /// Labels whose sources are armed.
    pub fn armed(&self) -> impl Iterator<Item = &Label> {
        self.jobs.iter().filter(|(_, of)| of.armed).map(|(label, _)| label)
    }

    /// A job was loaded.
    pub fn loaded(&mut self, label: &str) {
        let before = self.jobs.insert(label.into(), Of::default());
        assert!(before.is_none(), "{label} was loaded twice");
    }

    /// A job's file was read again: what it owed, its successor need not.
    pub fn reloaded(&mut self, label: &str) {
        self.of(label).owed = false;
    }

    /// From here on nothing may start.
    pub fn no_more_starts(&mut self) {
        self.stopping = true;
    }

    /// A worker's process ended.
    pub fn worker_gone(&mut self, run: RunId) {
        self.dead.insert(run);
    }

    fn of(&mut self, label: &str) -> &mut Of {
        self.jobs.get_mut(label).unwrap_or_else(|| panic!("{label} is not loaded"))
    }

    /// An event is about to be told: a demand is owed, unless the job may forget it.
    pub fn told(&mut self, fleet: &Fleet, label: &str, event: &Event) {
        let Some(member) = fleet.member(label) else {
            return;
        };
        let deaf =
            matches!(member.life.state(), State::Finished | State::Disabled | State::Leaving { .. } | State::Gone);
        match event {
            Event::Demand(_) if !deaf && !member.life.is_disabled() && !member.job.launch.only_once => {
                self.of(label).owed = true;
            }
            Event::Disable | Event::Unload => self.of(label).owed = false,
            _ => {}
        }
    }

    /// Something is done for a job.
    pub fn did(&mut self, fleet: &Fleet, label: &Label, action: &JobAction, now: Now) {
        let stopping = self.stopping;
        match action {
            JobAction::Arm => assert!(!std::mem::replace(&mut self.of(label).armed, true), "{label} is armed twice"),
            JobAction::Disarm => assert!(std::mem::take(&mut self.of(label).armed), "{label} was not armed"),
            JobAction::Await => assert!(!std::mem::replace(&mut self.of(label).awaiting, true), "{label} awaits twice"),
            JobAction::Forget => assert!(std::mem::take(&mut self.of(label).awaiting), "{label} awaited nothing"),
            JobAction::Start { run, causes } => {
                assert!(!stopping, "{label} was started while all were stopped");
                let immediate = causes.named().iter().any(Cause::is_immediate);
                self.started(fleet, label, *run, immediate, now.boot);
            }
            JobAction::Worker { run, .. } => {
                assert!(self.of(label).runs.contains(run), "{label}: an action for run {run:x}, which is over");
            }
            JobAction::Ended { run, .. } => {
                assert!(self.of(label).runs.remove(run), "{label}: run {run:x} ended twice or never began");
            }
            JobAction::Replaced => self.replaced(label),
            JobAction::Gone => self.gone(fleet, label),
        }
    }

    /// Never two starts by demand inside the throttle, never more than one current and one draining worker.
    fn started(&mut self, fleet: &Fleet, label: &Label, run: RunId, immediate: bool, now: Moment) {
        self.starts += 1;
        let throttle = fleet.member(label).map_or(0, |member| Moment::from(member.job.launch.throttle) * 1000);
        let of = self.of(label);
        let since = of.last_start.map_or(Moment::MAX, |last| now - last);
        assert!(immediate || since >= throttle, "{label} started again after {since} ms, throttle {throttle} ms");
        of.last_start = Some(now);
        of.owed = false;
        assert!(of.runs.insert(run), "{label}: run {run:x} began twice");
        assert!(of.runs.len() <= 2, "{label} has {} workers", of.runs.len());
    }

    /// Every armed thing is disarmed; of the former definition nothing is left but its runs.
    fn replaced(&mut self, label: &str) {
        let of = self.of(label);
        assert!(!of.armed && !of.awaiting, "{label} was replaced and is still watched for: {of:?}");
        *of = Of { runs: std::mem::take(&mut of.runs), ..Of::default() };
    }

    /// Every armed thing is disarmed, and no worker is left; a successor begins anew.
    fn gone(&mut self, fleet: &Fleet, label: &Label) {
        let of = self.jobs.remove(label).unwrap_or_else(|| panic!("{label} went twice"));
        assert!(!of.armed && !of.awaiting, "{label} went and is still watched for: {of:?}");
        assert!(of.runs.is_empty(), "{label} went and left workers: {:x?}", of.runs);
        if fleet.member(label).is_some() {
            self.jobs.insert(label.clone(), Of::default());
        }
    }

    /// The supervisor was told to exit.
    pub fn exited(&self, fleet: &Fleet) {
        assert!(fleet.is_stopping(), "nobody had asked it to end");
    }

    /// After everything due was done nothing is due: the supervisor would spin.
    pub fn is_not_due(&self, fleet: &Fleet, now: Now) {
        let (boot, wall) = fleet.deadline();
        assert!(self.stopping || boot.is_none_or(|boot| boot > now.boot), "still due: {boot:?} at {now:?}");
        assert!(wall.is_none_or(|wall| wall > now.wall), "still due: {wall:?} at {now:?}");
    }

    /// What must be true after each step.
    pub fn check(&self, fleet: &Fleet) {
        for (label, member) in fleet.members() {
            let of = self.jobs.get(label).unwrap_or_else(|| panic!("{label} is loaded and not known"));
            let life = &member.life;
            let runs: BTreeSet<RunId> = life.current().into_iter().chain(life.draining()).map(|run| run.id).collect();
            assert_eq!(runs, of.runs, "{label}: {:?}", life.state());
            assert_eq!((life.is_armed(), life.is_awaiting()), (of.armed, of.awaiting), "{label}");
            assert!(!(of.owed && is_idle(fleet, label)), "{label} forgot a demand");
            let disabled = *life.state() == State::Disabled;
            assert!(!disabled || life.is_disabled() && !of.armed, "{label} is disabled and can be started");
        }
    }
}
