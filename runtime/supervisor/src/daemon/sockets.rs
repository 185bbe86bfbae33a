//! The sockets of the jobs: bound when a job is loaded, waited on while nobody serves them, handed to the job's worker at
//! its start, and taken away with the job. What comes through them is never read here. What becomes of those that a run
//! has shut down is in `anew`, of those that are connected to somebody else's in `connected`.

mod anew;
mod connected;

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wjob_model::account::Question;
use wjob_model::control::{Failure, Pair};
use wjob_model::fleet::{Event, Label};
use wjob_model::job::Job;
use wjob_model::message::{HandedSocket, Users};
use wjob_model::run::Moment;
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};

use super::log::Level;
use super::{Daemon, Wakes, clock};
use crate::accounts::{admitted, name_of, of_files};
use crate::listen::{self, Connection, ListenError, Listener, Owner, SavedListener};

pub(super) use anew::Unbound;

/// How far apart sockets are tried that another has.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The sockets of one job.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    listeners: Vec<Listener>,
    /// The number under which their traffic is waited for, while it is.
    waiting: Option<u64>,
    /// When connections were last made for it, if they were.
    tried_at: Option<Moment>,
}

/// The same as they are handed over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedSockets {
    listeners: Vec<SavedListener>,
    waiting: bool,
}

impl Sockets {
    /// Whether one is not connected that should be.
    pub fn has_lost_one(&self) -> bool {
        self.listeners.iter().any(Listener::is_lost)
    }

    /// As they are bound, in the order of the job's list.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// What the next program of this process is told of them.
    pub fn saved(&self, kept: &mut Kept) -> SavedSockets {
        let listeners = self.listeners.iter().map(|listener| listener.saved(kept)).collect();
        SavedSockets { listeners, waiting: self.waiting.is_some() }
    }

    /// Those of the program before this one, and whether it waited for their traffic.
    ///
    /// # Errors
    /// When one was not handed over.
    pub fn resumed(saved: SavedSockets, inherited: &mut Inherited) -> Result<(Self, bool), HandoverError> {
        let listeners = saved.listeners.into_iter().map(|listener| Listener::resumed(listener, inherited));
        let listeners = listeners.collect::<Result<Vec<Listener>, HandoverError>>()?;
        Ok((Self { listeners, waiting: None, tried_at: None }, saved.waiting))
    }

    /// One of each for a worker.
    pub fn handed_over(&self) -> std::io::Result<Vec<(HandedSocket, OwnedFd)>> {
        self.listeners.iter().map(Listener::handed_over).collect()
    }
}

/// Binds once more as long as another has what is to be bound, where it may be about to end.
fn in_time<T>(bind: impl Fn() -> Result<T, ListenError>, patience: Option<Instant>) -> Result<T, ListenError> {
    loop {
        match bind() {
            Err(ListenError::Taken { .. }) if patience.is_some_and(|until| Instant::now() < until) => {
                std::thread::sleep(BETWEEN_TRIES);
            }
            bound => return bound,
        }
    }
}

impl Daemon {
    /// Binds the sockets of a job that is about to be loaded, or to take another's place: then those that both have are
    /// not touched. It may never run, so none is connected here.
    pub(super) fn bind_sockets(&mut self, job: &Job) -> Result<(), Failure> {
        let label: Label = job.label.as_str().into();
        let old = self.sockets.get(&label).map(|sockets| sockets.listeners.as_slice()).unwrap_or_default();
        if job.sockets.is_empty() && old.is_empty() {
            return Ok(());
        }
        self.bind_all(&label, job).map_err(|why| Failure::Failed { why: format!("{label} is not loaded: {why}") })
    }

    /// Binds what of a job's sockets is not bound; nothing is changed when that fails.
    fn bind_all(&mut self, label: &Label, job: &Job) -> Result<(), String> {
        let admitted = match job.sockets.as_slice() {
            [] => None,
            _ => admitted(job).map_err(|failure| format!("{failure}; {}", failure.advice))?,
        };
        let owner = self.owner_of(job, admitted);
        let old = self.sockets.get(label).map(|sockets| sockets.listeners.as_slice()).unwrap_or_default();
        let bind = || listen::bind_further(&job.sockets, old, &owner);
        let (made, kept) = in_time(bind, self.patience).map_err(|error| error.in_words())?;
        self.ignore_traffic(label);
        self.unbound.remove(label);
        self.unconnected.remove(label);
        let sockets = self.sockets.entry(label.clone()).or_default();
        if made.iter().any(Listener::is_lost) {
            sockets.tried_at = None;
        }
        sockets.listeners = listen::in_order(&job.sockets, std::mem::take(&mut sockets.listeners), &kept, made);
        Ok(())
    }

