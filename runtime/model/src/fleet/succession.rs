//! Another definition in a job's place. A job that serves clients goes on with its worker until one of the new definition
//! is up, and that one drains then; any other ends first.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Action, Cause, Event, Fleet, Label, Now, Refusal, State};
use crate::job::Job;

/// What takes a job's place once it is gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Successor {
    pub(super) job: Arc<Job>,
    pub(super) disabled: bool,
    pub(super) was_running: bool,
}

impl Fleet {
    /// Whether another definition could take a job's place.
    ///
    /// # Errors
    /// When there is no such job, it is on its way out for good, or everything is shutting down.
    pub fn may_reload(&self, label: &str) -> Result<(), Refusal> {
        if self.is_stopping() {
            return Err(Refusal::ShuttingDown);
        }
        match self.members.get(label).map(|member| (&member.successor, member.life.state())) {
            None | Some((None, State::Leaving { .. })) => Err(Refusal::Leaving),
            Some(_) => Ok(()),
        }
    }

    /// A job's file was read again: what it says now takes the old one's place.
    ///
    /// # Errors
    /// When there is no such job, or everything is shutting down.
    pub fn reload(&mut self, job: Arc<Job>, disabled: bool, now: Now) -> Result<Vec<Action>, Refusal> {
        self.may_reload(&job.label)?;
        let label: Label = job.label.as_str().into();
        let member = self.members.get_mut(&label).ok_or(Refusal::Leaving)?;
        let mut actions = Vec::new();
        if member.life.serves() && !disabled && !job.sockets.is_empty() {
            self.take_over(&label, job, now, &mut actions);
            return Ok(actions);
        }
        let was_running = match &member.successor {
            Some(successor) => successor.was_running,
            None => matches!(member.life.state(), State::Active { .. }),
        };
        let first = member.successor.is_none();
        member.successor = Some(Successor { job, disabled, was_running });
        if first {
            self.step(&label, Event::Unload, now, &mut actions);
        }
        Ok(actions)
    }

    /// The new definition has the place at once, and begins while the old one's run serves.
    fn take_over(&mut self, label: &Label, job: Arc<Job>, now: Now, actions: &mut Vec<Action>) {
        let Some(member) = self.members.get_mut(label) else {
            return;
        };
        let old = std::mem::replace(&mut member.job, job.clone());
        self.asks_no_more(label, &old);
        self.asks(label, &job);
        self.step(label, Event::HandOver, now, actions);
        self.begin_one(label, now, actions);
        self.run_again(label, now, actions);
    }

    /// What ran before its definition was another's runs again, unless it does so already.
    pub(super) fn run_again(&mut self, label: &Label, now: Now, actions: &mut Vec<Action>) {
        let runs = |state: &State| matches!(state, State::Active { .. });
        if !self.members.get(label).is_some_and(|member| runs(member.life.state())) {
            self.step(label, Event::Demand(Cause::Reload), now, actions);
        }
    }
}
