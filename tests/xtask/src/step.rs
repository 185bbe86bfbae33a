//! How a verb talks to whoever waits for it: numbered steps with their time, and faults in three lines.
//! All of it goes to stderr, so that stdout holds only what a verb was asked for.

use std::time::{Duration, Instant};

/// The steps of one verb.
pub struct Steps {
    total: usize,
    begun: usize,
}

impl Steps {
    /// A verb of `total` steps, none begun.
    pub fn new(total: usize) -> Self {
        Self { total, begun: 0 }
    }

    /// Announces the next step, does it, and says how long it took.
    pub fn step<T>(&mut self, what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.begun += 1;
        let heading = format!("[{}/{}] {what} ...", self.begun, self.total);
        eprintln!("{heading}");
        let start = Instant::now();
        let result = work();
        let verdict = if result.is_ok() { "" } else { "failed after " };
        eprintln!("{heading} {verdict}{}", in_words(start.elapsed()));
        result
    }
}

/// A duration as people say it: `0.4 s`, `12 s`, `3 min 5 s`.
fn in_words(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0..10 => format!("{:.1} s", elapsed.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// A fault in three lines: what happened, why, and what to do about it.
pub fn advise(what: &str, why: &str, remedy: &str) -> anyhow::Error {
    anyhow::anyhow!("{what}\n  why: {why}\n  do:  {remedy}")
}

#[cfg(test)]
mod tests {
    use super::in_words;
    use std::time::Duration;

    #[test]
    fn durations_are_written_as_people_say_them() {
        for (milliseconds, expected) in [(0, "0.0 s"), (450, "0.5 s"), (12_400, "12 s"), (185_000, "3 min 5 s")] {
            let words = in_words(Duration::from_millis(milliseconds));
            assert_eq!(words, expected);
        }
    }
}
