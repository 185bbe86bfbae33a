//! Times of `StartCalendarInterval` that fire more often than they look, or never.

use crate::finding::{Finding, Severity};

use super::super::raw::{RawData, RawJob, RawValue};
use super::warning;

/// The months without a 31st day.
const SHORT_MONTHS: [i64; 4] = [4, 6, 9, 11];

/// Looks at every time.
pub fn check(raw: &RawJob, findings: &mut Vec<Finding>) {
    let Some(value) = raw.get("StartCalendarInterval") else {
        return;
    };
    if matches!(&value.data, RawData::Array(items) if items.is_empty()) {
        findings.push(warning(value, "never", "an empty StartCalendarInterval never starts the job"));
    }
    for time in value.one_or_many() {
        if matches!(time.data, RawData::Dictionary(_)) {
            findings.extend(every_minute(time));
            findings.extend(missing_day(time));
        }
    }
}

/// A minute left out is every minute, not the full hour.
fn every_minute(time: &RawValue) -> Option<Finding> {
    const FIELDS: [&str; 4] = ["Hour", "Day", "Weekday", "Month"];
    if time.get("Minute").is_some() {
        return None;
    }
    let given = FIELDS.iter().find(|field| time.get(field).is_some());
    let message = match (given, time.get("Hour")) {
        (None, _) => "no field is given, so the job starts every minute",
        (Some(_), Some(_)) => "Hour without Minute starts the job every minute of that hour",
        (Some(_), None) => "without Hour and Minute the job starts every minute of those days",
    };
    Some(warning(time, "every-minute", message).help("add Minute 0 for the full hour"))
}

/// Days that no month, or not every month, has.
fn missing_day(time: &RawValue) -> Option<Finding> {
    let value = time.get("Day")?;
    let day = value.integer()?;
    let Some(month) = time.get("Month") else {
        return (day > 28).then(|| {
            let message = format!("months without a day {day} are skipped; launchd starts the job in the next one");
            value.finding(Severity::Note, "missing-day", message)
        });
    };
    let month = month.integer()?;
    let lacks = (month == 2 && day > 29) || (SHORT_MONTHS.contains(&month) && day > 30);
    let alone = time.get("Weekday").is_none();
    match (lacks, month == 2 && day == 29) {
        (true, _) if alone => {
            Some(warning(value, "never", format!("month {month} has no day {day}, so this time never comes")))
        }
        (true, _) => Some(warning(value, "never", format!("month {month} has no day {day}"))),
        (false, true) => {
            let message = "29 February comes in leap years only";
            Some(value.finding(Severity::Note, "missing-day", message))
        }
        (false, false) => None,
    }
}
