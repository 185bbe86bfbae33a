//! The logger: reads what jobs write, keeps it and the list of runs in a database, and answers who may ask. It is a
//! process of its own, and the only part with SQLite in it: what jobs say is never in the supervisor's memory.
//!
//! One thread reads and writes (`collect`), another accepts clients, and each client has one (`query`). The reading
//! never waits: not for a job, not for a client, not for the disk to have room again (`keeper`).

#![deny(unsafe_op_in_unsafe_fn)]

mod batch;
mod collect;
mod desk;
mod keeper;
mod lines;
mod pipes;
mod query;
#[cfg(test)]
mod scene;
mod start;
mod store;
mod watch;

pub use start::main;

/// Name by which the `wjob` file knows that it is to be the logger.
pub const NAME: &str = "wjob-logger";
