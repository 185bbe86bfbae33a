//! The engine: one configuration for compiling and running, since code compiled under another does not load.

use std::os::fd::{AsRawFd, OwnedFd};

use wasmtime::component::Component;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, Module, OptLevel, PoolingAllocationConfig};
use wjob_model::message::{Fault, StartFailure};

/// Frames of a back-trace that are worth showing.
const FRAMES: usize = 32;

/// What one instance takes from the pool at most: more than the components that were looked at have (a Rust program:
/// 3 instances, 1 memory, 2 tables). Whoever has more is served without a pool.
const INSTANCES: u32 = 24;
const MEMORIES: u32 = 2;
const TABLES: u32 = 12;
const TABLE_ELEMENTS: usize = 20_000;
/// Bytes of each memory, table and stack that stay with the pool after an instance, cleared: giving pages back to the
/// kernel stops every thread of the process.
const KEPT: usize = 1 << 20;
const KEPT_STACK: usize = 64 << 10;

/// A pool of places for instances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    /// How many at once.
    pub instances: u32,
    /// Largest memory of one, bytes.
    pub memory: usize,
}

impl Pool {
    /// Most places of a pool: each takes a system call to make.
    pub const MOST: u32 = 64;

    fn strategy(self) -> InstanceAllocationStrategy {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(self.instances)
            .total_core_instances(self.instances.saturating_mul(INSTANCES))
            .total_memories(self.instances.saturating_mul(MEMORIES))
            .total_tables(self.instances.saturating_mul(TABLES))
            .total_stacks(self.instances)
            .max_memory_size(self.memory)
            .table_elements(TABLE_ELEMENTS)
            .linear_memory_keep_resident(KEPT)
            .table_keep_resident(KEPT_STACK)
            .async_stack_keep_resident(KEPT_STACK)
            .pagemap_scan(Enabled::Auto);
        InstanceAllocationStrategy::Pooling(pool)
    }

    /// Whether an instance of a component finds its place in the pool.
    pub fn fits(self, component: &Component) -> bool {
        component.resources_required().is_some_and(|needs| {
            let small = |needed: Option<u64>, most: u64| needed.is_none_or(|needed| needed <= most);
            needs.num_memories <= MEMORIES
                && needs.num_tables <= TABLES
                && small(needs.max_initial_memory_size, self.memory as u64)
                && small(needs.max_initial_table_size, TABLE_ELEMENTS as u64)
        })
    }
}

/// The engine of every role, for one instance or from a pool for many.
///
/// # Errors
/// When the processor lacks what the engine needs, or there is no room for the pool.
pub(crate) fn engine(pool: Option<Pool>) -> Result<Engine, StartFailure> {
    let mut config = Config::new();
    if let Some(pool) = pool {
        config.allocation_strategy(pool.strategy());
    }
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(FRAMES));
    Engine::new(&config).map_err(|error| StartFailure::own("the engine", format!("{error:#}")))
}

/// Loads compiled code by descriptor.
macro_rules! load {
    ($name:ident, $type:ty) => {
        /// Loads what the compile role made of a program.
        ///
        /// # Errors
        /// When it was compiled by another build: it must be compiled anew.
        pub(crate) fn $name(engine: &Engine, code: &OwnedFd) -> Result<$type, StartFailure> {
            let path = format!("/proc/self/fd/{}", code.as_raw_fd());
            // SAFETY: the supervisor handed this descriptor, read-only, of a file that it authenticated by its
            // keyed tag (or has just received from its own compile role), in a folder nobody else can enter.
            let loaded = unsafe { <$type>::deserialize_file(engine, path) };
            loaded.map_err(|error| {
                StartFailure::new(Fault::Stale, "loading compiled code", format!("{error:#}"), "compile it again")
            })
        }
    };
}

load!(component, Component);
load!(module, Module);
