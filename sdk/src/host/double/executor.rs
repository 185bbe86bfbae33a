//! The least that runs a future and what it spawns, on the thread that asks. It does what wit-bindgen's does on
//! WebAssembly, except that it returns as soon as its own future is done; what was spawned and is not done waits for
//! the next one.

use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::stage;

/// Work that was spawned.
pub(super) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Whoever wakes something wakes the thread it runs on.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn spawn(work: impl Future<Output = ()> + 'static) {
    stage(|stage| stage.spawned.push(Box::pin(work)));
    // Whoever runs on this thread must look again before it parks.
    thread::current().unpark();
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut tasks: Vec<Task> = Vec::new();
    loop {
        let polled = future.as_mut().poll(&mut context);
        tasks.append(&mut stage(|stage| mem::take(&mut stage.spawned)));
        tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
        match polled {
            Poll::Ready(output) => {
                stage(|stage| stage.spawned.append(&mut tasks));
                return output;
            }
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::{block_on, spawn};
    use crate::spawn::all_ended;

    #[test]
    fn what_was_spawned_is_run_and_waited_for() {
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        block_on(async {
            crate::spawn(async move {
                counted.set(counted.get() + 1);
                let inner = counted.clone();
                crate::spawn(async move { inner.set(inner.get() + 1) });
            });
            all_ended().await;
        });
        assert_eq!(count.get(), 2);
    }

    #[test]
    fn what_was_spawned_before_is_run_too() {
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        spawn(async move { counted.set(1) });
        block_on(async {});
        assert_eq!(count.get(), 1);
    }
}
