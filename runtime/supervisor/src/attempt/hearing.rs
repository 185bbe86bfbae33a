//! What a worker says, until its process has ended. What it says is hostile input: it is bounded in length and in number,
//! and one that breaks the rules is not listened to any more.

use std::time::Instant;

use wjob_model::message::{Fault, FromWorker, StartFailure, WORKER_BYTES};
use wjob_model::run::Event;
use wjob_model::wall::Wall;
use wjob_sandbox::channel::Heard;

use super::addresses::FRESH;
use super::basis::walls;
use super::{Attempt, Phase};
use crate::order::{Reporter, Tools};
use crate::run_error::RunError;

/// Most that a worker says beside its reports and its wish for fresh addresses. One of ours says how it is run, that its
/// walls stand and how it ended, and all of that once more if it was made anew.
const MOST_WORDS: usize = 16;

impl Attempt {
    /// The next message; a worker that breaks the rules is not listened to any more.
    pub(super) fn said(&mut self, tools: Tools<'_>, reporter: &mut dyn Reporter) -> Option<Event> {
        let Phase::Working(worker) = &self.phase else {
            return None;
        };
        match worker.channel.hear::<FromWorker>(WORKER_BYTES) {
            Ok(Heard::Message(said)) if !self.may_say(&said) => self.hang_up(),
            Ok(Heard::Message(FromWorker::Failed(failure))) if self.renewable(&failure) => {
                self.renew(&failure, tools, reporter)
            }
            Ok(Heard::Message(said)) => Some(Event::Said(self.explained(said))),
            Ok(Heard::Nothing) => None,
            Ok(Heard::End) => {
                self.talking = false;
                None
            }
            Err(_) => self.hang_up(),
        }
    }

    /// Counts a message. One of ours stops where the count does; listening to another could take for ever.
    fn may_say(&mut self, said: &FromWorker) -> bool {
        if matches!(said, FromWorker::NamesWanted) && self.wished.is_none_or(|wished| wished.elapsed() >= FRESH) {
            self.wished = Some(Instant::now());
            return true;
        }
        let (count, most) = match said.is_report() {
            true => (&mut self.reports, self.order.most_reports()),
            false => (&mut self.words, MOST_WORDS),
        };
        *count += 1;
        *count <= most
    }

    /// Ends a worker that none of ours would be.
    fn hang_up(&mut self) -> Option<Event> {
        self.talking = false;
        if let Phase::Working(worker) = &self.phase {
            worker.kill();
        }
        None
    }

    /// Code of another build is compiled again, and a kernel that gives no namespaces after all is planned for. What else
    /// of a wall fails may have been brought about by an earlier run of the job, and is planned for by an operator's word
    /// alone. Of a wall that is known to be missing nothing new is said, so this comes to an end.
    pub(super) fn renewable(&self, failure: &StartFailure) -> bool {
        let is_new = |wall: Wall| self.machine.refusal(wall).is_none();
        let renews = match failure.fault {
            Fault::Stale => !self.renewed,
            Fault::Namespaces(wall) => is_new(wall),
            Fault::Refused(wall) => self.order.best_effort && is_new(wall),
            Fault::Job | Fault::Wall | Fault::Own => false,
        };
        renews && self.found.is_some()
    }

    /// Once more from the plan on; the state machine still waits for the worker's walls.
    pub(super) fn renew(
        &mut self,
        failure: &StartFailure,
        tools: Tools<'_>,
        reporter: &mut dyn Reporter,
    ) -> Option<Event> {
        self.renewed |= failure.fault == Fault::Stale;
        self.phase = Phase::Over;
        // Looking could not tell, trying did: what needs no view of its own runs without one, and says so.
        let planned = match failure.fault {
            Fault::Namespaces(Wall::Mount) if self.plan.mounts_by_leave(self.machine.uid) => {
                self.machine.under_root = false;
                self.plan_again()
            }
            Fault::Namespaces(wall) | Fault::Refused(wall) => self.plan_without(wall, &failure.why),
            Fault::Job | Fault::Wall | Fault::Stale | Fault::Own => Ok(()),
        };
        if let Err(error) = planned {
            return self.fail(error);
        }
        self.seek_code(tools, failure.fault == Fault::Stale, reporter).or(Some(Event::Renewing))
    }

    /// Plans once more, for a machine on which a wall was refused.
    pub(super) fn plan_without(&mut self, wall: Wall, why: &str) -> Result<(), RunError> {
        self.machine = self.machine.clone().without(wall, why);
        self.plan_again()
    }

    fn plan_again(&mut self) -> Result<(), RunError> {
        if let Some(found) = &self.found {
            self.plan = walls(&self.order, found, &self.machine)?;
        }
        Ok(())
    }

    pub(super) fn gone(&mut self, reporter: &mut dyn Reporter) -> Option<Event> {
        if let Some(denial) = self.refused_by_group() {
            reporter.denied(&denial);
        }
        let Phase::Working(worker) = &mut self.phase else {
            return None;
        };
        let (exit, usage) = worker.reap();
        reporter.used(usage);
        self.phase = Phase::Over;
        self.addresses = None;
        Some(Event::Gone(exit))
    }
}

#[cfg(test)]
mod tests;
