//! When calendar times are due: by tables, and against an oracle that looks at every minute of some weeks and asks
//! the zone for nothing but the time on the wall. How entries are read and put into words is tested in `words`.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Entry, next, parse};

const UTC: &str = "UTC0";
const CET: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
/// Summer time over the turn of the year.
const SYDNEY: &str = "AEST-10AEDT,M10.1.0,M4.1.0/3";
/// Clocks change at midnight.
const HAVANA: &str = "CST5CDT,M3.2.0/0,M11.1.0/1";
/// Clocks change by half an hour.
const LORD_HOWE: &str = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";
/// Winter time is the exception.
const DUBLIN: &str = "IST-1GMT0,M10.5.0,M3.5.0/1";

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// A zone, entries separated by `;`, a moment, and the first moments after it at which they are due; none = never.
type Row<'a> = (&'a str, &'a str, &'a str, &'a [&'a str]);

fn zone(rule: &str) -> TimeZone {
    TimeZone::posix(rule).expect(rule)
}

fn moment(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// Nothing stands for the entry without fields, which no command line can give.
fn entries(text: &str) -> Vec<Entry> {
    let entry = |text: &str| if text.is_empty() { Entry::default() } else { parse(text).expect(text) };
    text.split(';').map(entry).collect()
}

/// The moments after `after` and before `end`.
fn due_until(entries: &[Entry], after: Timestamp, end: Timestamp, zone: &TimeZone) -> Vec<Timestamp> {
    let next = |after: Timestamp| next(entries, after, zone).filter(|moment| *moment < end);
    std::iter::successors(next(after), |moment| next(*moment)).collect()
}

fn check(rows: &[Row]) {
    for (rule, text, after, expected) in rows {
        let (zone, entries) = (zone(rule), entries(text));
        let expected: Vec<_> = expected.iter().map(|text| moment(text)).collect();
        let mut last = moment(after);
        for expected in &expected {
            let found = next(&entries, last, &zone);
            assert_eq!(found, Some(*expected), "{text:?} in {rule} after {last}");
            last = *expected;
        }
        if expected.is_empty() {
            assert_eq!(next(&entries, last, &zone), None, "{text:?}");
        }
    }
}

#[test]
fn a_field_left_out_is_any() {
    check(&[
        (UTC, "", "2026-01-01 00:00Z", &["2026-01-01 00:01Z", "2026-01-01 00:02Z"]),
        (UTC, "", "2026-12-31 23:59Z", &["2027-01-01 00:00Z"]),
        (UTC, "Minute=15", "2026-01-01 22:40Z", &["2026-01-01 23:15Z", "2026-01-02 00:15Z"]),
        (UTC, "Hour=3", "2026-01-01 12:00Z", &["2026-01-02 03:00Z", "2026-01-02 03:01Z"]),
        (UTC, "Hour=3", "2026-01-01 03:58Z", &["2026-01-01 03:59Z", "2026-01-02 03:00Z"]),
        (UTC, "Hour=3 Minute=30", "2026-12-31 01:00Z", &["2026-12-31 03:30Z", "2027-01-01 03:30Z"]),
        (UTC, "Hour=0 Minute=0", "2026-02-28 00:00Z", &["2026-03-01 00:00Z", "2026-03-02 00:00Z"]),
        (UTC, "Day=2 Hour=5 Minute=6", "2026-01-02 05:06Z", &["2026-02-02 05:06Z", "2026-03-02 05:06Z"]),
        (UTC, "Month=6 Hour=0 Minute=0", "2026-06-29 12:00Z", &["2026-06-30 00:00Z", "2027-06-01 00:00Z"]),
        (UTC, "Month=6 Day=1", "2026-06-01 23:58Z", &["2026-06-01 23:59Z", "2027-06-01 00:00Z"]),
        (UTC, "Month=1 Day=1 Minute=7", "2026-01-01 22:07Z", &["2026-01-01 23:07Z", "2027-01-01 00:07Z"]),
    ]);
}

#[test]
fn the_minute_of_the_moment_itself_is_past() {
    check(&[
        (UTC, "Minute=15", "2026-01-01 00:14:59.999999999Z", &["2026-01-01 00:15Z"]),
        (UTC, "Minute=15", "2026-01-01 00:15:00Z", &["2026-01-01 01:15Z"]),
        (UTC, "Minute=15", "2026-01-01 00:15:00.000000001Z", &["2026-01-01 01:15Z"]),
        (UTC, "Minute=15", "2026-01-01 00:15:59.999999999Z", &["2026-01-01 01:15Z"]),
        (UTC, "", "2026-01-01 00:15:59.5Z", &["2026-01-01 00:16Z"]),
        (UTC, "Hour=3 Minute=30", "2026-01-01 03:30:30Z", &["2026-01-02 03:30Z"]),
        (UTC, "Hour=3 Minute=30", "1969-12-31 03:30:30Z", &["1970-01-01 03:30Z"]),
    ]);
}

#[test]
fn weekdays_and_days_of_the_month() {
    check(&[
        (UTC, "Weekday=0 Hour=0 Minute=0", "2026-01-01 00:00Z", &["2026-01-04 00:00Z", "2026-01-11 00:00Z"]),
        (UTC, "Weekday=7 Hour=0 Minute=0", "2026-01-01 00:00Z", &["2026-01-04 00:00Z", "2026-01-11 00:00Z"]),
        (UTC, "Weekday=6 Hour=9 Minute=0", "2026-01-03 09:00Z", &["2026-01-10 09:00Z"]),
        (
            UTC,
            "Day=13 Weekday=5 Hour=7 Minute=0",
            "2026-03-06 07:00Z",
            &["2026-03-13 07:00Z", "2026-03-20 07:00Z", "2026-03-27 07:00Z", "2026-04-03 07:00Z"],
        ),
        (
            UTC,
            "Day=13 Weekday=5 Hour=7 Minute=0",
            "2026-04-03 07:00Z",
            &["2026-04-10 07:00Z", "2026-04-13 07:00Z", "2026-04-17 07:00Z"],
        ),
        (UTC, "Month=6 Weekday=1 Hour=7 Minute=0", "2026-06-22 07:00Z", &["2026-06-29 07:00Z", "2027-06-07 07:00Z"]),
        (
            UTC,
            "Month=6 Day=10 Weekday=1 Hour=7 Minute=0",
            "2026-05-25 12:00Z",
            &["2026-06-01 07:00Z", "2026-06-08 07:00Z", "2026-06-10 07:00Z", "2026-06-15 07:00Z"],
        ),
        (
            UTC,
            "Month=6 Day=10 Weekday=1 Hour=7 Minute=0",
            "2026-06-29 07:00Z",
            &["2027-06-07 07:00Z", "2027-06-10 07:00Z"],
        ),
    ]);
}

#[test]
fn days_that_a_month_lacks_are_skipped() {
    check(&[
        (
            UTC,
            "Day=31 Hour=1 Minute=0",
            "2026-01-31 01:00Z",
            &["2026-03-31 01:00Z", "2026-05-31 01:00Z", "2026-07-31 01:00Z", "2026-08-31 01:00Z"],
        ),
        (UTC, "Day=30 Hour=1 Minute=0", "2026-01-30 01:00Z", &["2026-03-30 01:00Z", "2026-04-30 01:00Z"]),
        (UTC, "Day=29 Hour=1 Minute=0", "2026-01-29 01:00Z", &["2026-03-29 01:00Z"]),
        (UTC, "Day=29 Hour=1 Minute=0", "2028-01-29 01:00Z", &["2028-02-29 01:00Z", "2028-03-29 01:00Z"]),
        (UTC, "Month=2 Day=29 Hour=1 Minute=0", "2026-01-01 00:00Z", &["2028-02-29 01:00Z", "2032-02-29 01:00Z"]),
        (UTC, "Month=2 Day=29 Hour=1 Minute=0", "2096-02-29 01:00Z", &["2104-02-29 01:00Z"]),
        (UTC, "Month=2 Day=29 Hour=1 Minute=0", "1999-12-31 00:00Z", &["2000-02-29 01:00Z"]),
        (
            UTC,
            "Month=2 Day=29 Weekday=1 Hour=1 Minute=0",
            "2028-02-21 01:00Z",
            &["2028-02-28 01:00Z", "2028-02-29 01:00Z", "2029-02-05 01:00Z"],
        ),
        (UTC, "Month=2 Day=30 Weekday=1 Hour=1 Minute=0", "2026-02-16 01:00Z", &["2026-02-23 01:00Z"]),
        (UTC, "Month=2 Day=30", "2026-01-01 00:00Z", &[]),
        (UTC, "Month=2 Day=31 Minute=0", "2026-01-01 00:00Z", &[]),
        (CET, "Month=4 Day=31 Hour=1", "2026-01-01 00:00Z", &[]),
    ]);
}

#[test]
fn the_earliest_of_several_entries_is_next() {
    check(&[
        (
            UTC,
            "Hour=7 Minute=0;Hour=3 Minute=30;Month=2 Day=30",
            "2026-01-01 00:00Z",
            &["2026-01-01 03:30Z", "2026-01-01 07:00Z", "2026-01-02 03:30Z"],
        ),
        (UTC, "Minute=0;Minute=0;Hour=1", "2026-01-01 00:30Z", &["2026-01-01 01:00Z", "2026-01-01 01:01Z"]),
    ]);
    assert_eq!(next(&[], Timestamp::UNIX_EPOCH, &TimeZone::UTC), None);
}

#[test]
fn a_time_in_a_gap_is_due_once_at_its_end() {
    check(&[
        (CET, "Hour=2 Minute=30", "2026-03-28 12:00+01", &["2026-03-29 03:00+02", "2026-03-30 02:30+02"]),
        (CET, "Hour=2 Minute=30", "2026-03-29 01:59:59+01", &["2026-03-29 03:00+02"]),
        (CET, "Hour=2 Minute=30", "2026-03-29 03:00:20+02", &["2026-03-30 02:30+02"]),
        (CET, "Hour=2 Minute=59", "2026-03-28 12:00+01", &["2026-03-29 03:00+02", "2026-03-30 02:59+02"]),
        (CET, "Hour=2 Minute=0", "2026-03-28 12:00+01", &["2026-03-29 03:00+02", "2026-03-30 02:00+02"]),
        (CET, "Hour=1 Minute=59", "2026-03-28 12:00+01", &["2026-03-29 01:59+01", "2026-03-30 01:59+02"]),
        (CET, "Hour=3 Minute=0", "2026-03-28 12:00+01", &["2026-03-29 03:00+02", "2026-03-30 03:00+02"]),
        (CET, "Weekday=0 Hour=2 Minute=15", "2026-03-28 12:00+01", &["2026-03-29 03:00+02", "2026-04-05 02:15+02"]),
        (CET, "Month=3 Day=29 Hour=2 Minute=15", "2026-01-01 00:00Z", &["2026-03-29 03:00+02", "2027-03-29 02:15+02"]),
        (
            CET,
            "Hour=2",
            "2026-03-28 02:58+01",
            &["2026-03-28 02:59+01", "2026-03-29 03:00+02", "2026-03-30 02:00+02", "2026-03-30 02:01+02"],
        ),
        (
            CET,
            "Hour=2 Minute=0;Hour=2 Minute=30;Hour=3 Minute=0;Hour=3 Minute=1",
            "2026-03-29 00:00+01",
            &["2026-03-29 03:00+02", "2026-03-29 03:01+02", "2026-03-30 02:00+02"],
        ),
        (SYDNEY, "Hour=2 Minute=30", "2025-10-04 12:00+10", &["2025-10-05 03:00+11", "2025-10-06 02:30+11"]),
        (SYDNEY, "Month=1 Day=1 Hour=0 Minute=0", "2026-06-01 00:00Z", &["2027-01-01 00:00+11"]),
        (HAVANA, "Hour=0 Minute=0", "2026-03-07 12:00-05", &["2026-03-08 01:00-04", "2026-03-09 00:00-04"]),
        (HAVANA, "Day=8 Hour=0 Minute=30", "2026-03-07 12:00-05", &["2026-03-08 01:00-04", "2026-04-08 00:30-04"]),
        (LORD_HOWE, "Hour=2 Minute=15", "2025-10-04 12:00+10:30", &["2025-10-05 02:30+11", "2025-10-06 02:15+11"]),
        (
            LORD_HOWE,
            "Hour=2 Minute=0;Hour=2 Minute=30",
            "2025-10-05 01:00+10:30",
            &["2025-10-05 02:30+11", "2025-10-06 02:00+11"],
        ),
        (DUBLIN, "Hour=1 Minute=30", "2026-03-28 12:00+00", &["2026-03-29 02:00+01", "2026-03-30 01:30+01"]),
    ]);
}

#[test]
fn an_entry_without_hour_is_not_made_up_for() {
    check(&[
        (CET, "Minute=30", "2026-03-29 00:59+01", &["2026-03-29 01:30+01", "2026-03-29 03:30+02"]),
        (CET, "Minute=0", "2026-03-29 00:59+01", &["2026-03-29 01:00+01", "2026-03-29 03:00+02"]),
        (CET, "", "2026-03-29 01:58+01", &["2026-03-29 01:59+01", "2026-03-29 03:00+02", "2026-03-29 03:01+02"]),
        (CET, "Day=29 Minute=30", "2026-03-29 01:30+01", &["2026-03-29 03:30+02"]),
        (LORD_HOWE, "Minute=15", "2025-10-05 01:00+10:30", &["2025-10-05 01:15+10:30", "2025-10-05 03:15+11"]),
    ]);
}

#[test]
fn a_time_that_comes_twice_is_due_the_first_time() {
    check(&[
        (CET, "Hour=2 Minute=30", "2026-10-24 12:00+02", &["2026-10-25 02:30+02", "2026-10-26 02:30+01"]),
        (CET, "Hour=2 Minute=0", "2026-10-24 12:00+02", &["2026-10-25 02:00+02", "2026-10-26 02:00+01"]),
        (CET, "Hour=2 Minute=30", "2026-10-25 02:10+01", &["2026-10-26 02:30+01"]),
        (CET, "Hour=2 Minute=30", "2026-10-25 02:50+02", &["2026-10-26 02:30+01"]),
        (CET, "Hour=3 Minute=0", "2026-10-25 00:00+02", &["2026-10-25 03:00+01", "2026-10-26 03:00+01"]),
        (CET, "Hour=2", "2026-10-25 02:58:59+02", &["2026-10-25 02:59+02", "2026-10-26 02:00+01"]),
        (
            CET,
            "Minute=30",
            "2026-10-25 01:00+02",
            &["2026-10-25 01:30+02", "2026-10-25 02:30+02", "2026-10-25 03:30+01"],
        ),
        (CET, "", "2026-10-25 02:58+02", &["2026-10-25 02:59+02", "2026-10-25 03:00+01", "2026-10-25 03:01+01"]),
        (CET, "", "2026-10-25 02:10:10+01", &["2026-10-25 03:00+01"]),
        (SYDNEY, "Hour=2 Minute=30", "2026-04-04 12:00+11", &["2026-04-05 02:30+11", "2026-04-06 02:30+10"]),
        (SYDNEY, "Minute=45", "2026-04-05 02:00+11", &["2026-04-05 02:45+11", "2026-04-05 03:45+10"]),
        (HAVANA, "Hour=0 Minute=30", "2026-10-31 12:00-04", &["2026-11-01 00:30-04", "2026-11-02 00:30-05"]),
        (LORD_HOWE, "Hour=1 Minute=45", "2026-04-05 00:00+11", &["2026-04-05 01:45+11", "2026-04-06 01:45+10:30"]),
        (DUBLIN, "Hour=1 Minute=30", "2026-10-24 12:00+01", &["2026-10-25 01:30+01", "2026-10-26 01:30+00"]),
    ]);
}

#[test]
fn what_cannot_be_is_never_due() {
    let any = Entry::default();
    for entry in [
        Entry { minute: Some(60), ..any },
        Entry { minute: Some(255), ..any },
        Entry { hour: Some(24), ..any },
        Entry { day: Some(32), ..any },
        Entry { day: Some(0), ..any },
        Entry { month: Some(13), ..any },
    ] {
        assert_eq!(next(&[entry], Timestamp::UNIX_EPOCH, &TimeZone::UTC), None, "{entry:?}");
    }
    for rule in [UTC, CET, HAVANA] {
        assert_eq!(next(&[any], Timestamp::MAX, &zone(rule)), None, "{rule}: there is no later moment");
    }
}

/// Weeks with a change of the clock in them: a zone and when they begin.
const WEEKS: &[(&str, &str)] = &[
    (CET, "2026-03-15 00:00Z"),
    (CET, "2026-10-11 00:00Z"),
    (SYDNEY, "2025-09-21 00:00Z"),
    (SYDNEY, "2026-03-22 00:00Z"),
    (HAVANA, "2026-02-22 00:00Z"),
    (HAVANA, "2026-10-18 00:00Z"),
    (LORD_HOWE, "2025-09-21 00:00Z"),
    (LORD_HOWE, "2026-03-22 00:00Z"),
    (DUBLIN, "2026-03-15 00:00Z"),
    (DUBLIN, "2026-10-11 00:00Z"),
];
const MINUTES: i64 = 3 * 7 * 24 * 60;
/// How many lists of entries are tried in each of them.
const LISTS: usize = 16;
/// How many moments of each of them are asked about besides.
const MOMENTS: usize = 40;

/// Whether an entry names a minute of the wall clock, written down apart from what is tested.
fn names(entry: &Entry, wall: DateTime) -> bool {
    let is = |wanted: Option<u8>, found: i8| wanted.is_none_or(|wanted| i64::from(wanted) == i64::from(found));
    let weekday = wall.weekday().to_sunday_zero_offset();
    let on_day = is(entry.day, wall.day());
    let on_weekday = is(entry.weekday.map(|weekday| if weekday == 7 { 0 } else { weekday }), weekday);
    let both = entry.day.is_some() && entry.weekday.is_some();
    let day = if both { on_day || on_weekday } else { on_day && on_weekday };
    day && is(entry.minute, wall.minute()) && is(entry.hour, wall.hour()) && is(entry.month, wall.month())
}

/// Every moment at which the entries are due: a time on the wall is new when no later one was there before, and what
/// was jumped over is made up for where it jumped.
fn oracle(entries: &[Entry], minutes: &[(Timestamp, DateTime)]) -> Vec<Timestamp> {
    let mut latest = minutes[0].1 - MINUTE;
    let mut due = Vec::new();
    for (moment, wall) in minutes.iter().copied() {
        if wall <= latest {
            continue;
        }
        let missing = || std::iter::successors(Some(latest + MINUTE), |minute| Some(*minute + MINUTE));
        let skipped = |entry: &Entry| missing().take_while(|minute| *minute < wall).any(|minute| names(entry, minute));
        if entries.iter().any(|entry| names(entry, wall) || (entry.hour.is_some() && skipped(entry))) {
            due.push(moment);
        }
        latest = wall;
    }
    due
}

/// Numbers that are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    /// A field that is given so many times in a hundred.
    fn field(&mut self, percent: u64, least: u8, most: u8) -> Option<u8> {
        let given = self.roll(100) < percent;
        let value = u64::from(least) + self.roll(u64::from(most - least) + 1);
        given.then_some(u8::try_from(value).expect("no more than most"))
    }

    /// Hours in which clocks change are more likely than others.
    fn entry(&mut self) -> Entry {
        Entry {
            minute: self.field(85, 0, 59),
            hour: self.field(70, 0, 4),
            day: self.field(30, 1, 31),
            weekday: self.field(30, 0, 7),
            month: self.field(15, 1, 12),
        }
    }
}

