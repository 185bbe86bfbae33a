//! Looks granted names up through the resolve role: never in this process, whose libc would load what the
//! system's name service asks for.

use std::time::Duration;

use wjob_model::message::{FromWorker, Names, Resolve, Role};
use wjob_model::wall::{Machine, resolve_plan};

use crate::helper::errand;
use crate::spawn::Image;

/// libc asks each server for 5 s, twice (resolv.conf(5)).
const WITHIN: Duration = Duration::from_secs(15);

/// The addresses of `names`; a name that cannot be looked up has none.
///
/// # Errors
/// When the role gave no answer.
pub fn resolve(image: &Image, machine: &Machine, names: Vec<String>) -> Result<Names, String> {
    if names.is_empty() {
        return Ok(Names::new());
    }
    let asked = names.clone();
    let role = Role::Resolve(Resolve { names, walls: resolve_plan(machine) });
    match errand(image, role, &[], WITHIN, None) {
        Ok(FromWorker::Resolved(answers)) => {
            // A role that answers for names nobody asked has nothing to say about them.
            Ok(answers.into_iter().filter(|(name, _)| asked.contains(name)).collect())
        }
        Ok(FromWorker::Failed(failure)) => Err(failure.to_string()),
        Ok(_) => Err("it sent something else".into()),
        Err(silence) => Err(silence.to_string()),
    }
}
