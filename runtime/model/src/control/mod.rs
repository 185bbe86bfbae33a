//! The control socket's contract: what can be asked of a supervisor, by whom, and what is answered. It opens no
//! socket; the supervisor serves it and the command line calls it.

mod failure;
mod method;
#[cfg(test)]
mod tests;
mod types;
pub mod who;

pub use failure::{Failure, Words};
pub use method::{METHODS, Method, MethodRow};
pub use types::*;

/// The interface's name.
pub const INTERFACE: &str = "io.wjob";

/// The interface in Varlink's words: what any client can be told, and the list of all calls, types and errors.
pub const DESCRIPTION: &str = include_str!("io.wjob.varlink");
