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
        let threads: Vec<_> = clients.into_iter().map(|client| scope.spawn(move || until(end, client))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked())).fold(Load::default(), Load::with)
    })
}

fn until(end: Instant, mut exchange: impl FnMut() -> anyhow::Result<()>) -> Load {
    let mut load = Load::default();
    while Instant::now() < end {
        match exchange() {
            Ok(()) => load.done += u64::from(Instant::now() <= end),
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
    use super::*;

    #[test]
    fn what_ends_well_and_what_does_not_is_counted() {
        let clients: Vec<_> = (0..3)
            .map(|number| {
                move || -> anyhow::Result<()> {
                    thread::sleep(Duration::from_millis(5));
                    anyhow::ensure!(number > 0, "client 0 fails");
                    Ok(())
                }
            })
            .collect();
        let load = run(clients, Duration::from_millis(100));
        assert!(load.done >= 2 && load.errors >= 1, "{load:?}");
        assert_eq!(load.fault.as_deref(), Some("client 0 fails"));
    }

    #[test]
    fn what_ends_too_late_does_not_count() {
        let slow = || -> anyhow::Result<()> {
            thread::sleep(Duration::from_millis(50));
            Ok(())
        };
        assert_eq!(run(vec![slow], Duration::from_millis(1)), Load::default());
    }
}
