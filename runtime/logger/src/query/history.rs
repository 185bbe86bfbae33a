//! `History`: the runs there were.

use wjob_model::control::Failure;
use wjob_model::record::{History, HistoryQuery};
use wjob_model::varlink::{Call, Standard, reply};

use crate::desk::Desk;
use crate::store::{self, StoreError};

/// Most of runs in one reply, bytes: a message is at most 1 MiB.
const MOST_BYTES: usize = 1000 << 10;

/// The reply to a call, or why there is none.
pub(super) fn answer(call: &Call, desk: &Desk) -> Vec<u8> {
    match wanted(call) {
        Ok((query, last)) => runs(&query, last, desk),
        Err(bad) => bad.reply(),
    }
}

fn wanted(call: &Call) -> Result<(HistoryQuery, i64), Standard> {
    let query: HistoryQuery = call.take()?;
    let last = last(query.last)?.unwrap_or(i64::MAX);
    Ok((query, last))
}

fn runs(query: &HistoryQuery, last: i64, desk: &Desk) -> Vec<u8> {
    let label = query.label.as_deref();
    match desk.readers.lend(|connection| store::history(connection, label, last, MOST_BYTES)) {
        Ok(runs) => reply(&History { runs }, false),
        Err(error) => failed(&error),
    }
}

/// How many of the newest are wanted.
///
/// # Errors
/// When it is less than none.
pub(super) fn last(wanted: Option<i64>) -> Result<Option<i64>, Standard> {
    match wanted {
        Some(number) if number < 0 => {
            let why = format!("it is {number}; expected how many of the newest are wanted");
            Err(Standard::InvalidParameter { parameter: "last".into(), why })
        }
        wanted => Ok(wanted),
    }
}

/// The answer when the database cannot be read.
pub(super) fn failed(error: &StoreError) -> Vec<u8> {
    Failure::Failed { why: format!("the log cannot be read: {error}") }.reply()
}
