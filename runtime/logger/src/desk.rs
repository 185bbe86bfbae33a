//! What the writing side and those who answer queries share: connections that read, the news that something was
//! written, and who is served.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::query::Slots;
use crate::store::Readers;

/// Shared by all threads.
#[derive(Debug)]
pub(crate) struct Desk {
    /// This build.
    pub build: &'static str,
    /// The user whose domain it is.
    pub owner: u32,
    /// Connections that read.
    pub readers: Readers,
    /// That something was written.
    pub news: News,
    /// Places for clients.
    pub slots: Arc<Slots>,
}

impl Desk {
    /// An empty one.
    pub fn new(build: &'static str, owner: u32) -> Self {
        Self { build, owner, readers: Readers::default(), news: News::default(), slots: Arc::default() }
    }
}

/// Counts what was written, for those who wait for more.
#[derive(Debug, Default)]
pub(crate) struct News {
    count: Mutex<u64>,
    changed: Condvar,
}

impl News {
    /// Something was written.
    pub fn announce(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// How often something was written; to be asked before reading, so that nothing is missed.
    pub fn count(&self) -> u64 {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something was written since the count was `seen`, or for so long.
    pub fn wait(&self, seen: u64, most: Duration) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(count, most, |count| *count == seen);
        // Why it woke does not matter: whoever waited looks.
        drop(waited);
    }
}
