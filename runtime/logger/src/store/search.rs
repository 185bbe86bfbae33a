//! Finds lines, a page at a time, forwards or backwards. What a page's lines are wanted for is decided by who asked.

use rusqlite::{Connection, params};

use super::StoreError;
use crate::lines::shown;

/// Most lines of a page.
const PAGE_LINES: usize = 512;
/// Most text of a page, bytes, but for the last line of it.
const PAGE_BYTES: usize = 256 << 10;

/// A line that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its number: the order in which lines were read.
    pub id: i64,
    /// Microseconds since 1970.
    pub time: i64,
    /// The job; empty for what the supervisor said about no job.
    pub label: String,
    /// The run.
    pub run: Option<i64>,
    /// The number of its source.
    pub source: i64,
    /// Whether it goes on in the next one.
    pub continued: bool,
    /// The text, with bytes that are none escaped.
    pub text: String,
}

/// Lines in the order asked for.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The lines.
    pub rows: Vec<Row>,
    /// Whether there are more.
    pub more: bool,
}

/// Where a page begins, and which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// Newer than this line, oldest first.
    After(i64),
    /// Older than this line, newest first.
    Before(i64),
}

/// The number of the newest line there ever was.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn newest(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.prepare_cached("SELECT lines FROM state")?.query_row([], |row| row.get(0))?)
}

/// A page of the lines of one job, or of all.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn page(connection: &Connection, label: Option<&str>, edge: Edge) -> Result<Page, StoreError> {
    let (from, beyond, order) = match edge {
        Edge::After(line) => (line, ">", "ASC"),
        Edge::Before(line) => (line, "<", "DESC"),
    };
    let wanted = if label.is_some() { "job = (SELECT id FROM jobs WHERE label = ?2)" } else { "?2 IS NULL" };
    let mut select = connection.prepare_cached(&format!(
        "SELECT id, time, (SELECT label FROM jobs WHERE jobs.id = lines.job), run, source, continued, text
         FROM lines WHERE {wanted} AND id {beyond} ?1 ORDER BY id {order}"
    ))?;
    let mut rows = select.query(params![from, label])?;
    let mut page = Page::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        if page.rows.len() == PAGE_LINES || bytes >= PAGE_BYTES {
            page.more = true;
            break;
        }
        let row = read(row)?;
        bytes += row.text.len();
        page.rows.push(row);
    }
    Ok(page)
}

fn read(row: &rusqlite::Row<'_>) -> Result<Row, StoreError> {
    Ok(Row {
        id: row.get(0)?,
        time: row.get(1)?,
        label: row.get(2)?,
        run: row.get(3)?,
        source: row.get(4)?,
        continued: row.get(5)?,
        text: shown(&row.get::<_, Vec<u8>>(6)?),
    })
}
