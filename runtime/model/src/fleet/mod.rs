//! The decision core: all jobs of one supervisor, their lives and what they have to do with each other. Events go in,
//! actions come out in a fixed order; no clock, no file, no process. It never assumes where a worker runs.

mod cause;
mod keep;
mod life;
mod saved;
mod schedule;
mod succession;
mod throttle;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::job::Job;
use crate::launch::KeepAlive;
use crate::run::{self, Moment};

use succession::Successor;

pub use cause::{Cause, Causes, MOST_CAUSES};
pub use keep::Other;
pub use life::{Event, Hold, Last, Life, Run, RunId, Setting, State};
pub use saved::Saved;
pub use schedule::Now;
pub use words::{Words, demands};

/// A job's label.
pub type Label = Arc<str>;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Something for one job.
    Job {
        /// Which.
        label: Label,
        /// What.
        action: life::Action,
    },
    /// Every job is gone, or the deadline of the shutdown has come: the supervisor ends.
    Exit,
}

pub use life::Action as JobAction;

/// A loaded job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Its number, not used again.
    pub id: u32,
    /// What its file says.
    pub job: Arc<Job>,
    /// Its life so far.
    pub life: Life,
    begun: bool,
    successor: Option<Successor>,
    #[serde(skip)]
    moments: Moments,
}

impl Member {
    /// Whether another definition takes its place once it is gone.
    pub fn is_reloading(&self) -> bool {
        self.successor.is_some()
    }
}

/// When a job is to be looked at, as it is filed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moments {
    boot: Option<Moment>,
    wall: Option<Timestamp>,
}

/// Why a label cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A job of that label is loaded.
    Loaded,
    /// One is loaded and on its way out.
    Leaving,
    /// The supervisor is shutting down.
    ShuttingDown,
}

/// The jobs of one supervisor.
#[derive(Clone, Debug)]
pub struct Fleet {
    members: BTreeMap<Label, Member>,
    by_id: BTreeMap<u32, Label>,
    next_id: u32,
    by_boot: BTreeSet<(Moment, Label)>,
    by_wall: BTreeSet<(Timestamp, Label)>,
    /// Who asks for whom in KeepAlive.
    dependents: BTreeMap<String, BTreeSet<Label>>,
    zone: TimeZone,
    shutdown: Option<Moment>,
    exited: bool,
}

impl Fleet {
    /// Without jobs; calendar times are those of this zone.
    pub fn new(zone: TimeZone) -> Self {
        Self {
            members: BTreeMap::new(),
            by_id: BTreeMap::new(),
            next_id: 1,
            by_boot: BTreeSet::new(),
            by_wall: BTreeSet::new(),
            dependents: BTreeMap::new(),
            zone,
            shutdown: None,
            exited: false,
        }
    }

