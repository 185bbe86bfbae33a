//! Places for clients: so many in all, so many for one user. Root always finds one, since nobody else can take all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wjob_model::control::who::{Need, Peer, Verdict, verdict};
use wjob_model::grant::Control;

/// Clients at once.
const CLIENTS: usize = 64;
/// Clients of one user at once.
const CLIENTS_OF_USER: usize = 8;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Root.
    Root,
    /// The user whose domain it is, or a job that may see what happened.
    Owner,
    /// Anybody else, a job without that grant too: told that it may not, and counted as one user with all others like it.
    Stranger,
}

impl Caller {
    /// The caller of this user at a domain of that owner, `job` the `Control` grant of the job that it belongs to if it
    /// belongs to one; who may ask is `model`'s decision.
    pub fn of(user: u32, owner: u32, job: Option<Option<Control>>) -> Self {
        match verdict(Peer::of(user, owner, job), Need::History) {
            Verdict::Yes if user == 0 => Self::Root,
            Verdict::Yes => Self::Owner,
            _ => Self::Stranger,
        }
    }

    fn most(self) -> usize {
        if self == Self::Root { CLIENTS } else { CLIENTS_OF_USER }
    }
}

/// The places.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// How many are taken, by caller.
    taken: Mutex<[usize; 3]>,
}

/// A place, free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    caller: Caller,
}

impl Slots {
    /// Takes a place; `None` when there is none.
    pub fn take(self: &Arc<Self>, caller: Caller) -> Option<Slot> {
        let mut taken = self.taken();
        if taken.iter().sum::<usize>() >= CLIENTS || taken[caller as usize] >= caller.most() {
            return None;
        }
        taken[caller as usize] += 1;
        Some(Slot { slots: Arc::clone(self), caller })
    }

    fn taken(&self) -> MutexGuard<'_, [usize; 3]> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken()[self.caller as usize] -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_told_apart() {
        let (observes, operates) = (Some(Some(Control::Observe)), Some(Some(Control::Operate)));
        for (user, owner, job, expected) in [
            (0, 0, None, Caller::Root),
            (0, 1000, None, Caller::Root),
            (1000, 1000, None, Caller::Owner),
            (1001, 1000, None, Caller::Stranger),
            (1000, 0, None, Caller::Stranger),
            (0, 0, Some(None), Caller::Stranger),
            (1000, 1000, Some(None), Caller::Stranger),
            (1000, 0, observes, Caller::Owner),
            (1000, 1000, operates, Caller::Owner),
        ] {
            assert_eq!(Caller::of(user, owner, job), expected, "{user} at {owner}, {job:?}");
        }
    }

    #[test]
    fn nobody_takes_what_is_root_s_and_places_are_given_back() {
        let slots = Arc::new(Slots::default());
        let take = |caller, wanted: usize| (0..wanted).map_while(|_| slots.take(caller)).collect::<Vec<Slot>>();
        let (owners, strangers) = (take(Caller::Owner, 100), take(Caller::Stranger, 100));
        assert_eq!((owners.len(), strangers.len()), (CLIENTS_OF_USER, CLIENTS_OF_USER));
        let roots = take(Caller::Root, 100);
        assert_eq!(roots.len(), CLIENTS - 2 * CLIENTS_OF_USER);
        drop(strangers);
        assert_eq!(take(Caller::Root, 100).len(), CLIENTS_OF_USER);
        assert_eq!(take(Caller::Owner, 1).len(), 0);
        drop((owners, roots));
        assert_eq!(take(Caller::Owner, 1).len(), 1);
    }
}
