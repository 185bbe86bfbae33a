//! The `Limits` block: one row per limit, from which parser, check, help and documentation come.
//! It holds the numbers; the guest wall is in the worker, the kernel wall in the sandbox.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keys::Available;

/// A limit, by its key in the property list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Limit {
    /// Bytes, summed over memories and tables.
    Memory,
    /// Seconds of its own running time.
    CpuTime,
    /// Seconds from start, host calls included.
    RunTime,
    /// Instances at once.
    Instances,
    /// Connections at once from one peer address.
    ConnectionsPerSource,
    /// Connections accepted a second.
    ConnectionRate,
    /// Seconds a connection may be silent.
    IdleTime,
    /// Component handles and descriptors.
    Handles,
    /// Bytes a second on stdout and stderr together.
    OutputRate,
    /// Bytes on stdout and stderr together.
    OutputSize,
    /// Processes of a native job.
    Processes,
    /// Bytes of one service call.
    Message,
}

/// A row of the registry.
#[derive(Clone, Copy, Debug)]
pub struct LimitRow {
    /// Which limit.
    pub limit: Limit,
    /// Its key.
    pub key: &'static str,
    /// Its unit, in words.
    pub unit: &'static str,
    /// What it is counted per.
    pub per: &'static str,
    /// Smallest value accepted.
    pub least: u64,
    /// Largest value accepted.
    pub most: u64,
    /// Who acts on it.
    pub available: Available,
    /// What holds it in the guest.
    pub guest_wall: &'static str,
    /// What holds it in the kernel.
    pub kernel_wall: &'static str,
    /// What holds it of a native program.
    pub native: Native,
    /// What a native program sees beyond it, and who else is told; empty = beyond it the run ends, which is recorded, or
    /// nothing native is held to it.
    pub refused: &'static str,
}

