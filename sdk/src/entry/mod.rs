//! What the macros expand to. It is public because they expand in the crates of others, and hidden because nobody else
//! calls it: it may change whenever the macros do.
//!
//! Whatever an entry point ends with is reported here in one way: an error as a line on standard error. Standard output
//! is flushed, because a component has no end of its own at which the standard library would do it.

mod command;
mod connection_handler;
#[cfg(feature = "http")]
mod http;
mod outcome;

use std::io::{self, Write};

#[cfg(feature = "http")]
pub use self::http::answered;
#[cfg(all(feature = "http", target_arch = "wasm32"))]
pub use self::http::{WasiError, WasiRequest, WasiResponse, accepted, sent};
pub use self::outcome::Outcome;
#[cfg(target_arch = "wasm32")]
pub use crate::bindings::imports::wjob::service::types::Connection as RawConnection;
use crate::spawn;
#[cfg(target_arch = "wasm32")]
pub use wasip3;

/// Runs a command and all it spawned to their end; whether the command went well.
pub async fn command(main: impl Future<Output = impl Outcome>) -> bool {
    let well = main.await.report();
    spawn::all_ended().await;
    flush();
    well
}

/// Serves one connection to its end.
pub async fn connection(handle: impl Future<Output = impl Outcome>) {
    handle.await.report();
    flush();
}

/// Lets out what the standard library holds back. There is nobody to tell when it cannot.
fn flush() {
    let _ = io::stdout().flush();
}
