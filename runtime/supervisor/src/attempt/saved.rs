//! A run whose worker goes on while the supervisor's program is replaced: what the next program is told of it, and how
//! that one goes on with it. Nothing of such a run is made again; a run without a worker is begun anew.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wjob_model::job::Job;
use wjob_model::message::Names;
use wjob_model::wall::{Machine, WallPlan};
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};

use super::basis::wanted_names;
use super::{Attempt, Phase};
use crate::order::{Order, Person};
use crate::spawn::{SavedWorker, Worker};

/// A run with a worker, as it is handed over.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedAttempt {
    job: Arc<Job>,
    person: Option<Person>,
    machine: Machine,
    plan: WallPlan,
    worker: SavedWorker,
    killed: bool,
    talking: bool,
    reports: usize,
    lingers: bool,
}

impl Attempt {
    /// Whether there is a worker.
    pub fn is_working(&self) -> bool {
        matches!(self.phase, Phase::Working(_))
    }

    /// What the next program of this process is told of it; `None` = it has no worker. Addresses that are looked up
    /// meanwhile are asked for again by the worker itself.
    pub fn saved(&self, kept: &mut Kept) -> Option<SavedAttempt> {
        let Phase::Working(worker) = &self.phase else {
            return None;
        };
        Some(SavedAttempt {
            job: self.order.job.clone(),
            person: self.order.person.clone(),
            machine: self.machine.clone(),
            plan: self.plan.clone(),
            worker: worker.saved(kept),
            killed: self.killed,
            talking: self.talking,
            reports: self.reports,
            lingers: self.lingers,
        })
    }

    /// Goes on with a run of the program before this one.
    ///
    /// # Errors
    /// When its worker was not handed over.
    pub fn resumed(saved: SavedAttempt, inherited: &mut Inherited) -> Result<Self, HandoverError> {
        let worker = Worker::resumed(&saved.worker, inherited)?;
        let wanted = wanted_names(&saved.job);
        Ok(Self {
            order: order(saved.job, saved.person),
            machine: saved.machine,
            found: None,
            plan: saved.plan,
            wanted,
            names: Names::new(),
            admitted: None,
            own: Vec::new(),
            cache: None,
            phase: Phase::Working(worker),
            addresses: None,
            asked: None,
            killed: saved.killed,
            talking: saved.talking,
            reports: saved.reports,
            words: 0,
            wished: None,
            renewed: true,
            lingers: saved.lingers,
            error: None,
        })
    }
}

/// What is left of an order once it was carried out.
fn order(job: Arc<Job>, person: Option<Person>) -> Order {
    Order {
        job,
        environment: Vec::new(),
        native_environment: Vec::new(),
        stdio: [None, None, None],
        person,
        owner: None,
        sockets: Vec::new(),
        causes: Vec::new(),
        best_effort: false,
        explain: false,
        learn: false,
        raw: false,
    }
}
