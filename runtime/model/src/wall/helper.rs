//! The walls of the roles that run no job: compiling and looking names up. They have no grants and fixed limits.

use super::limits::NO_CORE;
use super::{Machine, NetworkPlan, Ports, WallPlan, WorkerKind};
use crate::limit::{Resource, ResourceLimit};

/// Limits of the compile role: a bomb ends here and takes nothing with it.
pub mod compiling {
    /// Largest program taken, bytes.
    pub const PROGRAM_BYTES: u64 = 512 << 20;
    /// Private memory, bytes: the largest component tried (Python with its library, 22 MB) needs 1.1 GiB.
    pub const MEMORY_BYTES: u64 = 4 << 30;
    /// Processor time, seconds; the same component takes 8 to 12 on two cores, 30 unoptimised.
    pub const CPU_SECONDS: u64 = 240;
    /// Wall time, seconds.
    pub const RUN_SECONDS: u64 = 300;
    /// Largest compiled file, bytes.
    pub const OUTPUT_BYTES: u64 = 2 << 30;
}

/// What one compilation may use, where an operator says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileBounds {
    /// Private memory, bytes.
    pub memory: u64,
    /// Wall time, seconds.
    pub seconds: u64,
}

impl Default for CompileBounds {
    fn default() -> Self {
        Self { memory: compiling::MEMORY_BYTES, seconds: compiling::RUN_SECONDS }
    }
}

impl CompileBounds {
    /// Processor time, seconds: in the proportion of the usual bounds.
    pub fn cpu_seconds(self) -> u64 {
        (self.seconds * compiling::CPU_SECONDS / compiling::RUN_SECONDS).max(1)
    }
}

/// The plan of the compile role: no grants, no network, bounded.
pub fn compile_plan(machine: &Machine, bounds: CompileBounds) -> WallPlan {
    use compiling::OUTPUT_BYTES;
    let hard = |resource, value| ResourceLimit { resource, soft: Some(value), hard: Some(value) };
    helper_plan(
        WorkerKind::Compile,
        machine,
        vec![
            hard(Resource::Core, NO_CORE),
            hard(Resource::Data, bounds.memory),
            hard(Resource::Cpu, bounds.cpu_seconds()),
            hard(Resource::FileSize, OUTPUT_BYTES),
        ],
    )
}

/// The plan of the resolve role: resolver files and port 53 only.
pub fn resolve_plan(machine: &Machine) -> WallPlan {
    let hard = |resource, value| ResourceLimit { resource, soft: Some(value), hard: Some(value) };
    let limits = vec![hard(Resource::Core, NO_CORE), hard(Resource::Cpu, 10), hard(Resource::Data, 256 << 20)];
    let mut plan = helper_plan(WorkerKind::Resolve, machine, limits);
    plan.network = NetworkPlan {
        tcp: true,
        udp: true,
        ipv4: true,
        ipv6: true,
        connect_ports: Ports::These(vec![53]),
        ..NetworkPlan::default()
    };
    plan
}

/// The plan of the logger: its own folder, the sockets it was handed, and nothing else.
pub fn logger_plan(machine: &Machine) -> WallPlan {
    let core = ResourceLimit { resource: Resource::Core, soft: Some(NO_CORE), hard: Some(NO_CORE) };
    helper_plan(WorkerKind::Logger, machine, vec![core])
}

fn helper_plan(kind: WorkerKind, machine: &Machine, limits: Vec<ResourceLimit>) -> WallPlan {
    WallPlan {
        kind,
        user_namespace: false,
        mount: None,
        processes: false,
        network_namespace: false,
        network: NetworkPlan::default(),
        limits,
        cgroup: None,
        landlock_abi: machine.landlock_abi,
        seccomp: machine.seccomp,
        missing: Vec::new(),
    }
}
