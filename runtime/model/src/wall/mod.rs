//! The walls of one run, decided: from the job's grants and what the machine offers to a plan, or a refusal.
//! Nothing is put up here; `sandbox` does that, and reads back what this plan promised.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::grant::PathGrant;
use crate::job::{Isolation, Job};
use crate::limit::{Limit, ResourceLimit};
use crate::socket::{Socket, SocketKind};

mod cgroup;
mod held;
mod helper;
mod holds;
#[cfg(test)]
mod lacking;
mod limits;
mod machine;
mod namespaces;
mod network;

pub use cgroup::{
    CgroupPlan, Delegated, OWN_GROUP, RUN_GROUP, delegated, group_name, own_group, ran_out_of_memory,
    ran_out_of_processes, to_divide,
};
pub use held::unheld;
pub use helper::{CompileBounds, compile_plan, compiling, logger_plan, resolve_plan};
pub use holds::{Holding, has_nothing_to_hold, holding};
pub use limits::{DEFAULT_INSTANCES, MOST_CONNECTIONS, MOST_LINGERING, kernel_limits};
pub use machine::Machine;
pub use network::{NetworkPlan, Ports};

use namespaces::{has_namespaces, may_mount, shows_everything};

/// A layer the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wall {
    /// The job's user and groups.
    User,
    /// No gain of privilege by exec.
    NoNewPrivileges,
    /// Every capability dropped.
    Capabilities,
    /// An own view of the file system: only what was granted.
    Mount,
    /// Rules on paths and TCP ports.
    Landlock,
    /// Rules on system calls.
    Seccomp,
    /// Resource limits.
    Limits,
    /// An own process table (native jobs).
    Processes,
    /// An own, empty network (native jobs without Connect or Bind).
    Network,
    /// Limits on all of a job's processes together, where a control group can be had.
    Cgroup,
}

/// A row of the table of walls.
pub struct WallRow {
    /// Which.
    pub wall: Wall,
    /// Its name in messages.
    pub name: &'static str,
    /// What it does, in one line.
    pub purpose: &'static str,
    /// How wjob knows that it stands.
    pub evidence: &'static str,
}

/// The table, in the order the walls go up.
pub const WALLS: &[WallRow] = &[
    WallRow {
        wall: Wall::User,
        name: "user",
        purpose: "the job's user and groups, nobody else's",
        evidence: "read back: Uid, Gid, Groups",
    },
    WallRow {
        wall: Wall::Cgroup,
        name: "cgroup",
        purpose: "limits on all of a job's processes together; not proven yet on a machine that has them",
        evidence: "read back: cgroup.procs, memory.max, pids.max",
    },
    WallRow {
        wall: Wall::Processes,
        name: "processes",
        purpose: "an own process table; all of it ends with the job",
        evidence: "read back: NSpid",
    },
    WallRow {
        wall: Wall::Network,
        name: "network",
        purpose: "an own network with nothing in it",
        evidence: "probed: no address but loopback, and that is down",
    },
    WallRow {
        wall: Wall::Mount,
        name: "mount",
        purpose: "a file system that holds only what was granted",
        evidence: "read back: mountinfo",
    },
    WallRow { wall: Wall::Limits, name: "limits", purpose: "resource limits", evidence: "read back: limits" },
    WallRow {
        wall: Wall::NoNewPrivileges,
        name: "no-new-privileges",
        purpose: "no privilege is gained by executing a program",
        evidence: "read back: NoNewPrivs",
    },
    WallRow {
        wall: Wall::Capabilities,
        name: "capabilities",
        purpose: "no capability is held or can be regained",
        evidence: "read back: CapEff, CapPrm, CapInh, CapAmb, CapBnd",
    },
    WallRow {
        wall: Wall::Landlock,
        name: "landlock",
        purpose: "only granted paths and TCP ports",
        evidence: "probed: one open and one connect must fail",
    },
    WallRow {
        wall: Wall::Seccomp,
        name: "seccomp",
        purpose: "only the system calls the worker needs",
        evidence: "read back: Seccomp",
    },
];

