//! Work beside the work at hand: several connections at once in one run. It counts what was spawned, so that a command
//! returns only when all of it has ended; it neither limits how much there is nor hands results back.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use crate::entry::Outcome;
use crate::host;

thread_local! {
    /// What is under way in this instance.
    static UNDER_WAY: RefCell<UnderWay> = const { RefCell::new(UnderWay { count: 0, waiting: None }) };
}

/// How much is under way, and who waits for its end.
struct UnderWay {
    count: usize,
    waiting: Option<Waker>,
}

/// Runs a future beside the present one, taking turns with it wherever either waits. An error it ends with is written
/// to standard error, as that of an entry point is.
///
/// A [`command!`](crate::command) returns once all that was spawned has ended too. A connection or a request ends when
/// its handler returns, so a handler waits for its own work instead of spawning it. Work of one connection or request
/// cannot wake that of another in the same instance; what they share must not be waited for.
///
/// ```
/// use wjob_sdk::activation::{self, Listener};
/// use wjob_sdk::{Connection, Error, spawn};
///
/// async fn serve(listener: Listener) -> Result<(), Error> {
///     loop {
///         match listener.accept().await {
///             Ok(connection) => spawn(greet(connection)),
///             Err(Error::Closed) => return Ok(()),
///             Err(error) => return Err(error),
///         }
///     }
/// }
///
/// async fn greet(mut connection: Connection) -> Result<(), Error> {
///     connection.write_all(b"hello\n").await?;
///     connection.finish().await
/// }
/// # use wjob_sdk::testing;
/// # let (connection, client) = testing::connection("");
/// # testing::hand_over([testing::listener("Listeners", [connection])]);
/// # let listener = activation::check_in().unwrap().listener("Listeners").unwrap();
/// # testing::run(wjob_sdk::entry::command(serve(listener)));
/// # assert_eq!(client.received(), b"hello\n");
/// ```
pub fn spawn(work: impl Future<Output = impl Outcome> + 'static) {
    // Made here and not inside the work, so that work which is dropped before its first turn is counted out too.
    let begun = Begun::new();
    host::spawn(async move {
        work.await.report();
        drop(begun);
    });
}

/// Waits until nothing that was spawned is under way.
pub(crate) async fn all_ended() {
    poll_fn(|context| {
        UNDER_WAY.with_borrow_mut(|under_way| match under_way.count {
            0 => Poll::Ready(()),
            _ => {
                under_way.waiting = Some(context.waker().clone());
                Poll::Pending
            }
        })
    })
    .await;
}

/// One piece of work that has begun; dropping it ends it.
struct Begun;

impl Begun {
    fn new() -> Self {
        UNDER_WAY.with_borrow_mut(|under_way| under_way.count += 1);
        Self
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // Nobody waits any more where the thread itself is ending.
        let waiting = UNDER_WAY.try_with(|under_way| {
            let mut under_way = under_way.borrow_mut();
            under_way.count -= 1;
            if under_way.count == 0 { under_way.waiting.take() } else { None }
        });
        if let Ok(Some(waker)) = waiting {
            waker.wake();
        }
    }
}
