//! The runs there were: begun, ended, lost, and the oldest forgotten. What a run brings with it is shortened, since a
//! job decides how much there is of it.

use rusqlite::{Connection, Error, params};
use serde_json::json;
use wjob_model::control::WallRow;
use wjob_model::noted::{KEPT_BYTES, that_fit};
use wjob_model::record::{Began, Bounds, Ended};

use super::lines::job;
use crate::batch::Record;

/// In all, so many times the runs that one job may have.
const JOBS_OF_RUNS: i64 = 50;
/// Longest text kept of how a run ended, bytes.
const OUTCOME_BYTES: usize = 2 << 10;
/// Most kept of what demanded a run, bytes.
const LIST_BYTES: usize = 4 << 10;
/// Most kept of how one wall was found, bytes, and most walls; there are fewer.
const WALL_BYTES: usize = 512;
const WALLS: usize = 32;

/// How a run is said to have ended whose end was never told.
pub(super) const LOST: &str = "lost: the supervisor ended";

/// Applies a change of the list of runs.
///
/// # Errors
/// When the database refuses; the transaction must then be dropped.
pub(super) fn apply(connection: &Connection, record: &Record, bounds: &Bounds) -> Result<(), Error> {
    match record {
        Record::Began(began) => begin(connection, began, i64::try_from(bounds.runs_per_job).unwrap_or(i64::MAX)),
        Record::Ended(ended) => end(connection, ended),
    }
}

/// A run that is told again is the same one; if it was thought lost, it is not.
fn begin(connection: &Connection, began: &Began, per_job: i64) -> Result<(), Error> {
    let job = job(connection, &began.label, 0)?;
    let reason = list(&began.causes);
    connection
        .prepare_cached(
            "INSERT INTO runs (job, run, reason, pid, started) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (job, run, started) DO UPDATE SET pid = excluded.pid, ended = NULL, outcome = NULL",
        )?
        .execute(params![job, began.run.cast_signed(), reason, began.pid, began.wall_ms])?;
    forget(connection, job, per_job)
}

/// Forgets the oldest runs, of this job and of all, but none that still runs.
fn forget(connection: &Connection, job: i64, per_job: i64) -> Result<(), Error> {
    connection
        .prepare_cached(
            "DELETE FROM runs WHERE job = ?1 AND ended IS NOT NULL AND id <=
             (SELECT id FROM runs WHERE job = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute([job, per_job])?;
    connection
        .prepare_cached("DELETE FROM runs WHERE ended IS NOT NULL AND id <= (SELECT max(id) FROM runs) - ?1")?
        .execute([per_job.saturating_mul(JOBS_OF_RUNS)])?;
    Ok(())
}

/// The supervisor may count its runs from 1 again after a restart, so the newest of that number is meant.
fn end(connection: &Connection, ended: &Ended) -> Result<(), Error> {
    let denials = that_fit(&ended.denials, KEPT_BYTES);
    connection
        .prepare_cached(
            "UPDATE runs SET ended = ?3, outcome = ?4, status = ?5, cpu_micros = ?6, peak_memory = ?7, walls = ?8,
             denials = ?9, more_denials = ?10, grants = ?11 WHERE id = (SELECT max(id) FROM runs
             WHERE job = (SELECT id FROM jobs WHERE label = ?1) AND run = ?2)",
        )?
        .execute(params![
            ended.label,
            ended.run.cast_signed(),
            ended.wall_ms,
            shortened(&ended.end, OUTCOME_BYTES),
            ended.status,
            i64::try_from(ended.cpu_micros).unwrap_or(i64::MAX),
            i64::try_from(ended.peak_memory).unwrap_or(i64::MAX),
            walls(&ended.walls),
            json!(denials).to_string(),
            i64::try_from(ended.denials.len() - denials.len()).unwrap_or(i64::MAX),
            grants(ended),
        ])?;
    Ok(())
}

/// Ends every run whose end was never told.
///
/// # Errors
/// When the database refuses.
pub(super) fn close_lost(connection: &Connection, now_ms: i64) -> Result<(), Error> {
    let sql = "UPDATE runs SET ended = max(started, ?1), outcome = ?2 WHERE ended IS NULL";
    connection.execute(sql, params![now_ms, LOST])?;
    Ok(())
}

/// A list as JSON; what does not fit is counted.
fn list(texts: &[String]) -> String {
    let mut room = LIST_BYTES;
    let mut kept: Vec<String> = Vec::new();
    for text in texts {
        let text = shortened(text, LIST_BYTES / 4);
        let Some(left) = room.checked_sub(text.len() + 4) else {
            kept.push(format!("and {} more", texts.len() - kept.len()));
            break;
        };
        room = left;
        kept.push(text.to_owned());
    }
    json!(kept).to_string()
}

fn walls(walls: &[WallRow]) -> String {
    let row = |row: &WallRow| WallRow { found: shortened(&row.found, WALL_BYTES).to_owned(), ..row.clone() };
    let kept: Vec<WallRow> = walls.iter().take(WALLS).map(row).collect();
    json!(kept).to_string()
}

/// Which grants were used: all of it, since of a part nobody could say what was never used.
fn grants(ended: &Ended) -> Option<String> {
    let grants = ended.grants.as_ref()?;
    (that_fit(grants, KEPT_BYTES).len() == grants.len()).then(|| json!(grants).to_string())
}

fn shortened(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_kept_whole_or_counted() {
        let long = "x".repeat(LIST_BYTES);
        for (texts, expected) in [
            (vec![], 0),
            (vec!["one".to_owned(), "two".to_owned()], 2),
            (vec![long.clone()], 1),
            (vec!["short".to_owned(); 2000], LIST_BYTES / 9 + 1),
        ] {
            let kept: Vec<String> = serde_json::from_str(&list(&texts)).unwrap();
            assert_eq!(kept.len(), expected, "{} texts", texts.len());
            assert!(list(&texts).len() <= 2 * LIST_BYTES);
        }
        let kept: Vec<String> = serde_json::from_str(&list(&vec![long; 100])).unwrap();
        assert_eq!(kept.last().map(String::as_str), Some("and 97 more"));
    }

    #[test]
    fn texts_are_shortened_between_characters() {
        for (text, most, expected) in [("plain", 9, "plain"), ("plain", 2, "pl"), ("\u{20ac}\u{20ac}", 4, "\u{20ac}")] {
            assert_eq!(shortened(text, most), expected);
        }
    }
}
