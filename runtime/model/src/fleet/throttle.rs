//! How soon a job may start again: ThrottleInterval from start to start, longer after failures in a row. It never
//! gives up, and it holds back nothing that an operator asks for.

use serde::{Deserialize, Serialize};

use crate::run::Moment;

/// The longest delay that failures lead to, as launchd's of today: 1200 s.
pub const LONGEST: Moment = 1_200_000;
/// A run that lasted so long shows that the job works again.
pub const HEALTHY: Moment = 60_000;
/// Failures in a row before delays grow.
const PATIENT: u32 = 2;
/// What doubles when ThrottleInterval is 0: without it a job that fails at once would start without end.
const LEAST: Moment = 1_000;

/// What the throttle remembers of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    last_start: Option<Moment>,
    /// Failed starts in a row.
    pub failures: u32,
}

impl Throttle {
    /// The job was started.
    pub fn started(&mut self, now: Moment) {
        self.last_start = Some(now);
    }

    /// A start came to nothing, however long it took: the next one is counted from here.
    pub fn not_started(&mut self, now: Moment) {
        self.last_start = Some(now);
        self.failures = self.failures.saturating_add(1);
    }

    /// A run ended that nobody had asked to end.
    pub fn ended(&mut self, now: Moment, failed: bool) {
        let lasted = self.last_start.map_or(0, |start| now.saturating_sub(start));
        if lasted >= HEALTHY || !failed {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(u32::from(failed));
    }

    /// A run was ended only because it had nothing to do: the next start is as free as the first.
    pub fn was_idle(&mut self) {
        *self = Self::default();
    }

    /// The first moment at which it may start; `interval` is ThrottleInterval in seconds.
    pub fn earliest(&self, interval: u32) -> Moment {
        self.last_start.map_or(0, |start| start + self.delay(interval))
    }

    /// Whether failures, and not only ThrottleInterval, hold it back.
    pub fn backs_off(&self) -> bool {
        self.failures >= PATIENT
    }

    fn delay(&self, interval: u32) -> Moment {
        let interval = Moment::from(interval) * 1000;
        if !self.backs_off() {
            return interval;
        }
        let doublings = (self.failures - PATIENT + 1).min(16);
        (interval.max(LEAST) << doublings).min(LONGEST).max(interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_with_failures_in_a_row() {
        for (interval, failures, expected) in [
            (10, 0, 10_000),
            (10, 1, 10_000),
            (10, 2, 20_000),
            (10, 3, 40_000),
            (10, 8, 1_200_000),
            (10, u32::MAX, 1_200_000),
            (0, 0, 0),
            (0, 1, 0),
            (0, 2, 2_000),
            (3600, 5, 3_600_000),
        ] {
            let throttle = Throttle { last_start: Some(1), failures };
            assert_eq!(throttle.earliest(interval), 1 + expected, "{interval} s, {failures} failures");
        }
    }

    #[test]
    fn health_or_success_forgives() {
        for (failures, lasted, failed, expected) in
            [(5, 10, true, 6), (5, HEALTHY, true, 1), (5, HEALTHY, false, 0), (5, 10, false, 0), (0, 10, true, 1)]
        {
            let mut throttle = Throttle { last_start: Some(1000), failures };
            throttle.ended(1000 + lasted, failed);
            assert_eq!(throttle.failures, expected, "{failures} then {lasted} ms, failed {failed}");
        }
    }

    #[test]
    fn the_time_of_a_start_that_came_to_nothing_is_no_health() {
        let mut throttle = Throttle { last_start: Some(1000), failures: 1 };
        throttle.not_started(1000 + 2 * HEALTHY);
        assert_eq!((throttle.failures, throttle.earliest(10)), (2, 1000 + 2 * HEALTHY + 20_000));
    }

    #[test]
    fn the_first_start_and_the_one_after_an_idle_end_are_free() {
        assert_eq!(Throttle::default().earliest(10), 0);
        let mut throttle = Throttle { last_start: Some(1_000), failures: 5 };
        throttle.was_idle();
        assert_eq!((throttle.earliest(10), throttle.failures), (0, 0));
    }
}
