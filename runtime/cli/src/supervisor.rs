//! What a supervisor says of itself, asked for and put into words for `info` and `print`.

use wjob_model::control::{Failure, Method, Supervisor};
use wjob_model::varlink::Nothing;

use crate::client::{CallError, Client};
use crate::table;
use crate::when::Clock;

/// Asks it. Nothing for those who may see its jobs and not itself.
///
/// # Errors
/// When it does not answer, or refuses for another reason.
pub(crate) fn state(client: &mut Client) -> Result<Option<Supervisor>, CallError> {
    match client.call(Method::Supervisor, &Nothing {}) {
        Ok(supervisor) => Ok(Some(supervisor)),
        Err(CallError::Refused(Failure::NotPermitted { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Health, places and version, a line each. `build` is the caller's own: another one is a hint at a restart forgotten.
pub(crate) fn in_words(supervisor: &Supervisor, build: &str, clock: &Clock) -> String {
    let health = if supervisor.stopping { "shutting down" } else { "serving" };
    let process = format!("{} since {}", supervisor.pid, clock.local(&supervisor.since));
    let other = supervisor.build != build;
    let hint =
        if other { format!(" (this is wjob {build}; after an update use `wjob upgrade`)") } else { String::new() };
    let mut rows = vec![
        row("health", health.into()),
        row("process", process),
        row("wjobd", format!("{}{hint}", supervisor.build)),
        row("jobs", format!("{}, {} running", supervisor.jobs, supervisor.running)),
        row("logger", supervisor.logger.clone()),
        row("log level", supervisor.log_level.clone()),
        row("configuration", supervisor.configuration.clone()),
        row("state", supervisor.state.clone()),
    ];
    rows.extend(supervisor.folders.iter().map(|folder| row("job files", folder.clone())));
    table::section(&format!("supervisor of {}", supervisor.domain), &rows)
}

fn row(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::when::standing;

    #[test]
    fn health_places_and_version_are_told() {
        let mut supervisor = Supervisor {
            build: "0.1.0-a".into(),
            domain: "user/1000".into(),
            pid: 42,
            since: "2026-11-21T08:00:00Z".into(),
            jobs: 3,
            running: 1,
            stopping: false,
            log_level: "info".into(),
            state: "/s".into(),
            configuration: "/c/daemon.json".into(),
            folders: vec!["/c/jobs".into(), "/etc/wjob/agents".into()],
            logger: "running".into(),
            cgroup: None,
            cgroup_lacking: Some("not delegated".into()),
        };
        let text = in_words(&supervisor, "0.1.0-a", &standing());
        for line in [
            "supervisor of user/1000",
            "  health         serving",
            "  process        42 since 2026-11-21 09:00:00",
            "  wjobd          0.1.0-a",
            "  jobs           3, 1 running",
            "  job files      /etc/wjob/agents",
        ] {
            assert!(text.lines().any(|found| found == line), "{text} lacks {line:?}");
        }
        supervisor.stopping = true;
        let text = in_words(&supervisor, "0.1.0-b", &standing());
        assert!(text.contains("shutting down") && text.contains("this is wjob 0.1.0-b"), "{text}");
    }
}
