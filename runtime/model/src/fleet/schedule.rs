//! When a job's timers come round: StartInterval on a clock that counts sleep, StartCalendarInterval on the wall's.
//! However much was slept or stepped over, what was missed is made up for once.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::cause::Cause;
use crate::calendar;
use crate::launch::Launch;
use crate::run::Moment;

/// The moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since boot, sleep included (CLOCK_BOOTTIME).
    pub boot: Moment,
    /// The wall clock.
    pub wall: Timestamp,
}

/// A clock set back by less repeats nothing; a larger step is a new time of day (cron's rule, for the same reason).
const SMALL_STEP: SignedDuration = SignedDuration::from_hours(3);

/// A job's armed timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    interval: Option<Moment>,
    calendar: Option<Timestamp>,
    /// The wall clock when a calendar time was last taken.
    taken: Option<Timestamp>,
}

impl Schedule {
    /// Arms what the job has.
    pub fn armed(launch: &Launch, now: Now, zone: &TimeZone) -> Self {
        Self {
            interval: launch.interval.map(|seconds| now.boot + milliseconds(seconds)),
            calendar: calendar::next(&launch.calendar, now.wall, zone),
            taken: Some(now.wall),
        }
    }

    /// When StartInterval comes round.
    pub fn interval(&self) -> Option<Moment> {
        self.interval
    }

    /// When StartCalendarInterval comes round.
    pub fn calendar(&self) -> Option<Timestamp> {
        self.calendar
    }

    /// Whether a timer is armed.
    pub fn is_armed(&self) -> bool {
        self.interval.is_some() || self.calendar.is_some()
    }

    /// What has come round; each is armed for its next time behind now.
    pub fn due(&mut self, launch: &Launch, now: Now, zone: &TimeZone) -> Vec<Cause> {
        let mut causes = Vec::new();
        if let (Some(due), Some(seconds)) = (self.interval, launch.interval)
            && due <= now.boot
        {
            let every = milliseconds(seconds);
            self.interval = Some(due + ((now.boot - due) / every + 1) * every);
            causes.push(Cause::Interval);
        }
        if self.calendar.is_some_and(|due| due <= now.wall) {
            self.calendar = calendar::next(&launch.calendar, now.wall, zone);
            self.taken = Some(now.wall);
            causes.push(Cause::Calendar);
        }
        causes
    }

    /// The wall clock was set. Forward, `due` finds what was missed; set back by much, the next time is taken anew.
    pub fn clock_set(&mut self, launch: &Launch, now: Now, zone: &TimeZone) {
        let back = self.taken.is_some_and(|taken| taken.duration_since(now.wall) > SMALL_STEP);
        if self.calendar.is_some() && back {
            self.calendar = calendar::next(&launch.calendar, now.wall, zone);
            self.taken = Some(now.wall);
        }
    }

    /// The zone is another: the time that is still to come is the one its clocks will show. One that has come stays.
    pub fn zone_set(&mut self, launch: &Launch, now: Now, zone: &TimeZone) {
        if self.calendar.is_some_and(|due| due > now.wall) {
            self.calendar = calendar::next(&launch.calendar, now.wall, zone);
        }
    }
}

fn milliseconds(seconds: u32) -> Moment {
    Moment::from(seconds.max(1)) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Entry;

    fn at(boot: Moment, wall: &str) -> Now {
        Now { boot, wall: wall.parse().unwrap() }
    }

    fn noon() -> Launch {
        let entry = Entry { hour: Some(12), minute: Some(0), ..Entry::default() };
        Launch { interval: Some(60), calendar: vec![entry], ..Launch::default() }
    }

    #[test]
    fn what_was_slept_over_is_made_up_for_once() {
        let (launch, zone) = (noon(), TimeZone::UTC);
        let mut schedule = Schedule::armed(&launch, at(0, "2026-01-01T10:00:00Z"), &zone);
        assert!(schedule.due(&launch, at(59_999, "2026-01-01T10:00:59Z"), &zone).is_empty());
        let wake = at(200_000_500, "2026-01-03T17:33:20Z");
        assert_eq!(schedule.due(&launch, wake, &zone), [Cause::Interval, Cause::Calendar]);
        assert!(schedule.due(&launch, wake, &zone).is_empty());
        assert_eq!(schedule.interval(), Some(200_040_000));
        assert_eq!(schedule.calendar(), Some("2026-01-04T12:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_time_to_come_is_the_one_of_the_new_zone() {
        let (launch, two_east) = (noon(), TimeZone::fixed(jiff::tz::offset(2)));
        for (now, expected) in [
            ("2026-01-01T09:59:00Z", "2026-01-01T10:00:00Z"),
            ("2026-01-01T10:30:00Z", "2026-01-02T10:00:00Z"),
            ("2026-01-01T12:00:00Z", "2026-01-01T12:00:00Z"),
        ] {
            let mut schedule = Schedule::armed(&launch, at(0, "2026-01-01T09:00:00Z"), &TimeZone::UTC);
            schedule.zone_set(&launch, at(5, now), &two_east);
            assert_eq!(schedule.calendar(), Some(expected.parse().unwrap()), "{now}");
        }
    }

    #[test]
    fn a_clock_set_back_repeats_only_after_a_large_step() {
        let (launch, zone) = (noon(), TimeZone::UTC);
        let ran = at(0, "2026-01-02T12:00:01Z");
        for (back, expected) in [
            ("2026-01-02T11:59:00Z", "2026-01-03T12:00:00Z"),
            ("2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z"),
            ("2026-01-02T12:00:00Z", "2026-01-03T12:00:00Z"),
        ] {
            let mut schedule = Schedule::armed(&launch, ran, &zone);
            schedule.clock_set(&launch, at(5, back), &zone);
            assert_eq!(schedule.calendar(), Some(expected.parse().unwrap()), "{back}");
        }
    }
}
