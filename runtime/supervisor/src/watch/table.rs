//! Which paths an inotify watch concerns, and how much: pure bookkeeping. An inode has one watch however many paths
//! pass it or end at it; when the last of them goes, the watch is handed back to be taken off.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};

use rustix::fs::inotify::ReadFlags;
use serde::{Deserialize, Serialize};

use super::kernel::Watch;
use super::walk::Trail;

/// A watched path's number.
pub(super) type Id = u64;

/// What an event asks to be done about a path; the later ones include the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Attention {
    /// Tell the users what they have not been told.
    Tell,
    /// Look at it again: something on the way to it changed.
    Look,
    /// It has changed, whatever a look may show.
    Changed,
}

/// All watches.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Table {
    watches: HashMap<Watch, Interest>,
}

/// The paths that one watch concerns.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Interest {
    /// Those that pass it, by the name they look up; and whether that name is their last.
    names: HashMap<OsString, BTreeMap<Id, bool>>,
    /// Those that end at it.
    ends: BTreeSet<Id>,
}

/// Something came, went or was renamed in a directory.
const ENTRY: ReadFlags =
    ReadFlags::CREATE.union(ReadFlags::DELETE).union(ReadFlags::MOVED_FROM).union(ReadFlags::MOVED_TO);
/// The inode itself was written, or its attributes set.
const CONTENT: ReadFlags = ReadFlags::MODIFY.union(ReadFlags::ATTRIB);

impl Table {
    /// How many inodes are watched.
    pub(super) fn len(&self) -> usize {
        self.watches.len()
    }

    /// The watches of a trail that no path has yet.
    pub(super) fn fresh(&self, trail: &Trail) -> BTreeSet<Watch> {
        trail.watches().filter(|watch| !self.watches.contains_key(watch)).collect()
    }

    /// Enters a path's trail.
    pub(super) fn join(&mut self, id: Id, trail: &Trail) {
        for step in &trail.steps {
            let names = &mut self.watches.entry(step.watch).or_default().names;
            *names.entry(step.name.clone()).or_default().entry(id).or_default() |= step.last;
        }
        if let Some(end) = trail.end {
            self.watches.entry(end).or_default().ends.insert(id);
        }
    }

    /// Strikes a path's trail out; its watches stay until [`Table::sweep`].
    pub(super) fn leave(&mut self, id: Id, trail: &Trail) {
        for step in &trail.steps {
            if let Some(interest) = self.watches.get_mut(&step.watch) {
                interest.forget(&step.name, id);
            }
        }
        if let Some(interest) = trail.end.and_then(|end| self.watches.get_mut(&end)) {
            interest.ends.remove(&id);
        }
    }

    /// Takes out those watches of a trail that concern nobody any more.
    pub(super) fn sweep(&mut self, trail: &Trail) -> Vec<Watch> {
        let idle = |interest: &Interest| interest.names.is_empty() && interest.ends.is_empty();
        let watches: BTreeSet<Watch> = trail.watches().collect();
        watches
            .into_iter()
            .filter(|watch| self.watches.get(watch).is_some_and(idle) && self.watches.remove(watch).is_some())
            .collect()
    }

    /// Says which paths an event concerns. A watch that the kernel has ended is struck out.
    pub(super) fn route(
        &mut self,
        watch: Watch,
        events: ReadFlags,
        name: Option<&OsStr>,
        heed: &mut dyn FnMut(Id, Attention),
    ) {
        // Events of a watch taken off since are still in the queue.
        let Some(interest) = self.watches.get(&watch) else { return };
        match name {
            Some(name) => interest.entry(name, events, heed),
            None => interest.itself(events, heed),
        }
        if events.contains(ReadFlags::IGNORED) {
            self.watches.remove(&watch);
        }
    }
}

