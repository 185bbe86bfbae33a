//! The supervisor's own log: a line each on standard error, and the same line for the logger. Below its level nothing
//! is said. A job with Debug is logged in detail whatever the level.

use std::io::Write;

use jiff::Timestamp;
pub use wjob_model::daemon::LogLevel as Level;

/// Where lines go, and from which level on.
#[derive(Debug)]
pub struct Log {
    level: Level,
    waiting: Vec<Line>,
    /// Lines that found no room.
    lost: u64,
}

/// A line for the logger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The job it is about.
    pub label: Option<String>,
    /// How grave it is.
    pub level: Level,
    /// The text.
    pub text: String,
}

/// Most lines that wait for the logger.
const MOST_WAITING: usize = 1000;

impl Log {
    /// From this level on.
    pub fn new(level: Level) -> Self {
        Self { level, waiting: Vec::new(), lost: 0 }
    }

    /// The level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// From another level on.
    pub fn set_level(&mut self, level: Level) {
        self.level = level;
    }

    /// Says something.
    pub fn say(&mut self, level: Level, label: Option<&str>, debug: bool, text: &str) {
        if level < self.level && !debug {
            return;
        }
        let about = label.map(|label| format!("{label}: ")).unwrap_or_default();
        let time = Timestamp::now();
        // A closed terminal is no reason to fail.
        let _ = writeln!(std::io::stderr(), "{time:.3} {} {about}{}", level.word(), escaped(text));
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push(Line { label: label.map(str::to_owned), level, text: text.to_owned() });
        } else {
            self.lost += 1;
        }
    }

    /// Takes what waits for the logger.
    pub fn take(&mut self) -> Vec<Line> {
        let mut lines = std::mem::take(&mut self.waiting);
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            lines.push(Line { label: None, level: Level::Warn, text: format!("{lost} lines of this log are lost") });
        }
        lines
    }

    /// Whether lines are to be handed on before more of them are lost.
    pub fn is_nearly_full(&self) -> bool {
        self.waiting.len() >= MOST_WAITING / 2
    }

    /// Whether something waits for the logger.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// One line, and nothing a terminal obeys.
fn escaped(text: &str) -> String {
    text.chars().map(|next| if next.is_control() { char::REPLACEMENT_CHARACTER } else { next }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_below_the_level_are_not_said_and_waiting_ones_are_bounded() {
        let mut log = Log::new(Level::Warn);
        log.say(Level::Info, Some("a"), false, "quiet");
        assert!(!log.is_waiting());
        log.say(Level::Info, Some("a"), true, "a job with Debug");
        log.say(Level::Error, None, false, "loud");
        assert_eq!(log.take().len(), 2);
        for _ in 0..MOST_WAITING + 5 {
            log.say(Level::Error, None, false, "again");
        }
        let lines = log.take();
        assert_eq!(
            (lines.len(), lines.last().unwrap().text.as_str()),
            (MOST_WAITING + 1, "5 lines of this log are lost")
        );
    }
}
