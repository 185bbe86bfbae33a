//! Fresh addresses for the names a job may connect to, asked for while it runs. The old ones stay in force until new
//! ones have come.

use std::time::{Duration, Instant};

use wjob_model::message::ToWorker;

use super::{Attempt, Phase};
use crate::order::{Reporter, Tools};
use crate::resolve::{self, ask, understood};

/// Addresses are not asked for again sooner than this, whatever a worker says.
pub(super) const FRESH: Duration = Duration::from_secs(50);

impl Attempt {
    pub(super) fn look_up(&mut self, tools: Tools<'_>) {
        let lately = self.asked.is_some_and(|asked| asked.elapsed() < FRESH);
        if self.addresses.is_none() && !lately && !self.wanted.is_empty() {
            self.asked = Some(Instant::now());
            let asked = ask(tools.image, &self.machine, &self.wanted, self.identity()).ok();
            self.addresses = asked.map(|errand| (errand, Instant::now() + resolve::WITHIN));
        }
    }

    /// Fresh addresses have come, or will not; the old ones stay in force then.
    pub(super) fn looked_up(&mut self, reporter: &mut dyn Reporter) {
        let Some((errand, _)) = self.addresses.take() else {
            return;
        };
        match understood(&self.wanted, errand.answer()) {
            Ok(names) => {
                self.names.clone_from(&names);
                if let Phase::Working(worker) = &self.phase {
                    // One that does not take them keeps the old ones.
                    let _ = worker.channel.offer(&ToWorker::Names(names));
                }
            }
            Err(why) => reporter.warn(&format!("names cannot be looked up again: {why}")),
        }
    }
}
