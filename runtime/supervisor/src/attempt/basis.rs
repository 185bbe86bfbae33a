//! What a run stands on before it is prepared: its program, found and opened, the plan of its walls, and the names it
//! may connect to. Nothing is started or looked up here.

use wjob_model::grant::Host;
use wjob_model::job::Job;
use wjob_model::message::StartFailure;
use wjob_model::wall::{Machine, WallPlan, WallRefusal, plan};

use crate::order::Order;
use crate::program::{Found, Untrusted, find_in, find_trusted};
use crate::run_error::RunError;

/// The program, opened. Its file is held to the same rules as the job file: who can change it decides what runs.
pub(super) fn program(order: &Order) -> Result<Found, RunError> {
    let (program, root) = (&order.job.program.file, order.job.root_directory.as_deref());
    let Some(owner) = order.owner else {
        return Ok(find_in(program, root)?);
    };
    find_trusted(program, root, owner).map_err(|untrusted| match untrusted {
        Untrusted::Program(error) => error.into(),
        Untrusted::Distrust { path, why } => {
            let advice = "correct its owner and mode, or those of the folder named";
            RunError::Failed(StartFailure::job(format!("program {path}"), why, advice))
        }
    })
}

pub(super) fn walls(order: &Order, found: &Found, machine: &Machine) -> Result<WallPlan, WallRefusal> {
    plan(&order.job, &found.seen.to_string_lossy(), found.kind.is_wasm(), machine, order.best_effort)
}

/// The names in Connect.
pub(super) fn wanted_names(job: &Job) -> Vec<String> {
    let hosts = job.grants.connect.iter().map(|endpoint| &endpoint.host);
    let mut names: Vec<String> = hosts
        .filter_map(|host| match host {
            Host::Name(name) => Some(name.clone()),
            Host::Address(_) | Host::Network(_) | Host::Path(_) => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}
