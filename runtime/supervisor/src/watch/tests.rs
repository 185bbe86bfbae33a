//! The rules of watching, against the kernel. inotify queues an event before the call that caused it returns, so
//! nothing here waits. Links of other users are in `links`, mounts that are not entered in `mounts`.

mod links;
mod mounts;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

type Act = fn(&Path) -> io::Result<()>;

/// What happens at `a/b` of a fresh folder, and what is seen of it.
struct Case {
    name: &'static str,
    before: Act,
    then: Act,
    seen: &'static [What],
}

/// What one watcher says first, and after something happened.
fn watched(want: Want, before: Act, then: Act) -> (Vec<What>, Vec<What>) {
    let folder = tempfile::tempdir().unwrap();
    before(folder.path()).unwrap();
    let path = folder.path().join("a/b");
    let mut watcher = Watcher::new().unwrap();
    watcher.add(7, &path, want).unwrap();
    let first = whats(&mut watcher, &path);
    then(folder.path()).unwrap();
    (first, whats(&mut watcher, &path))
}

fn whats(watcher: &mut Watcher, path: &Path) -> Vec<What> {
    let seen = watcher.read();
    assert!(seen.iter().all(|seen| seen.token == 7 && seen.path == path), "{seen:?}");
    seen.into_iter().map(|seen| seen.what).collect()
}

fn nothing(_: &Path) -> io::Result<()> {
    Ok(())
}

fn folder(top: &Path) -> io::Result<()> {
    fs::create_dir(top.join("a"))
}

fn file(top: &Path) -> io::Result<()> {
    fs::create_dir_all(top.join("a"))?;
    fs::write(top.join("a/b"), "content")
}

fn directory(top: &Path) -> io::Result<()> {
    fs::create_dir_all(top.join("a/b"))
}

fn full_directory(top: &Path) -> io::Result<()> {
    directory(top)?;
    fs::write(top.join("a/b/entry"), "")
}

/// `a/b` is a link to the file `target`.
fn link(top: &Path) -> io::Result<()> {
    fs::write(top.join("target"), "content")?;
    dangling(top)
}

fn dangling(top: &Path) -> io::Result<()> {
    folder(top)?;
    symlink("../target", top.join("a/b"))
}

/// `a` is a link to the folder `one`, and `two` is another with the same file in it.
fn linked_folder(top: &Path) -> io::Result<()> {
    for name in ["one", "two"] {
        fs::create_dir(top.join(name))?;
        fs::write(top.join(name).join("b"), "content")?;
    }
    symlink("one", top.join("a"))
}

fn endless(top: &Path) -> io::Result<()> {
    folder(top)?;
    symlink("b", top.join("a/b"))
}

fn append(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(b"more")
}

fn mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// A new link in the place of an old one, at once.
fn relink(top: &Path, target: &str, link: &str) -> io::Result<()> {
    symlink(target, top.join("fresh"))?;
    fs::rename(top.join("fresh"), top.join(link))
}

const CHANGED: &[What] = &[What::Changed];

