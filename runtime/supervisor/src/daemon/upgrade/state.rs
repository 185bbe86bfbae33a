//! Everything that goes over to the next program, as it is told: what each part says of itself, and the numbers of the
//! descriptors that stay open. Whoever changes its form counts `wjob_model::handover::FORM` on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wjob_model::control::who::Peer;
use wjob_model::daemon::Configuration;
use wjob_model::fleet::{Label, RunId, Saved};
use wjob_model::handover::FORM;
use wjob_sandbox::handover::{HandoverError, Kept, told};

use crate::attempt::SavedAttempt;
use crate::control::clients::SavedClients;
use crate::daemon::bound::SavedBound;
use crate::daemon::left_over::SavedLeftOver;
use crate::daemon::logger::SavedLogger;
use crate::daemon::orphans::Orphans;
use crate::daemon::overrides::Overrides;
use crate::daemon::own_users::OwnUsers;
use crate::daemon::record::Record;
use crate::daemon::settings::Settings;
use crate::daemon::sockets::SavedSockets;
use crate::daemon::sources::Watched;
use crate::daemon::{Daemon, Origin, Running};
use crate::spawn::{Image, SavedImage, files_of_jobs};
use crate::watch::SavedWatcher;

/// What goes over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub own: Own,
    pub jobs: Jobs,
    pub talk: Talk,
    /// Who has asked for it, and is to be answered.
    pub client: u64,
    /// All descriptors that stay open.
    pub kept: Vec<i32>,
}

/// The supervisor itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Own {
    pub settings: Settings,
    pub configuration: Configuration,
    /// The `wjob` file that belongs to the next program.
    pub workers: SavedImage,
    /// How many files jobs may have open.
    pub files: Option<(u64, u64)>,
    pub lock: i32,
    pub overrides: Overrides,
    pub users: OwnUsers,
    pub orphans: Orphans,
    pub listener: SavedBound,
    pub watcher: SavedWatcher,
    pub logger: SavedLogger,
    pub fleet: Saved,
    pub since: Timestamp,
}

/// What it has of its jobs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Jobs {
    pub runs: Vec<SavedRun>,
    pub left_over: Vec<SavedLeftOver>,
    pub origins: BTreeMap<Label, Origin>,
    pub watched: Vec<(u64, Label, Watched)>,
    pub next_token: u64,
    pub sockets: Vec<(Label, SavedSockets)>,
    /// Jobs of which a listener could not be bound anew, and why.
    pub unbound: Vec<(Label, String)>,
}

/// A run with its worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedRun {
    pub run: RunId,
    pub attempt: SavedAttempt,
    pub record: Record,
    pub written: Option<u32>,
}

/// Who talks to it, and what each waits for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Talk {
    pub clients: SavedClients,
    pub callers: Vec<(u64, Peer)>,
    pub leaving: Vec<(u64, Label)>,
    pub subscribers: Vec<u64>,
}

/// Reads what a supervisor would have left for this process, and takes up nothing of it: no descriptor is touched.
///
/// # Errors
/// When it is for another process, has another form or makes no sense.
pub fn read_state(bytes: &[u8]) -> Result<impl Serialize + use<>, HandoverError> {
    told::<State>(FORM, bytes)
}

impl SavedRun {
    fn of(run: RunId, running: &Running, kept: &mut Kept) -> Option<Self> {
        let Running { attempt, record, written } = running;
        Some(Self { run, attempt: attempt.saved(kept)?, record: record.clone(), written: *written })
    }
}

impl Daemon {
    /// What the next program is told; `workers` is the `wjob` file that belongs to it.
    pub(super) fn saved(&self, client: u64, workers: &Image, kept: &mut Kept) -> State {
        let own = self.own_saved(workers, kept);
        let (jobs, talk) = (self.jobs_saved(kept), self.talk_saved(kept));
        State { own, jobs, talk, client, kept: kept.numbers().to_vec() }
    }

    fn own_saved(&self, workers: &Image, kept: &mut Kept) -> Own {
        Own {
            settings: self.settings.clone(),
            configuration: self.configuration.clone(),
            workers: workers.saved(kept),
            files: files_of_jobs(),
            lock: self.lock.saved(kept),
            overrides: self.overrides.clone(),
            users: self.users.clone(),
            orphans: self.orphans.clone(),
            listener: self.listener.saved(kept),
            watcher: self.watcher.saved(kept),
            logger: self.logger.saved(kept),
            fleet: self.fleet.saved(),
            since: self.since,
        }
    }

    fn jobs_saved(&self, kept: &mut Kept) -> Jobs {
        let watched = self.watched.iter().map(|(token, (label, kind))| (*token, label.clone(), *kind));
        Jobs {
            runs: self.runs.iter().filter_map(|(run, running)| SavedRun::of(*run, running, kept)).collect(),
            left_over: self.left_over.iter().map(|left| left.saved(kept)).collect(),
            origins: self.origins.clone(),
            watched: watched.collect(),
            next_token: self.next_token,
            sockets: self.sockets.iter().map(|(label, sockets)| (label.clone(), sockets.saved(kept))).collect(),
            unbound: self.unbound.iter().map(|(label, unbound)| (label.clone(), unbound.why.clone())).collect(),
        }
    }

    fn talk_saved(&self, kept: &mut Kept) -> Talk {
        Talk {
            clients: self.clients.saved(kept),
            callers: self.callers.iter().map(|(client, peer)| (*client, *peer)).collect(),
            leaving: self.leaving.clone(),
            subscribers: self.subscribers.clone(),
        }
    }
}
