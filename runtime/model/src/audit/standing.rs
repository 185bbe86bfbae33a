//! Which walls stand around a job: read back of its current or last run, or those that a run of it is expected to have
//! here. Nothing is read or tried; whoever did brings the evidence.

use crate::job::Job;
use crate::message::Evidence;
use crate::program::ProgramKind;
use crate::wall::{Machine, WALLS, Wall, WallPlan, plan};

/// A user who is not root.
const NOT_ROOT: u32 = 1;

/// How it is known which walls stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// They were read back or probed.
    ReadBack,
    /// The job has not run; this machine can put them up.
    Expected,
}

impl Basis {
    /// The words for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::ReadBack => "read back",
            Self::Expected => "expected",
        }
    }
}

/// The walls around a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How that is known.
    pub basis: Basis,
    /// Those that stand.
    pub walls: Vec<Wall>,
    /// What there is to say beside: why the job would not even start.
    pub note: Option<String>,
}

impl Standing {
    /// The walls that a run of the job would have.
    pub fn expected(job: &Job, kind: Option<ProgramKind>, machine: &Machine) -> Self {
        let wasm = kind.is_some_and(ProgramKind::is_wasm);
        let planned = |best_effort| plan(job, job.program.file.text(), wasm, machine, best_effort);
        let (plan, note) = match planned(false) {
            Ok(plan) => (Some(plan), None),
            Err(refusal) => (planned(true).ok(), Some(format!("it would not be started here: {refusal}"))),
        };
        let walls = plan.map(|plan| promised(&plan)).unwrap_or_default();
        Self { basis: Basis::Expected, walls, note }
    }

    /// The walls that were read back of a run, as far as the job as it is now would have them: the run may have been
    /// of an earlier definition.
    pub fn read_back(job: &Job, kind: Option<ProgramKind>, machine: &Machine, evidence: &[Evidence]) -> Self {
        let Self { walls, note, .. } = Self::expected(job, kind, machine);
        let walls = walls.into_iter().filter(|wall| stands(*wall, evidence)).collect();
        Self { basis: Basis::ReadBack, walls, note }
    }

    /// The same without walls that were tried and could not be put up.
    pub fn without(mut self, fallen: impl Fn(Wall) -> bool) -> Self {
        self.walls.retain(|wall| !fallen(*wall));
        self
    }
}

/// A wall of which nothing was seen does not stand, and one of which a part was not as promised neither.
fn stands(wall: Wall, evidence: &[Evidence]) -> bool {
    let mut of_wall = evidence.iter().filter(|evidence| evidence.wall == wall).peekable();
    of_wall.peek().is_some() && of_wall.all(|evidence| evidence.stands)
}

/// The walls that a plan puts up.
fn promised(plan: &WallPlan) -> Vec<Wall> {
    let planned = |wall: &Wall| match wall {
        Wall::User | Wall::Limits | Wall::NoNewPrivileges | Wall::Capabilities => true,
        Wall::Mount => plan.mount.is_some(),
        Wall::Landlock => plan.landlock_abi > 0,
        Wall::Seccomp => plan.seccomp,
        Wall::Processes => plan.processes,
        Wall::Network => plan.network_namespace,
        Wall::Cgroup => plan.cgroup.is_some(),
    };
    let missing = |wall: &Wall| plan.missing.iter().any(|missing| missing.wall == *wall);
    WALLS.iter().map(|row| row.wall).filter(|wall| planned(wall) && !missing(wall)).collect()
}

/// Whether a job of the system domain is root's: no other domain has such jobs.
pub fn names_root(job: &Job) -> bool {
    matches!(job.user.as_deref(), Some("root" | "0"))
}

/// A user for whom the machine gives the walls that it gives the job's: that is decided by whether it is root.
pub fn user_like(root: bool, caller: u32) -> u32 {
    match (root, caller) {
        (true, _) => 0,
        (false, 0) => NOT_ROOT,
        (false, caller) => caller,
    }
}