const CHANGES: &[Case] = &[
    Case { name: "nothing happens", before: file, then: nothing, seen: &[] },
    Case { name: "written", before: file, then: |top| append(&top.join("a/b")), seen: CHANGED },
    Case { name: "written anew", before: file, then: file, seen: CHANGED },
    Case { name: "attributes", before: file, then: |top| mode(&top.join("a/b"), 0o600), seen: CHANGED },
    Case { name: "deleted", before: file, then: |top| fs::remove_file(top.join("a/b")), seen: CHANGED },
    Case { name: "renamed", before: file, then: |top| fs::rename(top.join("a/b"), top.join("a/c")), seen: CHANGED },
    Case {
        name: "renamed over",
        before: file,
        then: |top| {
            fs::write(top.join("fresh"), "content")?;
            fs::rename(top.join("fresh"), top.join("a/b"))
        },
        seen: CHANGED,
    },
    Case {
        name: "deleted and made again with the same content",
        before: file,
        then: |top| {
            fs::remove_file(top.join("a/b"))?;
            file(top)
        },
        seen: CHANGED,
    },
    Case {
        name: "made and deleted between two reads",
        before: folder,
        then: |top| {
            file(top)?;
            fs::remove_file(top.join("a/b"))
        },
        seen: CHANGED,
    },
    Case { name: "read", before: file, then: |top| fs::read(top.join("a/b")).map(drop), seen: &[] },
    Case {
        name: "opened for writing and not written",
        before: file,
        then: |top| OpenOptions::new().write(true).open(top.join("a/b")).map(drop),
        seen: &[],
    },
    Case { name: "its neighbour", before: file, then: |top| fs::write(top.join("a/c"), ""), seen: &[] },
    Case { name: "made", before: folder, then: file, seen: CHANGED },
    Case { name: "made with its folder", before: nothing, then: file, seen: CHANGED },
    Case { name: "only its folder made", before: nothing, then: folder, seen: &[] },
    Case {
        name: "its folder renamed away",
        before: file,
        then: |top| fs::rename(top.join("a"), top.join("x")),
        seen: CHANGED,
    },
    Case {
        name: "its folder renamed away and back",
        before: file,
        then: |top| {
            fs::rename(top.join("a"), top.join("x"))?;
            fs::rename(top.join("x"), top.join("a"))
        },
        seen: &[],
    },
    Case {
        name: "its folder replaced",
        before: file,
        then: |top| {
            fs::rename(top.join("a"), top.join("x"))?;
            file(top)
        },
        seen: CHANGED,
    },
    Case { name: "directory, entry made", before: directory, then: full_directory, seen: CHANGED },
    Case {
        name: "directory, entry deleted",
        before: full_directory,
        then: |top| fs::remove_file(top.join("a/b/entry")),
        seen: CHANGED,
    },
    Case {
        name: "directory, entry renamed",
        before: full_directory,
        then: |top| fs::rename(top.join("a/b/entry"), top.join("a/b/other")),
        seen: CHANGED,
    },
    Case {
        name: "directory, entry written",
        before: full_directory,
        then: |top| append(&top.join("a/b/entry")),
        seen: &[],
    },
    Case {
        name: "directory, attributes of an entry",
        before: full_directory,
        then: |top| mode(&top.join("a/b/entry"), 0o600),
        seen: &[],
    },
    Case { name: "directory, attributes", before: directory, then: |top| mode(&top.join("a/b"), 0o700), seen: CHANGED },
    Case {
        name: "directory, something below a sub-directory",
        before: |top| fs::create_dir_all(top.join("a/b/sub")),
        then: |top| fs::write(top.join("a/b/sub/file"), ""),
        seen: &[],
    },
    Case { name: "link, target written", before: link, then: |top| append(&top.join("target")), seen: CHANGED },
    Case { name: "link, target deleted", before: link, then: |top| fs::remove_file(top.join("target")), seen: CHANGED },
    Case { name: "link, target made", before: dangling, then: |top| fs::write(top.join("target"), ""), seen: CHANGED },
    Case { name: "link, deleted", before: link, then: |top| fs::remove_file(top.join("a/b")), seen: CHANGED },
    Case {
        name: "link, replaced by one to elsewhere",
        before: link,
        then: |top| relink(top, "nowhere", "a/b"),
        seen: CHANGED,
    },
    Case {
        name: "link, replaced by one to the same",
        before: link,
        then: |top| relink(top, "../target", "a/b"),
        seen: CHANGED,
    },
    Case {
        name: "link on the way, replaced by one to another folder",
        before: linked_folder,
        then: |top| relink(top, "two", "a"),
        seen: CHANGED,
    },
    Case {
        name: "link on the way, replaced by one to the same folder",
        before: linked_folder,
        then: |top| relink(top, "one", "a"),
        seen: &[],
    },
    Case { name: "link to itself, replaced", before: endless, then: |top| relink(top, "../a", "a/b"), seen: CHANGED },
];