    /// The jobs by label.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&Label, &Member)> {
        self.members.iter()
    }

    /// One job.
    pub fn member(&self, label: &str) -> Option<&Member> {
        self.members.get(label)
    }

    /// The job a run belongs to.
    pub fn owner(&self, run: RunId) -> Option<&Label> {
        self.by_id.get(&id_of(run))
    }

    /// Whether it is shutting down.
    pub fn is_stopping(&self) -> bool {
        self.shutdown.is_some()
    }

    /// The zone of calendar times.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Whether a job of this label could be loaded.
    ///
    /// # Errors
    /// Why it could not.
    pub fn admits(&self, label: &str) -> Result<(), Refusal> {
        if self.is_stopping() {
            return Err(Refusal::ShuttingDown);
        }
        match self.members.get(label).map(|member| member.life.state()) {
            None => Ok(()),
            Some(State::Leaving { .. }) => Err(Refusal::Leaving),
            Some(_) => Err(Refusal::Loaded),
        }
    }

    /// Loads a job; it waits for [`Fleet::begin`], so that everything of one load is bound before anything starts.
    ///
    /// # Errors
    /// When it is not admitted; nothing is changed then.
    pub fn load(&mut self, job: Arc<Job>, disabled: bool) -> Result<(), Refusal> {
        self.admits(&job.label)?;
        self.insert(job, disabled);
        Ok(())
    }

    /// Lets all begin that were loaded since.
    pub fn begin(&mut self, now: Now) -> Vec<Action> {
        let waiting = self.members.iter().filter(|(_, member)| !member.begun);
        let labels: Vec<Label> = waiting.map(|(label, _)| label.clone()).collect();
        let mut actions = Vec::new();
        for label in &labels {
            self.begin_one(label, now, &mut actions);
        }
        actions
    }

    /// Something happened to a job; one that is not loaded is no matter.
    pub fn tell(&mut self, label: &str, event: Event, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        if event == Event::Unload
            && let Some(member) = self.members.get_mut(label)
            && member.successor.take().is_some()
        {
            // It is leaving already, and nothing takes its place any more; a second word would kill it.
            return actions;
        }
        let disabled = match event {
            Event::Enable => Some(false),
            Event::Disable => Some(true),
            _ => None,
        };
        if let Some(disabled) = disabled
            && let Some(successor) = self.members.get_mut(label).and_then(|member| member.successor.as_mut())
        {
            successor.disabled = disabled;
        }
        if let Some((label, _)) = self.members.get_key_value(label) {
            self.step(&label.clone(), event, now, &mut actions);
        }
        self.exit_if_empty(&mut actions);
        actions
    }

    /// Something happened to a run.
    pub fn run(&mut self, run: RunId, event: run::Event, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(label) = self.owner(run).cloned() {
            self.step(&label, Event::Run(run, event), now, &mut actions);
        }
        self.exit_if_empty(&mut actions);
        actions
    }

    /// A moment may have come: everything due is looked at.
    pub fn due(&mut self, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        let boot = self.by_boot.iter().take_while(|(moment, _)| *moment <= now.boot);
        let wall = self.by_wall.iter().take_while(|(moment, _)| *moment <= now.wall);
        let labels: BTreeSet<Label> =
            boot.map(|(_, label)| label.clone()).chain(wall.map(|(_, label)| label.clone())).collect();
        for label in labels {
            self.step(&label, Event::Due, now, &mut actions);
        }
        if self.shutdown.is_some_and(|deadline| deadline <= now.boot) {
            self.exit(&mut actions);
        }
        self.exit_if_empty(&mut actions);
        actions
    }

    /// The wall clock was set.
    pub fn clock_set(&mut self, now: Now) -> Vec<Action> {
        self.all(|| Event::ClockSet, now)
    }

    /// The zone of calendar times is this one now.
    pub fn zone_set(&mut self, zone: TimeZone, now: Now) -> Vec<Action> {
        self.zone = zone;
        self.all(|| Event::ZoneSet, now)
    }

    /// Takes every job out; at the deadline the supervisor ends whatever is left.
    pub fn shut_down(&mut self, deadline: Moment, now: Now) -> Vec<Action> {
        self.shutdown = Some(self.shutdown.map_or(deadline, |earlier| earlier.min(deadline)));
        self.members.values_mut().for_each(|member| member.successor = None);
        let mut actions = self.all(|| Event::Unload, now);
        self.exit_if_empty(&mut actions);
        actions
    }

    /// When the next moment comes, on the clock that counts sleep and on the wall's.
    pub fn deadline(&self) -> (Option<Moment>, Option<Timestamp>) {
        let boot = self.by_boot.first().map(|(moment, _)| *moment);
        let boot = boot.into_iter().chain(self.shutdown.filter(|_| !self.exited)).min();
        (boot, self.by_wall.first().map(|(moment, _)| *moment))
    }

    fn all(&mut self, event: impl Fn() -> Event, now: Now) -> Vec<Action> {
        let labels: Vec<Label> = self.members.keys().cloned().collect();
        let mut actions = Vec::new();
        for label in labels {
            self.step(&label, event(), now, &mut actions);
        }
        actions
    }

    fn insert(&mut self, job: Arc<Job>, disabled: bool) -> Label {
        let label: Label = job.label.as_str().into();
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1).max(1);
        self.asks(&label, &job);
        let life = Life::new(disabled);
        let member = Member { id, job, life, begun: false, successor: None, moments: Moments::default() };
        self.members.insert(label.clone(), member);
        self.by_id.insert(id, label.clone());
        label
    }

    /// A job asks for others in KeepAlive, and is told of them.
    fn asks(&mut self, label: &Label, job: &Job) {
        for other in others(job) {
            self.dependents.entry(other.to_owned()).or_default().insert(label.clone());
        }
    }

    fn asks_no_more(&mut self, label: &Label, job: &Job) {
        for other in others(job) {
            if let Some(dependents) = self.dependents.get_mut(other) {
                dependents.remove(label);
            }
        }
        self.dependents.retain(|_, dependents| !dependents.is_empty());
    }

    /// A job learns what the others are, begins, and the others learn of it.
    fn begin_one(&mut self, label: &Label, now: Now, actions: &mut Vec<Action>) {
        let Some(member) = self.members.get_mut(label) else {
            return;
        };
        member.begun = true;
        let asked: Vec<String> = others(&member.job).map(str::to_owned).collect();
        for other in asked {
            let is = self.members.get(other.as_str()).map(|member| member.life.seen()).unwrap_or_default();
            self.step(label, Event::Other(other, is), now, actions);
        }
        self.step(label, Event::Begin, now, actions);
        self.tell_dependents(label, now, actions);
    }

    /// Steps one job, files its moments, and tells the others if what they see of it has changed.
    fn step(&mut self, label: &Label, event: Event, now: Now, actions: &mut Vec<Action>) {
        let Some(member) = self.members.get_mut(label) else {
            return;
        };
        let before = member.life.seen();
        let setting = Setting { id: member.id, job: &member.job, zone: &self.zone, now };
        let (life, asked) = std::mem::replace(&mut member.life, Life::new(true)).step(event, &setting);
        member.life = life;
        let changed = before != member.life.seen();
        let gone = *member.life.state() == State::Gone;
        actions.extend(asked.into_iter().map(|action| Action::Job { label: label.clone(), action }));
        self.file(label);
        if gone {
            self.remove(label, now, actions);
        } else if changed {
            self.tell_dependents(label, now, actions);
        }
    }

    /// While everything is taken out, nobody is to start because another is gone.
    fn tell_dependents(&mut self, label: &Label, now: Now, actions: &mut Vec<Action>) {
        if self.is_stopping() {
            return;
        }
        let is = self.members.get(label).map(|member| member.life.seen()).unwrap_or_default();
        let Some(dependents) = self.dependents.get(&**label) else {
            return;
        };
        for dependent in dependents.clone() {
            self.step(&dependent, Event::Other(label.to_string(), is), now, actions);
        }
    }

    fn remove(&mut self, label: &Label, now: Now, actions: &mut Vec<Action>) {
        let Some(member) = self.members.remove(label) else {
            return;
        };
        self.by_id.remove(&member.id);
        self.asks_no_more(label, &member.job);
        let Some(successor) = member.successor else {
            return self.tell_dependents(label, now, actions);
        };
        let label = self.insert(successor.job, successor.disabled);
        self.begin_one(&label, now, actions);
        if successor.was_running {
            self.run_again(&label, now, actions);
        }
    }

    /// Files a job under the moments it asks for.
    fn file(&mut self, label: &Label) {
        let Some(member) = self.members.get_mut(label) else {
            return;
        };
        let moments = Moments { boot: member.life.deadline(), wall: member.life.calendar() };
        let old = std::mem::replace(&mut member.moments, moments);
        if old == moments {
            return;
        }
        refile(&mut self.by_boot, old.boot, moments.boot, label);
        refile(&mut self.by_wall, old.wall, moments.wall, label);
    }

    fn exit_if_empty(&mut self, actions: &mut Vec<Action>) {
        if self.shutdown.is_some() && self.members.is_empty() {
            self.exit(actions);
        }
    }

    fn exit(&mut self, actions: &mut Vec<Action>) {
        if !std::mem::replace(&mut self.exited, true) {
            actions.push(Action::Exit);
        }
    }
}

fn refile<T: Ord>(filed: &mut BTreeSet<(T, Label)>, old: Option<T>, new: Option<T>, label: &Label) {
    if let Some(old) = old {
        filed.remove(&(old, label.clone()));
    }
    if let Some(new) = new {
        filed.insert((new, label.clone()));
    }
}

/// The job's number in a run's.
fn id_of(run: RunId) -> u32 {
    u32::try_from(run >> 32).unwrap_or_default()
}

/// The labels a job asks for in KeepAlive.
fn others(job: &Job) -> impl Iterator<Item = &str> {
    let conditions = match &job.launch.keep_alive {
        KeepAlive::While(conditions) => Some(conditions),
        _ => None,
    };
    let labels = conditions.into_iter().flat_map(|conditions| {
        conditions.other_loaded.iter().chain(&conditions.other_active).map(|(label, _)| label.as_str())
    });
    labels.collect::<BTreeSet<&str>>().into_iter()
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
