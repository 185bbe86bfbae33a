//! Decides when what waits is written, and what happens when it cannot be: reading goes on, what is too much is
//! counted, and the writing is tried again. A job never waits for the database.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use wjob_model::record::Bounds;

use crate::batch::{Batch, Entry, Record, own};
use crate::desk::Desk;
use crate::store::{self, Store, StoreError};

/// Longest that something waits to be written, and shortest between two tries.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);
/// Shortest between two tries to open a database.
const REOPEN: Duration = Duration::from_secs(5);

/// Now, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// For measuring: it never jumps.
    pub steady: Instant,
    /// For people.
    pub wall: Timestamp,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self { steady: Instant::now(), wall: Timestamp::now() }
    }
}

/// How it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// What comes is kept.
    Keeping,
    /// Nothing can be kept now, for this reason.
    Failing(String),
    /// The file itself is damaged: only another start helps, which sets it aside.
    Damaged(String),
}

impl Condition {
    fn why(&self) -> &str {
        match self {
            Self::Keeping => "",
            Self::Failing(why) | Self::Damaged(why) => why,
        }
    }
}

/// The database with what waits for it.
#[derive(Debug)]
pub(crate) struct Keeper {
    directory: PathBuf,
    bounds: Bounds,
    store: Option<Store>,
    batch: Batch,
    due: Option<Instant>,
    condition: Condition,
    desk: Arc<Desk>,
}

impl Keeper {
    /// Opens the database. One that cannot be opened is tried again; until then everything waits or is dropped.
    pub fn open(directory: PathBuf, bounds: Bounds, desk: Arc<Desk>, now: Moment) -> Self {
        let (batch, condition) = (Batch::default(), Condition::Keeping);
        let mut keeper = Self { directory, bounds, store: None, batch, due: None, condition, desk };
        keeper.write(now);
        keeper
    }

    /// How it goes.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Keeps a line.
    pub fn line(&mut self, entry: Entry, now: Moment) {
        self.batch.line(entry);
        self.due.get_or_insert(now.steady + PAUSE);
        if self.batch.is_full() && self.condition == Condition::Keeping {
            self.write(now);
        }
    }

    /// Keeps a beginning or an end of a run.
    pub fn record(&mut self, record: Record, now: Moment) {
        self.batch.record(record);
        self.due.get_or_insert(now.steady + PAUSE);
    }

    /// Changes how much is kept.
    pub fn set_bounds(&mut self, bounds: Bounds, now: Moment) {
        self.bounds = bounds;
        if let Some(store) = &mut self.store {
            store.set_bounds(bounds);
        }
        self.due.get_or_insert(now.steady);
    }