impl Wall {
    /// The table's row.
    pub fn row(self) -> &'static WallRow {
        WALLS.iter().find(|row| row.wall == self).expect("every wall has a row; a test walks them")
    }
}

/// Landlock ABI that every job needs (refer and truncate are covered from 3 on).
pub const LANDLOCK_LEAST: u32 = 3;
/// Landlock ABI that TCP grants need (ports are covered from 4 on).
pub const LANDLOCK_TCP: u32 = 4;
/// Landlock ABI that grants of Unix sockets need in the machine's own network, where its abstract ones are, too (they
/// are covered from 6 on).
pub const LANDLOCK_UNIX: u32 = 6;
/// Newest landlock ABI that this build has rules for; the last two are of kernels that it was not tried on.
pub const LANDLOCK_NEWEST: u32 = 9;

/// What kind of process the walls go around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerKind {
    /// Runs WebAssembly.
    Wasm,
    /// Becomes, or is the parent of, a native program.
    Native,
    /// Compiles WebAssembly.
    Compile,
    /// Looks names up.
    Resolve,
    /// Keeps what jobs write.
    Logger,
}

/// The walls of one worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallPlan {
    /// Around what.
    pub kind: WorkerKind,
    /// A user namespace of its own (needed for the others by an ordinary user who was not left the right to mount).
    pub user_namespace: bool,
    /// The mount wall; `None` when the kernel has none and it is not required.
    pub mount: Option<MountPlan>,
    /// An own process table.
    pub processes: bool,
    /// An own, empty network.
    pub network_namespace: bool,
    /// What the network rules let through.
    pub network: NetworkPlan,
    /// Resource limits.
    pub limits: Vec<ResourceLimit>,
    /// What its control group holds, if it has one.
    pub cgroup: Option<CgroupPlan>,
    /// Landlock's ABI to use; 0 only with `--best-effort`.
    pub landlock_abi: u32,
    /// Whether the system call list is installed; false only with `--best-effort`.
    pub seccomp: bool,
    /// What is missing, and why, with `--best-effort` or where it is not required.
    pub missing: Vec<Missing>,
}

impl WallPlan {
    /// Whether the program has all its user's rights (Isolation None).
    pub fn is_unwalled(&self) -> bool {
        self.missing.iter().any(|missing| missing.wall == Wall::NoNewPrivileges)
    }

    /// Whether a worker of this user mounts by a right that its supervisor left it, and which it gives up on the way.
    pub fn mounts_by_leave(&self, uid: u32) -> bool {
        self.mount.is_some() && !self.user_namespace && uid != 0
    }
}

/// The view a mount wall shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPlan {
    /// Granted paths.
    pub grants: Vec<PathGrant>,
    /// The base a native program needs: /usr, the loader, five device nodes, /tmp, /proc.
    pub base: bool,
    /// The native program's own file.
    pub program: Option<String>,
    /// The host's folder that takes the place of the base's files (RootDirectory).
    pub root: Option<String>,
}

/// A wall that does not stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Which.
    pub wall: Wall,
    /// Why.
    pub why: String,
}

/// Why a run was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WallRefusal {
    /// A required wall cannot be put up.
    #[error("the {} wall is required and cannot be put up: {why}", .wall.row().name)]
    Required {
        /// Which.
        wall: Wall,
        /// Why.
        why: String,
    },
    /// A limit this machine cannot hold for this user.
    #[error("the limit {limit} cannot be held here: {why}")]
    Limit {
        /// Which.
        limit: Limit,
        /// Why.
        why: String,
    },
    /// `Isolation` None is for native programs.
    #[error("Isolation None is for native programs only; this program is WebAssembly")]
    NoneForWasm,
    /// A native program needs the base in its view.
    #[error("GuestPath / takes the place of the whole view, and a native program needs /usr and its libraries there")]
    RootForNative,
    /// Another root is the mount wall's to show.
    #[error("RootDirectory is shown by the mount wall, and with Isolation None there is none")]
    RootForUnwalled,
    /// Peers cannot be told apart where only granted sockets are seen.
    #[error(
        "Connect to a unix:// socket needs the mount wall, behind which an ordinary user's job cannot tell those apart \
         whom Users names"
    )]
    UsersBehindView,
}

