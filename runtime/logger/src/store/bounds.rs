//! Holds the database within its bounds: the oldest lines go, in chunks, first those of a job that has too many, then
//! anybody's. Space is given back once much of the file is empty.

use std::collections::BTreeMap;

use rusqlite::{Connection, Error, OptionalExtension, params};
use wjob_model::record::Bounds;

use crate::batch::LINE_COST;

/// Lines deleted at a time.
const CHUNK_LINES: i64 = 2048;
/// Chunks deleted in one transaction: more lines than one batch can bring, so that a flood never gains.
const CHUNKS: usize = 16;
/// When a bound is passed, this part of it is made free, so that not every batch deletes.
const FREE_PART: i64 = 16;
/// Empty pages kept for what comes next.
const SPARE_PAGES: i64 = 1024;
/// Pages given back in one transaction.
const PAGES_AT_ONCE: i64 = 256;

/// Deletes what is too much. Returns whether there is more of it than one transaction should delete.
///
/// # Errors
/// When the database refuses; the transaction must then be dropped.
pub(super) fn hold(connection: &Connection, bounds: &Bounds) -> Result<bool, Error> {
    let per_job = i64::try_from(bounds.per_job_bytes).unwrap_or(i64::MAX);
    let total = i64::try_from(bounds.total_bytes).unwrap_or(i64::MAX);
    for _ in 0..CHUNKS {
        if !largest_job(connection, per_job)? && !all_jobs(connection, total)? {
            return give_back(connection);
        }
    }
    Ok(true)
}

/// Deletes a chunk of the job that is furthest beyond its bound; false when none is.
fn largest_job(connection: &Connection, bound: i64) -> Result<bool, Error> {
    let largest: Option<(i64, i64)> = connection
        .prepare_cached("SELECT id, bytes FROM jobs WHERE bytes > ?1 ORDER BY bytes DESC LIMIT 1")?
        .query_row([bound], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((job, bytes)) = largest else { return Ok(false) };
    delete_oldest(connection, Some(job), bytes - bound + bound / FREE_PART)
}

/// Deletes a chunk of the oldest lines of all when together they are beyond the bound.
fn all_jobs(connection: &Connection, bound: i64) -> Result<bool, Error> {
    let bytes: i64 = connection.prepare_cached("SELECT bytes FROM state")?.query_row([], |row| row.get(0))?;
    if bytes <= bound {
        return Ok(false);
    }
    delete_oldest(connection, None, bytes - bound + bound / FREE_PART)
}

/// Deletes the oldest lines, of one job or of all: as many as free `goal` bytes, at most a chunk.
fn delete_oldest(connection: &Connection, job: Option<i64>, goal: i64) -> Result<bool, Error> {
    let oldest = oldest(connection, job, goal)?;
    let Some(last) = oldest.last else { return Ok(false) };
    match job {
        Some(job) => {
            connection.prepare_cached("DELETE FROM lines WHERE job = ?1 AND id <= ?2")?.execute([job, last])?
        }
        None => connection.prepare_cached("DELETE FROM lines WHERE id <= ?1")?.execute([last])?,
    };
    for (job, freed) in &oldest.freed {
        connection.prepare_cached("UPDATE jobs SET bytes = bytes - ?2 WHERE id = ?1")?.execute([job, freed])?;
    }
    let freed: i64 = oldest.freed.values().sum();
    connection.prepare_cached("UPDATE state SET bytes = bytes - ?1")?.execute([freed])?;
    Ok(true)
}

/// The oldest lines: the last of them, and what each job had in them.
#[derive(Default)]
struct Oldest {
    last: Option<i64>,
    freed: BTreeMap<i64, i64>,
}

fn oldest(connection: &Connection, job: Option<i64>, goal: i64) -> Result<Oldest, Error> {
    let of_job = if job.is_some() { "WHERE job = ?2" } else { "WHERE ?2 IS NULL" };
    let mut select = connection.prepare_cached(&format!(
        "SELECT id, job, length(text) + {LINE_COST} FROM lines {of_job} ORDER BY id LIMIT ?1"
    ))?;
    let mut rows = select.query(params![CHUNK_LINES, job])?;
    let mut oldest = Oldest::default();
    let mut freed = 0;
    while freed < goal
        && let Some(row) = rows.next()?
    {
        let cost: i64 = row.get(2)?;
        oldest.last = Some(row.get(0)?);
        *oldest.freed.entry(row.get(1)?).or_default() += cost;
        freed += cost;
    }
    Ok(oldest)
}

/// Gives empty pages back to the system when there are many. Returns whether there are more.
fn give_back(connection: &Connection) -> Result<bool, Error> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let empty = number("PRAGMA freelist_count")?;
    if empty <= SPARE_PAGES || empty < number("PRAGMA page_count")? / 4 {
        return Ok(false);
    }
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
    // Each step gives one page back.
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    Ok(empty - PAGES_AT_ONCE > SPARE_PAGES)
}
