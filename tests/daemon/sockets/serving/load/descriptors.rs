//! Descriptors of this process, shared out: a crowd takes thousands of them, and all other tests need theirs at the same
//! time. Where the limit of open files is low a crowd is smaller, which counts as skipped in part, and it says so.

use std::sync::{Condvar, LazyLock, Mutex, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than all other tests of this process have open together.
const OTHERS: u64 = 2_048;
/// As many as are shared out at most: more crowds at once would only take turns with the processors.
const MOST: u64 = 20_000;
/// Fewer are no crowd.
const FEWEST: usize = 1_000;

/// How many there are to be shared out.
static ALL: LazyLock<usize> = LazyLock::new(raised);
/// How many are taken.
static TAKEN: Mutex<usize> = Mutex::new(0);
/// Some were given back.
static RETURNED: Condvar = Condvar::new();

/// Descriptors that a test may have, until this is dropped.
pub struct Share(usize);

impl Share {
    /// Waits until so many are free, or as many as there are at all.
    #[track_caller]
    pub fn of(wanted: usize) -> Self {
        let number = wanted.min(*ALL);
        assert!(number >= FEWEST, "a process may have too few open files for this: raise that to 4096 (ulimit -Hn)");
        if number < wanted {
            println!("skipped: {} of {wanted} connections: a process may have no more open files", wanted - number);
        }
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = RETURNED.wait_while(taken, |taken| *taken + number > *ALL);
        *taken.unwrap_or_else(PoisonError::into_inner) += number;
        Self(number)
    }

    /// How many these are.
    pub fn number(&self) -> usize {
        self.0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        RETURNED.notify_all();
    }
}

/// Lets this process have as many as crowds and all others need, or as it may, and says how many are for crowds. No more
/// than that, since what it starts inherits the limit, and there are programs that go through all numbers up to it.
fn raised() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(MOST + OTHERS, |most| most.min(MOST + OTHERS));
    if limit.current.is_some_and(|now| now < wanted) {
        // What cannot be raised is what there is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files.saturating_sub(OTHERS).min(MOST)).unwrap_or_default()
}
