//! How a run ended, and the exit status that says so (design: statuses 134, 137, 130, 143).
//! It judges what the worker and the kernel report; it asks neither.

use serde::{Deserialize, Serialize};

use crate::limit::Limit;
use crate::status::Status;

/// How a run ended, as far as the worker or the kernel can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It ended by itself with this status.
    Exited(u8),
    /// A signal ended it.
    Signaled(u8),
    /// The guest trapped; the text is the trap and its back-trace.
    Trapped(String),
    /// A limit ended it.
    LimitHit {
        /// Which.
        limit: Limit,
        /// Which wall held it.
        wall: HeldBy,
    },
    /// It was asked to stop, and did.
    Stopped,
}

/// Which side held a limit, or refused something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HeldBy {
    /// The WASI wall, inside the worker.
    Guest,
    /// The kernel wall.
    Kernel,
    /// The supervisor, which killed the worker.
    Supervisor,
}

impl HeldBy {
    /// In words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Guest => "the WASI wall",
            Self::Kernel => "the kernel wall",
            Self::Supervisor => "the supervisor",
        }
    }
}

/// Why a run was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM, or the terminal went away.
    Terminate,
    /// The RunTime limit.
    RunTime,
    /// Another worker has taken its sockets over.
    Replace,
}

/// A run's end with everything that decided it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether, and why, it had been asked to stop.
    pub stop: Option<StopReason>,
}

impl Verdict {
    /// The exit status of `wjob run`.
    pub fn status(&self) -> u8 {
        match (&self.outcome, self.stop) {
            (Outcome::LimitHit { .. }, _) | (_, Some(StopReason::RunTime)) => Status::Killed.code(),
            (Outcome::Exited(code), None) => *code,
            (_, Some(StopReason::Interrupt)) => Status::Interrupted.code(),
            (_, Some(StopReason::Terminate | StopReason::Replace)) => Status::Terminated.code(),
            (Outcome::Signaled(signal), None) => 128u8.saturating_add(*signal),
            (Outcome::Trapped(_), None) => Status::Trap.code(),
            (Outcome::Stopped, None) => Status::Terminated.code(),
        }
    }

    /// The status as launchctl lists it: an exit status, or a signal as a negative number. One that a limit sent is the
    /// limit's, whoever held it.
    pub fn list_status(&self) -> i64 {
        match (&self.outcome, self.stop) {
            (_, Some(StopReason::RunTime)) => self.status().into(),
            (Outcome::Signaled(signal), _) => -i64::from(*signal),
            _ => self.status().into(),
        }
    }

    /// Whether the status was decided by wjob's rules and not by the job's own exit.
    pub fn decided_by_wjob(&self) -> bool {
        self.stop.is_some() || !matches!(self.outcome, Outcome::Exited(_) | Outcome::Signaled(_))
    }

    /// One line in words; `None` for a plain exit, which needs none.
    pub fn in_words(&self) -> Option<String> {
        if self.stop == Some(StopReason::RunTime) {
            let wall = match &self.outcome {
                Outcome::LimitHit { wall, .. } => *wall,
                Outcome::Stopped => HeldBy::Guest,
                _ => HeldBy::Supervisor,
            };
            return Some(limit_in_words(Limit::RunTime, wall));
        }
        match (&self.outcome, self.stop) {
            (Outcome::Exited(_), None) => None,
            (Outcome::LimitHit { limit, wall }, _) => Some(limit_in_words(*limit, *wall)),
            (_, Some(StopReason::Interrupt)) => Some("stopped by SIGINT".into()),
            (_, Some(StopReason::Replace)) => Some("its successor took over".into()),
            (_, Some(_)) => Some("stopped by SIGTERM".into()),
            (Outcome::Signaled(signal), None) => Some(format!("ended by {}", signal_name(*signal))),
            (Outcome::Trapped(text), None) => Some(format!("trap: {text}")),
            (Outcome::Stopped, None) => Some("stopped".into()),
        }
    }
}

fn limit_in_words(limit: Limit, wall: HeldBy) -> String {
    format!("limit {limit} reached, held by {}", wall.in_words())
}

/// Signal names by number (signal(7), x86 and arm).
const SIGNALS: &[(u8, &str)] = &[
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (24, "SIGXCPU"),
    (25, "SIGXFSZ"),
    (31, "SIGSYS"),
];

/// A signal's name, or its number in words.
pub fn signal_name(signal: u8) -> String {
    SIGNALS
        .iter()
        .find(|(number, _)| *number == signal)
        .map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(outcome: Outcome, stop: Option<StopReason>) -> u8 {
        Verdict { outcome, stop }.status()
    }

    #[test]
    fn statuses() {
        let hit = Outcome::LimitHit { limit: Limit::Memory, wall: HeldBy::Guest };
        for (outcome, stop, expected) in [
            (Outcome::Exited(3), None, 3),
            (Outcome::Signaled(9), None, 137),
            (Outcome::Signaled(15), None, 143),
            (Outcome::Trapped("x".into()), None, 134),
            (hit.clone(), None, 137),
            (hit, Some(StopReason::Interrupt), 137),
            (Outcome::Stopped, Some(StopReason::Interrupt), 130),
            (Outcome::Exited(0), Some(StopReason::Interrupt), 130),
            (Outcome::Stopped, Some(StopReason::Terminate), 143),
            (Outcome::Signaled(9), Some(StopReason::RunTime), 137),
            (Outcome::Exited(0), Some(StopReason::RunTime), 137),
        ] {
            assert_eq!(status(outcome.clone(), stop), expected, "{outcome:?} {stop:?}");
        }
    }

    #[test]
    fn a_signal_is_listed_as_one_unless_a_limit_sent_it() {
        let listed = |outcome, stop| Verdict { outcome, stop }.list_status();
        for (outcome, stop, expected) in [
            (Outcome::Exited(3), None, 3),
            (Outcome::Signaled(9), None, -9),
            (Outcome::Signaled(9), Some(StopReason::Terminate), -9),
            (Outcome::Signaled(9), Some(StopReason::RunTime), 137),
            (Outcome::LimitHit { limit: Limit::Memory, wall: HeldBy::Kernel }, None, 137),
        ] {
            assert_eq!(listed(outcome.clone(), stop), expected, "{outcome:?} {stop:?}");
        }
    }

    #[test]
    fn a_limit_is_named_with_its_wall() {
        let verdict = Verdict { outcome: Outcome::LimitHit { limit: Limit::CpuTime, wall: HeldBy::Guest }, stop: None };
        assert_eq!(verdict.in_words().as_deref(), Some("limit CPUTime reached, held by the WASI wall"));
    }
}