#[test]
fn a_change_of_any_kind_is_seen_once_and_others_are_not() {
    for Case { name, before, then, seen } in CHANGES {
        let (first, after) = watched(Want::Change, *before, *then);
        assert!(first.is_empty(), "{name}: {first:?}");
        assert_eq!(&after, seen, "{name}");
    }
}

#[test]
fn existence_is_told_at_once_and_when_it_turns() {
    let delete: Act = |top| fs::remove_file(top.join("a/b"));
    for (name, before, then, first, after) in [
        ("missing", nothing as Act, nothing as Act, false, None),
        ("there", file, nothing, true, None),
        ("made", nothing, file, false, Some(true)),
        ("its folder made", nothing, folder, false, None),
        ("deleted", file, delete, true, Some(false)),
        ("written", file, file, true, None),
        ("its folder renamed", file, |top| fs::rename(top.join("a"), top.join("x")), true, Some(false)),
        ("dangling link, target made", dangling, |top| fs::write(top.join("target"), ""), false, Some(true)),
        ("link, target deleted", link, |top| fs::remove_file(top.join("target")), true, Some(false)),
        ("link to itself", endless, nothing, false, None),
        ("a file where a folder was looked for", |top| fs::write(top.join("a"), ""), nothing, false, None),
    ] {
        let (told, turned) = watched(Want::Existence, before, then);
        assert_eq!(told, [What::Exists(first)], "{name}");
        assert_eq!(turned, Vec::from_iter(after.map(What::Exists)), "{name}");
    }
}

#[test]
fn a_queue_is_told_at_once_and_when_it_fills_or_empties() {
    for (name, before, then, first, after) in [
        ("missing", nothing as Act, nothing as Act, false, None),
        ("empty", directory, nothing, false, None),
        ("full", full_directory, nothing, true, None),
        ("made empty", nothing, directory, false, None),
        ("made full", nothing, full_directory, false, Some(true)),
        ("entry made", directory, full_directory, false, Some(true)),
        ("dotfile made", directory, |top| fs::write(top.join("a/b/.hidden"), ""), false, Some(true)),
        ("second entry made", full_directory, |top| fs::write(top.join("a/b/second"), ""), true, None),
        ("last entry deleted", full_directory, |top| fs::remove_file(top.join("a/b/entry")), true, Some(false)),
        ("deleted", full_directory, |top| fs::remove_dir_all(top.join("a/b")), true, Some(false)),
        ("renamed", full_directory, |top| fs::rename(top.join("a/b"), top.join("a/c")), true, Some(false)),
        ("a file", file, |top| append(&top.join("a/b")), false, None),
    ] {
        let (told, turned) = watched(Want::Queue, before, then);
        assert_eq!(told, [What::Queue { entries: first }], "{name}");
        assert_eq!(turned, Vec::from_iter(after.map(|entries| What::Queue { entries })), "{name}");
    }
}

#[test]
fn an_unreadable_queue_counts_as_empty() {
    let lock: Act = |top| {
        full_directory(top)?;
        mode(&top.join("a/b"), 0o000)
    };
    let unlock: Act = |top| mode(&top.join("a/b"), 0o700);
    let (told, turned) = watched(Want::Queue, lock, unlock);
    if rustix::process::geteuid().is_root() {
        // Modes do not keep root out.
        assert_eq!((told, turned), (vec![What::Queue { entries: true }], vec![]));
    } else {
        assert_eq!((told, turned), (vec![What::Queue { entries: false }], vec![What::Queue { entries: true }]));
    }
}

#[test]
fn an_appearance_is_told_and_nothing_else() {
    for (name, before, then, first, after) in [
        ("missing", nothing as Act, nothing as Act, false, false),
        ("there already", file, nothing, true, false),
        ("made", nothing, file, false, true),
        ("deleted", file, |top| fs::remove_file(top.join("a/b")), true, false),
        ("written", file, file, true, false),
    ] {
        let expected = |told: bool| if told { vec![What::Exists(true)] } else { vec![] };
        assert_eq!(watched(Want::Appearance, before, then), (expected(first), expected(after)), "{name}");
    }
}

