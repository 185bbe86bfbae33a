//! Finds runs. They are read from the newest back and only as far as one reply reaches.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::de::DeserializeOwned;
use wjob_model::noted::Noted;
use wjob_model::record::RunRow;

use super::StoreError;

/// The newest runs of one job or of all, at most `last`, and at most as many as `most` bytes of JSON hold; in the
/// order they began.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn history(
    connection: &Connection,
    label: Option<&str>,
    last: i64,
    most: usize,
) -> Result<Vec<RunRow>, StoreError> {
    let wanted = if label.is_some() { "job = (SELECT id FROM jobs WHERE label = ?2)" } else { "?2 IS NULL" };
    let mut select = connection.prepare_cached(&format!(
        "SELECT run, (SELECT label FROM jobs WHERE jobs.id = runs.job), reason, pid, started, ended, outcome, status,
         cpu_micros, peak_memory, walls, denials, more_denials, grants FROM runs WHERE {wanted} ORDER BY id DESC LIMIT ?1"
    ))?;
    let mut rows = select.query(params![last, label])?;
    let mut found = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let run = read(row)?;
        bytes += serde_json::to_string(&run).map_or(most, |text| text.len() + 1);
        if bytes > most {
            break;
        }
        found.push(run);
    }
    found.reverse();
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<RunRow, StoreError> {
    Ok(RunRow {
        run: row.get(0)?,
        label: row.get(1)?,
        reason: list(row.get(2)?),
        pid: row.get(3)?,
        start: moment(row.get(4)?),
        end: row.get::<_, Option<i64>>(5)?.map(moment),
        outcome: row.get(6)?,
        status: row.get(7)?,
        cpu_micros: row.get(8)?,
        peak_memory: row.get(9)?,
        walls: list(row.get(10)?),
        denials: list::<Noted>(row.get(11)?).iter().map(Noted::row).collect(),
        more_denials: row.get(12)?,
        grants: row.get::<_, Option<String>>(13)?.map(list),
    })
}

/// A list as it was stored; what is none is an empty one.
fn list<T: DeserializeOwned>(json: String) -> Vec<T> {
    serde_json::from_str(&json).unwrap_or_default()
}

/// Milliseconds since 1970 as RFC 3339.
fn moment(millisecond: i64) -> String {
    let moment = Timestamp::from_millisecond(millisecond);
    moment.map_or_else(|_| String::new(), |moment| format!("{moment:.3}"))
}
