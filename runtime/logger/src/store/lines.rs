//! Adds lines. What they cost is added to their job and to the whole in the same breath.

use std::collections::{BTreeMap, VecDeque};

use rusqlite::{Connection, Error, params};

use crate::batch::Entry;

/// Adds lines, in their order.
///
/// # Errors
/// When the database refuses; the transaction must then be dropped.
pub(super) fn insert(connection: &Connection, entries: &VecDeque<Entry>) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let jobs = add_costs(connection, entries)?;
    let mut id: i64 = connection.prepare_cached("SELECT lines FROM state")?.query_row([], |row| row.get(0))?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO lines (id, time, job, run, source, continued, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for entry in entries {
        id += 1;
        let job = jobs.get(&*entry.label);
        let run = entry.run.map(u64::cast_signed);
        insert.execute(params![id, entry.time, job, run, entry.source.number(), entry.continued, entry.text])?;
    }
    connection.prepare_cached("UPDATE state SET lines = ?1")?.execute([id])?;
    Ok(())
}

/// Adds what the lines cost, and returns the numbers of their jobs.
fn add_costs(connection: &Connection, entries: &VecDeque<Entry>) -> Result<BTreeMap<String, i64>, Error> {
    let mut costs: BTreeMap<&str, i64> = BTreeMap::new();
    for entry in entries {
        *costs.entry(&entry.label).or_default() += i64::try_from(entry.cost()).unwrap_or(i64::MAX);
    }
    let mut jobs = BTreeMap::new();
    for (label, cost) in &costs {
        jobs.insert((*label).to_owned(), job(connection, label, *cost)?);
    }
    let all: i64 = costs.values().sum();
    connection.prepare_cached("UPDATE state SET bytes = bytes + ?1")?.execute([all])?;
    Ok(jobs)
}

/// The number of a job, which is made if it is new; `cost` is added to what its lines cost.
///
/// # Errors
/// When the database refuses.
pub(super) fn job(connection: &Connection, label: &str, cost: i64) -> Result<i64, Error> {
    connection
        .prepare_cached(
            "INSERT INTO jobs (label, bytes) VALUES (?1, ?2)
             ON CONFLICT (label) DO UPDATE SET bytes = bytes + excluded.bytes",
        )?
        .execute(params![label, cost])?;
    connection.prepare_cached("SELECT id FROM jobs WHERE label = ?1")?.query_row([label], |row| row.get(0))
}