/// What holds a limit of a native program, for which there is no WASI wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// The kernel: by this resource limit of each process, and where there is one by a control group of them all.
    Kernel(&'static str),
    /// The supervisor, by the run's time; where each connection has a process, the worker by that one's.
    Deadline,
    /// The worker, through which goes what is limited.
    Worker,
    /// The worker in this way where it accepts (`inetdCompatibility` without `Wait`), and else nobody.
    Accepting(&'static str),
    /// Nobody, for this reason.
    Nobody(&'static str),
}

const GIB: u64 = 1 << 30;
/// Most instances at once that a job may ask for, by either of the keys that say it.
pub const MOST_INSTANCES: u64 = 1_000;

/// The registry.
pub const LIMITS: &[LimitRow] = &[
    LimitRow {
        limit: Limit::Memory,
        key: "Memory",
        unit: "bytes",
        per: "instance",
        least: 65_536,
        most: 1024 * GIB,
        available: Available::Run,
        guest_wall: "sum over memories and tables",
        kernel_wall: "RLIMIT_DATA; memory.max where there is a control group",
        native: Native::Kernel("RLIMIT_DATA"),
        refused: "a native program beyond it sees ENOMEM, and the record names it only when a control group ends the run for it",
    },
    LimitRow {
        limit: Limit::CpuTime,
        key: "CPUTime",
        unit: "seconds",
        per: "instance; native: run",
        least: 1,
        most: 31_536_000,
        available: Available::Run,
        guest_wall: "ticks of its own running time",
        kernel_wall: "RLIMIT_CPU",
        native: Native::Kernel("RLIMIT_CPU"),
        refused: "",
    },
    LimitRow {
        limit: Limit::RunTime,
        key: "RunTime",
        unit: "seconds",
        per: "instance or request, host calls included",
        least: 1,
        most: 31_536_000,
        available: Available::Run,
        guest_wall: "the run is dropped at the deadline",
        kernel_wall: "the worker is killed 1 s later",
        native: Native::Deadline,
        refused: "",
    },
    LimitRow {
        limit: Limit::Instances,
        key: "Instances",
        unit: "instances",
        per: "job",
        least: 1,
        most: MOST_INSTANCES,
        available: Available::Run,
        guest_wall: "semaphore",
        kernel_wall: "the rest waits in the backlog",
        native: Native::Accepting("the rest waits in the backlog"),
        refused: "",
    },
    LimitRow {
        limit: Limit::ConnectionsPerSource,
        key: "ConnectionsPerSource",
        unit: "connections",
        per: "job",
        least: 1,
        most: 1_000_000,
        available: Available::Run,
        guest_wall: "closed at accept",
        kernel_wall: "none",
        native: Native::Accepting("closed at accept"),
        refused: "",
    },
    LimitRow {
        limit: Limit::ConnectionRate,
        key: "ConnectionRate",
        unit: "connections a second",
        per: "job",
        least: 1,
        most: 1_000_000,
        available: Available::Run,
        guest_wall: "accepting pauses",
        kernel_wall: "the rest waits in the backlog",
        native: Native::Accepting("accepting pauses"),
        refused: "",
    },
    LimitRow {
        limit: Limit::IdleTime,
        key: "IdleTime",
        unit: "seconds",
        per: "connection",
        least: 1,
        most: 86_400,
        available: Available::Run,
        guest_wall: "the connection is dropped",
        kernel_wall: "none, and a native job that asks for it is refused",
        native: Native::Nobody(
            "a native program has its connections for itself, and nobody sees how long one is silent",
        ),
        refused: "",
    },
    LimitRow {
        limit: Limit::Handles,
        key: "Handles",
        unit: "handles",
        per: "instance",
        least: 16,
        most: 1_000_000,
        available: Available::Run,
        guest_wall: "component handles and table capacity",
        kernel_wall: "RLIMIT_NOFILE",
        native: Native::Kernel("RLIMIT_NOFILE"),
        refused: "a native program beyond it sees EMFILE, and the record cannot name it",
    },
    LimitRow {
        limit: Limit::OutputRate,
        key: "OutputRate",
        unit: "bytes a second",
        per: "run",
        least: 1,
        most: 1024 * GIB,
        available: Available::Run,
        guest_wall: "the stream waits",
        kernel_wall: "the pipe waits",
        native: Native::Worker,
        refused: "",
    },
    LimitRow {
        limit: Limit::OutputSize,
        key: "OutputSize",
        unit: "bytes",
        per: "run",
        least: 0,
        most: 1024 * GIB,
        available: Available::Run,
        guest_wall: "the run ends at the first byte too many",
        kernel_wall: "reading stops and the run is killed",
        native: Native::Worker,
        refused: "",
    },
    LimitRow {
        limit: Limit::Processes,
        key: "Processes",
        unit: "processes",
        per: "job; WebAssembly has none",
        least: 1,
        most: 1_000_000,
        available: Available::Run,
        guest_wall: "none: a guest has no processes",
        kernel_wall: "RLIMIT_NPROC in its own user namespace, or pids.max where there is a control group",
        native: Native::Kernel("RLIMIT_NPROC"),
        refused: "a program beyond it sees EAGAIN, and the record names it only where a control group counts",
    },
    LimitRow {
        limit: Limit::Message,
        key: "Message",
        unit: "bytes",
        per: "service call",
        least: 1,
        most: 4 << 20,
        available: Available::NotYet,
        guest_wall: "checked on both ends",
        kernel_wall: "none",
        native: Native::Worker,
        refused: "",
    },
];

impl Limit {
    /// The registry's row.
    pub fn row(self) -> &'static LimitRow {
        LIMITS.iter().find(|row| row.limit == self).expect("every limit has a row; a test walks them")
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.row().key)
    }
}

/// The limits of one job; `None` is no limit of the job's own (wjob's own bounds still hold).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    /// Seconds.
    pub cpu_time: Option<u64>,
    /// Seconds.
    pub run_time: Option<u64>,
    /// Instances at once.
    pub instances: Option<u64>,
    /// Connections at once from one address.
    pub connections_per_source: Option<u64>,
    /// Connections a second.
    pub connection_rate: Option<u64>,
    /// Seconds.
    pub idle_time: Option<u64>,
    /// Handles.
    pub handles: Option<u64>,
    /// Bytes a second.
    pub output_rate: Option<u64>,
    /// Bytes.
    pub output_size: Option<u64>,
    /// Processes.
    pub processes: Option<u64>,
    /// Bytes of a service call.
    pub message: Option<u64>,
}

