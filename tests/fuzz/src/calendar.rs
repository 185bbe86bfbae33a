//! Calendar times: when any entries are next due after any moment, in zones that people live in and in any other. The
//! next time is after the moment, no other one is between the two, and the wall's clock shows it unless the clock has
//! just been set; none at all comes only of a day that no month has.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use wjob_model::calendar::{Entry, next, parse};

/// UTC, clocks that change by an hour, over the turn of the year, at midnight, by half an hour.
const ZONES: [&str; 5] = [
    "UTC0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "AEST-10AEDT,M10.1.0,M4.1.0/3",
    "CST5CDT,M3.2.0/0,M11.1.0/1",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
];
/// The last second that a moment is given in: a hundred years later there still is a calendar.
const LAST_SECOND: i64 = 250_000_000_000;
/// The most entries that are given.
const MOST_ENTRIES: usize = 4;
/// The most days of each month.
const DAYS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A byte for the zone, one for the number of entries, eight for the moment, five for each entry; the rest is a zone's
/// rule, for when the first byte names none of ours, and an entry in words.
pub fn calendar(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<10>() else { return };
    let [place, count, moment @ ..] = *head;
    let after = Timestamp::from_second(i64::from_be_bytes(moment) % LAST_SECOND).expect("a moment of the calendar");
    let (fields, rest) = rest.split_at(rest.len().min(usize::from(count) % (MOST_ENTRIES + 1) * 5));
    let entries: Vec<Entry> = fields.chunks_exact(5).map(entry).collect();
    let text = String::from_utf8_lossy(rest);
    words(&entries, &text);
    match ZONES.get(usize::from(place)) {
        Some(rule) => known(&entries, after, &TimeZone::posix(rule).expect("a zone's rule")),
        None => {
            any(&entries, after, &TimeZone::posix(&text).unwrap_or(TimeZone::UTC));
        }
    }
}

fn entry(bytes: &[u8]) -> Entry {
    let field = |index: usize| bytes.get(index).copied().filter(|byte| *byte != u8::MAX);
    Entry { minute: field(0), hour: field(1), day: field(2), weekday: field(3), month: field(4) }
}

/// Entries have words whatever they are, and what is read of words is within the ranges of the fields.
fn words(entries: &[Entry], text: &str) {
    assert!(entries.iter().all(|entry| !entry.to_string().is_empty()));
    if let Ok(entry) = parse(text) {
        assert!(entry.minute.is_none_or(|minute| minute < 60) && entry.hour.is_none_or(|hour| hour < 24), "{entry:?}");
        assert!(entry.weekday.is_none_or(|weekday| weekday <= 7) && entry != Entry::default(), "{entry:?}");
    }
}

/// In a zone that only some machine's operator could have made up.
fn any(entries: &[Entry], after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let due = next(entries, after, zone);
    assert!(due.is_none_or(|due| due > after), "{entries:?} after {after}: {due:?}");
    due
}

fn known(entries: &[Entry], after: Timestamp, zone: &TimeZone) {
    let Some(due) = any(entries, after, zone) else {
        assert!(!entries.iter().any(comes), "{entries:?} never comes after {after}");
        return;
    };
    let before = due - SignedDuration::from_nanos(1);
    let was_set = zone.to_offset(before) != zone.to_offset(due);
    let wall = zone.to_datetime(due);
    assert!(was_set || entries.iter().any(|entry| names(entry, wall)), "{entries:?} after {after}: {wall}");
    assert_eq!((wall.second(), wall.subsec_nanosecond()), (0, 0), "{entries:?} after {after}");
    assert_eq!(next(entries, before, zone), Some(due), "{entries:?} between {after} and {due}");
}

/// Whether an entry names a time of the wall's clock.
fn names(entry: &Entry, wall: DateTime) -> bool {
    let is = |wanted: u8, found: i8| i64::from(wanted) == i64::from(found);
    let fits = |wanted: Option<u8>, found: i8| wanted.is_none_or(|wanted| is(wanted, found));
    let weekday = wall.weekday().to_sunday_zero_offset();
    let on_day = match (entry.day, entry.weekday) {
        (Some(day), Some(wanted)) => is(day, wall.day()) || is(wanted % 7, weekday),
        (day, wanted) => fits(day, wall.day()) && fits(wanted.map(|wanted| wanted % 7), weekday),
    };
    on_day && fits(entry.minute, wall.minute()) && fits(entry.hour, wall.hour()) && fits(entry.month, wall.month())
}

/// Whether some day of some year has the time of an entry.
fn comes(entry: &Entry) -> bool {
    let days = match entry.month {
        None => Some(31),
        Some(month) => usize::from(month).checked_sub(1).and_then(|index| DAYS.get(index)).copied(),
    };
    let on_day = |days: u8| entry.weekday.is_some() || entry.day.is_none_or(|day| (1..=days).contains(&day));
    let in_time = entry.minute.is_none_or(|minute| minute < 60) && entry.hour.is_none_or(|hour| hour < 24);
    in_time && days.is_some_and(on_day)
}
