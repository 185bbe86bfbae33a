//! The kernel's half of the limits, with what a worker needs for itself added. The guest's half is in the worker.

use super::WorkerKind;
use crate::limit::{Limits, Resource, ResourceLimit};

/// Descriptors of a guest when the job says nothing.
const DEFAULT_HANDLES: u64 = 10_000;
/// Core files: 0 would not keep a handler in core_pattern from being fed, 1 does, and is too little for a file
/// (core(5); fs/coredump.c).
pub(super) const NO_CORE: u64 = 1;
/// Bytes a worker needs beside the guest's memory: the engine's code and tables, stacks and buffers.
/// Measured: a Python component of 18 MB peaks below 40 MiB of private data beside its memories.
const MEMORY_BASE: u64 = 96 << 20;
/// Descriptors a worker needs beside the guest's own.
const HANDLES_BASE: u64 = 64;
/// Processes beside a native job's own: the worker and the init of its process table.
pub(super) const PROCESSES_BASE: u64 = 2;

/// Connections that a worker holds at once, of all its sockets; one that has nothing to say takes no instance.
pub const MOST_CONNECTIONS: u64 = 16_384;
/// Connections beside those that nobody serves any more and whose clients still speak.
pub const MOST_LINGERING: u64 = 256;
/// Instances at once when the job says nothing.
pub const DEFAULT_INSTANCES: u64 = 1_000;
/// Bytes beside its memory that the place of one instance among many takes: its stack of 2 MiB and its tables.
const PLACE: u64 = 4 << 20;
/// No process can have more descriptors (proc_sys_fs(5), nr_open).
const MOST_DESCRIPTORS: u64 = 1 << 20;

/// The kernel's half of the limits; a job's own hard limits are never raised by ours. A worker that `serves` has many
/// instances, and what the kernel holds is the sum of them.
pub fn kernel_limits(
    limits: &Limits,
    own: &[ResourceLimit],
    kind: WorkerKind,
    walled: bool,
    serves: bool,
) -> Vec<ResourceLimit> {
    let native = kind == WorkerKind::Native;
    if serves && !native {
        let instances = limits.instances.unwrap_or(DEFAULT_INSTANCES);
        let handles = limits.handles.unwrap_or(DEFAULT_HANDLES).saturating_mul(instances);
        let connections = MOST_CONNECTIONS + MOST_LINGERING;
        let sum = Limits {
            memory: limits.memory.map(|bytes| bytes.saturating_add(PLACE).saturating_mul(instances)),
            handles: Some(handles.saturating_add(connections).min(MOST_DESCRIPTORS - HANDLES_BASE)),
            cpu_time: None,
            ..limits.clone()
        };
        return kernel_limits(&sum, own, kind, walled, false);
    }
    let mut kernel = own.to_vec();
    // The guest wall of a wasm job ends it at the limit itself, the kernel wall only if that failed.
    let cpu = limits.cpu_time.map(|seconds| if native { (seconds, seconds + 1) } else { (seconds + 1, seconds + 2) });
    let base = |extra: u64| if native { 0 } else { extra };
    let memory = limits.memory.map(|bytes| bytes.saturating_add(base(MEMORY_BASE)));
    let handles = limits.handles.or((!native).then_some(DEFAULT_HANDLES));
    let handles = handles.map(|handles| handles.saturating_add(base(HANDLES_BASE)));
    let processes = limits.processes.filter(|_| native).map(|count| count + PROCESSES_BASE);
    put(&mut kernel, Resource::Core, walled.then_some((NO_CORE, NO_CORE)));
    put(&mut kernel, Resource::Cpu, cpu);
    put(&mut kernel, Resource::Data, memory.map(|bytes| (bytes, bytes)));
    put(&mut kernel, Resource::NumberOfFiles, handles.map(|handles| (handles, handles)));
    put(&mut kernel, Resource::NumberOfProcesses, processes.map(|count| (count, count)));
    kernel
}

/// Adds one of ours. A native job's own pair stands as it is written where ours was made of it.
fn put(kernel: &mut Vec<ResourceLimit>, resource: Resource, value: Option<(u64, u64)>) {
    let Some((soft, hard)) = value else {
        return;
    };
    let written = |limit: &ResourceLimit| limit.resource == resource && [limit.soft, limit.hard].contains(&Some(soft));
    if !kernel.iter().any(written) {
        kernel.retain(|limit| limit.resource != resource);
        kernel.push(ResourceLimit { resource, soft: Some(soft), hard: Some(hard) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(resource: Resource, soft: u64, hard: u64) -> ResourceLimit {
        ResourceLimit { resource, soft: Some(soft), hard: Some(hard) }
    }

    #[test]
    fn kernel_limits_leave_room_for_the_worker_and_a_native_pair_as_it_is() {
        let limits = Limits { handles: Some(100), cpu_time: Some(5), ..Limits::default() };
        let own = [pair(Resource::NumberOfFiles, 100, 200)];
        let native = kernel_limits(&limits, &own, WorkerKind::Native, true, true);
        assert!(native.contains(&pair(Resource::NumberOfFiles, 100, 200)));
        assert!(native.contains(&pair(Resource::Cpu, 5, 6)));
        assert!(native.contains(&pair(Resource::Core, 1, 1)));
        let wasm = kernel_limits(&limits, &own, WorkerKind::Wasm, true, false);
        let bare = kernel_limits(&limits, &[pair(Resource::Core, 7, 8)], WorkerKind::Native, false, false);
        assert!(bare.contains(&pair(Resource::Core, 7, 8)), "without walls its own limits stand");
        assert!(wasm.contains(&pair(Resource::NumberOfFiles, 164, 164)));
        assert!(wasm.contains(&pair(Resource::Cpu, 6, 7)));
    }

    #[test]
    fn of_many_instances_the_kernel_holds_the_sum() {
        let limits = Limits { memory: Some(1 << 20), instances: Some(10), cpu_time: Some(5), ..Limits::default() };
        let kernel = kernel_limits(&limits, &[], WorkerKind::Wasm, true, true);
        let data = MEMORY_BASE + 10 * (PLACE + (1 << 20));
        assert!(kernel.contains(&pair(Resource::Data, data, data)));
        let files = HANDLES_BASE + 10 * DEFAULT_HANDLES + MOST_CONNECTIONS + MOST_LINGERING;
        assert!(kernel.contains(&pair(Resource::NumberOfFiles, files, files)));
        assert!(kernel.iter().all(|limit| limit.resource != Resource::Cpu));
    }
}
