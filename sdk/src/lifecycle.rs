//! The end of a run: hearing of it, putting it off while work is under way, and noticing that there is none. It ends
//! nothing by itself; a run ends when its entry point returns.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use crate::host;

/// Resolves when the run is asked to stop. The job then has its `ExitTimeOut` to return; one that never asks for this
/// is ended at once.
///
/// ```
/// use wjob_sdk::{lifecycle, testing};
///
/// testing::stop();
/// testing::run(lifecycle::termination());
/// ```
pub async fn termination() {
    host::termination().await;
}

/// Resolves when the run has been without work for its job's `TimeOut`. No more connections are accepted then, and
/// returning gives the sockets back until there is something to do again.
///
/// ```
/// use wjob_sdk::lifecycle;
///
/// async fn until_nothing_is_left() {
///     lifecycle::idle().await;
///     println!("nothing to do");
/// }
/// ```
pub async fn idle() {
    host::idle().await;
}

/// Does some work until it is done or the run is to end: asked to stop, or idle. `None` means that the run is to end;
/// the work was dropped then, with what it had read or accepted and not yet passed on.
///
/// ```
/// use std::future::pending;
/// use wjob_sdk::{lifecycle, testing};
///
/// assert_eq!(testing::run(lifecycle::until_stopped(async { 7 })), Some(7));
/// testing::stop();
/// assert_eq!(testing::run(lifecycle::until_stopped(pending::<u8>())), None);
/// ```
pub async fn until_stopped<Work: Future>(work: Work) -> Option<Work::Output> {
    let mut work = pin!(work);
    let mut termination = pin!(termination());
    let mut idle = pin!(idle());
    poll_fn(|context| {
        // The work first: what is done counts, even when the end has come too.
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        let asked = termination.as_mut().poll(context).is_ready();
        match asked || idle.as_mut().poll(context).is_ready() {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    })
    .await
}

/// Work that is under way, from its beginning until this is dropped. A run with none may be stopped at once, and is
/// ended once it has had none, and no connection, for the job's `TimeOut`.
///
/// ```
/// use wjob_sdk::lifecycle::Transaction;
///
/// fn store(record: &str) {
///     let _work = Transaction::begin();
///     println!("{record} is being written; a stop waits until it is");
/// }
/// # store("one");
/// ```
#[derive(Debug)]
#[must_use = "the work is over as soon as this is dropped"]
pub struct Transaction {
    _work: host::Transaction,
}

impl Transaction {
    /// Says that work begins.
    ///
    /// ```
    /// let work = wjob_sdk::lifecycle::Transaction::begin();
    /// drop(work);
    /// ```
    pub fn begin() -> Self {
        Self { _work: host::Transaction::begin() }
    }
}
