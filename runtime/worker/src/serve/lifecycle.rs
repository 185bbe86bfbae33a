//! Where a run is on its way to its end, and the work that must not be cut off by it: connections and the guest's own
//! transactions. Who ends it, and when that is too late, is `wasm`'s business.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

/// How far it is; it only goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Clients are welcome.
    #[default]
    Open,
    /// It has had no work for so long that it gives its sockets back.
    Idle,
    /// Another worker takes its sockets over.
    Draining,
    /// It is to stop.
    Stopping,
}

/// The run's way to its end, shared by all that belong to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lifecycle(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    phase: watch::Sender<Phase>,
    open: AtomicUsize,
    /// When the last work ended.
    rested: Mutex<Option<Instant>>,
    changed: Notify,
}

/// Work under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Work(Lifecycle);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.touch();
        if self.0.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.0.changed.notify_waiters();
        }
    }
}

impl Lifecycle {
    /// Goes on to `phase`, or stays where it is when that is further.
    pub fn reach(&self, phase: Phase) {
        self.0.phase.send_if_modified(|now| {
            let further = phase > *now;
            *now = phase.max(*now);
            further
        });
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        *self.0.phase.borrow()
    }

    /// Resolves once it is at `phase` or further.
    pub async fn reached(&self, phase: Phase) {
        // The sender is in this very value, so it cannot be gone.
        let _ = self.0.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Resolves when it is found idle; never, when it ends otherwise.
    pub async fn is_idle(&self) {
        let _ = self.0.phase.subscribe().wait_for(|now| *now == Phase::Idle).await;
    }

    /// Work begins. Whoever takes a client in has it begin before, and looks at the phase then: so no client is taken
    /// in by a run that has just been found idle.
    pub fn begin(&self) -> Work {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        Work(self.clone())
    }

    /// Something was done that took no time: it is not idle.
    pub fn touch(&self) {
        *self.0.rested.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Resolves when no work is under way.
    pub async fn rest(&self) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if self.0.open.load(Ordering::Acquire) == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Resolves when there has been no work for `timeout`.
    pub async fn idle(&self, timeout: Duration) {
        self.touch();
        loop {
            self.rest().await;
            let rested = *self.0.rested.lock().unwrap_or_else(PoisonError::into_inner);
            let left = rested.map_or(timeout, |rested| timeout.saturating_sub(rested.elapsed()));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn it_only_goes_on() {
        let lifecycle = Lifecycle::default();
        for (reach, at) in [
            (Phase::Open, Phase::Open),
            (Phase::Draining, Phase::Draining),
            (Phase::Idle, Phase::Draining),
            (Phase::Stopping, Phase::Stopping),
        ] {
            lifecycle.reach(reach);
            assert_eq!(lifecycle.phase(), at);
        }
        block_on(lifecycle.reached(Phase::Idle));
    }

    #[test]
    fn it_rests_when_all_work_is_done() {
        let lifecycle = Lifecycle::default();
        let (one, other) = (lifecycle.begin(), lifecycle.begin());
        drop(one);
        let waits = async {
            tokio::select! {
                biased;
                () = lifecycle.rest() => true,
                () = std::future::ready(()) => false,
            }
        };
        assert!(!block_on(waits));
        drop(other);
        block_on(lifecycle.rest());
    }
}
