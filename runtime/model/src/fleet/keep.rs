//! What keeps a job alive: the conditions of KeepAlive and the folders of QueueDirectories, held against the facts
//! known of them. It knows no state and starts nothing.

use serde::{Deserialize, Serialize};

use super::cause::{Cause, Causes};
use crate::launch::{Conditions, KeepAlive, Launch};
use crate::outcome::{Outcome, Verdict};

/// What another job is at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Other {
    /// Not loaded.
    #[default]
    Absent,
    /// Loaded, and not running.
    Loaded,
    /// Running.
    Active,
}

/// Facts that conditions ask for, as last told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    paths: Vec<(String, bool)>,
    queues: Vec<(String, bool)>,
    others: Vec<(String, Other)>,
}

impl Facts {
    /// A path of PathState exists, or does not.
    pub fn path(&mut self, path: String, exists: bool) {
        set(&mut self.paths, path, exists);
    }

    /// A folder of QueueDirectories has entries, or none.
    pub fn queue(&mut self, path: String, entries: bool) {
        set(&mut self.queues, path, entries);
    }

    /// Another job came, went, started or ended.
    pub fn other(&mut self, label: String, is: Other) {
        set(&mut self.others, label, is);
    }

    fn other_is(&self, label: &str) -> Other {
        self.others.iter().find(|(known, _)| known == label).map(|(_, is)| *is).unwrap_or_default()
    }

    fn path_is(&self, path: &str) -> Option<bool> {
        self.paths.iter().find(|(known, _)| known == path).map(|(_, exists)| *exists)
    }
}

fn set<T>(facts: &mut Vec<(String, T)>, name: String, value: T) {
    match facts.iter_mut().find(|(known, _)| *known == name) {
        Some(fact) => fact.1 = value,
        None => facts.push((name, value)),
    }
}

/// How a run ended, as far as KeepAlive asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Exit status 0, or ended with nothing under way and nothing wrong: launchd records that as success.
    pub success: bool,
    /// One of launchd's crash signals or a trap, and nobody had asked it to stop.
    pub crashed: bool,
}

/// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS (job_reap of launchd 842).
const CRASHES: [u8; 7] = [4, 5, 6, 7, 8, 11, 31];

impl Ended {
    /// What a verdict means here.
    pub fn of(verdict: &Verdict) -> Self {
        let crashed = match &verdict.outcome {
            Outcome::Trapped(_) => true,
            Outcome::Signaled(signal) => CRASHES.contains(signal),
            Outcome::Exited(_) | Outcome::LimitHit { .. } | Outcome::Stopped => false,
        };
        let success = verdict.outcome == Outcome::Exited(0) || Self::was_idle(verdict);
        Self { success, crashed: crashed && verdict.stop.is_none() }
    }

    /// Whether it was ended because it could be, not because anybody had the job stopped.
    pub fn was_idle(verdict: &Verdict) -> bool {
        verdict.outcome == Outcome::Stopped && verdict.stop.is_none()
    }
}

/// What wants the job when it has just been loaded. Conditions on its end imply a first run, as in launchd.
pub fn at_begin(launch: &Launch) -> Option<Cause> {
    match &launch.keep_alive {
        KeepAlive::While(conditions) if conditions.after_demand => None,
        _ if launch.at_load => Some(Cause::AtLoad),
        KeepAlive::While(Conditions { successful_exit: Some(_), .. }) => Some(Cause::FirstRun),
        KeepAlive::While(Conditions { crashed: Some(_), .. }) => Some(Cause::FirstRun),
        _ => None,
    }
}

/// What wants the job as long as the facts are what they are.
pub fn now(launch: &Launch, facts: &Facts, demanded: bool) -> Causes {
    let mut causes = Causes::default();
    for (path, _) in facts.queues.iter().filter(|(_, entries)| *entries) {
        causes.add(Cause::Queue(path.clone()));
    }
    match &launch.keep_alive {
        KeepAlive::OnDemand => {}
        KeepAlive::Always => causes.add(Cause::KeepAlive),
        KeepAlive::While(conditions) if conditions.after_demand && !demanded => {}
        KeepAlive::While(conditions) => holding(conditions, facts).for_each(|cause| causes.add(cause)),
    }
    causes
}

fn holding(conditions: &Conditions, facts: &Facts) -> impl Iterator<Item = Cause> {
    // launchd: after its first demand, AfterInitialDemand alone is KeepAlive true.
    let alone = *conditions == Conditions { after_demand: true, ..Conditions::default() };
    let paths = conditions.path_state.iter().filter(|(path, wanted)| facts.path_is(path) == Some(*wanted));
    let loaded = conditions.other_loaded.iter();
    let loaded = loaded.filter(|(label, wanted)| (facts.other_is(label) != Other::Absent) == *wanted);
    let active = conditions.other_active.iter().filter(|(label, wanted)| match facts.other_is(label) {
        Other::Absent => false,
        Other::Loaded => !wanted,
        Other::Active => *wanted,
    });
    let paths = paths.map(|(path, exists)| Cause::PathState(path.clone(), *exists));
    let loaded = loaded.map(|(label, is)| Cause::OtherLoaded(label.clone(), *is));
    let active = active.map(|(label, is)| Cause::OtherActive(label.clone(), *is));
    let causes: Vec<Cause> =
        alone.then_some(Cause::KeepAlive).into_iter().chain(paths).chain(loaded).chain(active).collect();
    causes.into_iter()
}

