//! Looks granted names up through the resolve role: never in this process, whose libc would load what the
//! system's name service asks for.

use std::time::Duration;

use wjob_model::message::{FromWorker, Names, Resolve, Role};
use wjob_model::wall::{Machine, resolve_plan};

use crate::helper::{Errand, Silence};
use crate::spawn::{Identity, Image};

/// libc asks each server for 5 s, twice (resolv.conf(5)).
pub(crate) const WITHIN: Duration = Duration::from_secs(15);

/// Asks for the addresses of `names`, as `identity`; [`understood`] makes names of the answer.
///
/// # Errors
/// When the role cannot be started.
pub(crate) fn ask(
    image: &Image,
    machine: &Machine,
    names: &[String],
    identity: Option<&Identity>,
) -> Result<Errand, String> {
    Errand::start(image, role(machine, names), &[], identity).map_err(|silence| silence.to_string())
}

fn role(machine: &Machine, names: &[String]) -> Role {
    Role::Resolve(Resolve { names: names.to_vec(), walls: resolve_plan(machine) })
}

/// An answer held against what was asked: a role that answers for other names has nothing to say about them.
pub(crate) fn understood(asked: &[String], answer: Result<FromWorker, Silence>) -> Result<Names, String> {
    match answer {
        Ok(FromWorker::Resolved(answers)) => Ok(answers.into_iter().filter(|(name, _)| asked.contains(name)).collect()),
        Ok(FromWorker::Failed(failure)) => Err(failure.to_string()),
        Ok(_) => Err("it sent something else".into()),
        Err(silence) => Err(silence.to_string()),
    }
}
