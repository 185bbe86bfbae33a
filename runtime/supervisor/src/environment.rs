//! A job's environment: what is granted of the supervisor's own, then what its file sets, then where its sockets are that
//! have no place in the file. Nothing else gets in.

use wjob_model::job::Job;

use crate::listen::Listener;

/// The whole environment; `variable` answers for the supervisor's own, or for the caller of `wjob run`.
pub fn environment(
    job: &Job,
    sockets: &[Listener],
    variable: impl Fn(&str) -> Option<String>,
) -> Vec<(String, String)> {
    let mut environment: Vec<(String, String)> = Vec::new();
    let granted = job.grants.environment.iter().filter_map(|name| Some((name.clone(), variable(name)?)));
    let places = sockets.iter().filter_map(Listener::variable).map(|(name, path)| (name.to_owned(), path.to_owned()));
    for (name, value) in granted.chain(job.environment.iter().cloned()).chain(places) {
        environment.retain(|(other, _)| *other != name);
        environment.push((name, value));
    }
    environment
}
