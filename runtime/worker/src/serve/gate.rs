//! How many may come, and how fast: ConnectionsPerSource and ConnectionRate. Time is an argument; nobody is accepted or
//! sent away here.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use wjob_model::limit::Limits;

use super::listening::Source;

/// The counts of one job.
#[derive(Debug)]
pub(crate) struct Gate {
    per_source: Option<u64>,
    sources: HashMap<Source, u64>,
    rate: Option<Rate>,
}

/// A bucket of a second's worth.
#[derive(Debug)]
struct Rate {
    a_second: f64,
    left: f64,
    filled: Instant,
}

impl Gate {
    /// The gate of a job that begins to serve at `now`.
    pub fn new(limits: &Limits, now: Instant) -> Self {
        let rate = limits.connection_rate.map(|a_second| a_second as f64);
        let rate = rate.map(|a_second| Rate { a_second, left: a_second, filled: now });
        Self { per_source: limits.connections_per_source, sources: HashMap::new(), rate }
    }

    /// Whether everybody may come whenever he likes: then nobody needs to be counted.
    pub fn is_open(&self) -> bool {
        self.per_source.is_none() && self.rate.is_none()
    }

    /// How long nobody may come; `None` = now.
    pub fn pause(&mut self, now: Instant) -> Option<Duration> {
        let rate = self.rate.as_mut()?;
        let gained = now.saturating_duration_since(rate.filled).as_secs_f64() * rate.a_second;
        rate.left = (rate.left + gained).min(rate.a_second);
        rate.filled = now;
        (rate.left < 1.0).then(|| Duration::from_secs_f64((1.0 - rate.left) / rate.a_second))
    }

    /// Somebody came; whether he may stay. If so, `leave` follows.
    pub fn enter(&mut self, source: Source) -> bool {
        if let Some(rate) = &mut self.rate {
            rate.left -= 1.0;
        }
        let Some(most) = self.per_source else {
            return true;
        };
        let count = self.sources.entry(source).or_default();
        let room = *count < most;
        *count += u64::from(room);
        room
    }

    /// Somebody left.
    pub fn leave(&mut self, source: Source) {
        if let Some(count) = self.sources.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Source = Source::User(1);
    const OTHER: Source = Source::User(2);

    #[test]
    fn each_source_has_its_own_room() {
        let limits = Limits { connections_per_source: Some(2), ..Limits::default() };
        let mut gate = Gate::new(&limits, Instant::now());
        assert!(!gate.is_open() && gate.enter(ONE) && gate.enter(ONE));
        assert!(!gate.enter(ONE) && gate.enter(OTHER), "the other is not to suffer");
        gate.leave(ONE);
        assert!(gate.enter(ONE) && !gate.enter(ONE));
        for source in [ONE, ONE, OTHER] {
            gate.leave(source);
        }
        assert!(gate.sources.is_empty(), "who left is forgotten");
    }

    #[test]
    fn a_second_brings_as_many_as_the_rate_says() {
        let began = Instant::now();
        let limits = Limits { connection_rate: Some(10), ..Limits::default() };
        let mut gate = Gate::new(&limits, began);
        for _ in 0..10 {
            assert_eq!(gate.pause(began), None);
            assert!(gate.enter(ONE));
        }
        assert_eq!(gate.pause(began), Some(Duration::from_millis(100)));
        assert_eq!(gate.pause(began + Duration::from_millis(101)), None);
        assert_eq!(gate.pause(began + Duration::from_secs(60)), None);
        assert!(gate.rate.as_ref().is_some_and(|rate| rate.left == 10.0), "no more than a second's worth gathers");
    }

    #[test]
    fn without_limits_nobody_is_counted() {
        assert!(Gate::new(&Limits::default(), Instant::now()).is_open());
    }
}
