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

/// Serves one connection to its end. What it spawned is not waited for: in an instance that serves several connections it
/// may be another's, whose end cannot be told of here.
pub async fn connection(handle: impl Future<Output = impl Outcome>) {
    handle.await.report();
    flush();
}

/// Lets out what the standard library holds back. There is nobody to tell when it cannot.
fn flush() {
    let _ = io::stdout().flush();
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::rc::Rc;
    use std::task::Poll;

    use super::*;
    use crate::testing;

    /// Work that takes more than one turn, and the sign that it is done.
    fn work() -> (impl Future<Output = ()> + 'static, Rc<Cell<bool>>) {
        let done = Rc::new(Cell::new(false));
        let (sign, mut turns) = (done.clone(), 3);
        let work = poll_fn(move |context| {
            turns -= 1;
            context.waker().wake_by_ref();
            sign.set(turns == 0);
            if turns == 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        (work, done)
    }

    #[test]
    fn a_command_waits_for_what_it_spawned_and_a_connection_does_not() {
        let (spawned, done) = work();
        assert!(testing::run(command(async { crate::spawn(spawned) })));
        assert!(done.get());
        let (spawned, done) = work();
        testing::run(connection(async { crate::spawn(spawned) }));
        assert!(!done.get());
    }
}
