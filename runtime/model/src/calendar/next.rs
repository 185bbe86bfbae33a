//! When calendar times are due next. It walks local time by months, days and hours, never minute by minute over a
//! day, so that a far time costs little more than a near one. Which moment a local time is, the time zone says.
//!
//! An entry names minutes of the wall clock, and each of them is due once:
//! - One that the clock skips is due at the first moment after the gap, and all that one gap skips are due together.
//!   That is for entries with Hour; without it the next hour has the same minute, and a second start close to it
//!   would help nobody.
//! - One that the clock shows twice is due the first time, with Hour or without: while the clock repeats an hour,
//!   nothing is due.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, AmbiguousTimestamp, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::Entry;

/// How far ahead a time is looked for. The rarest one, 29 February, comes back after 8 years at most, and even on a
/// given weekday after 40: what does not come until then never does.
const YEARS: i16 = 40;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// The first moment strictly after the minute of `after` at which any of the entries is due; `None` = never, as on
/// 30 February.
pub fn next(entries: &[Entry], after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    entries.iter().filter_map(|entry| due(entry, after, zone)).min()
}

fn due(entry: &Entry, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let now = zone.to_datetime(after);
    let last_year = now.year().saturating_add(YEARS);
    let mut wall = now.date().at(now.hour(), now.minute(), 0, 0);
    // More than one round only while the clock skips or repeats the times found.
    loop {
        wall = wall_time(entry, wall.checked_add(MINUTE).ok()?, last_year)?;
        if let Some(moment) = moment_of(entry, wall, zone).filter(|moment| *moment > after) {
            return Some(moment);
        }
    }
}

/// When the clock shows this time, or should have; `None` if it does not and nothing is to be made up for.
fn moment_of(entry: &Entry, wall: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let moment = zone.to_ambiguous_timestamp(wall);
    match moment.offset() {
        AmbiguousOffset::Gap { .. } if entry.hour.is_none() => None,
        AmbiguousOffset::Gap { .. } => gap_end(moment, zone),
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => moment.earlier().ok(),
    }
}

/// The first moment after the gap that a time is in. The two readings of such a time, with the offset after the gap
/// and with the one before it, lie on both sides of that moment.
fn gap_end(missing: AmbiguousTimestamp, zone: &TimeZone) -> Option<Timestamp> {
    let (before, after) = (missing.earlier().ok()?, missing.later().ok()?);
    let change = zone.following(before).next().map(|change| change.timestamp());
    // A rule for summer time all year round can tell of a gap without a change of the clock.
    Some(change.filter(|change| *change <= after).unwrap_or(after))
}

/// The first time on the wall that the entry names, `from` included. Without looking at a zone.
fn wall_time(entry: &Entry, from: DateTime, last_year: i16) -> Option<DateTime> {
    let day = first_day(entry, from.date(), last_year)?;
    let earliest = if day == from.date() { from.time() } else { Time::midnight() };
    if let Some(time) = first_time(entry, earliest) {
        return Some(day.to_datetime(time));
    }
    let day = first_day(entry, day.tomorrow().ok()?, last_year)?;
    Some(day.to_datetime(first_time(entry, Time::midnight())?))
}

fn first_day(entry: &Entry, from: Date, last_year: i16) -> Option<Date> {
    let mut day = from;
    while day.year() <= last_year {
        let in_month = entry.month.is_none_or(|month| same(month, day.month()));
        if in_month && names_day(entry, day) {
            return Some(day);
        }
        let passed = if in_month { day } else { day.last_of_month() };
        day = passed.tomorrow().ok()?;
    }
    None
}

/// Whether the entry names this day of its month; with Day and Weekday either is enough, as in launchd and cron.
fn names_day(entry: &Entry, date: Date) -> bool {
    let day = entry.day.map(|day| same(day, date.day()));
    // Sunday is 7 too.
    let weekday = entry.weekday.map(|weekday| same(weekday % 7, date.weekday().to_sunday_zero_offset()));
    match (day, weekday) {
        (None, None) => true,
        (Some(named), None) | (None, Some(named)) => named,
        (Some(day), Some(weekday)) => day || weekday,
    }
}

/// The first time of a day that the entry names, the minute of `from` included.
fn first_time(entry: &Entry, from: Time) -> Option<Time> {
    let mut hours = (from.hour()..24).filter(|hour| entry.hour.is_none_or(|wanted| same(wanted, *hour)));
    hours.find_map(|hour| {
        let earliest = if hour == from.hour() { from.minute() } else { 0 };
        let minute = entry.minute.map_or(Ok(earliest), i8::try_from).ok()?;
        let time = Time::new(hour, minute, 0, 0).ok()?;
        (minute >= earliest).then_some(time)
    })
}

/// Whether a field has the value that jiff, with its own type for it, found.
fn same(wanted: u8, found: i8) -> bool {
    i16::from(wanted) == i16::from(found)
}
