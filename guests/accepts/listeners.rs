//! Accepting, until the host gives no more or the listeners are to be given up. A guest cannot shut a socket down: all
//! it can do is let go of it, and then nobody of this run accepts there any more.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, Waker};

use wjob_sdk::activation::Listener;
use wjob_sdk::{Error, spawn};

use crate::serve;

thread_local! {
    /// Whether the listeners are to be given up.
    static CLOSED: Cell<bool> = const { Cell::new(false) };
    /// Those who accept meanwhile.
    static ACCEPTING: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Serves everybody who comes; each connection beside the others.
pub async fn accept_all(listener: Listener) -> Result<(), Error> {
    loop {
        match unless_closed(listener.accept()).await {
            Some(Ok(connection)) => spawn(serve(connection)),
            Some(Err(Error::Closed)) | None => return Ok(()),
            Some(Err(error)) => return Err(error),
        }
    }
}

/// Gives up all listeners.
pub fn close() {
    CLOSED.set(true);
    ACCEPTING.take().into_iter().for_each(Waker::wake);
}

/// What comes of some work, unless the listeners are given up before.
async fn unless_closed<Work: Future>(work: Work) -> Option<Work::Output> {
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if CLOSED.get() {
            return Poll::Ready(None);
        }
        ACCEPTING.with_borrow_mut(|accepting| {
            // One is enough of each, however often it is asked.
            if !accepting.iter().any(|waker| waker.will_wake(context.waker())) {
                accepting.push(context.waker().clone());
            }
        });
        Poll::Pending
    })
    .await
}
