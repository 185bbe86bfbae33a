//! Opens the database with everything it will ever need open, since later the walls are up. One that is damaged is set
//! aside and a new one begun: what is lost of a log is no reason to lose the rest.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use wjob_model::record::Bounds;

use super::{Store, StoreError, runs, schema};

/// The database's name in the state directory.
pub(super) const NAME: &str = "log.db";
/// What SQLite adds to the names of the files it keeps beside it, and the file itself.
const FILES: &[&str] = &["", "-wal", "-shm"];
/// Connections that read; more clients than these wait for each other, a page at a time.
const READERS: usize = 4;

/// A database that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What writes.
    pub store: Store,
    /// What reads.
    pub readers: Vec<Connection>,
    /// What the operator should know: that a database was set aside.
    pub note: Option<String>,
}

/// Opens the database in a directory, or begins one. Runs whose end was never told are ended as lost.
///
/// # Errors
/// When the system refuses; a damaged database is no error.
pub(crate) fn open(directory: &Path, bounds: Bounds, now: Timestamp) -> Result<Opened, StoreError> {
    let begun = |directory: &Path| {
        let connection = writer(directory)?;
        begin(&connection, now).map(|()| connection)
    };
    let (connection, note) = match begun(directory) {
        Err(error) if error.is_damage() => {
            let name = set_aside(directory, now)?;
            let note =
                format!("the log could not be read: {error}; it was set aside as {name} and a new one was begun");
            (begun(directory)?, Some(note))
        }
        other => (other?, None),
    };
    let readers = (0..READERS).map(|_| reader(directory)).collect::<Result<_, _>>()?;
    Ok(Opened { store: Store { connection, bounds }, readers, note })
}

fn writer(directory: &Path) -> Result<Connection, StoreError> {
    let unfinished = was_left_unfinished(directory);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.join(NAME), flags)?;
    schema::prepare_writer(&connection)?;
    if unfinished {
        schema::check(&connection)?;
    }
    Ok(connection)
}

fn reader(directory: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.join(NAME), flags)?;
    schema::prepare_reader(&connection)?;
    Ok(connection)
}

/// A logger that ended in order leaves nothing in the log of changes; after any other end the whole database is
/// looked through once.
fn was_left_unfinished(directory: &Path) -> bool {
    fs::metadata(directory.join(format!("{NAME}-wal"))).is_ok_and(|file| file.len() > 0)
}

/// The first write: it opens the log of changes, and leaves a mark in it until the end in order.
fn begin(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute("UPDATE state SET opened = ?1", [now.as_millisecond()])?;
    runs::close_lost(&transaction, now.as_millisecond())?;
    let unused = "DELETE FROM jobs WHERE bytes = 0 AND id NOT IN (SELECT job FROM runs)";
    transaction.execute(unused, [])?;
    transaction.commit()?;
    Ok(())
}

/// Renames the database and what belongs to it. One set aside earlier is deleted: else a disk that damages files
/// would be filled with them.
fn set_aside(directory: &Path, now: Timestamp) -> Result<String, StoreError> {
    for earlier in earlier(directory)? {
        fs::remove_file(earlier)?;
    }
    let name = format!("{NAME}.corrupt-{}", now.as_second());
    for end in FILES {
        match fs::rename(directory.join(format!("{NAME}{end}")), directory.join(format!("{name}{end}"))) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(name)
}

fn earlier(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let start = format!("{NAME}.corrupt-");
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&start) {
            found.push(entry.path());
        }
    }
    Ok(found)
}
