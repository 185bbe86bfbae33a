//! A keeper at its desk, for tests: with a database in a folder of its own, and a time that the test alone moves on.

use std::sync::Arc;

use wjob_model::record::Bounds;

use crate::desk::Desk;
use crate::keeper::{Condition, Keeper, Moment, PAUSE};

/// A keeper and what belongs to it.
pub(crate) struct Scene {
    _folder: tempfile::TempDir,
    pub desk: Arc<Desk>,
    pub keeper: Keeper,
    pub now: Moment,
}

impl Scene {
    /// With an empty database, which is open.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (desk, now) = (Arc::new(Desk::new("test 1", 1000)), Moment::now());
        let keeper = Keeper::open(folder.path().into(), Bounds::default(), Arc::clone(&desk), now);
        assert_eq!(*keeper.condition(), Condition::Keeping);
        Self { _folder: folder, desk, keeper, now }
    }

    /// The time at which what waits is due has come.
    pub fn later(&mut self) {
        self.now.steady += PAUSE;
        self.keeper.turn(self.now);
    }
}
