//! A watcher that goes over to the next program of this process, whole: the kernel's instance with its watches and what
//! it has queued meanwhile, and the books about them. So nothing is lost that happens between the two programs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};

use super::kernel::{Kernel, MOST_WATCHES, Shortage};
use super::place::Place;
use super::table::{Attention, Id, Table};
use super::{Watcher, heed};
use crate::mounts::Mounts;

/// A watcher as it is handed over.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedWatcher {
    kernel: i32,
    table: Table,
    places: BTreeMap<Id, Place>,
    due: BTreeMap<Id, Attention>,
    short: BTreeMap<Id, Shortage>,
    next: Id,
}

impl Watcher {
    /// What the next program of this process is told of it.
    pub fn saved(&self, kept: &mut Kept) -> SavedWatcher {
        SavedWatcher {
            kernel: self.kernel.saved(kept),
            table: self.table.clone(),
            places: self.places.clone(),
            due: self.due.clone(),
            short: self.short.clone(),
            next: self.next,
        }
    }

    /// The one of the program before this one; what it has seen meanwhile comes with the next [`Watcher::read`].
    ///
    /// # Errors
    /// When it was not handed over.
    pub fn resumed(saved: SavedWatcher, inherited: &mut Inherited) -> Result<Self, HandoverError> {
        let SavedWatcher { kernel, table, places, mut due, short, next } = saved;
        let ids = places.iter().map(|(id, place)| (place.path.as_os_str().to_owned(), *id)).collect();
        let mut tokens: HashMap<u64, BTreeSet<Id>> = HashMap::new();
        for (id, place) in &places {
            for token in place.tokens() {
                tokens.entry(token).or_default().insert(*id);
            }
            // It may be in a mount that is not entered, of which nothing is handed over.
            if place.is_missing() {
                heed(&mut due, *id, Attention::Look);
            }
        }
        let (kernel, mounts) = (Kernel::resumed(kernel, inherited)?, Mounts::new()?);
        let (closed, news) = (BTreeMap::new(), BTreeSet::new());
        Ok(Self { kernel, mounts, table, places, ids, tokens, due, short, closed, news, next, most: MOST_WATCHES })
    }
}
