//! The control socket's contract: what can be asked of a supervisor, by whom, and what is answered. It opens no
//! socket; the supervisor serves it and the command line calls it.

mod types;

pub use types::*;
