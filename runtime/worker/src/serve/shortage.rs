//! Tells one shortage from the next: as long as accepting pauses again and again it is one, of which one line is enough.
//! Time is an argument; nobody is held up here.

use std::time::{Duration, Instant};

/// How long nothing must have been short for the next pause to be news.
const OVER: Duration = Duration::from_secs(10);

/// The shortage that was met last, and of what it was (errno(3)).
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    last: Option<(Instant, Option<i32>)>,
}

impl Shortage {
    /// Accepting pauses at `now`; whether this is to be told.
    pub fn is_news(&mut self, now: Instant, error: Option<i32>) -> bool {
        let last = self.last.replace((now, error));
        last.is_none_or(|(last, before)| before != error || now.saturating_duration_since(last) >= OVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_once_however_often_accepting_pauses() {
        let began = Instant::now();
        let mut shortage = Shortage::default();
        let mut told = |milliseconds: u64| shortage.is_news(began + Duration::from_millis(milliseconds), Some(24));
        assert!(told(0));
        assert!((1..1_000).all(|pause| !told(pause * 100)));
        // Of several threads one may have looked at the clock before another.
        assert!(!told(99_800) && !told(109_700));
        assert!(told(119_700) && !told(119_800));
        assert!(shortage.is_news(began + Duration::from_millis(119_900), Some(12)));
    }
}
