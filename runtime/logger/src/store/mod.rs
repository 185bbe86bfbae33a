//! The database: lines and runs, within bounds. It says what cannot be done and why; what then happens to the lines
//! is `keeper`'s business. Everything that changes it is one transaction, its bounds included.

mod bounds;
mod history;
mod lines;
mod open;
mod readers;
mod runs;
mod schema;
mod search;

use std::collections::VecDeque;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use thiserror::Error;
use wjob_model::record::Bounds;

use crate::batch::{Batch, Entry};

pub(crate) use history::history;
pub(crate) use open::open;
pub(crate) use readers::Readers;
pub(crate) use search::{Edge, Page, Row, newest, page};

/// What the database refuses.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// SQLite's error.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// The system's, in what is done to the file as a whole.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// What a check found.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The tables are another version's.
    #[error("the database is of version {found}, this build has version {expected}")]
    Version {
        /// As stored.
        found: i64,
        /// As wanted.
        expected: i64,
    },
    /// It was never opened.
    #[error("the database is not open")]
    Closed,
}

impl StoreError {
    /// Whether the file itself is to blame, so that only another one helps.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) | Self::Version { .. } => true,
            Self::Database(error) => {
                matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
            }
            Self::System(_) | Self::Closed => false,
        }
    }
}

/// The one connection that writes.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    bounds: Bounds,
}

impl Store {
    /// Changes the bounds; they hold after the next writes.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Writes notes and a batch, then deletes what is too old for the bounds: all of it or nothing. Returns whether
    /// more has to be deleted than one transaction should.
    ///
    /// # Errors
    /// When nothing was written.
    pub fn write(&mut self, notes: &VecDeque<Entry>, batch: &Batch) -> Result<bool, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        lines::insert(&transaction, notes)?;
        lines::insert(&transaction, &batch.lines)?;
        for record in &batch.records {
            runs::apply(&transaction, record, &self.bounds)?;
        }
        let more = bounds::hold(&transaction, &self.bounds)?;
        transaction.commit()?;
        Ok(more)
    }

    /// For tests, which take the disk's room away and look into the tables.
    #[cfg(test)]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Moves everything into the database file itself, so that the next start finds it whole.
    ///
    /// # Errors
    /// When that is not possible; nothing is lost by it.
    pub fn finish(&self) -> Result<(), StoreError> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
