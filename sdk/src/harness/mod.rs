//! A guest under test: built, run in a supervisor that is thrown away, and reached as its clients reach it. What it is
//! granted is said in the test; the job file of the crate is not read, so that no port of it has to be free.
//!
//! It shows what [`testing`](crate::testing) cannot: that the component links, that the grants suffice, and what
//! happens at a limit. It starts `wjob run` and judges nothing: what should come of a run is the test's to say.
//!
//! The feature `harness` brings it, for `[dev-dependencies]` alone, on Linux alone. `wjob` is the one in the variable
//! `WJOB`, or else the one in `PATH`.
//!
//! ```
//! # const COMPONENT: &str = "echo";
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
//! use std::io::{Read, Write};
//! use std::net::Shutdown;
//!
//! # fn main() -> Result<(), Error> {
//! let service = Guest::build()?.listen_tcp().limit("RunTime", 60).start()?;
//! let mut client = service.connect()?;
//! client.write_all(b"hello\n")?;
//! client.shutdown(Shutdown::Write)?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert_eq!(answer, "hello\n");
//! service.stop()?;
//! # Ok(())
//! # }
//! ```
//!
//! Every wait has a bound, so that a test fails and does not hang; a guest that a test forgets ends with its value.

mod address;
mod component;
mod error;
mod exit;
mod folder;
mod gathered;
mod guest;
mod process;
mod running;

pub use self::address::Address;
pub use self::error::Error;
pub use self::exit::Exit;
pub use self::gathered::{Gathered, Waited};
pub use self::guest::{Access, Guest};
pub use self::running::Running;
