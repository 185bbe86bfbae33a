//! Finds out from the supervisor, which knows the workers, whether a client's process is a job's. It judges nothing.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wjob_model::grant::Control;
use wjob_model::record::{Asker, FromLogger};
use wjob_sandbox::channel::Channel;

/// How long the supervisor may take to say so.
const PATIENCE: Duration = Duration::from_secs(30);

/// The `Control` grant of the job that a process belongs to, if it belongs to one.
type OfJob = Option<Option<Control>>;

/// Questions that wait for their answers.
#[derive(Debug)]
pub(crate) struct Asks {
    channel: Arc<Channel>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Numbers are given once.
    next: u64,
    answers: BTreeMap<u64, SyncSender<OfJob>>,
}

impl Asks {
    /// Asks on this channel; whoever reads it says what was answered.
    pub fn new(channel: Arc<Channel>) -> Self {
        Self { channel, waiting: Mutex::default() }
    }

    /// Whose process it is; `None` = the supervisor has not said so.
    pub fn job_of(&self, pid: i32) -> Option<OfJob> {
        let (sender, receiver) = sync_channel(1);
        let client = self.wait(sender);
        let asked = self.channel.offer(&FromLogger::Asks { client, pid });
        let answer = asked.ok().and_then(|()| receiver.recv_timeout(PATIENCE).ok());
        self.waiting().answers.remove(&client);
        answer
    }

    /// The supervisor has said whose it is; an answer that nobody waits for means nothing.
    pub fn answered(&self, asker: Asker) {
        if let Some(sender) = self.waiting().answers.remove(&asker.client) {
            // There is room for the one answer; whoever waited may have left.
            let _ = sender.try_send(asker.job);
        }
    }

    fn wait(&self, sender: SyncSender<OfJob>) -> u64 {
        let mut waiting = self.waiting();
        let client = waiting.next;
        waiting.next += 1;
        waiting.answers.insert(client, sender);
        client
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn each_is_told_its_own_answer() {
        let (ours, theirs) = Channel::pair().unwrap();
        let asks = Asks::new(Arc::new(ours));
        let observes = Some(Some(Control::Observe));
        thread::scope(|scope| {
            let one = scope.spawn(|| asks.job_of(1));
            let other = scope.spawn(|| asks.job_of(2));
            for _ in 0..2 {
                let Ok(Some(FromLogger::Asks { client, pid })) = theirs.receive(1 << 10) else {
                    panic!("nothing was asked");
                };
                asks.answered(Asker { client: client + 100, job: None });
                asks.answered(Asker { client, job: if pid == 1 { observes } else { Some(None) } });
            }
            assert_eq!((one.join().unwrap(), other.join().unwrap()), (Some(observes), Some(Some(None))));
        });
        assert!(asks.waiting().answers.is_empty());
    }

    #[test]
    fn without_a_supervisor_nobody_is_known() {
        let (ours, theirs) = Channel::pair().unwrap();
        let asks = Asks::new(Arc::new(ours));
        drop(theirs);
        assert_eq!(asks.job_of(1), None);
        assert!(asks.waiting().answers.is_empty());
    }
}
