//! Why a job is wanted: one demand in words, and the bounded list of those that led to a run.

use std::fmt::{Display, Formatter, Result};

use serde::{Deserialize, Serialize};

/// How many causes of a run are remembered by name (design: `reason` lists up to 16).
pub const MOST_CAUSES: usize = 16;

/// One demand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// RunAtLoad.
    AtLoad,
    /// KeepAlive true.
    KeepAlive,
    /// Conditions of KeepAlive on its end imply a first run.
    FirstRun,
    /// KeepAlive.SuccessfulExit; whether the last run had succeeded.
    Exit(bool),
    /// KeepAlive.Crashed; whether the last run had crashed.
    Crash(bool),
    /// KeepAlive.PathState: the path, and whether it exists.
    PathState(String, bool),
    /// KeepAlive.OtherJobEnabled: the label, and whether it is loaded.
    OtherLoaded(String, bool),
    /// KeepAlive.OtherJobActive: the label, and whether it runs.
    OtherActive(String, bool),
    /// StartInterval came round.
    Interval,
    /// StartCalendarInterval came round.
    Calendar,
    /// A path of WatchPaths changed.
    Path(String),
    /// A folder of QueueDirectories has entries.
    Queue(String),
    /// A client connected to one of its Sockets, or sent a datagram.
    Traffic,
    /// A connection that was made for it has something to read, its end perhaps.
    Connection,
    /// Somebody said so; the user id.
    Operator(u32),
    /// Its file was read again while it ran.
    Reload,
    /// A listener that a run had shut down was bound anew while another had it.
    Rebound,
}

impl Cause {
    /// Whether it is a demand from outside and not the job's wish to be kept (launchd's AfterInitialDemand).
    pub fn is_demand(&self) -> bool {
        matches!(
            self,
            Self::Interval
                | Self::Calendar
                | Self::Path(_)
                | Self::Queue(_)
                | Self::Traffic
                | Self::Connection
                | Self::Operator(_)
                | Self::Reload
        )
    }

    /// Whether the throttle does not hold it back.
    pub fn is_immediate(&self) -> bool {
        matches!(self, Self::Operator(_) | Self::Reload)
    }
}

impl Display for Cause {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let not = |holds: &bool| if *holds { "" } else { " not" };
        match self {
            Self::AtLoad => out.write_str("RunAtLoad"),
            Self::KeepAlive => out.write_str("KeepAlive"),
            Self::FirstRun => out.write_str("KeepAlive: its first run"),
            Self::Exit(success) => write!(out, "KeepAlive.SuccessfulExit: the last run did{} succeed", not(success)),
            Self::Crash(crashed) => write!(out, "KeepAlive.Crashed: the last run did{} crash", not(crashed)),
            Self::PathState(path, exists) => {
                write!(out, "KeepAlive.PathState: {path} does{} exist", not(exists))
            }
            Self::OtherLoaded(label, loaded) => {
                write!(out, "KeepAlive.OtherJobEnabled: {label} is{} loaded", not(loaded))
            }
            Self::OtherActive(label, active) => {
                write!(out, "KeepAlive.OtherJobActive: {label} is{} running", not(active))
            }
            Self::Interval => out.write_str("StartInterval"),
            Self::Calendar => out.write_str("StartCalendarInterval"),
            Self::Path(path) => write!(out, "WatchPaths: {path} changed"),
            Self::Queue(path) => write!(out, "QueueDirectories: {path} has entries"),
            Self::Traffic => out.write_str("Sockets: a client is there"),
            Self::Connection => out.write_str("Sockets: something has come by its connection"),
            Self::Operator(uid) => write!(out, "operator: user {uid}"),
            Self::Reload => out.write_str("reload: it was running"),
            Self::Rebound => out.write_str("Sockets: a listener was bound anew"),
        }
    }
}

/// Causes in the order they came, each once; those beyond [`MOST_CAUSES`] count but are not named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Causes {
    named: Vec<Cause>,
    more: u32,
}

impl Causes {
    /// Of one.
    pub fn of(cause: Cause) -> Self {
        Self { named: vec![cause], more: 0 }
    }

    /// Adds one, unless it is there.
    pub fn add(&mut self, cause: Cause) {
        if self.named.contains(&cause) {
            return;
        }
        match self.named.len() < MOST_CAUSES {
            true => self.named.push(cause),
            false => self.more = self.more.saturating_add(1),
        }
    }

    /// Adds all of others, behind these.
    pub fn join(&mut self, others: Self) {
        others.named.into_iter().for_each(|cause| self.add(cause));
        self.more = self.more.saturating_add(others.more);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Those that are named.
    pub fn named(&self) -> &[Cause] {
        &self.named
    }

    /// One phrase for each, and one for those not named.
    pub fn in_words(&self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("and {} more", self.more));
        self.named.iter().map(Cause::to_string).chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_bounded_and_each_named_once() {
        let mut causes = Causes::of(Cause::AtLoad);
        causes.add(Cause::AtLoad);
        for uid in 0..20 {
            causes.add(Cause::Operator(uid));
        }
        assert_eq!(causes.named().len(), MOST_CAUSES);
        let words = causes.in_words();
        assert_eq!((words.len(), words[0].as_str(), words[16].as_str()), (17, "RunAtLoad", "and 5 more"));
        let mut joined = Causes::of(Cause::Reload);
        joined.join(causes);
        assert_eq!((joined.named()[0].clone(), joined.more), (Cause::Reload, 6));
    }
}
