//! Entries in words, for a person, and read from the command line, in launchd's own names of the fields. Property
//! lists are `spec`'s; names and ranges of the fields are the registry's.

use std::fmt::{self, Display, Formatter};

use thiserror::Error;

use super::Entry;
use crate::keys::{self, Key, Kind, Match};

/// The key whose fields an entry has.
const KEY: &str = "StartCalendarInterval";

/// The months, and how many days each has at most.
const MONTHS: [(&str, u8); 12] = [
    ("January", 31),
    ("February", 29),
    ("March", 31),
    ("April", 30),
    ("May", 31),
    ("June", 30),
    ("July", 31),
    ("August", 31),
    ("September", 30),
    ("October", 31),
    ("November", 30),
    ("December", 31),
];

/// The days of the week, from 0.
const WEEKDAYS: [&str; 8] =
    ["Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"];

/// Why a text is no entry.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum CalendarError {
    /// It has no field at all.
    #[error("no field is given; expected one or more, such as Hour=3 Minute=30")]
    Empty,
    /// A part of it is not NAME=NUMBER.
    #[error("{found:?} is no field with a value; expected NAME=NUMBER without blanks in it, such as Hour=3")]
    NoValue {
        /// The part.
        found: String,
    },
    /// A name is none of the fields.
    #[error("there is no field {found:?}; {hint}")]
    Unknown {
        /// The name.
        found: String,
        /// The nearest field, or all of them.
        hint: String,
    },
    /// A field is given more than once.
    #[error("{field} is given twice; name it once, or use a job file for several times")]
    Twice {
        /// The field.
        field: &'static str,
    },
    /// A field has a value that it cannot have.
    #[error("{field} is {found:?}; expected {expected}")]
    Value {
        /// The field.
        field: &'static str,
        /// The value.
        found: String,
        /// The range in words.
        expected: String,
    },
}

/// Reads an entry: `Hour=3 Minute=30`, in any letter case, fields separated by blanks or commas.
///
/// # Errors
/// When it has no field, a field that launchd does not know, one twice, or a value out of its range.
pub fn parse(text: &str) -> Result<Entry, CalendarError> {
    let between = |letter: char| letter == ',' || letter.is_whitespace();
    let mut fields = text.split(between).filter(|field| !field.is_empty()).peekable();
    if fields.peek().is_none() {
        return Err(CalendarError::Empty);
    }
    let mut entry = Entry::default();
    for field in fields {
        set(&mut entry, field)?;
    }
    Ok(entry)
}

fn set(entry: &mut Entry, text: &str) -> Result<(), CalendarError> {
    let (name, value) = text.split_once('=').ok_or_else(|| CalendarError::NoValue { found: text.into() })?;
    let (Match::Exact(key) | Match::OtherCase(key)) = keys::look_up(KEY, name) else {
        return Err(unknown(name));
    };
    let place = match key.name() {
        "Minute" => &mut entry.minute,
        "Hour" => &mut entry.hour,
        "Day" => &mut entry.day,
        "Weekday" => &mut entry.weekday,
        "Month" => &mut entry.month,
        _ => return Err(unknown(name)),
    };
    if place.is_some() {
        return Err(CalendarError::Twice { field: key.name() });
    }
    *place = Some(number(key, value)?);
    Ok(())
}

fn unknown(name: &str) -> CalendarError {
    let hint = keys::nearest(KEY, name).map_or_else(
        || format!("the fields are {}", keys::children(KEY).map(Key::name).collect::<Vec<_>>().join(", ")),
        |key| format!("the nearest is {}", key.name()),
    );
    CalendarError::Unknown { found: name.into(), hint }
}

/// A value within the range that the registry has for the field.
fn number(key: &Key, value: &str) -> Result<u8, CalendarError> {
    let within = |number: i64| matches!(key.kind, Kind::Integer { least, most } if (least..=most).contains(&number));
    let number = value.parse::<u8>().ok().filter(|number| within((*number).into()));
    number.ok_or_else(|| CalendarError::Value { field: key.name(), found: value.into(), expected: key.kind.words() })
}

impl Display for Entry {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let time = time(self);
        let Some(days) = days(self) else {
            return out.write_str(&time);
        };
        // After two kinds of days a bare `at` would seem to be about the second only.
        let two = self.day.is_some() && self.weekday.is_some();
        let exact = self.hour.is_some() && self.minute.is_some();
        let comma = if exact && !two { "" } else { "," };
        write!(out, "{days}{comma} {time}")
    }
}

fn time(entry: &Entry) -> String {
    match (entry.hour, entry.minute) {
        (Some(hour), Some(minute)) => format!("at {hour:02}:{minute:02}"),
        (Some(hour), None) => format!("every minute from {hour:02}:00 to {hour:02}:59"),
        (None, Some(minute)) => format!("every hour at minute {minute}"),
        (None, None) => "every minute".into(),
    }
}

/// The days, unless the time says all: every hour is so every day.
fn days(entry: &Entry) -> Option<String> {
    match (entry.day, entry.weekday, entry.month) {
        (None, None, None) => entry.hour.map(|_| "every day".into()),
        (None, None, Some(month)) => Some(format!("every day in {}", month_row(month).0)),
        (Some(day), None, month) => Some(day_of_month(day, month)),
        (None, Some(weekday), month) => Some(weekdays(weekday, month)),
        (Some(day), Some(weekday), month) => {
            Some(format!("{} and on {}", day_of_month(day, month), weekdays(weekday, month)))
        }
    }
}

