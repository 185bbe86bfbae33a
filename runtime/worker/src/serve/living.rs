//! How many instances live at once, on all threads, where one may answer more than one request: it lives on between them,
//! and Memory is counted for each that lives. Whoever wants one more than there may be waits for the end of another, and
//! one that rests ends for him. How many requests are answered at once is bounded beside; when one rests is `http`'s to
//! say. An instance of one request lives as long as that request's own share of Instances.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, oneshot};

/// The count of a run.
pub(crate) struct Living {
    count: Mutex<Count>,
    /// Told of whenever somebody begins to wait.
    calls: Arc<Notify>,
}

struct Count {
    /// How many more there may be.
    left: usize,
    /// Who waits, the longest first.
    waiting: VecDeque<oneshot::Sender<Life>>,
    /// Those who rested and end now, each for one who waits.
    ending: usize,
}

/// One's share, given back when it is dropped.
pub(crate) struct Life {
    /// None where it was given to nobody.
    living: Option<Arc<Living>>,
    /// Whether it ends for somebody who waits.
    ending: AtomicBool,
}

impl Living {
    /// Room for so many.
    pub fn new(most: usize) -> Arc<Self> {
        let count = Count { left: most, waiting: VecDeque::new(), ending: 0 };
        Arc::new(Self { count: Mutex::new(count), calls: Arc::default() })
    }

    /// Waits until there may be one more.
    pub async fn one_more(self: &Arc<Self>) -> Life {
        let given = match self.take() {
            Ok(life) => return life,
            Err(given) => given,
        };
        self.calls.notify_waiters();
        match given.await {
            Ok(life) => life,
            // Nobody is forgotten.
            Err(_) => std::future::pending().await,
        }
    }

    /// A share, or where one is given later.
    fn take(self: &Arc<Self>) -> Result<Life, oneshot::Receiver<Life>> {
        let mut count = self.count();
        if count.left > 0 {
            count.left -= 1;
            return Ok(self.life());
        }
        let (sender, receiver) = oneshot::channel();
        count.waiting.push_back(sender);
        Err(receiver)
    }

    fn life(self: &Arc<Self>) -> Life {
        Life { living: Some(self.clone()), ending: AtomicBool::new(false) }
    }

    fn give_back(self: &Arc<Self>, ending: bool) {
        let mut count = self.count();
        count.ending -= usize::from(ending);
        while let Some(next) = count.waiting.pop_front() {
            match next.send(self.life()) {
                Ok(()) => return,
                // He waits no more.
                Err(mut life) => life.living = None,
            }
        }
        count.left += 1;
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Life {
    /// Whether it is to end for one of those who wait; no more end than wait.
    fn is_wanted(&self) -> bool {
        let Some(living) = &self.living else { return false };
        let mut count = living.count();
        count.waiting.retain(|waiting| !waiting.is_closed());
        let wanted = count.waiting.len() > count.ending;
        if wanted {
            count.ending += 1;
            self.ending.store(true, Ordering::Relaxed);
        }
        wanted
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Some(living) = self.living.take() {
            living.give_back(*self.ending.get_mut());
        }
    }
}

/// The rest of an instance between two requests.
pub(crate) struct Rest {
    life: Arc<Life>,
    call: Option<Pin<Box<OwnedNotified>>>,
}

impl Rest {
    /// Of the instance that has this share.
    pub fn new(life: Arc<Life>) -> Self {
        Self { life, call: None }
    }

    /// Ready when it is over because somebody waits: the instance ends then. Asked only while it rests.
    pub fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(living) = &self.life.living else { return Poll::Pending };
        loop {
            // Whoever begins to wait after this is heard of, and who has before is looked for.
            let call = self.call.get_or_insert_with(|| Box::pin(living.calls.clone().notified_owned()));
            let called = call.as_mut().poll(context).is_ready();
            if self.life.is_wanted() {
                return Poll::Ready(());
            }
            if !called {
                return Poll::Pending;
            }
            self.call = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Waker;

    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// Whether it is so far now.
    fn is_ready<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    fn is_over(rest: &mut Rest) -> bool {
        rest.poll_over(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn who_wants_one_more_than_there_may_be_waits_for_the_end_of_another() {
        let living = Living::new(2);
        let mut lives: Vec<Life> = (0..2).map(|_| is_ready(pin!(living.one_more())).unwrap()).collect();
        let mut first = pin!(living.one_more());
        let mut second = pin!(living.one_more());
        assert!(is_ready(first.as_mut()).is_none() && is_ready(second.as_mut()).is_none());
        lives.pop();
        assert!(is_ready(second.as_mut()).is_none(), "the other has waited longer");
        let given = is_ready(first.as_mut());
        assert!(given.is_some());
        drop(given);
        assert!(is_ready(second).is_some());
    }

    #[test]
    fn one_that_rests_is_woken_and_ends_for_who_waits() {
        let living = Living::new(1);
        block_on(async {
            let mut rest = Rest::new(Arc::new(living.one_more().await));
            let resting = async {
                poll_fn(|context| rest.poll_over(context)).await;
                drop(rest);
            };
            let ((), life) = tokio::join!(resting, living.one_more());
            drop(life);
        });
    }

    #[test]
    fn as_many_end_as_wait_and_no_more() {
        let living = Living::new(2);
        let mut resting = [(); 2].map(|()| Rest::new(Arc::new(is_ready(pin!(living.one_more())).unwrap())));
        assert!(!resting.iter_mut().any(is_over), "nobody waits");
        let mut first = pin!(living.one_more());
        let mut second = pin!(living.one_more());
        assert!(is_ready(first.as_mut()).is_none());
        let over: Vec<bool> = resting.iter_mut().map(is_over).collect();
        assert_eq!(over, [true, false]);
        assert!(is_ready(second.as_mut()).is_none());
        let [one, mut other] = resting;
        assert!(is_over(&mut other));
        drop((one, other));
        assert!(is_ready(first).is_some() && is_ready(second).is_some());
    }

    #[test]
    fn who_waits_no_more_ends_nobody_and_takes_nothing() {
        let living = Living::new(1);
        let mut rest = Rest::new(Arc::new(is_ready(pin!(living.one_more())).unwrap()));
        {
            let mut waits = pin!(living.one_more());
            assert!(is_ready(waits.as_mut()).is_none());
        }
        assert!(!is_over(&mut rest));
        {
            let mut waits = pin!(living.one_more());
            assert!(is_ready(waits.as_mut()).is_none());
            drop(rest);
            // It was given to him, who did not hear of it.
        }
        assert!(is_ready(pin!(living.one_more())).is_some());
    }
}
