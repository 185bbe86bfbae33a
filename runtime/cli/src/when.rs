//! Moments as a person reads and writes them, in local time. What travels is RFC 3339; it is turned here, and nowhere
//! stored.

use jiff::civil::{DateTime, Time};
use jiff::{Span, Timestamp, Zoned};

use crate::amount;
use crate::refusal::Refusal;

/// What the clock says, and where.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// Now, in local time.
    pub now: Zoned,
}

impl Clock {
    /// The system's.
    pub fn system() -> Self {
        Self { now: Zoned::now() }
    }

    /// A moment to the second. What is no moment stays as it is.
    pub fn local(&self, text: &str) -> String {
        self.formatted(text, "%F %T")
    }

    /// A moment to the millisecond. What is no moment stays as it is.
    pub fn exact(&self, text: &str) -> String {
        self.formatted(text, "%F %T%.3f")
    }

    fn formatted(&self, text: &str, format: &str) -> String {
        let Ok(moment) = text.parse::<Timestamp>() else {
            return text.to_owned();
        };
        moment.to_zoned(self.now.time_zone().clone()).strftime(format).to_string()
    }

    /// How far ahead a moment is, and which it is: `in 3 min (2026-11-21 10:03:00)`.
    pub fn ahead(&self, text: &str) -> String {
        let Ok(moment) = text.parse::<Timestamp>() else {
            return text.to_owned();
        };
        let local = self.local(text);
        match u64::try_from(moment.duration_since(self.now.timestamp()).as_secs()) {
            Ok(seconds) if seconds > 0 => format!("in {} ({local})", amount::seconds(seconds)),
            _ => format!("now ({local})"),
        }
    }

    /// The moment that a person means: `10m`, `2h` or `1d` ago, a time of today, a local or a full time.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn moment(&self, text: &str) -> Result<Timestamp, Refusal> {
        // Times of the clock first: 14:30:00 could be meant as a length too.
        let read = text.parse::<Timestamp>().ok().or_else(|| self.wall(text)).or_else(|| self.ago(text));
        // A zone within the text would be passed over in silence.
        read.filter(|_| !text.contains('[')).ok_or_else(|| {
            Refusal::usage(
                format!("{text:?} is no time"),
                "expected how long ago, or a moment",
                "write 90s, 10m, 2h or 1d; 14:30 of today; 2026-03-29T02:00 in local time; or 2026-03-29T01:00Z",
            )
        })
    }

    fn ago(&self, text: &str) -> Option<Timestamp> {
        let span = text.parse::<Span>().ok()?.abs();
        Some(self.now.checked_sub(span).ok()?.timestamp())
    }

    fn wall(&self, text: &str) -> Option<Timestamp> {
        let today = || text.parse::<Time>().ok().map(|time| self.now.date().to_datetime(time));
        let wall = text.parse::<DateTime>().ok().or_else(|| today().filter(|_| text.contains(':')))?;
        self.now.time_zone().to_timestamp(wall).ok()
    }
}

/// How long it was from one moment to another; nothing if one of them is none.
pub(crate) fn between(start: &str, end: &str) -> Option<String> {
    let (start, end) = (start.parse::<Timestamp>().ok()?, end.parse::<Timestamp>().ok()?);
    Some(amount::milliseconds(i64::try_from(end.duration_since(start).as_millis()).ok()?))
}

/// A clock that stands at 2026-11-21 10:00, an hour east of UTC.
#[cfg(test)]
pub(crate) fn standing() -> Clock {
    let now: Timestamp = "2026-11-21T09:00:00Z".parse().expect("a moment");
    Clock { now: now.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(1))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_in_local_time() {
        let clock = standing();
        for (text, local, exact, ahead) in [
            (
                "2026-11-21T09:03:00Z",
                "2026-11-21 10:03:00",
                "2026-11-21 10:03:00.000",
                "in 3 min (2026-11-21 10:03:00)",
            ),
            (
                "2026-11-21T08:59:59.1239Z",
                "2026-11-21 09:59:59",
                "2026-11-21 09:59:59.123",
                "now (2026-11-21 09:59:59)",
            ),
            ("soon", "soon", "soon", "soon"),
        ] {
            assert_eq!((clock.local(text).as_str(), clock.exact(text).as_str()), (local, exact));
            assert_eq!(clock.ahead(text), ahead);
        }
    }

    #[test]
    fn a_person_says_when_in_many_ways() {
        let clock = standing();
        for (text, expected) in [
            ("90s", Some("2026-11-21T08:58:30Z")),
            ("10m", Some("2026-11-21T08:50:00Z")),
            ("2h", Some("2026-11-21T07:00:00Z")),
            ("1h30m", Some("2026-11-21T07:30:00Z")),
            ("1d", Some("2026-11-20T09:00:00Z")),
            ("2 weeks", Some("2026-11-07T09:00:00Z")),
            ("10m ago", Some("2026-11-21T08:50:00Z")),
            ("08:30", Some("2026-11-21T07:30:00Z")),
            ("08:30:15", Some("2026-11-21T07:30:15Z")),
            ("2026-11-20", Some("2026-11-19T23:00:00Z")),
            ("2026-11-20T12:00", Some("2026-11-20T11:00:00Z")),
            ("2026-11-20T12:00Z", Some("2026-11-20T12:00:00Z")),
            ("2026-11-20T12:00-05:00", Some("2026-11-20T17:00:00Z")),
            ("2026-11-20T12:00[Europe/Paris]", None),
            ("10", None),
            ("yesterday", None),
            ("", None),
        ] {
            let found = clock.moment(text).ok().map(|moment| moment.to_string());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn how_long_a_run_took_needs_both_ends() {
        for (start, end, expected) in [
            ("2026-11-21T09:00:00Z", "2026-11-21T09:00:00.25Z", Some("250 ms")),
            ("2026-11-21T09:00:00Z", "2026-11-21T11:05:01Z", Some("2 h 5 min")),
            ("2026-11-21T09:00:00Z", "", None),
        ] {
            assert_eq!(between(start, end).as_deref(), expected);
        }
    }
}