impl Limits {
    /// The place of a limit's value.
    pub fn slot(&mut self, limit: Limit) -> &mut Option<u64> {
        match limit {
            Limit::Memory => &mut self.memory,
            Limit::CpuTime => &mut self.cpu_time,
            Limit::RunTime => &mut self.run_time,
            Limit::Instances => &mut self.instances,
            Limit::ConnectionsPerSource => &mut self.connections_per_source,
            Limit::ConnectionRate => &mut self.connection_rate,
            Limit::IdleTime => &mut self.idle_time,
            Limit::Handles => &mut self.handles,
            Limit::OutputRate => &mut self.output_rate,
            Limit::OutputSize => &mut self.output_size,
            Limit::Processes => &mut self.processes,
            Limit::Message => &mut self.message,
        }
    }
}

/// A kernel resource limit, by launchd's name in Soft- and HardResourceLimits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// RLIMIT_CORE
    Core,
    /// RLIMIT_CPU
    Cpu,
    /// RLIMIT_DATA
    Data,
    /// RLIMIT_FSIZE
    FileSize,
    /// RLIMIT_MEMLOCK
    MemoryLock,
    /// RLIMIT_NOFILE
    NumberOfFiles,
    /// RLIMIT_NPROC
    NumberOfProcesses,
    /// RLIMIT_RSS
    ResidentSetSize,
    /// RLIMIT_STACK
    Stack,
}

/// A row of the table of resource limits: launchd's name, the kernel's, and the limit of ours it maps onto.
pub struct ResourceRow {
    /// Which.
    pub resource: Resource,
    /// launchd's key (launchd.plist(5), SoftResourceLimits).
    pub key: &'static str,
    /// The name in /proc/PID/limits (proc_pid_limits(5)).
    pub proc_name: &'static str,
    /// The limit of ours that holds the same thing in the guest.
    pub limit: Option<Limit>,
}

/// The table.
pub const RESOURCES: &[ResourceRow] = &[
    ResourceRow { resource: Resource::Core, key: "Core", proc_name: "Max core file size", limit: None },
    ResourceRow { resource: Resource::Cpu, key: "CPU", proc_name: "Max cpu time", limit: Some(Limit::CpuTime) },
    ResourceRow { resource: Resource::Data, key: "Data", proc_name: "Max data size", limit: Some(Limit::Memory) },
    ResourceRow { resource: Resource::FileSize, key: "FileSize", proc_name: "Max file size", limit: None },
    ResourceRow { resource: Resource::MemoryLock, key: "MemoryLock", proc_name: "Max locked memory", limit: None },
    ResourceRow {
        resource: Resource::NumberOfFiles,
        key: "NumberOfFiles",
        proc_name: "Max open files",
        limit: Some(Limit::Handles),
    },
    ResourceRow {
        resource: Resource::NumberOfProcesses,
        key: "NumberOfProcesses",
        proc_name: "Max processes",
        limit: Some(Limit::Processes),
    },
    ResourceRow {
        resource: Resource::ResidentSetSize,
        key: "ResidentSetSize",
        proc_name: "Max resident set",
        limit: None,
    },
    ResourceRow { resource: Resource::Stack, key: "Stack", proc_name: "Max stack size", limit: None },
];

impl Resource {
    /// The table's row.
    pub fn row(self) -> &'static ResourceRow {
        RESOURCES.iter().find(|row| row.resource == self).expect("every resource has a row; a test walks them")
    }
}

/// One resource limit to set; `None` leaves that half as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimit {
    /// Which.
    pub resource: Resource,
    /// The soft half.
    pub soft: Option<u64>,
    /// The hard half.
    pub hard: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_one_row_and_one_slot() {
        let mut limits = Limits::default();
        for row in LIMITS {
            assert_eq!(row.limit.row().key, row.key);
            assert!(row.least <= row.most);
            let by_the_kernel_alone = matches!(row.limit, Limit::Memory | Limit::Handles | Limit::Processes);
            assert_eq!(!row.refused.is_empty(), by_the_kernel_alone, "{}", row.key);
            let by_a_resource_limit = RESOURCES.iter().any(|resource| resource.limit == Some(row.limit));
            assert_eq!(matches!(row.native, Native::Kernel(_)), by_a_resource_limit, "{}", row.key);
            *limits.slot(row.limit) = Some(row.most);
        }
        for row in LIMITS {
            assert_eq!(*limits.slot(row.limit), Some(row.most), "{} has its own slot", row.key);
        }
    }

    #[test]
    fn every_resource_has_one_row() {
        for row in RESOURCES {
            assert_eq!(row.resource.row().key, row.key);
        }
    }
}
