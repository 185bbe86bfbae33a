//! What the database keeps, forgets and survives.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tempfile::TempDir;
use wjob_model::control::{GrantUse, WallRow};
use wjob_model::denial::Denial;
use wjob_model::noted::{KEPT_BYTES, Noted};
use wjob_model::record::{Began, Ended, RunRow};

use super::*;
use crate::batch::{HELD_BYTES, LINE_COST, Record, Source};

const NOW: i64 = 1_800_000_000;

struct Scene {
    folder: TempDir,
    opened: open::Opened,
}

fn opened(folder: &Path, bounds: Bounds) -> open::Opened {
    open(folder, bounds, Timestamp::from_second(NOW).unwrap()).unwrap()
}

impl Scene {
    fn new(bounds: Bounds) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let opened = opened(folder.path(), bounds);
        Self { folder, opened }
    }

    /// The logger ends, in order or not, and another one begins.
    fn again(self, bounds: Bounds) -> Self {
        let Self { folder, opened: old } = self;
        drop(old);
        let opened = opened(folder.path(), bounds);
        Self { folder, opened }
    }

    fn write(&mut self, lines: impl IntoIterator<Item = Entry>, records: impl IntoIterator<Item = Record>) -> bool {
        let mut batch = Batch::default();
        lines.into_iter().for_each(|line| batch.line(line));
        records.into_iter().for_each(|record| batch.record(record));
        self.opened.store.write(&VecDeque::new(), &batch).unwrap()
    }

    fn lines(&self, label: Option<&str>) -> Vec<Row> {
        let (mut rows, mut after) = (Vec::new(), 0);
        loop {
            let page = page(&self.opened.readers[0], label, Edge::After(after)).unwrap();
            after = page.rows.last().map_or(after, |row| row.id);
            rows.extend(page.rows);
            if !page.more {
                return rows;
            }
        }
    }

    fn texts(&self, label: Option<&str>) -> Vec<String> {
        self.lines(label).into_iter().map(|row| row.text).collect()
    }

    fn runs(&self) -> Vec<RunRow> {
        history(&self.opened.readers[0], None, i64::MAX, usize::MAX).unwrap()
    }

    fn numbers(&self) -> Vec<i64> {
        self.runs().iter().map(|run| run.run).collect()
    }

    fn number(&self, sql: &str) -> i64 {
        self.opened.store.connection().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn entry(label: &str, text: &str) -> Entry {
    let (label, text) = (Arc::from(label), text.as_bytes().to_vec());
    Entry { time: 0, label, run: Some(1), source: Source::Out, continued: false, text }
}

fn entries(label: &str, count: usize, length: usize) -> Vec<Entry> {
    (0..count).map(|number| entry(label, &format!("{number:0length$}"))).collect()
}

fn began(run: u64, wall_ms: i64) -> Record {
    Record::Began(Began { run, label: "job".into(), causes: vec!["timer".into()], pid: 42, wall_ms })
}

fn denied() -> Noted {
    Noted { denial: Denial::Lookup { name: "x.example".into() }, wall_ms: 1_500, within: None }
}

fn ended(run: u64, end: &str) -> Record {
    let walls = vec![WallRow { wall: "seccomp".into(), found: "2".into(), stands: true }];
    let (label, end, denials) = ("job".into(), end.into(), vec![denied()]);
    let grants = Some(vec![GrantUse { grant: "ReadOnly /a".into(), used: true }]);
    let (status, cpu_micros, peak_memory) = (Some(3), 5, 7);
    Record::Ended(Ended { run, label, end, status, cpu_micros, peak_memory, walls, denials, grants, wall_ms: 2_000 })
}

#[test]
fn lines_are_found_as_they_came_and_by_job() {
    let mut scene = Scene::new(Bounds::default());
    let odd = Entry { text: b"\xff".to_vec(), continued: true, run: None, source: Source::Supervisor, ..entry("", "") };
    scene.write([entry("a", "1"), entry("b", "2"), entry("a", ""), odd], []);
    scene.write([entry("a", "5")], []);
    for (label, expected) in [
        (None, &["1", "2", "", "\\xff", "5"][..]),
        (Some("a"), &["1", "", "5"]),
        (Some("b"), &["2"]),
        (Some(""), &["\\xff"]),
        (Some("c"), &[]),
    ] {
        assert_eq!(scene.texts(label), expected, "{label:?}");
    }
    let rows = scene.lines(None);
    let odd = Row { id: 4, time: 0, label: String::new(), run: None, source: 2, continued: true, text: "\\xff".into() };
    assert_eq!(rows[3], odd);
    assert_eq!((rows[4].id, rows[4].run, rows[4].label.as_str()), (5, Some(1), "a"));
    assert_eq!(newest(&scene.opened.readers[0]).unwrap(), 5);
    let back = page(&scene.opened.readers[1], Some("a"), Edge::Before(5)).unwrap();
    assert_eq!(back.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn pages_end_and_go_on() {
    let mut scene = Scene::new(Bounds::default());
    scene.write(entries("a", 600, 4), []);
    scene.write(entries("a", 40, 16 << 10), []);
    let first = page(&scene.opened.readers[0], Some("a"), Edge::After(0)).unwrap();
    assert!(first.more && first.rows.len() == 512);
    let second = page(&scene.opened.readers[0], None, Edge::After(512)).unwrap();
    assert!(second.more && second.rows.len() < 128, "{} lines", second.rows.len());
    assert_eq!(scene.lines(None).len(), 640);
}

#[test]
fn a_job_keeps_its_newest_lines_and_takes_nothing_from_others() {
    let bound = 64 << 10;
    let mut scene = Scene::new(Bounds { per_job_bytes: bound, ..Bounds::default() });
    scene.write(entries("quiet", 3, 100), []);
    for _ in 0..5 {
        assert!(!scene.write(entries("loud", 1000, 100), []));
        let cost = format!("SELECT sum(length(text) + {LINE_COST}) FROM lines WHERE job = 2");
        let bytes = scene.number(&cost);
        assert!(bytes <= i64::try_from(bound).unwrap() && bytes > 48 << 10, "{bytes} bytes");
        assert_eq!(bytes, scene.number("SELECT bytes FROM jobs WHERE label = 'loud'"));
    }
    assert_eq!(scene.number("SELECT bytes FROM state"), scene.number("SELECT sum(bytes) FROM jobs"));
    assert_eq!(scene.texts(Some("loud")).last(), Some(&format!("{:0100}", 999)));
    assert_eq!(scene.texts(Some("quiet")).len(), 3);
}

#[test]
fn all_jobs_together_keep_the_newest_lines() {
    let mut scene = Scene::new(Bounds { total_bytes: 64 << 10, ..Bounds::default() });
    scene.write(entries("early", 300, 100), []);
    scene.write(entries("late", 300, 100), []);
    let (early, late) = (scene.texts(Some("early")).len(), scene.texts(Some("late")).len());
    assert!(early < 100 && late == 300, "{early} and {late}");
    assert!(scene.number("SELECT bytes FROM state") <= 64 << 10);
    assert_eq!(scene.number("SELECT bytes FROM state"), scene.number("SELECT sum(bytes) FROM jobs"));
}

#[test]
fn bounds_that_shrink_are_reached_in_several_writes_and_space_is_given_back() {
    let mut scene = Scene::new(Bounds::default());
    for _ in 0..4 {
        scene.write(entries("job", HELD_BYTES / 1024 - 1, 1024 - LINE_COST), []);
        scene.write(entries("job", 15_000, 1), []);
    }
    let pages = scene.number("PRAGMA page_count");
    scene.opened.store.set_bounds(Bounds { total_bytes: 0, ..Bounds::default() });
    let mut writes = 1;
    while scene.write([], []) {
        writes += 1;
        assert!(writes < 100);
    }
    assert!(writes > 1);
    assert!(scene.lines(None).is_empty());
    let left = scene.number("PRAGMA page_count");
    assert!(left < pages, "{left} of {pages} pages");
    assert_eq!(newest(&scene.opened.readers[0]).unwrap(), scene.number("SELECT lines FROM state"));
}

#[test]
fn a_run_is_told_with_its_end() {
    let mut scene = Scene::new(Bounds::default());
    scene.write([], [began(7, 1_000)]);
    let running = scene.runs().remove(0);
    assert_eq!((running.end, running.outcome, running.status), (None, None, None));
    scene.write([], [ended(7, "exit 3")]);
    let expected = RunRow {
        run: 7,
        label: "job".into(),
        reason: vec!["timer".into()],
        pid: 42,
        start: "1970-01-01T00:00:01.000Z".into(),
        end: Some("1970-01-01T00:00:02.000Z".into()),
        outcome: Some("exit 3".into()),
        status: Some(3),
        cpu_micros: 5,
        peak_memory: 7,
        walls: vec![WallRow { wall: "seccomp".into(), found: "2".into(), stands: true }],
        denials: vec![denied().row()],
        more_denials: 0,
        grants: Some(vec![GrantUse { grant: "ReadOnly /a".into(), used: true }]),
    };
    assert_eq!(scene.runs(), [expected]);
}

#[test]
fn of_many_denials_the_first_are_kept_and_the_rest_counted() {
    let mut scene = Scene::new(Bounds::default());
    scene.write([], [began(7, 1_000)]);
    let Record::Ended(end) = ended(7, "exit 3") else { unreachable!("it is an end") };
    let many = |count: usize| (0..count).map(|_| GrantUse { grant: "x".repeat(100), used: false }).collect();
    let end = Ended { denials: vec![denied(); KEPT_BYTES], grants: Some(many(KEPT_BYTES / 100)), ..end };
    scene.write([], [Record::Ended(end)]);
    let run = scene.runs().remove(0);
    let kept = run.denials.len();
    assert!(kept > 10 && kept < KEPT_BYTES / 10, "{kept}");
    assert_eq!(run.more_denials, i64::try_from(KEPT_BYTES - kept).unwrap());
    assert_eq!(run.grants, None, "of a part nobody could say what was never used");
}

#[test]
fn the_newest_runs_are_kept_and_those_that_still_run() {
    let mut scene = Scene::new(Bounds { runs_per_job: 3, ..Bounds::default() });
    for run in 1..=6 {
        scene.write([], [began(run, 0)]);
        scene.write([], (run != 1).then(|| ended(run, "exit 0")));
    }
    assert_eq!(scene.numbers(), [1, 4, 5, 6]);
    let reader = &scene.opened.readers[0];
    for (label, last, most, expected) in [
        (None, 2, usize::MAX, &[5, 6][..]),
        (Some("job"), 1, usize::MAX, &[6]),
        (Some("else"), 9, usize::MAX, &[]),
        (None, 9, 0, &[]),
        (None, 0, usize::MAX, &[]),
    ] {
        let runs = history(reader, label, last, most).unwrap();
        assert_eq!(runs.iter().map(|run| run.run).collect::<Vec<_>>(), expected, "{label:?} {last} {most}");
    }
}

#[test]
fn a_run_whose_end_was_never_told_is_lost_until_it_is_told_of_again() {
    let mut scene = Scene::new(Bounds::default());
    scene.write([], [began(1, 1_000), began(2, 1_000)]);
    let mut scene = scene.again(Bounds::default());
    let outcomes = |scene: &Scene| scene.runs().into_iter().map(|run| run.outcome).collect::<Vec<_>>();
    let lost = Some(runs::LOST.to_owned());
    assert_eq!(outcomes(&scene), [lost.clone(), lost.clone()]);
    assert!(scene.runs()[0].end.as_deref().is_some_and(|end| end.starts_with("2027-")));
    scene.write([], [began(1, 1_000), ended(2, "exit 0")]);
    assert_eq!(outcomes(&scene), [None, Some("exit 0".to_owned())]);
    // Another supervisor counts from 1 again.
    scene.write([], [ended(1, "exit 1"), began(1, 9_000), ended(1, "exit 2")]);
    assert_eq!(outcomes(&scene), ["exit 1", "exit 0", "exit 2"].map(|end| Some(end.to_owned())));
}

#[test]
fn what_was_written_is_there_after_any_end() {
    let mut scene = Scene::new(Bounds::default());
    scene.write([entry("a", "first")], []);
    let mut scene = scene.again(Bounds::default());
    scene.write([entry("a", "second")], []);
    scene.opened.store.finish().unwrap();
    let log_of_changes = scene.folder.path().join(format!("{}-wal", open::NAME));
    assert_eq!(fs::metadata(log_of_changes).unwrap().len(), 0);
    let scene = scene.again(Bounds::default());
    assert_eq!(scene.texts(None), ["first", "second"]);
    assert_eq!(scene.opened.note, None);
}

fn set_aside(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(".corrupt-")).collect()
}

#[test]
fn a_damaged_database_is_set_aside_and_a_new_one_begun() {
    let other_version = |path: &Path| {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch("CREATE TABLE x (y); PRAGMA user_version = 7;").unwrap();
    };
    let garbage = |path: &Path| fs::write(path, "garbage".repeat(1000)).unwrap();
    for (damage, said) in [(&garbage as &dyn Fn(&Path), "not a database"), (&other_version, "version 7")] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(open::NAME);
        damage(&file);
        let opened = opened(folder.path(), Bounds::default());
        let note = opened.note.clone().unwrap();
        let name = format!("{}.corrupt-{NOW}", open::NAME);
        assert!(note.contains(said) && note.contains(&name), "{note}");
        assert_eq!(set_aside(folder.path()), [name]);
        let mut scene = Scene { folder, opened };
        scene.write([entry("a", "new")], []);
        assert_eq!(scene.texts(None), ["new"]);
    }
}

#[test]
fn only_the_newest_damaged_database_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    for earlier in ["log.db.corrupt-1", "log.db.corrupt-1-wal"] {
        fs::write(folder.path().join(earlier), "").unwrap();
    }
    fs::write(folder.path().join(open::NAME), "garbage".repeat(1000)).unwrap();
    drop(opened(folder.path(), Bounds::default()));
    assert_eq!(set_aside(folder.path()), [format!("{}.corrupt-{NOW}", open::NAME)]);
}