    /// How long nothing has to be done; `None` = for ever.
    pub fn rest(&self, now: Instant) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(now))
    }

    /// Writes if it is time.
    pub fn turn(&mut self, now: Moment) {
        if self.due.is_some_and(|due| due <= now.steady) {
            self.write(now);
        }
    }

    /// Writes what waits, for the last time.
    pub fn finish(&mut self, now: Moment) {
        self.write(now);
        if let Some(store) = &self.store {
            // What stays in the log of changes is found by the next start.
            let _ = store.finish();
        }
    }

    fn write(&mut self, now: Moment) {
        match self.try_write(now) {
            Ok(more) => {
                self.batch.clear();
                self.due = more.then(|| now.steady + PAUSE);
                self.condition = Condition::Keeping;
                self.desk.news.announce();
            }
            Err(error) => {
                let pause = if self.store.is_some() { PAUSE } else { REOPEN };
                self.due = Some(now.steady + pause);
                let why = error.to_string();
                self.condition = if error.is_damage() { Condition::Damaged(why) } else { Condition::Failing(why) };
            }
        }
    }

    fn try_write(&mut self, now: Moment) -> Result<bool, StoreError> {
        if self.store.is_none() {
            self.open_store(now)?;
        }
        let notes = self.batch.notes(now.wall.as_microsecond(), self.condition.why());
        let store = self.store.as_mut().ok_or(StoreError::Closed)?;
        store.write(&notes, &self.batch)
    }

    fn open_store(&mut self, now: Moment) -> Result<(), StoreError> {
        let opened = store::open(&self.directory, self.bounds, now.wall)?;
        self.desk.readers.fill(opened.readers);
        self.store = Some(opened.store);
        if let Some(note) = opened.note {
            self.batch.line(own(now.wall.as_microsecond(), Arc::from(""), note));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{HELD_BYTES, LINE_COST, Source, WRITE_BYTES};
    use crate::scene::Scene;
    use crate::store::Edge;

    const TEXT: usize = 1024;

    impl Scene {
        fn set(&self, pragma: &str) {
            self.keeper.store.as_ref().unwrap().connection().execute_batch(pragma).unwrap();
        }

        fn lines(&mut self, count: usize) {
            for number in 0..count {
                let text = format!("{number:0TEXT$}").into_bytes();
                let (label, run, source) = (Arc::from("job"), Some(1), Source::Out);
                self.keeper.line(Entry { time: 0, label, run, source, continued: false, text }, self.now);
            }
        }

        fn kept(&self) -> Vec<String> {
            let (mut found, mut after) = (Vec::new(), 0);
            loop {
                let edge = Edge::After(after);
                let page = self.desk.readers.lend(|connection| store::page(connection, None, edge)).unwrap();
                after = page.rows.last().map_or(after, |row| row.id);
                found.extend(page.rows.into_iter().map(|row| row.text));
                if !page.more {
                    return found;
                }
            }
        }
    }

    #[test]
    fn little_is_written_in_time_and_much_at_once() {
        let mut scene = Scene::new();
        scene.lines(1);
        assert_eq!(scene.keeper.rest(scene.now.steady), Some(PAUSE));
        assert!(scene.kept().is_empty());
        let seen = scene.desk.news.count();
        scene.later();
        assert_eq!((scene.kept().len(), scene.keeper.rest(scene.now.steady)), (1, None));
        assert_eq!(scene.desk.news.count(), seen + 1);
        let much = WRITE_BYTES.div_ceil(TEXT + LINE_COST);
        scene.lines(much);
        assert_eq!(scene.kept().len(), 1 + much);
    }

    #[test]
    fn a_full_disk_costs_the_oldest_lines_which_are_counted() {
        let mut scene = Scene::new();
        scene.set("PRAGMA max_page_count = 1");
        let (all, held) = (3000, HELD_BYTES / (TEXT + LINE_COST));
        scene.lines(all);
        assert!(matches!(scene.keeper.condition(), Condition::Failing(why) if why.contains("full")));
        scene.later();
        assert!(scene.kept().is_empty());
        scene.set("PRAGMA max_page_count = 1000000");
        scene.later();
        assert_eq!(*scene.keeper.condition(), Condition::Keeping);
        let kept = scene.kept();
        let dropped = (all - held) * (TEXT + 1);
        assert_eq!(kept[0], format!("{dropped} bytes dropped: database or disk is full"));
        assert_eq!(kept.len(), 1 + held);
        assert_eq!(kept[held], format!("{:0TEXT$}", all - 1));
        scene.lines(1);
        scene.later();
        assert_eq!(scene.kept().len(), 2 + held, "what was dropped is told once");
    }

    #[test]
    fn a_database_that_cannot_be_opened_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("not-yet");
        let (desk, mut now) = (Arc::new(Desk::new("test", 0)), Moment::now());
        let mut keeper = Keeper::open(directory.clone(), Bounds::default(), Arc::clone(&desk), now);
        assert!(matches!(keeper.condition(), Condition::Failing(_)));
        assert!(matches!(desk.readers.lend(store::newest), Err(StoreError::Closed)));
        std::fs::create_dir(directory).unwrap();
        now.steady += REOPEN;
        keeper.turn(now);
        assert_eq!(*keeper.condition(), Condition::Keeping);
        assert_eq!(desk.readers.lend(store::newest).unwrap(), 0);
    }
}
