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

/// The plan of the compile role: no grants, no network, bounded.
pub fn compile_plan(machine: &Machine) -> WallPlan {
    use compiling::{CPU_SECONDS, MEMORY_BYTES, OUTPUT_BYTES};
    let hard = |resource, value| ResourceLimit { resource, soft: Some(value), hard: Some(value) };
    helper_plan(
        WorkerKind::Compile,
        machine,
        vec![
            hard(Resource::Core, NO_CORE),
            hard(Resource::Data, MEMORY_BYTES),
            hard(Resource::Cpu, CPU_SECONDS),
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
        landlock_abi: machine.landlock_abi,
        seccomp: machine.seccomp,
        missing: Vec::new(),
    }
}
