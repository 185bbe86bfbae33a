//! What the job could use up.

use super::{Held, Judged, Subject, WORST};
use crate::limit::{Limit, Limits};
use crate::wall::{Wall, has_nothing_to_hold};

/// WebAssembly without a limit of the job's own still has wjob's.
const UNSET: u32 = 4;

/// Whether a limit is set, where there is something to limit.
pub(super) fn limit(subject: &Subject<'_>, limit: Limit) -> Judged {
    let held = subject.held(&[Wall::Limits]);
    if let Some(why) = has_nothing_to_hold(subject.job, limit, subject.is_wasm()) {
        return Judged::new(0, held, why);
    }
    match value(&subject.job.limits, limit) {
        Some(value) => set(subject, format!("{limit} is at most {value} {}", limit.row().unit)),
        None => unset(subject, format!("there is no limit {limit}")),
    }
}

fn value(limits: &Limits, limit: Limit) -> Option<u64> {
    *limits.clone().slot(limit)
}

/// A limit of a native program is the kernel's alone.
fn set(subject: &Subject<'_>, words: String) -> Judged {
    let held = subject.held(&[Wall::Limits]);
    match held {
        Held::Nothing => Judged::new(WORST, held, format!("{words}, and the wall that holds it does not stand")),
        Held::Both | Held::Guest | Held::Kernel => Judged::new(0, held, words),
    }
}

fn unset(subject: &Subject<'_>, words: String) -> Judged {
    let badness = if subject.is_wasm() { UNSET } else { WORST };
    Judged::new(badness, Held::Nothing, words)
}

/// Whether it ends at some time.
pub(super) fn time(subject: &Subject<'_>) -> Judged {
    let limits = &subject.job.limits;
    let bounds = [(Limit::CpuTime, limits.cpu_time), (Limit::RunTime, limits.run_time)];
    let bounds = bounds.into_iter().find_map(|(limit, value)| Some((limit, value?)));
    match bounds {
        Some((limit, value)) => set(subject, format!("{limit} is at most {value} seconds")),
        None => unset(subject, "it may run, and compute, for ever: there is neither CPUTime nor RunTime".into()),
    }
}
