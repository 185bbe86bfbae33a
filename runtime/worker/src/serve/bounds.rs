//! How long an instance that answers requests may live, as it stands: idle, asked, or at work after its answer. Time is
//! an argument; `http` asks for it and throws the instance away.

use std::time::{Duration, Instant};

use wasmtime_wasi_http::handler::WorkerStatus;

use super::answer::Asked;

/// How long an instance that may answer again waits for the next request.
const WAITS: Duration = Duration::from_secs(1);

/// What bounds an instance.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub run_time: Option<Duration>,
    pub silence: Duration,
    /// Requests it may answer.
    pub reuse: usize,
}

impl Bounds {
    /// When the time of an instance is up that stands so since `start`.
    pub fn end(&self, status: WorkerStatus, start: Instant, asked: Option<&Asked>) -> Option<Instant> {
        match (status, asked.and_then(Asked::answered_at)) {
            (WorkerStatus::Idle, _) => Some(start + WAITS),
            // What it does after its answer has a time of its own, however long the answer was on its way.
            (_, Some(answered)) => Some(answered.max(start) + self.run_time.unwrap_or(self.silence)),
            // One time for all of a request: its answer's beginning does not begin it anew.
            (_, None) => self.run_time.map(|run_time| asked.map_or(start, |asked| asked.began) + run_time),
        }
    }

    /// What the log is to say of one that was still at work after its answer when its time was up.
    pub fn cut_short(&self) -> &'static str {
        match self.run_time {
            Some(_) => "its work after the answer is cut off: limit RunTime reached",
            None => "its work after the answer is cut off: it took longer than IdleTime",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Weak};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn bounds(run_time: Option<Duration>) -> Bounds {
        Bounds { run_time, silence: HOUR, reuse: 1 }
    }

    fn asked() -> Arc<Asked> {
        Asked::new(1, Weak::new(), None)
    }

    #[test]
    fn work_after_an_answer_has_its_time_from_the_last_byte_on() {
        for run_time in [None, Some(HOUR)] {
            let (bounds, asked) = (bounds(run_time), asked());
            let began = asked.began;
            // The head was there long ago.
            let start = began - 2 * HOUR;
            assert_eq!(bounds.end(WorkerStatus::PostReturn, start, Some(&asked)), run_time.map(|time| began + time));
            asked.is_now_answered();
            for status in [WorkerStatus::PostReturn, WorkerStatus::Requests] {
                assert!(bounds.end(status, start, Some(&asked)) >= Some(began + HOUR));
            }
            let later = Instant::now() + HOUR;
            assert_eq!(bounds.end(WorkerStatus::PostReturn, later, Some(&asked)), Some(later + HOUR));
        }
    }

    #[test]
    fn one_that_rests_waits_for_the_next_request() {
        let (start, asked) = (Instant::now(), asked());
        asked.is_now_answered();
        for asked in [None, Some(&*asked)] {
            assert_eq!(bounds(None).end(WorkerStatus::Idle, start, asked), Some(start + WAITS));
        }
    }

    #[test]
    fn what_cuts_work_off_is_named() {
        for (run_time, limit) in [(Some(HOUR), "RunTime"), (None, "IdleTime")] {
            assert!(bounds(run_time).cut_short().contains(limit), "{run_time:?}");
        }
    }
}
