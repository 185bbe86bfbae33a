//! The second wall of RunTime where many serve. An instance ends at its deadline by being dropped, which its thread has to
//! do, and a call of the host that blocks keeps the thread: one that writes to a pipe nobody reads, or to a file of a
//! mount that is gone. (All others can be dropped: where many serve, files are read by threads of their own, and sockets
//! and clocks are waited for in the runtime.) Nothing less than the end of the process ends that. It ends nothing itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// How often each thread is asked whether it goes on, and what it has beyond RunTime.
const LOOK: Duration = Duration::from_secs(1);

/// What a thread is asked by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: Notify,
    answered: AtomicBool,
}

impl Pulse {
    /// Answers as often as it is asked, in the runtime of the thread that it is about.
    pub async fn beat(self) {
        loop {
            self.beat_once().await;
        }
    }

    async fn beat_once(&self) {
        self.0.asked.notified().await;
        self.0.answered.store(true, Ordering::Release);
    }
}

/// Resolves when one of the threads has gone on with nothing for RunTime and a second: whatever holds it has begun
/// before that, and will not be ended by it.
pub(crate) async fn by_a_call(pulses: &[Pulse], run_time: Option<u64>) {
    match run_time {
        Some(seconds) => silent_for(pulses, seconds, LOOK).await,
        None => std::future::pending().await,
    }
}

/// Resolves when one of them has not answered at more than `most` looks, one after the other. A look of a whole machine
/// that stood still counts once.
async fn silent_for(pulses: &[Pulse], most: u64, look: Duration) {
    let mut missed = vec![0; pulses.len()];
    loop {
        pulses.iter().for_each(|pulse| pulse.0.asked.notify_one());
        tokio::time::sleep(look).await;
        for (pulse, missed) in pulses.iter().zip(&mut missed) {
            *missed = if pulse.0.answered.swap(false, Ordering::AcqRel) { 0 } else { *missed + 1 };
        }
        if missed.iter().any(|missed| *missed > most) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// So short that a test need not wait long.
    const SHORT: Duration = Duration::from_millis(1);

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_thread_that_is_held_is_missed() {
        let (going_on, held) = (Pulse::default(), Pulse::default());
        let (let_go, wait) = mpsc::channel::<()>();
        let own = held.clone();
        let thread = thread::spawn(move || {
            block_on(async move {
                tokio::spawn(own.beat());
                // A call that blocks, in a task.
                let _ = wait.recv();
            });
        });
        block_on(async {
            tokio::spawn(going_on.clone().beat());
            silent_for(&[going_on, held], 3, SHORT).await;
        });
        drop(let_go);
        thread.join().unwrap();
    }

    #[test]
    fn threads_that_go_on_are_not() {
        let pulses = [Pulse::default(), Pulse::default()];
        let beats = async {
            for _ in 0..5 {
                pulses[0].beat_once().await;
                pulses[1].beat_once().await;
            }
        };
        block_on(async {
            tokio::select! {
                biased;
                () = silent_for(&pulses, 0, SHORT) => panic!("they go on"),
                () = beats => {}
            }
        });
    }

    #[test]
    fn without_a_limit_nobody_is_asked() {
        let pulses = [Pulse::default()];
        block_on(async {
            tokio::select! {
                biased;
                () = by_a_call(&pulses, None) => panic!("there is no limit"),
                () = std::future::ready(()) => {}
            }
        });
    }
}