/// The plan for a job's worker; `program` is where its program was found.
///
/// # Errors
/// When a wall that the job requires cannot be put up here and `best_effort` was not said.
pub fn plan(
    job: &Job,
    program: &str,
    wasm: bool,
    machine: &Machine,
    best_effort: bool,
) -> Result<WallPlan, WallRefusal> {
    let kind = if wasm { WorkerKind::Wasm } else { WorkerKind::Native };
    if wasm && job.isolation == Isolation::None {
        return Err(WallRefusal::NoneForWasm);
    }
    if !wasm && job.isolation != Isolation::None && job.grants.paths.iter().any(|grant| grant.guest == "/") {
        return Err(WallRefusal::RootForNative);
    }
    held::all(job, kind, machine)?;
    other_root(job, kind, machine)?;
    unix_sockets(job, kind, machine)?;
    let serves = network::serves(job, kind);
    let network = NetworkPlan { serves, ..NetworkPlan::of(&job.grants) };
    let mut plan = WallPlan {
        kind,
        user_namespace: false,
        mount: None,
        processes: false,
        network_namespace: false,
        limits: kernel_limits(&job.limits, &job.resource_limits, kind, job.isolation != Isolation::None, serves),
        cgroup: None,
        landlock_abi: machine.landlock_abi,
        seccomp: machine.seccomp,
        network,
        missing: Vec::new(),
    };
    if let Some(Missing { wall, why }) = machine.refused.iter().find(|missing| missing.wall.is_in_every_kernel()) {
        return Err(WallRefusal::Required { wall: *wall, why: why.clone() });
    }
    if job.isolation == Isolation::None {
        cgroup::hold_processes(job, &mut plan, machine)?;
        return Ok(unwalled(plan));
    }
    plan.cgroup = cgroup::planned(job, &plan, machine);
    cgroup::hold_processes(job, &mut plan, machine)?;
    add_namespaces(&mut plan, job, program, machine);
    let missing = missing(&plan, job, machine);
    match missing.iter().find(|(required, _)| *required) {
        Some((_, missing)) if !best_effort => {
            Err(WallRefusal::Required { wall: missing.wall, why: missing.why.clone() })
        }
        _ => {
            plan.missing = missing.into_iter().map(|(_, missing)| missing).collect();
            Ok(plan)
        }
    }
}

/// A native program with all its user's rights: nothing but its own resource limits.
fn unwalled(mut plan: WallPlan) -> WallPlan {
    plan.landlock_abi = 0;
    plan.seccomp = false;
    plan.missing = WALLS
        .iter()
        .filter(|row| !matches!(row.wall, Wall::User | Wall::Limits))
        .map(|row| Missing { wall: row.wall, why: "Isolation is None".into() })
        .collect();
    plan
}

fn add_namespaces(plan: &mut WallPlan, job: &Job, program: &str, machine: &Machine) {
    if has_namespaces(job, plan.kind, machine).is_err() || shows_everything(job, plan.kind, machine) {
        return;
    }
    let native = plan.kind == WorkerKind::Native;
    plan.user_namespace = machine.uid != 0 && !may_mount(job, plan.kind, machine);
    plan.processes = native;
    plan.network_namespace = native && !plan.network.any() && machine.refusal(Wall::Network).is_none();
    let root = job.root_directory.clone().filter(|_| native);
    // Another root has the program in it, or there is none.
    let program = (native && root.is_none()).then(|| program.to_owned());
    plan.mount = Some(MountPlan { grants: job.opened(), base: native, program, root });
}

