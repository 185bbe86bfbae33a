//! A stand-in for wjob in memory, for tests on hosts that are not WebAssembly. `testing` sets it up. What is to come
//! over a connection or a socket is there from the beginning, and then it ends; it enforces no grant and no limit.
//!
//! Its state is the thread's own, so that tests that run side by side do not meet.

mod connection;
mod executor;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{pending, poll_fn};
use std::mem;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

pub(crate) use self::connection::{Connection, Incoming, Outgoing, Wire, wire};
pub(crate) use self::executor::{block_on, spawn};
use crate::Error;
use crate::activation::{Datagram, Sender, Socket};

thread_local! {
    static STAGE: RefCell<Stage> = RefCell::default();
}

/// What the doubles of a thread share.
#[derive(Default)]
pub(crate) struct Stage {
    /// What the check-in gives.
    pub(crate) sockets: Vec<Socket>,
    /// Whether it was asked for.
    pub(crate) checked_in: bool,
    /// Who answers at which URL.
    pub(crate) servers: BTreeMap<String, crate::Connection>,
    /// Whether the run was asked to stop.
    pub(crate) stopped: bool,
    /// Who waits for that.
    pub(crate) waiting: Vec<Waker>,
    /// What was spawned and has not had a turn yet.
    spawned: Vec<executor::Task>,
}

/// Uses the state of this thread; never while something is polled.
pub(crate) fn stage<T>(use_it: impl FnOnce(&mut Stage) -> T) -> T {
    STAGE.with_borrow_mut(use_it)
}

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) name: String,
    pub(crate) connections: Mutex<VecDeque<crate::Connection>>,
}

impl Listener {
    pub(crate) fn socket(&self) -> String {
        self.name.clone()
    }

    pub(crate) fn address(&self) -> String {
        "tcp://127.0.0.1:8080".into()
    }

    pub(crate) async fn accept(&self) -> Result<crate::Connection, Error> {
        next(&self.connections)
    }
}

#[derive(Debug)]
pub(crate) struct Datagrams {
    pub(crate) name: String,
    pub(crate) received: Mutex<VecDeque<Datagram>>,
    pub(crate) sent: Arc<Mutex<Vec<Datagram>>>,
}

impl Datagrams {
    pub(crate) fn socket(&self) -> String {
        self.name.clone()
    }

    pub(crate) fn address(&self) -> String {
        "udp://127.0.0.1:8080".into()
    }

    pub(crate) async fn receive(&self) -> Result<Datagram, Error> {
        next(&self.received)
    }

    pub(crate) async fn send(&self, datagram: Datagram) -> Result<(), Error> {
        if datagram.peer == Sender::Unnamed {
            return Err(Error::Invalid);
        }
        self.sent.lock().map_err(|_| Error::Other)?.push(datagram);
        Ok(())
    }
}

/// What comes next on a socket. The one whose turn it is after the last finds the run idle.
fn next<T>(queue: &Mutex<VecDeque<T>>) -> Result<T, Error> {
    queue.lock().map_err(|_| Error::Other)?.pop_front().ok_or(Error::Closed)
}

#[derive(Debug)]
pub(crate) struct Transaction;

impl Transaction {
    pub(crate) fn begin() -> Self {
        Self
    }
}

pub(crate) fn check_in() -> Result<Vec<Socket>, Error> {
    stage(|stage| match mem::replace(&mut stage.checked_in, true) {
        true => Err(Error::Invalid),
        false => Ok(mem::take(&mut stage.sockets)),
    })
}

pub(crate) fn reason() -> Vec<String> {
    vec!["a test".into()]
}

pub(crate) async fn open(url: String) -> Result<crate::Connection, Error> {
    stage(|stage| stage.servers.remove(&url)).ok_or(Error::Unreachable)
}

pub(crate) async fn termination() {
    poll_fn(|context| {
        stage(|stage| match stage.stopped {
            true => Poll::Ready(()),
            false => {
                stage.waiting.push(context.waker().clone());
                Poll::Pending
            }
        })
    })
    .await;
}

/// Never: a test knows no time.
pub(crate) async fn idle() {
    pending().await
}
