//! A job's state as a person reads it: one word, why it does not run and what it waits for, and when it starts next.

use jiff::{SignedDuration, Timestamp};

use super::life::{Hold, Life, Run, State};
use super::schedule::Now;
use crate::job::Job;
use crate::launch::KeepAlive;
use crate::run;

/// What there is to say of a job's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// One word.
    pub state: &'static str,
    /// One phrase.
    pub why: String,
    /// When it starts next, as far as that is known.
    pub next: Option<Timestamp>,
}

impl Words {
    /// Of this job now.
    pub fn of(job: &Job, life: &Life, now: Now) -> Self {
        let (state, why) = match life.state() {
            State::Idle => ("idle", format!("waits for {}", list(&demands(job)))),
            State::Waiting { causes, hold, .. } => {
                let (state, why) = waiting(hold, &causes.in_words().join(", "));
                (state, why + former(life))
            }
            State::Active { run, .. } => (phase(&run.state), run.causes.in_words().join(", ")),
            State::Finished => ("finished", "it ran, and LaunchOnlyOnce allows one run".into()),
            State::Disabled => ("disabled", "`wjob enable` allows it to start again".into()),
            State::Leaving { .. } | State::Gone => ("leaving", "it is taken out as soon as its run has ended".into()),
        };
        Self { state, why, next: next(life, now) }
    }
}

fn waiting(hold: &Hold, causes: &str) -> (&'static str, String) {
    match hold {
        Hold::Throttle => ("waiting", format!("ThrottleInterval; wanted by {causes}")),
        Hold::BackOff => ("waiting", format!("it failed several times in a row; wanted by {causes}")),
        Hold::Failed(why) => ("waiting", format!("the last start failed: {why}")),
        Hold::Misconfigured(why) => ("misconfigured", why.clone()),
    }
}

/// One whose successor does not start is not given up.
fn former(life: &Life) -> &'static str {
    if life.draining().is_some_and(Run::is_up) { "; its former worker serves on" } else { "" }
}

fn phase(state: &run::State) -> &'static str {
    match state {
        run::State::Preparing | run::State::Starting { .. } => "starting",
        run::State::Running { .. } => "running",
        run::State::Stopping { .. } | run::State::Killed { .. } | run::State::Leaving { .. } | run::State::Over => {
            "stopping"
        }
    }
}

/// When a timer or a wait brings the next start.
fn next(life: &Life, now: Now) -> Option<Timestamp> {
    let at = |boot: run::Moment| {
        let ahead = i64::try_from(boot.saturating_sub(now.boot)).unwrap_or(i64::MAX);
        now.wall.checked_add(SignedDuration::from_millis(ahead)).ok()
    };
    match life.state() {
        // Timers that come before that start nothing.
        State::Waiting { until, .. } => at(*until),
        _ => [life.schedule().interval().and_then(at), life.calendar()].into_iter().flatten().min(),
    }
}

/// What can start a job, in words.
pub fn demands(job: &Job) -> Vec<String> {
    let launch = &job.launch;
    let mut demands = Vec::new();
    if launch.at_load {
        demands.push("loading (RunAtLoad)".into());
    }
    demands.extend(kept(&launch.keep_alive));
    demands.extend(launch.interval.map(|seconds| format!("every {seconds} s (StartInterval)")));
    demands.extend(launch.calendar.iter().map(|entry| format!("{entry} (StartCalendarInterval)")));
    demands.extend(launch.watch_paths.iter().map(|path| format!("a change of {path} (WatchPaths)")));
    let remote = |wanted: bool| job.sockets.iter().any(|socket| socket.place.is_remote() == wanted);
    demands.extend(remote(false).then(|| "a client (Sockets)".to_owned()));
    demands.extend(remote(true).then(|| "its connection (Sockets)".to_owned()));
    demands.extend(launch.queue_directories.iter().map(|path| format!("entries in {path} (QueueDirectories)")));
    demands
}

fn kept(keep_alive: &KeepAlive) -> Vec<String> {
    let conditions = match keep_alive {
        KeepAlive::OnDemand => return Vec::new(),
        KeepAlive::Always => return vec!["its end (KeepAlive)".into()],
        KeepAlive::While(conditions) => conditions,
    };
    let not = |wanted: bool| if wanted { "" } else { "not " };
    let exit = conditions.successful_exit.map(|wanted| match wanted {
        true => "its end with status 0 (SuccessfulExit)".to_owned(),
        false => "its end with another status than 0 (SuccessfulExit)".to_owned(),
    });
    let crash = conditions.crashed.map(|wanted| format!("its end {}by a crash (Crashed)", not(wanted)));
    let paths =
        conditions.path_state.iter().map(|(path, wanted)| format!("{path} {}existing (PathState)", not(*wanted)));
    let loaded = conditions.other_loaded.iter();
    let loaded = loaded.map(|(label, wanted)| format!("{label} {}being loaded (OtherJobEnabled)", not(*wanted)));
    let active = conditions.other_active.iter();
    let active = active.map(|(label, wanted)| format!("{label} {}running (OtherJobActive)", not(*wanted)));
    exit.into_iter().chain(crash).chain(paths).chain(loaded).chain(active).collect()
}

/// The demands that can still come to an idle job, or the operator.
fn list(demands: &[String]) -> String {
    let later: Vec<&str> = demands.iter().map(String::as_str).filter(|demand| !demand.starts_with("loading")).collect();
    match later.as_slice() {
        [] => "`wjob kickstart`; nothing else starts it".into(),
        demands => demands.join(", "),
    }
}