#[test]
fn the_watch_follows_the_path_again_and_again() {
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join("a/b");
    let mut watcher = Watcher::new().unwrap();
    watcher.add(7, &path, Want::Change).unwrap();
    for round in 0..3 {
        folder(top.path()).unwrap();
        assert!(whats(&mut watcher, &path).is_empty(), "{round}");
        file(top.path()).unwrap();
        assert_eq!(whats(&mut watcher, &path), CHANGED, "{round}");
        append(&path).unwrap();
        assert_eq!(whats(&mut watcher, &path), CHANGED, "{round}");
        fs::rename(top.path().join("a"), top.path().join(format!("old{round}"))).unwrap();
        assert_eq!(whats(&mut watcher, &path), CHANGED, "{round}");
        append(&top.path().join(format!("old{round}/b"))).unwrap();
        assert!(whats(&mut watcher, &path).is_empty(), "the old file is another's now, round {round}");
    }
}

#[test]
fn writing_through_an_open_descriptor_is_seen_after_a_rename_over() {
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join("a/b");
    file(top.path()).unwrap();
    let mut watcher = Watcher::new().unwrap();
    watcher.add(7, &path, Want::Change).unwrap();
    let mut fresh = File::create(top.path().join("fresh")).unwrap();
    fs::rename(top.path().join("fresh"), &path).unwrap();
    assert_eq!(whats(&mut watcher, &path), CHANGED);
    fresh.write_all(b"later").unwrap();
    assert_eq!(whats(&mut watcher, &path), CHANGED);
}

#[test]
fn many_events_are_one() {
    let (_, after) = watched(Want::Change, file, |top| (0..100).try_for_each(|_| append(&top.join("a/b"))));
    assert_eq!(after, CHANGED);
}

/// Inodes the kernel watches for a watcher.
fn watches(watcher: &Watcher) -> usize {
    let path = format!("/proc/self/fdinfo/{}", watcher.as_fd().as_raw_fd());
    fs::read_to_string(path).unwrap().lines().filter(|line| line.starts_with("inotify ")).count()
}

fn tokens(watcher: &mut Watcher) -> Vec<(u64, What)> {
    watcher.read().into_iter().map(|seen| (seen.token, seen.what)).collect()
}

fn one_file() -> (TempDir, PathBuf) {
    let top = tempfile::tempdir().unwrap();
    file(top.path()).unwrap();
    let path = top.path().join("a/b");
    (top, path)
}

#[test]
fn many_jobs_share_the_watches_of_a_path() {
    let (_top, path) = one_file();
    let mut watcher = Watcher::new().unwrap();
    watcher.add(1, &path, Want::Change).unwrap();
    let shared = watches(&watcher);
    assert_eq!(shared, watcher.table.len());
    watcher.add(2, &path, Want::Change).unwrap();
    watcher.add(2, &path, Want::Existence).unwrap();
    watcher.add(3, &path, Want::Change).unwrap();
    assert_eq!(watches(&watcher), shared);
    assert_eq!(tokens(&mut watcher), [(2, What::Exists(true))]);
    append(&path).unwrap();
    assert_eq!(tokens(&mut watcher), [(1, What::Changed), (2, What::Changed), (3, What::Changed)]);
    watcher.remove(2);
    append(&path).unwrap();
    assert_eq!(tokens(&mut watcher), [(1, What::Changed), (3, What::Changed)]);
    watcher.remove(1);
    assert_eq!(watches(&watcher), shared);
    watcher.remove(3);
    watcher.remove(3);
    assert_eq!((watches(&watcher), watcher.table.len()), (0, 0));
    append(&path).unwrap();
    assert!(tokens(&mut watcher).is_empty());
}

