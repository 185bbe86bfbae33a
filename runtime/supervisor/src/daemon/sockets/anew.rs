//! Sockets that a run has shut down, for itself and everybody who shares them: nobody can connect to them any more, so
//! they are bound anew, at once or as soon as that can be. None of them is ever given up for good. Until then they keep
//! their places in the job's list, and no run begins with less than its list says.

use wjob_model::fleet::{Action, Event, Label, State};
use wjob_model::message::StartFailure;
use wjob_model::run::Moment;

use crate::daemon::log::Level;
use crate::daemon::{Daemon, clock};
use crate::listen::Listener;

/// How soon it is tried again, milliseconds.
const AGAIN: Moment = 1_000;

/// A job of which a listener could not be bound anew.
#[derive(Debug)]
pub(in crate::daemon) struct Unbound {
    /// Why.
    pub why: String,
    /// When it is tried again.
    pub again_at: Moment,
}

impl Daemon {
    /// A job's run has ended, or a listener of it was shut down: unless it runs or is to run again, traffic starts it.
    /// What the model decides of it.
    pub(in crate::daemon) fn serve_again(&mut self, label: &Label) -> Vec<Action> {
        let actions = self.bind_what_was_shut_down(label);
        self.connections_came_back(label);
        let idle = self.fleet.member(label).is_some_and(|member| *member.life.state() == State::Idle);
        if idle {
            self.await_traffic(label);
        }
        actions
    }

    /// Binds anew what could not be bound before, where that is due.
    pub(in crate::daemon) fn bindings_due(&mut self, now: Moment) {
        let due = self.unbound.iter().filter(|(_, unbound)| unbound.again_at <= now);
        let due: Vec<Label> = due.map(|(label, _)| label.clone()).collect();
        for label in due {
            let actions = self.serve_again(&label);
            self.act(actions);
        }
    }

    /// Nobody can connect any more to what a job has shut down: it is bound anew, and the run blamed.
    fn bind_what_was_shut_down(&mut self, label: &Label) -> Vec<Action> {
        let job = self.fleet.member(label).map(|member| member.job.clone());
        let Some(job) = job.filter(|_| !self.dead_listeners(label).is_empty()) else {
            self.unbound.remove(label);
            return Vec::new();
        };
        self.ignore_traffic(label);
        if let Some(sockets) = self.sockets.get_mut(label) {
            sockets.listeners.iter_mut().filter(|listener| !listener.is_alive()).for_each(Listener::give_up);
        }
        match self.bind_all(label, &job) {
            Ok(()) => {
                self.say(Level::Error, Some(label), "its run had shut a listener down; it is bound anew");
                self.hand_out(label)
            }
            Err(why) => {
                self.cannot_be_bound(label, why);
                Vec::new()
            }
        }
    }

    fn cannot_be_bound(&mut self, label: &Label, why: String) {
        let text = format!("its run had shut a listener down, and it cannot be bound anew yet: {why}");
        let unbound = Unbound { why, again_at: clock::now().boot.saturating_add(AGAIN) };
        // Said once, and not every time.
        if self.unbound.insert(label.clone(), unbound).is_none() {
            self.say(Level::Error, Some(label), &text);
        }
    }

    /// A run that goes on has the listener that was shut down, and nobody new comes to it; one that is only to begin will
    /// have the new one.
    fn hand_out(&mut self, label: &Label) -> Vec<Action> {
        let current = self.fleet.member(label).and_then(|member| member.life.current()).map(|run| run.id);
        match current.is_none_or(|run| self.runs.contains_key(&run)) {
            true => self.fleet.tell(label, Event::Rebound, clock::now()),
            false => Vec::new(),
        }
    }

    /// No run begins while a listener of its list is not there: those behind it would have other numbers.
    pub(in crate::daemon) fn has_its_listeners(&self, label: &str) -> Result<(), StartFailure> {
        let Some(unbound) = self.unbound.get(label) else {
            return Ok(());
        };
        let advice = "it is started as soon as it can be bound anew, which is tried all the time";
        Err(StartFailure::job("a listener that an earlier run has shut down", &unbound.why, advice))
    }

    /// Whether a client is there.
    pub(in crate::daemon) fn is_wanted(&self, label: &Label) -> bool {
        self.sockets.get(label).is_some_and(|sockets| sockets.listeners.iter().any(Listener::is_wanted))
    }

    /// Where nobody can connect any more, because a run has shut the listener down.
    pub(in crate::daemon) fn dead_listeners(&self, label: &Label) -> Vec<&str> {
        let sockets = self.sockets.get(label).map(|sockets| sockets.listeners.as_slice()).unwrap_or_default();
        sockets.iter().filter(|listener| !listener.is_alive()).map(|listener| listener.address.as_str()).collect()
    }

    /// What a run that has just ended is to be blamed for, as it follows upon how it ended. What was not there when it
    /// began is no fault of its own.
    pub(in crate::daemon) fn blame_for_listeners(&self, label: &Label) -> String {
        match self.dead_listeners(label).as_slice() {
            [] => String::new(),
            _ if self.unbound.contains_key(label) => String::new(),
            dead => format!("; it had shut down {}", dead.join(", ")),
        }
    }
}
