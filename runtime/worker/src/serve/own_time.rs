//! Processor time of one instance among many: that of its thread while it is polled. A thread polls one at a time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time of one instance so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnTime(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Nanoseconds of all earlier polls.
    spent: AtomicU64,
    /// The thread's time at the beginning of the poll that is under way.
    since: AtomicU64,
}

impl OwnTime {
    /// The time so far; asked while the instance is polled.
    pub fn so_far(&self) -> Duration {
        let earlier = self.0.spent.load(Ordering::Relaxed);
        let now = thread_time().saturating_sub(self.0.since.load(Ordering::Relaxed));
        Duration::from_nanos(earlier.saturating_add(now))
    }

    /// It runs from here on.
    pub fn enter(&self) {
        self.0.since.store(thread_time(), Ordering::Relaxed);
    }

    /// It runs no more.
    pub fn leave(&self) {
        let since = self.0.since.load(Ordering::Relaxed);
        self.0.spent.fetch_add(thread_time().saturating_sub(since), Ordering::Relaxed);
    }

    /// Counts what `future` takes; one without a limit need not be counted.
    pub async fn during<F: Future>(&self, counted: bool, future: F) -> F::Output {
        if !counted {
            return future.await;
        }
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|context| self.poll(future.as_mut(), context)).await
    }

    fn poll<F: Future>(&self, future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.enter();
        let polled = future.poll(context);
        self.leave();
        polled
    }
}

/// Nanoseconds.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let time = Duration::try_from(time).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_while_it_is_polled_counts() {
        let time = OwnTime::default();
        let work = async {
            let began = thread_time();
            while thread_time() < began + 2_000_000 {}
        };
        futures::executor::block_on(time.during(true, work));
        let spent = time.0.spent.load(Ordering::Relaxed);
        assert!(spent >= 2_000_000);
        let began = thread_time();
        while thread_time() < began + 2_000_000 {}
        assert_eq!(time.0.spent.load(Ordering::Relaxed), spent);
    }
}
