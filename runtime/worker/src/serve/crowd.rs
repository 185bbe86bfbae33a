//! Memory after a crowd. The allocator keeps what thousands of connections took, scattered between the few that stay; once
//! most of them have left it is given back to the kernel. Connections are counted here; who may come is `gate`'s to say.

use std::sync::atomic::{AtomicUsize, Ordering};

/// From so many connections at once on it is a crowd: what fewer leave behind is not worth the search for it.
const CROWD: usize = 1_000;
/// Memory is given back when no more than this part of a crowd is left.
const PART: usize = 8;

/// The connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    open: AtomicUsize,
    /// Most at once since memory was last given back.
    most: AtomicUsize,
}

impl Crowd {
    /// One more is there.
    pub fn enter(&self) {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(open, Ordering::Relaxed);
    }

    /// One has left; whether a crowd has, and memory is to be given back. That is said to one of those who ask.
    pub fn leave(&self) -> bool {
        let open = self.open.fetch_sub(1, Ordering::Relaxed) - 1;
        let most = self.most.load(Ordering::Relaxed);
        let gone = most >= CROWD && open <= most / PART;
        gone && self.most.compare_exchange(most, open, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Gives the kernel back what the allocator holds and nobody uses, also between what is in use.
#[cfg(target_env = "gnu")]
pub(crate) fn give_back() {
    // SAFETY: it takes the allocator's own locks and touches no memory that is in use (malloc_trim(3)).
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries cannot be asked for it.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_has_left_once_when_an_eighth_of_it_is_there() {
        let crowd = Crowd::default();
        (0..2 * CROWD).for_each(|_| crowd.enter());
        let said: Vec<usize> = (0..2 * CROWD).rev().filter(|_| crowd.leave()).collect();
        assert_eq!(said, [2 * CROWD / PART]);
    }

    #[test]
    fn the_few_who_come_and_go_are_none() {
        let crowd = Crowd::default();
        for _ in 0..2 * CROWD {
            crowd.enter();
            assert!(!crowd.leave());
        }
    }

    #[test]
    fn each_crowd_counts() {
        let crowd = Crowd::default();
        for _ in 0..2 {
            (0..CROWD).for_each(|_| crowd.enter());
            assert_eq!((0..CROWD).filter(|_| crowd.leave()).count(), 1);
        }
    }
}