#[test]
fn random_entries_are_due_when_a_walk_over_every_minute_finds_them() {
    let mut dice = Dice(2026);
    let mut found = 0;
    for (rule, start) in WEEKS {
        let (zone, start) = (zone(rule), moment(start));
        let at = |minute| start + SignedDuration::from_mins(minute);
        let minutes: Vec<_> = (0..MINUTES).map(|minute| (at(minute), zone.to_datetime(at(minute)))).collect();
        for _ in 0..LISTS {
            let entries: Vec<_> = (0..=dice.roll(3)).map(|_| dice.entry()).collect();
            let expected = oracle(&entries, &minutes);
            let due = due_until(&entries, start - MINUTE, at(MINUTES), &zone);
            assert_eq!(due, expected, "{entries:?} in {rule}");
            for _ in 0..MOMENTS {
                let second = i64::try_from(dice.roll(MINUTES.unsigned_abs() * 60)).expect("some weeks");
                let after = start + SignedDuration::from_secs(second);
                if let Some(expected) = expected.iter().find(|moment| **moment > after) {
                    assert_eq!(next(&entries, after, &zone), Some(*expected), "{entries:?} in {rule} after {after}");
                }
            }
            found += due.len();
        }
    }
    assert!(found > 1000, "the entries were due {found} times");
}
