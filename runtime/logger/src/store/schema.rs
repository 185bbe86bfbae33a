//! The tables, and how a connection is set up before anything is asked of it.

use std::time::Duration;

use rusqlite::Connection;

use super::StoreError;

/// The version of the tables; a database of another one is set aside.
const VERSION: i64 = 2;
/// Somebody else who holds the database, with a tool of their own, is waited for so long and no longer.
const PATIENCE: Duration = Duration::from_millis(50);
/// Statements kept prepared; more than there are.
const STATEMENTS: usize = 32;

/// The first setting works on an empty database only, so it comes first. The log of changes (WAL) is synced when it
/// is moved into the database, not at each commit: a power cut loses the last lines, never the database.
const SETTINGS: &str = "
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA journal_size_limit = 8388608;
PRAGMA temp_store = MEMORY;
PRAGMA trusted_schema = OFF;
";

/// `jobs.bytes` and `state.bytes` are the cost of the lines there are, kept up with every change so that nothing is
/// summed. `state.lines` is the highest number a line ever had. Times are microseconds since 1970 of lines and
/// milliseconds of runs; lists are JSON. `runs.grants` is null
/// where it is not known which were used.
const TABLES: &str = "
BEGIN IMMEDIATE;
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    bytes INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    opened INTEGER NOT NULL
);
INSERT INTO state VALUES (0, 0, 0, 0);
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    label TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL
);
CREATE INDEX jobs_by_bytes ON jobs (bytes);
CREATE TABLE lines (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    job INTEGER NOT NULL,
    run INTEGER,
    source INTEGER NOT NULL,
    continued INTEGER NOT NULL,
    text BLOB NOT NULL
);
CREATE INDEX lines_by_job ON lines (job);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    run INTEGER NOT NULL,
    reason TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER,
    outcome TEXT,
    status INTEGER,
    cpu_micros INTEGER NOT NULL DEFAULT 0,
    peak_memory INTEGER NOT NULL DEFAULT 0,
    walls TEXT NOT NULL DEFAULT '[]',
    denials TEXT NOT NULL DEFAULT '[]',
    more_denials INTEGER NOT NULL DEFAULT 0,
    grants TEXT,
    UNIQUE (job, run, started)
);
CREATE INDEX runs_by_job ON runs (job);
PRAGMA user_version = 2;
COMMIT;
";

/// Sets up the connection that writes, and makes the tables if there are none.
///
/// # Errors
/// When the database is damaged, of another version, or cannot be written.
pub(super) fn prepare_writer(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch(SETTINGS)?;
    match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        VERSION => Ok(()),
        0 => Ok(connection.execute_batch(TABLES)?),
        other => Err(StoreError::Version { found: other, expected: VERSION }),
    }
}

/// Sets up a connection that reads. It reads at once, so that all of its files are open from then on.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn prepare_reader(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;")?;
    connection.query_row("SELECT lines FROM state", [], |_| Ok(()))?;
    Ok(())
}

/// Looks through the whole database for damage.
///
/// # Errors
/// When there is some.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Damaged(found)) }
}
