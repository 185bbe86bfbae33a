//! What a machine can put up, as a value: found out by `sandbox` by looking, and corrected when trying shows otherwise.
//! One that lacks a wall is made here from one that has it, so what wjob does without each wall is a matter of data.

use serde::{Deserialize, Serialize};

use super::cgroup::Delegated;
use super::{LANDLOCK_LEAST, LANDLOCK_NEWEST, Missing, Wall};

/// What this machine can put up, found out by `sandbox`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The caller's effective user.
    pub uid: u32,
    /// Landlock's ABI; 0 = none.
    pub landlock_abi: u32,
    /// Whether seccomp filters can be installed.
    pub seccomp: bool,
    /// Whether an own mount namespace can be had, and why not.
    pub namespaces: Result<(), String>,
    /// Whether the supervisor is root, who can leave another user's worker the right to mount. A run that is handed over
    /// is planned already, and not told.
    #[serde(skip)]
    pub under_root: bool,
    /// The part of the tree of control groups that is the supervisor's to divide, or why there is none.
    pub cgroup: Result<Delegated, String>,
    /// Most memory mappings of a process (proc_sys_vm(5), max_map_count), if that is known. A run that is handed over is
    /// planned already, and not told.
    #[serde(skip)]
    pub mappings: Option<u64>,
    /// Walls that were tried and refused, whatever the rest says.
    pub refused: Vec<Missing>,
}

impl Machine {
    /// One that can put up for this user whatever takes nothing of its operator: all but control groups.
    pub fn able(uid: u32) -> Self {
        Self {
            uid,
            landlock_abi: LANDLOCK_NEWEST,
            seccomp: true,
            namespaces: Ok(()),
            under_root: uid == 0,
            cgroup: Err("no part of cgroup v2 was delegated".into()),
            mappings: None,
            refused: Vec::new(),
        }
    }

    /// The same once it was seen that it does not put up a wall.
    pub fn without(mut self, wall: Wall, why: &str) -> Self {
        match wall {
            Wall::Mount => self.namespaces = Err(why.to_owned()),
            Wall::Landlock => self.landlock_abi = 0,
            Wall::Seccomp => self.seccomp = false,
            Wall::Cgroup => self.cgroup = Err(why.to_owned()),
            Wall::User
            | Wall::NoNewPrivileges
            | Wall::Capabilities
            | Wall::Limits
            | Wall::Processes
            | Wall::Network => {}
        }
        self.refused.push(Missing { wall, why: why.to_owned() });
        self
    }

    /// Why a wall was refused that was tried; `None` = it was not.
    pub fn refusal(&self, wall: Wall) -> Option<String> {
        self.refused.iter().find(|missing| missing.wall == wall).map(|missing| missing.why.clone())
    }

    /// Why it cannot put a wall up at all; `None` = it can, as far as is known.
    pub fn lacks(&self, wall: Wall) -> Option<String> {
        let refusal = self.refusal(wall);
        refusal.or_else(|| match wall {
            Wall::Mount | Wall::Processes | Wall::Network => self.namespaces.clone().err(),
            Wall::Landlock => self.old_landlock(LANDLOCK_LEAST),
            Wall::Seccomp => (!self.seccomp).then(|| "the kernel has no seccomp filters".into()),
            Wall::Cgroup => self.cgroup.clone().err(),
            Wall::User | Wall::NoNewPrivileges | Wall::Capabilities | Wall::Limits => None,
        })
    }

    /// Why its landlock is not enough where this ABI is needed; `None` = it is.
    pub fn old_landlock(&self, least: u32) -> Option<String> {
        let words = || format!("landlock ABI {least} is needed, the kernel has {}", self.landlock_abi);
        (self.landlock_abi < least).then(words)
    }
}

impl Wall {
    /// Whether every kernel has it that wjob runs on. Then nothing runs without it, whatever `--best-effort` lets go: who
    /// refuses it has taken more away than a wall.
    pub fn is_in_every_kernel(self) -> bool {
        matches!(self, Self::User | Self::Limits | Self::NoNewPrivileges | Self::Capabilities)
    }

    /// What to do where it is required and cannot be put up.
    pub fn advice(self) -> &'static str {
        match self.is_in_every_kernel() {
            true => "every kernel has it: look for what refuses it here, such as the rules of a container",
            false => "`wjob info` lists the walls; `wjob run --best-effort` does without those that are missing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::WALLS;

    #[test]
    fn what_was_refused_is_lacking_and_nothing_else_is() {
        let delegated = Delegated { folder: "/a".into(), memory: true, processes: true };
        let able = Machine { cgroup: Ok(delegated), ..Machine::able(1000) };
        for row in WALLS {
            assert_eq!(able.lacks(row.wall), None, "{}", row.name);
            let without = able.clone().without(row.wall, "gone");
            for other in WALLS {
                // A process table and a network come with a view of one's own.
                let with_it = row.wall == Wall::Mount && matches!(other.wall, Wall::Processes | Wall::Network);
                let expected = (row.wall == other.wall || with_it).then(|| "gone".to_owned());
                assert_eq!(without.lacks(other.wall), expected, "{} without {}", other.name, row.name);
            }
        }
    }
}
