//! The guest SDK of wjob: entry points, connections, sockets and the end of a run, for jobs written in Rust.
//!
//! It wraps `wjob:service`, `wasi:cli/run` and `wasi:http/handler` in plain types. It grants nothing: what a job may do
//! stands in its job file, and everything here only asks. It has no runtime of its own; tasks run on the one that
//! wit-bindgen brings.
//!
//! A service that echoes:
//!
//! ```
//! use wjob_sdk::{Connection, Error, copy};
//!
//! wjob_sdk::connection_handler!(echo);
//!
//! async fn echo(connection: Connection) -> Result<(), Error> {
//!     let (mut reader, mut writer) = connection.split();
//!     copy(&mut reader, &mut writer).await?;
//!     writer.finish().await
//! }
//! # let (connection, client) = wjob_sdk::testing::connection("hello");
//! # wjob_sdk::testing::run(echo(connection)).unwrap();
//! # assert_eq!(client.received(), b"hello");
//! ```
//!
//! A job's crate has `crate-type = ["cdylib"]` and is built for `wasm32-wasip2`. A `main` of the standard library is
//! exported as a function that must not wait for anything asynchronous, so a job that uses this crate starts at one of
//! the macros instead: [`command!`], [`connection_handler!`] or [`http!`].
//!
//! On other hosts than WebAssembly everything here compiles too and works on doubles in memory, which `testing` sets
//! up; the examples of this documentation run on them. With the feature `harness` a test runs the component itself,
//! under wjob.

// Not `forbid`: the generated bindings need what this denies, and lie in a module of their own.
#![deny(unsafe_code)]

pub mod activation;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
pub mod connect;
pub mod connection;
#[doc(hidden)]
pub mod entry;
mod error;
#[cfg(all(feature = "harness", target_os = "linux"))]
pub mod harness;
mod host;
#[cfg(feature = "http")]
pub mod http;
pub mod lifecycle;
#[cfg(any(feature = "log", feature = "tracing"))]
pub mod logging;
mod peer;
mod spawn;
mod stderr;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

/// The examples of the README, which are tried as those here are; one of them is of the harness.
#[cfg(all(doctest, feature = "harness", target_os = "linux"))]
#[doc = include_str!("../README.md")]
struct OfReadme;

pub use connection::{Blocking, Connection, Reader, Writer, copy};
pub use entry::Outcome;
pub use error::Error;
pub use peer::{IpAddress, LocalProcess, Peer};
pub use spawn::spawn;
