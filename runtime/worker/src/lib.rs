//! The worker: hosts a job's instances, or becomes its native program, behind the walls it puts up around itself.
//! It knows only what it was handed, and is the only part with the engine in it.
//!
//! The order of a start is law (see `start`): open as the job's user, load code, walls, proof, `Go`, and only
//! then threads, runtime and guest. Each interface of the WASI wall has its file under `wasi`.

#![deny(unsafe_op_in_unsafe_fn)]

mod account;
mod command;
mod compile;
mod denial;
mod engine;
mod halt;
mod handed;
mod inetd;
pub mod inspect;
mod instance;
mod label;
mod limiter;
mod module;
mod native;
mod open;
mod output;
mod panics;
mod preopens;
mod readiness;
mod relay;
mod resolve;
mod role;
mod serve;
mod served;
mod spent;
mod start;
mod state;
mod stdio;
mod ticks;
mod transactions;
mod used;
mod wasi;
mod wasm;

pub use start::main;