/// Without the mount wall a native job would run in the host's root, whatever `--best-effort` lets go.
fn other_root(job: &Job, kind: WorkerKind, machine: &Machine) -> Result<(), WallRefusal> {
    if kind != WorkerKind::Native || job.root_directory.is_none() {
        return Ok(());
    }
    match has_namespaces(job, kind, machine) {
        _ if job.isolation == Isolation::None => Err(WallRefusal::RootForUnwalled),
        Err(Missing { wall, why }) => Err(WallRefusal::Required { wall, why }),
        Ok(()) => Ok(()),
    }
}

/// Without the mount wall every Unix socket of the machine could be connected to, whatever `--best-effort` lets go.
fn unix_sockets(job: &Job, kind: WorkerKind, machine: &Machine) -> Result<(), WallRefusal> {
    let connected = kind == WorkerKind::Native && network::is_connected_to_a_path(job);
    let connects = connected || job.grants.sockets().next().is_some();
    if job.isolation == Isolation::None || !connects {
        return Ok(());
    }
    match has_namespaces(job, kind, machine) {
        _ if shows_everything(job, kind, machine) => Err(WallRefusal::UsersBehindView),
        Err(Missing { wall, why }) => Err(WallRefusal::Required { wall, why }),
        Ok(()) => Ok(()),
    }
}

/// The landlock ABI that holds what can be done with the sockets a job may make and with those it is handed: a native
/// program can connect these anew, in the machine's network whatever its own is; of connections those that are lost.
fn least_landlock(plan: &WallPlan, job: &Job) -> u32 {
    let native = plan.kind == WorkerKind::Native;
    let handed = |kind: SocketKind, network: bool| {
        let is = |socket: &Socket| socket.kind == kind && socket.place.is_network() == network;
        native && job.sockets.iter().any(is)
    };
    let unix = handed(SocketKind::Datagram, false) || (native && network::is_connected_to_a_path(job));
    if (plan.network.unix && !plan.network_namespace) || unix {
        LANDLOCK_UNIX
    } else if plan.network.tcp || handed(SocketKind::Stream, true) {
        LANDLOCK_TCP
    } else {
        LANDLOCK_LEAST
    }
}

