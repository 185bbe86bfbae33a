//! Connections that are made for jobs (SockPassive false): where what comes by them is waited for or a run begins, and
//! again when one is over or nobody answered, at most once in the job's ThrottleInterval. A job that may not run has none
//! made. While a run has them they are its own: what became of them is seen when it has ended. One that was made starts
//! nothing; what comes through it does, its end as well.

use wjob_model::fleet::{Cause, Label};
use wjob_model::job::Job;
use wjob_model::run::Moment;

use crate::daemon::log::Level;
use crate::daemon::{Daemon, clock};
use crate::listen::{Connection, Listener};

/// How soon it is tried again at the earliest, milliseconds.
const AGAIN: Moment = 1_000;

/// Milliseconds from one attempt to the next.
fn interval(job: &Job) -> Moment {
    Moment::from(job.launch.throttle).saturating_mul(1_000).max(AGAIN)
}

fn is_connected(job: &Job) -> bool {
    job.sockets.iter().any(|socket| socket.place.is_remote())
}

impl Daemon {
    /// The run has ended that had the connections of a job: sees which of them are over.
    pub(in crate::daemon) fn connections_came_back(&mut self, label: &Label) {
        let job = self.fleet.member(label).map(|member| member.job.clone());
        let Some(job) = job.filter(|job| is_connected(job) && !self.has_run(label)) else {
            return;
        };
        self.ignore_traffic(label);
        let owner = self.owner_of(&job, None);
        if let Some(sockets) = self.sockets.get_mut(label) {
            sockets.listeners.iter_mut().for_each(|listener| listener.come_back(&owner));
        }
    }

    /// Makes anew what is not connected, where that is due and what comes is waited for: a job that runs or may not run
    /// has no use for it.
    pub(in crate::daemon) fn connections_due(&mut self, now: Moment) {
        let due = self.unconnected.iter().filter(|(_, again_at)| again_at.is_some_and(|moment| moment <= now));
        let due: Vec<Label> = due.map(|(label, _)| label.clone()).collect();
        for label in due {
            self.unconnected.insert(label.clone(), None);
            if self.sockets.get(&label).is_some_and(|sockets| sockets.waiting.is_some()) {
                self.ignore_traffic(&label);
                self.await_traffic(&label);
            }
        }
    }

    /// Connects what is not, before what comes is waited for.
    pub(in crate::daemon) fn connect_to_wait(&mut self, label: &Label) {
        let job = self.fleet.member(label).map(|member| member.job.clone());
        if let Some(job) = job.filter(|job| is_connected(job)) {
            self.connect_what_is_lost(label, &job);
        }
    }

    /// The same before a run begins, which is then handed what there is.
    pub(in crate::daemon) fn connect_for_a_run(&mut self, label: &Label, job: &Job) {
        if !is_connected(job) {
            return;
        }
        let owner = self.owner_of(job, None);
        if let Some(sockets) = self.sockets.get_mut(label) {
            for listener in &mut sockets.listeners {
                listener.settle();
                listener.look_again(&owner);
            }
            if sockets.has_lost_one() {
                // Runs have a measure of their own (ThrottleInterval), and this one is to have what can be had.
                sockets.tried_at = None;
            }
        }
        self.connect_what_is_lost(label, job);
    }

    /// Nobody waits at them.
    fn connect_what_is_lost(&mut self, label: &Label, job: &Job) {
        let Some(sockets) = self.sockets.get_mut(label) else {
            return;
        };
        sockets.listeners.iter_mut().for_each(Listener::settle);
        let now = clock::now().boot;
        let again_at = sockets.tried_at.map(|tried_at| tried_at.saturating_add(interval(job)));
        if sockets.has_lost_one() && again_at.is_none_or(|again_at| again_at <= now) {
            let owner = self.owner_of(job, None);
            if let Some(sockets) = self.sockets.get_mut(label) {
                let lost = sockets.listeners.iter_mut().filter(|listener| listener.is_lost());
                lost.for_each(|listener| listener.make_anew(&owner));
                sockets.tried_at = Some(now);
            }
        }
        self.plan_connections(label, job);
    }

    /// When what is not connected is made anew. That it is not is said once, and not every time.
    fn plan_connections(&mut self, label: &Label, job: &Job) {
        let Some(sockets) = self.sockets.get(label) else {
            return;
        };
        let lost = sockets.listeners.iter().find_map(|listener| Some((listener.address.clone(), listener.lost()?)));
        let said = lost.map(|(address, why)| format!("{address} is not connected: {why}"));
        let is_begun = sockets.listeners.iter().any(|listener| listener.connection() == Some(&Connection::Begun));
        let again_at = sockets.tried_at.unwrap_or_default().saturating_add(interval(job));
        if let Some(said) = said {
            if self.unconnected.insert(label.clone(), Some(again_at)).is_none() {
                self.say(Level::Warn, Some(label), &said);
            }
        } else if !is_begun && self.unconnected.remove(label).is_some() {
            self.say(Level::Info, Some(label), "its connection is there");
        }
    }

    /// Whether nothing woke a job but that a connection of it was made or refused. Then it waits on.
    pub(in crate::daemon) fn has_only_connected(&mut self, label: &Label) -> bool {
        let has_connections = self.fleet.member(label).is_some_and(|member| is_connected(&member.job));
        let Some(sockets) = self.sockets.get_mut(label).filter(|_| has_connections) else {
            return false;
        };
        sockets.listeners.iter_mut().for_each(Listener::settle);
        let is_woken = sockets.listeners.iter().any(|listener| listener.is_wanted() || listener.is_stirred());
        let only = !is_woken && self.dead_listeners(label).is_empty();
        if only {
            self.await_traffic(label);
        }
        only
    }

    /// What has come to the sockets of a job.
    pub(in crate::daemon) fn what_has_come(&self, label: &Label) -> Cause {
        let sockets = self.sockets.get(label).map(|sockets| sockets.listeners.as_slice()).unwrap_or_default();
        let mut wanted = sockets.iter().filter(|listener| listener.is_wanted()).peekable();
        match wanted.peek().is_some() && wanted.all(|listener| listener.connection().is_some()) {
            true => Cause::Connection,
            false => Cause::Traffic,
        }
    }

    /// Whether there is a run that was handed what there was; one that is only to begin will have what there is then.
    fn has_run(&self, label: &str) -> bool {
        let current = self.fleet.member(label).and_then(|member| member.life.current());
        current.is_some_and(|run| self.runs.contains_key(&run.id))
    }
}
