//! What a run stands on before it is prepared: its program, found and opened, the plan of its walls, and the names it
//! may connect to. Nothing is started or looked up here.

use std::path::Path;

use wjob_model::grant::Host;
use wjob_model::job::Job;
use wjob_model::message::StartFailure;
use wjob_model::wall::{Machine, WallPlan, WallRefusal, plan};

use crate::order::Order;
use crate::program::{Found, Place};
use crate::run_error::RunError;
use crate::trust::{TrustedKind, open_trusted, open_trusted_below};

/// The program, opened. Its file is held to the same rules as the job file: who can change it decides what runs.
pub(super) fn program(order: &Order) -> Result<Found, RunError> {
    let root = order.job.root_directory.as_deref();
    let place = Place::of(&order.job.program.file, root)?;
    let file = match (order.owner, root) {
        (None, _) => return Ok(place.open().and_then(|file| place.holds(file))?),
        (Some(owner), Some(root)) => open_trusted_below(Path::new(root), Path::new(place.seen()), owner),
        (Some(owner), None) => open_trusted(Path::new(&place.path), owner, TrustedKind::Program),
    };
    let advice = "correct its owner and mode, or those of the folder named";
    let file = file.map_err(|distrust| StartFailure::job(format!("program {}", place.path), distrust, advice));
    Ok(place.holds(file.map_err(RunError::Failed)?)?)
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