/// What does not stand, and whether it had to.
fn missing(plan: &WallPlan, job: &Job, machine: &Machine) -> Vec<(bool, Missing)> {
    let mut missing = Vec::new();
    if let Some(why) = machine.refusal(Wall::Landlock).or_else(|| machine.old_landlock(least_landlock(plan, job))) {
        missing.push((true, Missing { wall: Wall::Landlock, why }));
    }
    if let Some(why) = machine.lacks(Wall::Seccomp) {
        missing.push((true, Missing { wall: Wall::Seccomp, why }));
    }
    if let Some(why) = machine.refusal(Wall::Cgroup).filter(|_| cgroup::has_something_to_hold(job, plan.kind)) {
        missing.push((false, Missing { wall: Wall::Cgroup, why }));
    }
    missing.extend(namespaces::missing(plan, job, machine));
    if has_namespaces(job, plan.kind, machine).is_ok() && shows_everything(job, plan.kind, machine) {
        let why = "Users names who may connect, and behind it all users but the job's own read as one".into();
        missing.push((false, Missing { wall: Wall::Mount, why }));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wall_has_a_row() {
        for row in WALLS {
            assert_eq!(row.wall.row().name, row.name);
        }
    }

    fn job(keys: &str) -> Job {
        let text = format!("{{ Label = a; Program = \"/bin/a\"; RootDirectory = \"/srv/root\"; {keys} }}");
        let context = crate::spec::Context { folder: "/", home: "/root", uid: 0 };
        crate::spec::load(text.as_bytes(), &context).job.unwrap()
    }

    #[test]
    fn another_root_takes_the_mount_wall_and_the_place_of_the_program() {
        let machine = |namespaces| Machine { namespaces, ..Machine::able(0) };
        let no = || Err("no namespaces".to_owned());
        for (keys, wasm, namespaces, expected) in [
            ("", false, Ok(()), Ok(Some("/srv/root"))),
            ("", true, Ok(()), Ok(None)),
            ("", true, no(), Ok(None)),
            ("", false, no(), Err("the mount wall is required and cannot be put up: no namespaces")),
            ("Isolation = None;", false, Ok(()), Err("shown by the mount wall, and with Isolation None")),
        ] {
            let plan = plan(&job(keys), "/bin/a", wasm, &machine(namespaces.clone()), true);
            match (plan, expected) {
                (Ok(plan), Ok(root)) => {
                    let mount = plan.mount.unwrap_or_default();
                    assert_eq!((mount.root.as_deref(), mount.program), (root, None), "{keys} wasm {wasm}");
                }
                (Err(refusal), Err(words)) => assert!(refusal.to_string().contains(words), "{refusal}"),
                (plan, _) => panic!("{keys} wasm {wasm} {namespaces:?}: {plan:?}"),
            }
        }
    }

    /// A job without another root.
    fn plain(keys: &str) -> Job {
        let text = format!("{{ Label = a; Program = \"/bin/a\"; {keys} }}");
        let context = crate::spec::Context { folder: "/", home: "/root", uid: 0 };
        let loaded = crate::spec::load(text.as_bytes(), &context);
        loaded.job.unwrap_or_else(|| panic!("{:?}", loaded.findings))
    }

    const UNIX: &str = "\"unix:///run/x\"";

    #[test]
    fn unix_sockets_are_shown_by_the_mount_wall_and_abstract_ones_held_off() {
        let machine = |uid, landlock_abi, namespaces| Machine { landlock_abi, namespaces, ..Machine::able(uid) };
        let no = || Err("no namespaces".to_owned());
        let alone = plain(&format!("Grants = {{ Connect = ({UNIX}); }};"));
        let beside = plain(&format!("Grants = {{ Connect = ({UNIX}, \"tcp://127.0.0.1:1\"); }};"));
        let required = "the mount wall is required and cannot be put up: no namespaces";
        for (job, wasm, machine, best_effort, expected) in [
            (&alone, true, machine(0, 6, Ok(())), false, Ok(())),
            (&alone, true, machine(1000, 6, Ok(())), false, Ok(())),
            (&alone, true, machine(0, 5, Ok(())), false, Err("landlock ABI 6 is needed")),
            // Its own network has no abstract sockets in it.
            (&alone, false, machine(0, 3, Ok(())), false, Ok(())),
            (&beside, false, machine(0, 6, Ok(())), false, Ok(())),
            (&beside, false, machine(0, 5, Ok(())), false, Err("landlock ABI 6 is needed")),
            (&alone, true, machine(1000, 6, no()), true, Err(required)),
            (&alone, false, machine(1000, 6, no()), true, Err(required)),
        ] {
            let said = format!("wasm {wasm} {machine:?}");
            match (plan(job, "/bin/a", wasm, &machine, best_effort), expected) {
                (Ok(plan), Ok(())) => {
                    let mount = plan.mount.unwrap_or_default();
                    let shown: Vec<_> = mount.grants.iter().map(|grant| (grant.guest.as_str(), grant.access)).collect();
                    assert_eq!(shown, [("/run/x", crate::grant::Access::Connect)], "{said}");
                    assert!(plan.network.unix && plan.missing.is_empty(), "{said}");
                }
                (Err(refusal), Err(words)) => assert!(refusal.to_string().contains(words), "{said}: {refusal}"),
                (plan, _) => panic!("{said}: {plan:?}"),
            }
        }
    }
}
