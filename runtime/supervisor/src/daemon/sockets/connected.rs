//! Connections that are made for jobs (SockPassive false): at load, and again when one is over or nobody answered, at
//! most once in the job's ThrottleInterval. While a run has them they are its own: what became of them is seen when it
//! has ended. One that was made starts nothing; what comes through it does, its end as well.

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
    /// The run has ended that had the connections of a job: those that are over are made anew.
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
        self.connect_what_is_lost(label, &job);
    }

    /// Makes anew what is not connected, where that is due.
    pub(in crate::daemon) fn connections_due(&mut self, now: Moment) {
        let due = self.unconnected.iter().filter(|(_, again_at)| again_at.is_some_and(|moment| moment <= now));
        let due: Vec<Label> = due.map(|(label, _)| label.clone()).collect();
        for label in due {
            self.unconnected.insert(label.clone(), None);
            let job = self.fleet.member(&label).map(|member| member.job.clone());
            let Some(job) = job.filter(|_| !self.has_run(&label)) else {
                continue;
            };
            let waits = self.sockets.get(&label).is_some_and(|sockets| sockets.waiting.is_some());
            self.ignore_traffic(&label);
            self.connect_what_is_lost(&label, &job);
            if waits {
                self.await_traffic(&label);
            }
        }
    }

    /// The same before a run begins, which is then handed what there is.
    pub(in crate::daemon) fn connect_for_a_run(&mut self, label: &Label, job: &Job) {
        if is_connected(job) {
            self.connect_what_is_lost(label, job);
        }
    }

    /// Nobody waits at them.
    fn connect_what_is_lost(&mut self, label: &Label, job: &Job) {
        let (now, interval) = (clock::now().boot, interval(job));
        let is_due = self.sockets.get(label).is_some_and(|sockets| {
            sockets.tried_at.saturating_add(interval) <= now && sockets.listeners.iter().any(Listener::is_lost)
        });
        if is_due {
            let owner = self.owner_of(job, None);
            if let Some(sockets) = self.sockets.get_mut(label) {
                let lost = sockets.listeners.iter_mut().filter(|listener| listener.is_lost());
                lost.for_each(|listener| listener.make_anew(&owner));
                sockets.tried_at = now;
            }
        }
        self.plan_connections(label, job);
    }

    /// When what is not connected is made anew. That it is not is said once, and not every time.
    pub(in crate::daemon) fn plan_connections(&mut self, label: &Label, job: &Job) {
        let Some(sockets) = self.sockets.get(label) else {
            return;
        };
        let lost = sockets.listeners.iter().find_map(|listener| Some((listener.address.clone(), listener.lost()?)));
        let said = lost.map(|(address, why)| format!("{address} is not connected: {why}"));
        let is_begun = sockets.listeners.iter().any(|listener| listener.connection() == Some(&Connection::Begun));
        let again_at = sockets.tried_at.saturating_add(interval(job));
        if let Some(said) = said {
            if self.unconnected.insert(label.clone(), Some(again_at)).is_none() {
                self.say(Level::Warn, Some(label), &said);
            }
        } else if !is_begun && self.unconnected.remove(label).is_some() && is_connected(job) {
            self.say(Level::Info, Some(label), "its connection is there");
        }
    }

    /// Whether nothing woke a job but that a connection of it was made or refused. Then it waits on.
    pub(in crate::daemon) fn has_only_connected(&mut self, label: &Label) -> bool {
        let job = self.fleet.member(label).map(|member| member.job.clone());
        let Some(job) = job.filter(|job| is_connected(job)) else {
            return false;
        };
        if let Some(sockets) = self.sockets.get_mut(label) {
            sockets.listeners.iter_mut().for_each(Listener::settle);
        }
        self.plan_connections(label, &job);
        let only = self.dead_listeners(label).is_empty() && !self.is_wanted(label);
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
