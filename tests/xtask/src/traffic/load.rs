//! Load for a fixed time: clients that do the same over and over, each in a thread, blocking.
//! What a client does and how it is checked is the caller's; errors are counted and the first one is kept.

use std::thread;
use std::time::{Duration, Instant};

/// How long a client rests after an error, so that a server that is gone does not make it spin.
const PAUSE: Duration = Duration::from_millis(10);

/// What became of a load.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Exchanges that ended well in time.
    pub done: u64,
    /// Exchanges that did not end well.
    pub errors: u64,
    /// What was wrong with the first of them.
    pub fault: Option<String>,
}

impl Load {
    fn failed(&mut self, fault: String) {
        self.errors += 1;
        self.fault.get_or_insert(fault);
    }

    fn with(mut self, other: Self) -> Self {
        self.done += other.done;
        self.errors += other.errors;
        self.fault = self.fault.or(other.fault);
        self
    }
}

/// Lets every client go on for this time. An exchange that is under way at its end is finished and not counted.
pub fn run<C>(clients: Vec<C>, time: Duration) -> Load
where
    C: FnMut() -> anyhow::Result<()> + Send,
{
    let end = Instant::now() + time;
    thread::scope(|scope| {
        let threads: Vec<_> =
            clients.into_iter().map(|client| scope.spawn(move || until(end, Instant::now, client))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked())).fold(Load::default(), Load::with)
    })
}

fn until(end: Instant, now: impl Fn() -> Instant, mut exchange: impl FnMut() -> anyhow::Result<()>) -> Load {
    let mut load = Load::default();
    while now() < end {
        match exchange() {
            Ok(()) => load.done += u64::from(now() <= end),
            Err(error) => {
                load.failed(format!("{error:#}"));
                thread::sleep(PAUSE);
            }
        }
    }
    load
}

fn panicked() -> Load {
    let mut load = Load::default();
    load.failed("a client panicked".into());
    load
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A load of so many seconds, of exchanges that take one second each and end in turn as they are listed.
    fn of(seconds: u64, exchanges: &[Result<(), &'static str>]) -> Load {
        let (start, passed) = (Instant::now(), Cell::new(0));
        let now = || start + Duration::from_secs(passed.get());
        let mut exchanges = exchanges.iter().cycle();
        until(start + Duration::from_secs(seconds), now, || {
            passed.set(passed.get() + 1);
            exchanges.next().copied().unwrap_or(Ok(())).map_err(anyhow::Error::msg)
        })
    }

    #[test]
    fn what_ends_well_and_what_does_not_is_counted() {
        let load = of(5, &[Ok(()), Err("the first"), Ok(()), Err("the second")]);
        assert_eq!(load, Load { done: 3, errors: 2, fault: Some("the first".into()) });
        let both = of(1, &[Ok(())]).with(load).with(of(1, &[Err("the third")]));
        assert_eq!(both, Load { done: 4, errors: 3, fault: Some("the first".into()) });
    }

    #[test]
    fn what_ends_too_late_does_not_count() {
        let (start, slept) = (Instant::now(), Cell::new(Duration::ZERO));
        let slow = || {
            slept.set(Duration::from_secs(2));
            Ok(())
        };
        assert_eq!(until(start + Duration::from_secs(1), || start + slept.get(), slow), Load::default());
    }

    #[test]
    fn a_client_that_panics_is_counted_and_ends_no_other() {
        let clients = vec![|| -> anyhow::Result<()> { panic!("on purpose") }; 2];
        let load = run(clients, Duration::from_secs(3600));
        assert_eq!(load, Load { done: 0, errors: 2, fault: Some("a client panicked".into()) });
    }
}
