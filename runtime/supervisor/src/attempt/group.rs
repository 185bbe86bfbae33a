//! The control group of a run: its worker is put into it before it is told anything, and its end is held against what the
//! group says. Where there is none to be had after all, the run is planned without.

use wjob_model::denial::Denial;
use wjob_model::limit::Limit;
use wjob_model::message::{Evidence, FromWorker};
use wjob_model::outcome::{HeldBy, Outcome};
use wjob_model::wall::Wall;
use wjob_sandbox::cgroup::Group;

use super::{Attempt, Phase};
use crate::run_error::RunError;
use crate::spawn::Worker;

/// The signal by which the kernel ends who has no memory left.
const SIGKILL: u8 = 9;

impl Attempt {
    /// Puts a worker that was told nothing yet into a group of its own, where the plan wants one.
    pub(super) fn take_in(&mut self, worker: &mut Worker) -> Result<(), RunError> {
        let (Some(plan), Ok(delegated)) = (self.plan.cgroup, &self.machine.cgroup) else {
            return Ok(());
        };
        let group = Group::make(delegated, &self.order.job.label, &plan);
        match group.and_then(|group| group.take_in(worker.pid).map(|()| group)) {
            Ok(group) => {
                worker.group = Some(group);
                Ok(())
            }
            Err(error) => self.plan_without(error.wall, &format!("{}: {}", error.doing, error.why)),
        }
    }

    /// What is to be seen of the group, where one was planned.
    pub(super) fn group_read_back(&self) -> Option<Evidence> {
        let (Some(plan), Phase::Working(worker)) = (&self.plan.cgroup, &self.phase) else {
            return None;
        };
        let nowhere = || Evidence { wall: Wall::Cgroup, found: "it is in no group of its own".into(), stands: false };
        Some(worker.group.as_ref().map_or_else(nowhere, |group| group.read_back(plan, worker.pid)))
    }

    /// What a worker says, with the cause of its program's end where the group tells it.
    pub(super) fn explained(&self, said: FromWorker) -> FromWorker {
        match (&self.phase, said) {
            (Phase::Working(worker), FromWorker::Ended(Outcome::Signaled(SIGKILL))) if worker.ran_out_of_memory() => {
                FromWorker::Ended(Outcome::LimitHit { limit: Limit::Memory, wall: HeldBy::Kernel })
            }
            (_, said) => said,
        }
    }

    /// What the group has refused the run, of which its program was told and nobody else; asked before its worker is reaped.
    pub(super) fn refused_by_group(&self) -> Option<Denial> {
        let counted = self.plan.cgroup.is_some_and(|group| group.processes.is_some());
        match &self.phase {
            Phase::Working(worker) if counted && worker.ran_out_of_processes() => {
                Some(Denial::Limit { limit: Limit::Processes, wall: HeldBy::Kernel })
            }
            _ => None,
        }
    }
}
