//! A job's environment: what is granted of the supervisor's own, then what its file sets. Nothing else gets in.

use wjob_model::job::Job;

/// The whole environment; `variable` answers for the supervisor's own, or for the caller of `wjob run`.
pub fn environment(job: &Job, variable: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut environment: Vec<(String, String)> = Vec::new();
    let granted = job.grants.environment.iter().filter_map(|name| Some((name.clone(), variable(name)?)));
    for (name, value) in granted.chain(job.environment.iter().cloned()) {
        environment.retain(|(other, _)| *other != name);
        environment.push((name, value));
    }
    environment
}
