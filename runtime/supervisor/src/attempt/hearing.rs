//! What a worker says, until its process has ended. What it says is hostile input: it is bounded, and one that breaks
//! the rules is not listened to any more.

use wjob_model::message::{Fault, FromWorker, StartFailure, WORKER_BYTES};
use wjob_model::run::Event;
use wjob_model::wall::Wall;
use wjob_sandbox::channel::Heard;

use super::basis::walls;
use super::{Attempt, Phase};
use crate::order::{Reporter, Tools};
use crate::run_error::RunError;

impl Attempt {
    /// The next message; a worker that breaks the rules is not listened to any more.
    pub(super) fn said(&mut self, tools: Tools<'_>, reporter: &mut dyn Reporter) -> Option<Event> {
        let Phase::Working(worker) = &self.phase else {
            return None;
        };
        match worker.channel.hear::<FromWorker>(WORKER_BYTES) {
            // One of ours stops there; listening to another could take for ever.
            Ok(Heard::Message(said)) if said.is_report() && self.reports >= self.order.most_reports() => {
                self.talking = false;
                worker.kill();
                None
            }
            Ok(Heard::Message(FromWorker::Failed(failure))) if self.renewable(&failure) => {
                self.renew(&failure, tools, reporter)
            }
            Ok(Heard::Message(said)) => {
                self.reports += usize::from(said.is_report());
                Some(Event::Said(self.explained(said)))
            }
            Ok(Heard::Nothing) => None,
            Ok(Heard::End) => {
                self.talking = false;
                None
            }
            Err(_) => {
                self.talking = false;
                worker.kill();
                None
            }
        }
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
