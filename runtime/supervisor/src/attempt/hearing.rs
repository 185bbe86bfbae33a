//! What a worker says, until its process has ended. What it says is hostile input: it is bounded, and one that breaks
//! the rules is not listened to any more.

use wjob_model::message::{Fault, FromWorker, StartFailure, WORKER_BYTES};
use wjob_model::run::Event;
use wjob_sandbox::channel::Heard;

use super::basis::walls;
use super::{Attempt, Phase};
use crate::order::{Reporter, Tools};

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
                Some(Event::Said(said))
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

    /// Code of another build is compiled again, and a kernel that gives no namespaces after all is planned for.
    fn renewable(&self, failure: &StartFailure) -> bool {
        !self.renewed && self.found.is_some() && matches!(failure.fault, Fault::Stale | Fault::Namespaces)
    }

    /// Once more from the plan on; the state machine still waits for the worker's walls.
    fn renew(&mut self, failure: &StartFailure, tools: Tools<'_>, reporter: &mut dyn Reporter) -> Option<Event> {
        self.renewed = true;
        self.phase = Phase::Over;
        if let Some(found) = self.found.as_ref().filter(|_| failure.fault == Fault::Namespaces) {
            // Looking could not tell, trying did: what needs no view of its own runs without one, and says so.
            if self.plan.mounts_by_leave(self.machine.uid) {
                self.machine.under_root = false;
            } else {
                self.machine.namespaces = Err(failure.why.clone());
            }
            match walls(&self.order, found, &self.machine) {
                Ok(plan) => self.plan = plan,
                Err(refusal) => return self.fail(refusal.into()),
            }
        }
        self.seek_code(tools, failure.fault == Fault::Stale, reporter).or(Some(Event::Renewing))
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
