//! What /proc shows of a run's processes: which of them the walls are around, and that they stand.

use std::path::Path;

use wjob_model::message::Evidence;
use wjob_model::wall::{Wall, WorkerKind};
use wjob_sandbox::readback::{self, Who};

use super::Attempt;
use crate::order::Reporter;

impl Attempt {
    /// The process an operator would look for: a native job's program once it runs, else the worker.
    pub fn program_pid(&self) -> Option<u32> {
        let worker = self.pid()?;
        if self.plan.kind != WorkerKind::Native {
            return Some(worker);
        }
        Some(self.inner(worker).and_then(first_child).unwrap_or(worker))
    }

    /// What the worker says of its walls, and what /proc does.
    pub(super) fn read_walls(&self, told: Vec<Evidence>, reporter: &mut dyn Reporter) -> Option<Vec<Evidence>> {
        let pid = self.pid()?;
        if is_hidden(pid) {
            let found = "/proc does not show the worker (hidepid); mount it with gid= of a group of this user, or without hidepid";
            return Some(vec![Evidence { wall: Wall::User, found: found.into(), stands: false }]);
        }
        let inner = self.inner(pid)?;
        let mut evidence = told;
        let groups = self.identity().map(|identity| (identity.gid, identity.groups.as_slice()));
        let who = Who { user: self.machine.uid, groups };
        evidence.extend(readback::read(inner, who, &self.plan));
        evidence.extend(self.group_read_back());
        if !Path::new(&format!("/proc/{inner}")).exists() {
            // What is not there any more has no walls to read; its end is about to be told.
            return None;
        }
        reporter.walls(&evidence, &self.plan);
        Some(evidence)
    }

    /// The process the walls are around: for a native job the init of its process table, the worker's only child,
    /// which is not there any more when somebody ended it before it could begin.
    fn inner(&self, pid: u32) -> Option<u32> {
        if self.plan.processes { first_child(pid) } else { Some(pid) }
    }
}

/// Whether a child of this process, which was not waited for, is not shown by /proc (proc(5), hidepid).
fn is_hidden(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}/status")).exists()
}

/// The first child of a process with one thread (proc_pid_children(5)).
fn first_child(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
