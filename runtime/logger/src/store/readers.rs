//! The connections that read, shared by all clients: one is lent for a page at a time, so that no client, however
//! slow, holds a view of the database that keeps it from being tidied.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::StoreError;

/// The connections.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    free: Vec<Connection>,
    all: usize,
}

impl Readers {
    /// Puts connections in.
    pub fn fill(&self, connections: Vec<Connection>) {
        let mut pool = self.pool();
        pool.all += connections.len();
        pool.free.extend(connections);
    }

    /// Lends a connection, waiting for one if all are lent.
    ///
    /// # Errors
    /// When there is no database, or the work fails.
    pub fn lend<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let connection = self.take()?;
        let result = work(&connection);
        self.pool().free.push(connection);
        self.returned.notify_one();
        result
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let mut pool = self.pool();
        loop {
            if let Some(connection) = pool.free.pop() {
                return Ok(connection);
            }
            if pool.all == 0 {
                return Err(StoreError::Closed);
            }
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
