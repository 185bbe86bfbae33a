//! Paths in mounts that are not entered. One is `/proc`, which is a mount wherever this runs and is somebody's process in a
//! table of the test's own; a real one is tried with the supervisor.

use super::*;
use crate::mounts::Mounts;

/// A watcher that takes `/proc` for what another user's process answers for.
fn watcher() -> Watcher {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/proc")).unwrap();
    let number = line.split(' ').next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table");
    fs::write(&table, format!("{number} 1 0:1 / /proc rw - fuse.x none rw,user_id=12345\n")).unwrap();
    Watcher { mounts: Mounts::of_table(&table).unwrap(), ..Watcher::new().unwrap() }
}

#[test]
fn what_is_in_a_closed_mount_counts_as_missing_and_is_said_to_be_there() {
    let entries = false;
    for (path, want, expected) in [
        ("/proc", Want::Existence, vec![What::Exists(false)]),
        ("/proc/version", Want::Existence, vec![What::Exists(false)]),
        ("/proc/sys", Want::Queue, vec![What::Queue { entries }]),
        ("/proc/sys/kernel/../version", Want::Change, vec![]),
        ("/proc/version", Want::Appearance, vec![]),
    ] {
        let mut watcher = watcher();
        watcher.add(7, Path::new(path), want).unwrap();
        assert_eq!(whats(&mut watcher, Path::new(path)), expected, "{path}");
        assert_eq!(watches(&watcher), 1, "{path}: the folder that the mount is in is watched, and no more");
        let said = watcher.unseen(7);
        let expected = format!("{path} lies on fuse.x mounted by uid 12345, which wjobd does not enter");
        assert!(said.len() == 1 && said[0].starts_with(&expected), "{said:?}");
        assert_eq!((watcher.newly_unseen(), watcher.newly_unseen()), (said, vec![]), "{path}");
        assert_eq!((watcher.shortage(), watcher.is_there(Path::new(path))), (None, false), "{path}");
        watcher.remove(7);
        assert_eq!((watcher.unseen(7), watches(&watcher)), (vec![], 0), "{path}");
    }
}

#[test]
fn a_link_into_a_closed_mount_leads_nowhere() {
    let top = tempfile::tempdir().unwrap();
    let link = top.path().join("link");
    symlink("/proc/version", &link).unwrap();
    let mut watcher = watcher();
    watcher.add(7, &link, Want::Existence).unwrap();
    assert_eq!(whats(&mut watcher, &link), [What::Exists(false)]);
    relink(top.path(), "elsewhere", "link").unwrap();
    fs::write(top.path().join("elsewhere"), "").unwrap();
    assert_eq!(whats(&mut watcher, &link), [What::Exists(true)]);
    assert_eq!(watcher.unseen(7), Vec::<String>::new());
}

#[test]
fn what_is_there_is_found_without_a_watch() {
    let top = tempfile::tempdir().unwrap();
    linked_folder(top.path()).unwrap();
    dangling(&top.path().join("one")).unwrap();
    let mut watcher = Watcher::new().unwrap();
    for (name, expected) in
        [("", true), ("one", true), ("one/b", true), ("a/b", true), ("c", false), ("c/d", false), ("one/a/b", false)]
    {
        assert_eq!(watcher.is_there(&top.path().join(name)), expected, "{name}");
    }
    assert!(!watcher.is_there(Path::new("relative")) && watcher.is_there(Path::new("/")));
    assert_eq!(watches(&watcher), 0);
}