fn day_of_month(day: u8, month: Option<u8>) -> String {
    let Some(month) = month else {
        let remark = if day > 28 { " (if it has one)" } else { "" };
        return format!("on day {day} of every month{remark}");
    };
    let (name, longest) = month_row(month);
    let remark = match (month, day) {
        _ if day > longest => " (which it never has)",
        (2, 29) => " (in leap years)",
        _ => "",
    };
    format!("on day {day} of {name}{remark}")
}

fn weekdays(weekday: u8, month: Option<u8>) -> String {
    let name = WEEKDAYS.get(usize::from(weekday)).copied().unwrap_or("no day of the week");
    match month {
        None => name.into(),
        Some(month) => format!("{name} in {}", month_row(month).0),
    }
}

fn month_row(month: u8) -> (&'static str, u8) {
    let row = usize::from(month).checked_sub(1).and_then(|index| MONTHS.get(index));
    row.copied().unwrap_or(("no month", 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_as_words() {
        for (text, words) in [
            ("Hour=3 Minute=30", "every day at 03:30"),
            ("Hour=3", "every day, every minute from 03:00 to 03:59"),
            ("Minute=15", "every hour at minute 15"),
            ("Weekday=1 Hour=7 Minute=0", "Mondays at 07:00"),
            ("Weekday=7 Hour=7", "Sundays, every minute from 07:00 to 07:59"),
            ("Weekday=0 Minute=5", "Sundays, every hour at minute 5"),
            ("Weekday=6", "Saturdays, every minute"),
            ("Weekday=2 Month=12 Hour=0 Minute=0", "Tuesdays in December at 00:00"),
            ("Month=1 Day=1 Hour=0 Minute=0", "on day 1 of January at 00:00"),
            ("Month=8 Hour=23 Minute=59", "every day in August at 23:59"),
            ("Month=8", "every day in August, every minute"),
            ("Day=28 Hour=1 Minute=2", "on day 28 of every month at 01:02"),
            ("Day=31 Hour=1 Minute=2", "on day 31 of every month (if it has one) at 01:02"),
            ("Day=29 Month=2 Hour=1 Minute=2", "on day 29 of February (in leap years) at 01:02"),
            ("Day=31 Month=4 Hour=1 Minute=2", "on day 31 of April (which it never has) at 01:02"),
            ("Day=13 Weekday=5 Hour=7 Minute=0", "on day 13 of every month and on Fridays, at 07:00"),
            ("Day=13 Weekday=5", "on day 13 of every month and on Fridays, every minute"),
            ("Month=6 Day=13 Weekday=5 Minute=9", "on day 13 of June and on Fridays in June, every hour at minute 9"),
        ] {
            assert_eq!(parse(text).expect(text).to_string(), words, "{text}");
        }
        assert_eq!(Entry::default().to_string(), "every minute");
    }

    #[test]
    fn fields_out_of_range_have_words_too() {
        for (entry, words) in [
            (Entry { month: Some(13), ..Entry::default() }, "every day in no month, every minute"),
            (Entry { weekday: Some(8), ..Entry::default() }, "no day of the week, every minute"),
        ] {
            assert_eq!(entry.to_string(), words);
        }
    }

    #[test]
    fn fields_are_read_in_any_order_case_and_separation() {
        let all = Entry { minute: Some(30), hour: Some(3), day: Some(31), weekday: Some(7), month: Some(12) };
        for text in [
            "Minute=30 Hour=3 Day=31 Weekday=7 Month=12",
            "month=12,weekDay=7,DAY=31,hour=03,minute=30",
            " ,Hour=3,\tMinute=30\nDay=31 ,, Weekday=7 Month=12 ,",
        ] {
            assert_eq!(parse(text), Ok(all), "{text:?}");
        }
        assert_eq!(parse("Weekday=0"), Ok(Entry { weekday: Some(0), ..Entry::default() }));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        for (text, message) in [
            ("", "no field is given; expected one or more, such as Hour=3 Minute=30"),
            (" , ", "no field is given; expected one or more, such as Hour=3 Minute=30"),
            (
                "Hour = 3",
                "\"Hour\" is no field with a value; expected NAME=NUMBER without blanks in it, such as Hour=3",
            ),
            ("Hours=3", "there is no field \"Hours\"; the nearest is Hour"),
            ("Year=2026", "there is no field \"Year\"; the fields are Minute, Hour, Day, Weekday, Month"),
            ("=3", "there is no field \"\"; the fields are Minute, Hour, Day, Weekday, Month"),
            ("Hour=3 hour=4", "Hour is given twice; name it once, or use a job file for several times"),
            ("Hour=24", "Hour is \"24\"; expected an integer from 0 to 23"),
            ("Minute=60", "Minute is \"60\"; expected an integer from 0 to 59"),
            ("Day=0", "Day is \"0\"; expected an integer from 1 to 31"),
            ("Weekday=8", "Weekday is \"8\"; expected an integer from 0 to 7"),
            ("Month=0", "Month is \"0\"; expected an integer from 1 to 12"),
            ("Month=-1", "Month is \"-1\"; expected an integer from 1 to 12"),
            ("Month=256", "Month is \"256\"; expected an integer from 1 to 12"),
            ("Weekday=Mon", "Weekday is \"Mon\"; expected an integer from 0 to 7"),
            ("Minute=*/5", "Minute is \"*/5\"; expected an integer from 0 to 59"),
            ("Minute=", "Minute is \"\"; expected an integer from 0 to 59"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.to_string(), message, "{text:?}");
        }
    }
}