/// What wants the job because of how it ended.
pub fn after(launch: &Launch, ended: Ended) -> Option<Cause> {
    let KeepAlive::While(conditions) = &launch.keep_alive else {
        return None;
    };
    if conditions.successful_exit == Some(ended.success) {
        return Some(Cause::Exit(ended.success));
    }
    (conditions.crashed == Some(ended.crashed)).then_some(Cause::Crash(ended.crashed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;
    use crate::outcome::{HeldBy, StopReason};

    fn verdict(outcome: Outcome) -> Verdict {
        Verdict { outcome, stop: None }
    }

    fn keep(conditions: Conditions) -> Launch {
        Launch { keep_alive: KeepAlive::While(conditions), ..Launch::default() }
    }

    #[test]
    fn ends_are_judged_as_launchd_judges_them() {
        let limit = Outcome::LimitHit { limit: Limit::Memory, wall: HeldBy::Kernel };
        for (outcome, success, crashed) in [
            (Outcome::Exited(0), true, false),
            (Outcome::Exited(1), false, false),
            (Outcome::Signaled(11), false, true),
            (Outcome::Signaled(15), false, false),
            (Outcome::Signaled(9), false, false),
            (Outcome::Trapped("unreachable".into()), false, true),
            (limit, false, false),
            (Outcome::Stopped, true, false),
        ] {
            assert_eq!(Ended::of(&verdict(outcome.clone())), Ended { success, crashed }, "{outcome:?}");
        }
        let asked = Verdict { outcome: Outcome::Signaled(6), stop: Some(StopReason::Terminate) };
        assert!(!Ended::of(&asked).crashed);
        let stopped = Verdict { outcome: Outcome::Stopped, stop: Some(StopReason::Terminate) };
        assert!(!Ended::of(&stopped).success);
    }

    #[test]
    fn ends_lead_to_another_run_as_the_conditions_say() {
        let (success, failure, crash) = (
            Ended { success: true, crashed: false },
            Ended { success: false, crashed: false },
            Ended { success: false, crashed: true },
        );
        let exit = |value| keep(Conditions { successful_exit: Some(value), ..Conditions::default() });
        let crashed = |value| keep(Conditions { crashed: Some(value), ..Conditions::default() });
        for (launch, ended, expected) in [
            (exit(true), success, true),
            (exit(true), failure, false),
            (exit(false), failure, true),
            (exit(false), crash, true),
            (exit(false), success, false),
            (crashed(true), crash, true),
            (crashed(true), failure, false),
            (crashed(false), success, true),
            (crashed(false), crash, false),
            (Launch::default(), crash, false),
        ] {
            assert_eq!(after(&launch, ended).is_some(), expected, "{:?} {ended:?}", launch.keep_alive);
        }
    }

    #[test]
    fn conditions_hold_while_their_facts_do() {
        let path = |wanted| keep(Conditions { path_state: vec![("/x".into(), wanted)], ..Conditions::default() });
        let loaded = |wanted| keep(Conditions { other_loaded: vec![("o".into(), wanted)], ..Conditions::default() });
        let active = |wanted| keep(Conditions { other_active: vec![("o".into(), wanted)], ..Conditions::default() });
        let mut facts = Facts::default();
        assert!(now(&path(false), &facts, false).is_empty(), "a path nobody has looked at says nothing");
        facts.path("/x".into(), true);
        for (launch, is, expected) in [
            (path(true), Other::Absent, true),
            (path(false), Other::Absent, false),
            (loaded(true), Other::Absent, false),
            (loaded(false), Other::Absent, true),
            (loaded(true), Other::Loaded, true),
            (loaded(true), Other::Active, true),
            (active(true), Other::Absent, false),
            (active(false), Other::Absent, false),
            (active(true), Other::Active, true),
            (active(false), Other::Loaded, true),
        ] {
            facts.other("o".into(), is);
            assert_eq!(!now(&launch, &facts, false).is_empty(), expected, "{:?} {is:?}", launch.keep_alive);
        }
    }

    #[test]
    fn nothing_holds_before_the_first_demand() {
        let launch = Launch { at_load: true, ..keep(Conditions { after_demand: true, ..Conditions::default() }) };
        assert_eq!(at_begin(&launch), None);
        assert!(now(&launch, &Facts::default(), false).is_empty());
        assert_eq!(now(&launch, &Facts::default(), true).named(), [Cause::KeepAlive]);
    }

    #[test]
    fn a_folder_with_entries_wants_the_job_whatever_keeps_it() {
        let mut facts = Facts::default();
        facts.queue("/q".into(), true);
        assert_eq!(now(&Launch::default(), &facts, false).named(), [Cause::Queue("/q".into())]);
        facts.queue("/q".into(), false);
        assert!(now(&Launch::default(), &facts, false).is_empty());
    }
}