#[test]
fn paths_of_one_folder_share_its_watch() {
    let (top, path) = one_file();
    let mut watcher = Watcher::new().unwrap();
    watcher.add(1, &path, Want::Change).unwrap();
    let one = watches(&watcher);
    let neighbour = top.path().join("a/c");
    watcher.add(2, &neighbour, Want::Change).unwrap();
    assert_eq!(watches(&watcher), one, "a missing file has no inode to watch");
    fs::write(&neighbour, "").unwrap();
    assert_eq!(tokens(&mut watcher), [(2, What::Changed)]);
    assert_eq!(watches(&watcher), one + 1);
    fs::remove_file(&neighbour).unwrap();
    assert_eq!(tokens(&mut watcher), [(2, What::Changed)]);
    assert_eq!(watches(&watcher), one);
}

#[test]
fn after_an_overflow_everything_is_looked_at() {
    let (top, path) = one_file();
    let queue = top.path().join("queue");
    let missing = top.path().join("missing");
    fs::create_dir(&queue).unwrap();
    let mut watcher = Watcher::new().unwrap();
    watcher.add(1, &path, Want::Change).unwrap();
    watcher.add(2, &queue, Want::Queue).unwrap();
    watcher.add(3, &missing, Want::Existence).unwrap();
    watcher.add(4, &missing, Want::Appearance).unwrap();
    assert_eq!(tokens(&mut watcher), [(2, What::Queue { entries: false }), (3, What::Exists(false))]);
    fs::write(queue.join("entry"), "").unwrap();
    fs::write(&missing, "").unwrap();
    // The events of these are lost.
    watcher.kernel.drain(|_, _, _| {});
    assert!(tokens(&mut watcher).is_empty());
    watcher.overflowed();
    let expected =
        [(1, What::Changed), (2, What::Queue { entries: true }), (3, What::Exists(true)), (4, What::Exists(true))];
    assert_eq!(tokens(&mut watcher), expected);
    append(&path).unwrap();
    assert_eq!(tokens(&mut watcher), [(1, What::Changed)], "the watches still stand");
}

#[test]
fn watches_are_bounded_and_nothing_is_left_of_a_refused_one() {
    let (top, path) = one_file();
    let mut watcher = Watcher::new().unwrap();
    watcher.add(1, &path, Want::Change).unwrap();
    let one = watches(&watcher);
    watcher.most = one;
    let other = top.path().join("other");
    fs::create_dir(&other).unwrap();
    let refused = watcher.add(2, &other, Want::Change).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    assert!(refused.to_string().contains("watch fewer paths"), "{refused}");
    assert_eq!(watches(&watcher), one);
    append(&path).unwrap();
    assert_eq!(tokens(&mut watcher), [(1, What::Changed)]);
}

#[test]
fn a_watch_that_ran_out_later_is_said_and_tried_again() {
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join("a/b");
    let mut watcher = Watcher::new().unwrap();
    watcher.add(7, &path, Want::Change).unwrap();
    let missing = watches(&watcher);
    watcher.most = missing;
    file(top.path()).unwrap();
    assert_eq!(whats(&mut watcher, &path), CHANGED);
    assert!(watcher.shortage().unwrap().contains("a/b"));
    assert_eq!(watches(&watcher), missing);
    watcher.most = MOST_WATCHES;
    watcher.read();
    assert_eq!(watcher.shortage(), None);
    append(&path).unwrap();
    assert_eq!(whats(&mut watcher, &path), CHANGED);
}

#[test]
fn paths_that_cannot_be_watched_are_refused() {
    let mut watcher = Watcher::new().unwrap();
    for (path, expected) in [
        ("relative", "write it from / on"),
        ("", "write it from / on"),
        (&*format!("/{}", "x".repeat(4096)), "4095 bytes"),
        ("/a\0b", "NUL"),
    ] {
        let error = watcher.add(1, Path::new(path), Want::Change).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(watches(&watcher), 0);
}