impl Interest {
    /// An event about a name in the directory.
    fn entry(&self, name: &OsStr, events: ReadFlags, heed: &mut dyn FnMut(Id, Attention)) {
        let entry = events.intersects(ENTRY);
        for (id, last) in self.names.get(name).into_iter().flatten() {
            heed(*id, if entry && *last { Attention::Changed } else { Attention::Look });
        }
        // What happens inside a file of a watched directory is not the directory's change.
        if entry {
            self.ends.iter().for_each(|id| heed(*id, Attention::Changed));
        }
    }

    /// An event about the inode itself.
    fn itself(&self, events: ReadFlags, heed: &mut dyn FnMut(Id, Attention)) {
        let attention = if events.intersects(CONTENT) { Attention::Changed } else { Attention::Look };
        self.ends.iter().for_each(|id| heed(*id, attention));
        // Who may pass a folder decides what can be reached behind it.
        self.names.values().flat_map(BTreeMap::keys).for_each(|id| heed(*id, Attention::Look));
    }

    fn forget(&mut self, name: &OsStr, id: Id) {
        if let Some(ids) = self.names.get_mut(name) {
            ids.remove(&id);
            if ids.is_empty() {
                self.names.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk::Step;
    use super::*;

    fn trail(steps: &[(Watch, &str, bool)], end: Option<Watch>) -> Trail {
        let step = |(watch, name, last): &(Watch, &str, bool)| Step { watch: *watch, name: name.into(), last: *last };
        Trail { steps: steps.iter().map(step).collect(), end }
    }

    fn routed(table: &mut Table, watch: Watch, events: ReadFlags, name: Option<&str>) -> Vec<(Id, Attention)> {
        let mut heeded = Vec::new();
        table.route(watch, events, name.map(OsStr::new), &mut |id, attention| heeded.push((id, attention)));
        heeded
    }

    #[test]
    fn an_event_concerns_those_who_wait_for_its_name() {
        let mut table = Table::default();
        table.join(1, &trail(&[(10, "a", false), (11, "x", true)], Some(12)));
        table.join(2, &trail(&[(10, "b", true)], None));
        table.join(3, &trail(&[(10, "a", true)], Some(11)));
        for (watch, events, name, expected) in [
            (10, ReadFlags::CREATE, Some("b"), vec![(2, Attention::Changed)]),
            (10, ReadFlags::CREATE, Some("c"), vec![]),
            (10, ReadFlags::MOVED_TO, Some("a"), vec![(1, Attention::Look), (3, Attention::Changed)]),
            (10, ReadFlags::ATTRIB, Some("b"), vec![(2, Attention::Look)]),
            (11, ReadFlags::DELETE, Some("y"), vec![(3, Attention::Changed)]),
            (11, ReadFlags::ATTRIB, Some("y"), vec![]),
            (11, ReadFlags::ATTRIB, None, vec![(3, Attention::Changed), (1, Attention::Look)]),
            (12, ReadFlags::MODIFY, None, vec![(1, Attention::Changed)]),
            (12, ReadFlags::CLOSE_WRITE, None, vec![(1, Attention::Look)]),
            (99, ReadFlags::MODIFY, None, vec![]),
        ] {
            assert_eq!(routed(&mut table, watch, events, name), expected, "{watch} {events:?} {name:?}");
        }
    }

    #[test]
    fn a_watch_goes_with_the_last_path() {
        let mut table = Table::default();
        let (one, two) = (trail(&[(10, "a", true)], Some(11)), trail(&[(10, "b", true)], None));
        assert_eq!(table.fresh(&one), BTreeSet::from([10, 11]));
        table.join(1, &one);
        table.join(2, &two);
        assert!(table.fresh(&one).is_empty());
        table.leave(1, &one);
        assert_eq!(table.sweep(&one), [11]);
        table.leave(2, &two);
        assert_eq!(table.sweep(&two), [10]);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_watch_ended_by_the_kernel_is_told_once() {
        let mut table = Table::default();
        table.join(1, &trail(&[(10, "a", true)], None));
        assert_eq!(routed(&mut table, 10, ReadFlags::IGNORED, None), [(1, Attention::Look)]);
        assert!(routed(&mut table, 10, ReadFlags::IGNORED, None).is_empty());
        assert_eq!(table.len(), 0);
    }
}
