//! Collects what the guest was denied and tells the supervisor, once each and a bounded number of times.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use wjob_model::denial::Denial;
use wjob_model::message::{FromWorker, MOST_DENIALS};
use wjob_model::outcome::Outcome;
use wjob_sandbox::channel::Channel;

/// The way denials go; without a channel, as in tests, nobody hears of them.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    channel: Option<Arc<Channel>>,
    told: Mutex<HashSet<Denial>>,
}

impl Denials {
    /// Denials told over `channel`.
    pub fn new(channel: Arc<Channel>) -> Self {
        Self { channel: Some(channel), told: Mutex::default() }
    }

    /// Tells of a denial, unless it was told before or too many were.
    pub fn record(&self, denial: Denial) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < MOST_DENIALS && told.insert(denial.clone()) {
            self.tell(&FromWorker::Denied(denial));
        }
    }

    /// Tells of a limit, if that is what was met.
    pub fn record_limit(&self, met: Option<&Outcome>) {
        if let Some(Outcome::LimitHit { limit, wall }) = met {
            self.record(Denial::Limit { limit: *limit, wall: *wall });
        }
    }

    /// Asks for fresh addresses of the granted names.
    pub fn ask_for_names(&self) {
        self.tell(&FromWorker::NamesWanted);
    }

    fn tell(&self, message: &FromWorker) {
        if let Some(channel) = &self.channel {
            // The report is a courtesy: a supervisor that does not read it must not hold the guest.
            let _ = channel.offer(message);
        }
    }
}
