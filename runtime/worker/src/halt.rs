//! One word from anywhere in a run that it is over because of a limit. It stops nothing; whoever awaits it does.

use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;
use wjob_model::limit::Limit;
use wjob_model::outcome::{HeldBy, Outcome};

/// The first limit that was hit, and a way to wait for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Halt(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    noted: OnceLock<(Limit, HeldBy)>,
    ended: OnceLock<(Limit, HeldBy)>,
    notify: Notify,
}

impl Halt {
    /// Notes a limit without ending the run: the guest was refused something and may go on.
    pub fn note(&self, limit: Limit, wall: HeldBy) {
        let _ = self.0.noted.set((limit, wall));
    }

    /// Notes a limit that ends the run.
    pub fn now(&self, limit: Limit, wall: HeldBy) {
        let _ = self.0.ended.set((limit, wall));
        self.0.notify.notify_one();
    }

    /// Resolves when the run is to end.
    pub async fn asked(&self) {
        self.0.notify.notified().await;
    }

    /// What an outcome is, given what was noted: a limit that was hit explains a fault.
    pub fn refined(&self, outcome: Outcome) -> Outcome {
        match outcome {
            // What was refused before has nothing to do with being stopped.
            Outcome::Stopped => self.ended().unwrap_or(outcome),
            Outcome::Trapped(_) => self.outcome().unwrap_or(outcome),
            outcome => outcome,
        }
    }

    /// The limit that ended the run, if one did.
    pub fn ended(&self) -> Option<Outcome> {
        self.0.ended.get().copied().map(outcome)
    }

    /// The limit that a fault comes of: one that ended the run, else one that refused something before.
    pub fn outcome(&self) -> Option<Outcome> {
        self.ended().or_else(|| self.0.noted.get().copied().map(outcome))
    }
}

fn outcome((limit, wall): (Limit, HeldBy)) -> Outcome {
    Outcome::LimitHit { limit, wall }
}