    /// Whose a job's sockets are.
    fn owner_of(&mut self, job: &Job, admitted: Option<Users>) -> Owner {
        let (domain, runtime) = (self.reader.owner, self.settings.runtime());
        let supervisors = [self.listener.file, self.logger.socket_file()].into_iter().flatten().collect();
        Owner { domain, job: self.identity_of(job), admitted, runtime, supervisors }
    }

    /// The user and group that a job's Unix sockets are to have, if that is known without asking anybody.
    fn identity_of(&mut self, job: &Job) -> Option<(u32, u32)> {
        match Question::of(job) {
            Ok(Some(question)) => {
                let known = of_files(&question);
                let account = known.account?;
                Some((account.uid, known.group.unwrap_or(account.gid)))
            }
            Ok(None) => self.users.of(&job.label, name_of).ok().map(|identity| (identity.uid, identity.gid)),
            Err(_) => None,
        }
    }

    /// Waits for traffic, which starts the job, and for that is connected where it should be.
    pub(super) fn await_traffic(&mut self, label: &Label) {
        if self.sockets.get(label).is_some_and(|sockets| sockets.waiting.is_none()) {
            self.connect_to_wait(label);
        }
        let all = !self.unbound.contains_key(label);
        let Some(sockets) = self.sockets.get_mut(label).filter(|sockets| sockets.waiting.is_none()) else {
            return;
        };
        self.next_token += 1;
        let number = self.next_token;
        sockets.waiting = Some(number);
        self.traffic.insert(number, label.clone());
        // One that was shut down would wake at once, and for ever.
        for listener in sockets.listeners.iter().filter(|listener| all || listener.is_alive()) {
            let (read, write) = match listener.connection() {
                Some(Connection::Lost(_)) => continue,
                Some(Connection::Begun) => (false, true),
                Some(Connection::Made) | None => (true, false),
            };
            if let Err(error) = self.poller.add_for(listener.as_fd(), Wakes::Traffic(number), read, write) {
                let text = format!("{} cannot be waited on: {error}", listener.address);
                self.log.say(Level::Error, Some(label), false, &text);
            }
        }
    }

    /// Somebody else serves them now, or nobody is to.
    pub(super) fn ignore_traffic(&mut self, label: &Label) {
        let Some(sockets) = self.sockets.get_mut(label) else {
            return;
        };
        if let Some(number) = sockets.waiting.take() {
            self.traffic.remove(&number);
            for listener in &sockets.listeners {
                self.poller.remove(listener);
            }
        }
    }

    /// Where they are, as `print` says it.
    pub(super) fn sockets_in_words(&self, label: &str) -> Vec<Pair> {
        let sockets = self.sockets.get(label).map(|sockets| sockets.listeners.as_slice()).unwrap_or_default();
        let unbound = self.unbound.get(label);
        let one = |listener: &Listener| Pair {
            name: format!("Sockets.{}", listener.name()),
            value: match (unbound.filter(|_| !listener.is_alive()), listener.connection()) {
                (Some(unbound), _) => format!("{}, not bound: {}", listener.address, unbound.why),
                (None, None) => listener.address.clone(),
                (None, Some(Connection::Made)) => format!("{}, connected", listener.address),
                (None, Some(Connection::Begun)) => format!("{}, not connected yet", listener.address),
                (None, Some(Connection::Lost(why))) => format!("{}, not connected: {why}", listener.address),
            },
        };
        sockets.iter().map(one).collect()
    }

    /// A client is there. Nothing more is heard of the job's sockets until its run has ended: what waits, waits for that.
    pub(super) fn traffic(&mut self, number: u64) {
        let Some(label) = self.traffic.get(&number).cloned() else {
            return;
        };
        self.ignore_traffic(&label);
        if self.has_only_connected(&label) {
            return;
        }
        let is_client = self.unbound.contains_key(&label) && self.is_wanted(&label);
        if !self.dead_listeners(&label).is_empty() && !is_client {
            // What its run has left over shut it down: that is no client, and another run could not serve any.
            let actions = self.serve_again(&label);
            return self.act(actions);
        }
        let cause = self.what_has_come(&label);
        let actions = self.fleet.tell(&label, Event::Demand(cause), clock::now());
        self.act(actions);
    }

    /// The job is gone.
    pub(super) fn take_sockets_away(&mut self, label: &Label) {
        self.ignore_traffic(label);
        self.unbound.remove(label);
        self.unconnected.remove(label);
        self.sockets.remove(label);
    }
}
