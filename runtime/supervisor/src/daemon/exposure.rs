//! How exposed a loaded job is, for the control socket: brings together what the model judges by, the walls that were
//! read back and what the program is. The judging is the model's.

use wjob_model::audit::{Standing, Subject, audit, names_root, user_like};
use wjob_model::control::{Audited, Failure};
use wjob_model::explain::limits_held;
use wjob_model::job::Job;
use wjob_model::limit::Limits;
use wjob_model::message::Evidence;
use wjob_model::program::ProgramKind;
use wjob_model::wall::Machine;
use wjob_sandbox::machine;

use super::Daemon;
use crate::program::find_trusted;

impl Daemon {
    /// Judges a job by the walls of its current or last run, or by those that a run is expected to have.
    pub(super) fn audit(&self, label: &str) -> Result<Audited, Failure> {
        let member = self.fleet.member(label).ok_or_else(|| Failure::NoSuchJob { label: label.to_owned() })?;
        let job: &Job = &member.job;
        let kind = self.kind_of(job);
        let root = self.is_roots(job);
        let machine = self.machine_of(job);
        let standing = match self.walls_of(label) {
            [] => Standing::expected(job, kind, &machine),
            evidence => Standing::read_back(job, kind, &machine, evidence),
        };
        let subject = Subject { job, kind, root, standing: &standing };
        Ok(audit(&subject).told(&subject))
    }

    /// The limits of a job, each with what holds it: behind the walls that it would have here, but those that had fallen
    /// in its current or last run. One without limits has no file opened for that.
    pub(super) fn limits_of(&self, job: &Job) -> Vec<String> {
        match job.limits == Limits::default() {
            true => Vec::new(),
            false => limits_held(job, self.kind_of(job), &self.machine_of(job), self.walls_of(&job.label)),
        }
    }

    fn is_roots(&self, job: &Job) -> bool {
        self.reader.owner == 0 && names_root(job)
    }

    /// What this machine puts up for a job.
    fn machine_of(&self, job: &Job) -> Machine {
        machine::for_user(&self.machine, user_like(self.is_roots(job), self.reader.owner))
    }

    /// What was read back of a job's current run, or of its last one.
    pub(super) fn walls_of(&self, label: &str) -> &[Evidence] {
        let current = self.fleet.member(label).and_then(|member| member.life.current());
        let running = current.and_then(|run| self.runs.get(&run.id));
        let walls = running.map(|running| &running.record.walls).filter(|walls| !walls.is_empty());
        let last = || self.origins.get(label).map(|origin| &origin.walls);
        walls.or_else(last).map(Vec::as_slice).unwrap_or_default()
    }

    /// What its program is by now, opened under the rules of a start; `None` = it would not be started.
    fn kind_of(&self, job: &Job) -> Option<ProgramKind> {
        let found = find_trusted(&job.program.file, job.root_directory.as_deref(), self.reader.owner);
        found.ok().map(|found| found.kind)
    }
}
