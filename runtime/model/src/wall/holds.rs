//! What holds a limit of one job: the WASI wall, where its program is a guest, and what the plan of its walls and the
//! table of limits have for it. Nothing is decided here, and nothing is promised that the plan does not have.

use super::{WallPlan, WorkerKind, held};
use crate::job::Job;
use crate::keys::Available;
use crate::limit::{Limit, LimitRow, Native, RESOURCES};
use crate::outcome::HeldBy;

/// Why nothing holds a limit of the kernel's whose walls have fallen.
const FALLEN: &str = "no wall that would hold it stands";

/// What holds a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Each of these, in this way. What a native program's worker holds is the kernel wall's, as in the record of a run.
    By(Vec<(HeldBy, String)>),
    /// Nothing, for this reason.
    Nothing(&'static str),
}

impl Holding {
    /// The same in words.
    pub fn in_words(&self) -> String {
        match self {
            Self::By(walls) => {
                let walls: Vec<String> = walls.iter().map(|(by, how)| format!("{} ({how})", by.in_words())).collect();
                format!("held by {}", walls.join(" and "))
            }
            Self::Nothing(why) => format!("nothing holds it: {why}"),
        }
    }
}

/// What holds a limit that a job has, behind the walls that were planned for it.
pub fn holding(job: &Job, limit: Limit, plan: &WallPlan) -> Holding {
    let row = limit.row();
    let wasm = plan.kind != WorkerKind::Native;
    match has_nothing_to_hold(job, limit, wasm) {
        Some(why) => Holding::Nothing(why),
        None if row.available == Available::NotYet => Holding::Nothing("nothing acts on it yet"),
        None if wasm => of_guest(job, row, plan),
        None => of_native(job, row, plan),
    }
}

/// Why there is nothing in a job that a limit could hold, if so.
pub fn has_nothing_to_hold(job: &Job, limit: Limit, wasm: bool) -> Option<&'static str> {
    match limit {
        Limit::Processes if wasm => Some("WebAssembly has no processes"),
        Limit::Instances | Limit::ConnectionsPerSource | Limit::ConnectionRate | Limit::IdleTime
            if job.sockets.is_empty() =>
        {
            Some("nobody connects to it")
        }
        _ => None,
    }
}

fn of_guest(job: &Job, row: &LimitRow, plan: &WallPlan) -> Holding {
    let mut walls = vec![(HeldBy::Guest, row.guest_wall.to_owned())];
    let resource = resource(row, plan).map(|name| format!("{name} of its worker"));
    let group = group(row.limit, plan).map(|file| format!("{file} of its control group"));
    walls.extend(by_the_kernel(resource.into_iter().chain(group)));
    // Where many are served, each has its own time, and the worker alone counts it.
    if row.native == Native::Deadline && job.sockets.is_empty() {
        walls.push((HeldBy::Supervisor, row.kernel_wall.to_owned()));
    }
    Holding::By(walls)
}

fn of_native(job: &Job, row: &LimitRow, plan: &WallPlan) -> Holding {
    let served = job.inetd_wait == Some(false) && !job.sockets.is_empty();
    let worker = |how: &str| Holding::By(vec![(HeldBy::Kernel, format!("its worker: {how}"))]);
    match row.native {
        Native::Kernel(_) => match by_the_kernel(of_processes(row, plan, served)) {
            Some(wall) => Holding::By(vec![wall]),
            None => Holding::Nothing(FALLEN),
        },
        Native::Deadline if served => worker("each connection's process is killed when its time is over"),
        Native::Deadline => Holding::By(vec![(HeldBy::Supervisor, row.kernel_wall.to_owned())]),
        Native::Worker if served => worker("of standard error, which is no client's"),
        Native::Worker => worker(row.kernel_wall),
        Native::Accepting(how) if served => worker(how),
        Native::Accepting(_) => Holding::Nothing(held::UNCOUNTED),
        Native::Nobody(why) => Holding::Nothing(why),
    }
}

fn by_the_kernel(ways: impl IntoIterator<Item = String>) -> Option<(HeldBy, String)> {
    let ways: Vec<String> = ways.into_iter().collect();
    (!ways.is_empty()).then(|| (HeldBy::Kernel, ways.join("; ")))
}

/// How the kernel holds a limit of a native program's processes: of each for itself, and of them all together.
fn of_processes(row: &LimitRow, plan: &WallPlan, served: bool) -> Vec<String> {
    let each = resource(row, plan).map(|name| match row.limit {
        Limit::Processes if plan.user_namespace => format!("{name} of its own user namespace"),
        // setrlimit(2): it holds for a user, and not for root.
        Limit::Processes => format!("{name}, with all others of its user, and not for root"),
        _ => format!("{name}, each process for itself"),
    });
    let group = group(row.limit, plan).map(|file| format!("{file} of its control group, all of them together"));
    let all = match row.limit {
        Limit::CpuTime if plan.processes && !served => Some("its worker, all of them together".to_owned()),
        Limit::Memory if each.is_some() && group.is_none() => {
            Some("all of them together would take a control group, and it has none".to_owned())
        }
        _ => group,
    };
    each.into_iter().chain(all).collect()
}

/// The name of the resource limit that a plan has for a limit (getrlimit(2)).
fn resource(row: &LimitRow, plan: &WallPlan) -> Option<&'static str> {
    let Native::Kernel(name) = row.native else {
        return None;
    };
    let of_limit = RESOURCES.iter().find(|resource| resource.limit == Some(row.limit))?;
    plan.limits.iter().any(|set| set.resource == of_limit.resource).then_some(name)
}

/// The file of its control group that a plan has for a limit.
fn group(limit: Limit, plan: &WallPlan) -> Option<&'static str> {
    let group = plan.cgroup?;
    match limit {
        Limit::Memory => group.memory.map(|_| "memory.max"),
        Limit::Processes => group.processes.map(|_| "pids.max"),
        _ => None,
    }
}
