//! `Log`: lines, a reply each, from the oldest wanted to the newest, and on if they are followed.

use std::time::Duration;

use jiff::Timestamp;
use wjob_model::record::{LogLine, LogQuery};
use wjob_model::varlink::{Call, Nothing, Standard, reply};

use super::client::{Client, Gone};
use super::history::{failed, last};
use crate::batch::Source;
use crate::desk::Desk;
use crate::store::{self, Edge, Page, Row, StoreError};

/// How often a client that waits for lines is looked after.
const LOOK: Duration = Duration::from_secs(1);
/// Replies are sent together up to so many bytes.
const TOGETHER: usize = 64 << 10;

/// Which lines are wanted.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    label: Option<String>,
    /// Microseconds since 1970.
    since: Option<i64>,
    grep: Option<String>,
    last: Option<i64>,
    follow: bool,
}

/// Answers a call with as many replies as there are lines.
///
/// # Errors
/// When the client has left.
pub(super) fn answer(call: &Call, desk: &Desk, client: &mut Client) -> Result<(), Gone> {
    let wanted = match wanted(call) {
        Ok(wanted) => wanted,
        Err(bad) => return client.send(&bad.reply()),
    };
    match stream(&wanted, desk, client) {
        Ok(()) => client.send(&reply(&Nothing {}, false)),
        Err(Stop::Unread(error)) => client.send(&failed(&error)),
        Err(Stop::Gone(gone)) => Err(gone),
    }
}

/// Why a stream stops before its end.
#[derive(Debug)]
enum Stop {
    Unread(StoreError),
    Gone(Gone),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Unread(error)
    }
}

impl From<Gone> for Stop {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}

fn wanted(call: &Call) -> Result<Wanted, Standard> {
    if !call.more {
        return Err(Standard::ExpectedMore {});
    }
    let query: LogQuery = call.take()?;
    let since = query.since.as_deref().map(moment).transpose()?;
    Ok(Wanted { label: query.label, since, grep: query.grep, last: last(query.last)?, follow: query.follow })
}

fn moment(text: &str) -> Result<i64, Standard> {
    text.parse::<Timestamp>().map(Timestamp::as_microsecond).map_err(|error| Standard::InvalidParameter {
        parameter: "since".into(),
        why: format!("it is no time ({error}); expected RFC 3339, as in 2026-01-31T12:00:00Z"),
    })
}

impl Wanted {
    fn admits(&self, row: &Row) -> bool {
        self.since.is_none_or(|since| row.time >= since)
            && self.grep.as_deref().is_none_or(|grep| row.text.contains(grep))
    }

    fn page(&self, desk: &Desk, edge: Edge) -> Result<Page, StoreError> {
        desk.readers.lend(|connection| store::page(connection, self.label.as_deref(), edge))
    }

    /// The line after which those that are wanted begin.
    fn start(&self, desk: &Desk, newest: i64) -> Result<i64, StoreError> {
        let Some(mut left) = self.last else { return Ok(0) };
        let mut before = newest.saturating_add(1);
        while left > 0 {
            let page = self.page(desk, Edge::Before(before))?;
            for row in &page.rows {
                before = row.id;
                left -= i64::from(self.admits(row));
                if left == 0 {
                    break;
                }
            }
            if !page.more {
                break;
            }
        }
        Ok(before - 1)
    }
}

/// Sends what there is when it is asked for; what comes while it is sent only if lines are followed.
fn stream(wanted: &Wanted, desk: &Desk, client: &mut Client) -> Result<(), Stop> {
    let newest = desk.readers.lend(store::newest)?;
    let until = if wanted.follow { i64::MAX } else { newest };
    let mut after = wanted.start(desk, newest)?;
    loop {
        let seen = desk.news.count();
        let page = wanted.page(desk, Edge::After(after))?;
        send(&page.rows, wanted, until, client)?;
        after = page.rows.last().map_or(after, |row| row.id);
        if page.more && after < until {
            continue;
        }
        if !wanted.follow {
            return Ok(());
        }
        desk.news.wait(seen, LOOK);
        if client.has_left() {
            return Err(Gone.into());
        }
    }
}

fn send(rows: &[Row], wanted: &Wanted, until: i64, client: &mut Client) -> Result<(), Gone> {
    let mut replies = Vec::new();
    for row in rows.iter().filter(|row| row.id <= until && wanted.admits(row)) {
        replies.extend(reply(&line(row), true));
        if replies.len() >= TOGETHER {
            client.send(&replies)?;
            replies.clear();
        }
    }
    if replies.is_empty() { Ok(()) } else { client.send(&replies) }
}

fn line(row: &Row) -> LogLine {
    let time = Timestamp::from_microsecond(row.time);
    LogLine {
        time: time.map_or_else(|_| String::new(), |time| format!("{time:.6}")),
        label: Some(row.label.clone()).filter(|label| !label.is_empty()),
        run: row.run,
        stream: Source::name(row.source).into(),
        text: row.text.clone(),
        continued: row.continued,
    }
}
