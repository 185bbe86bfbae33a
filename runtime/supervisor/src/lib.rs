//! The supervisor: events in, `model` decides, actions out. It makes processes, owns the compiled cache and reads
//! walls back; it parses no byte of a job file, a program or a guest's output, and is never on the data path.
//!
//! `wjob run` is this loop with one job in it, in the caller's process. It waits with poll(2): one job needs no
//! runtime, and starting one would be the dearest thing it does.

#![deny(unsafe_op_in_unsafe_fn)]

mod accounts;
mod attempt;
mod cache;
mod compile;
mod control {
    //! The control socket's clients.
    pub(crate) mod clients;
    pub(crate) mod connection;
}
mod daemon;
mod environment;
mod helper;
pub mod listen;
mod mounts;
mod order;
mod places;
mod program;
mod resolve;
mod run;
mod run_error;
mod signals;
mod spawn;
mod trust;
mod watch;

pub use cache::Cache;
pub use compile::{CompileError, compiled};
pub use daemon::{Begun, Daemon, Resumed, Settings, SetupError, begun, read_state, tell_version};
pub use environment::environment;
pub use order::{Order, Reporter, Silent, Tools};
pub use places::Places;
pub use program::{Found, ProgramError, find};
pub use run::run;
pub use run_error::RunError;
pub use spawn::{Identity, Image, Usage};
