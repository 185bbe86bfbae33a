//! What takes the place of an entry, or of the folders, while the cache is at work: a descriptor that it gave stays what was
//! authenticated, and a link in a folder's place is not entered.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

const HASH: Hash = [1; LENGTH];
/// How often an entry is filed and found while somebody replaces it. All of them stay open.
const TIMES: usize = 100;

fn places(folder: &Path) -> Places {
    Places { cache: folder.join("cache"), state: folder.join("state") }
}

fn opened(folder: &Path) -> Result<Cache, String> {
    Cache::open(&places(folder), rustix::process::geteuid().as_raw(), "one")
}

fn compiled(folder: &Path) -> File {
    let path = folder.join("compiled");
    fs::write(&path, "code").unwrap();
    File::open(path).unwrap()
}

/// Puts other bytes in an entry's place, as one who may write in the folder could.
fn replace(object: &Path) {
    let beside = object.with_extension("evil");
    fs::write(&beside, "evil").unwrap();
    fs::rename(&beside, object).unwrap();
}

#[test]
fn a_descriptor_is_what_was_authenticated_whatever_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let cache = opened(folder.path()).unwrap();
    let filed = cache.file(&HASH, &mut compiled(folder.path())).unwrap();
    let found = cache.get(&HASH).unwrap();
    replace(&cache.object(&HASH));
    for file in [filed, found] {
        assert_eq!(io::read_to_string(file).unwrap(), "code");
    }
    assert!(cache.get(&HASH).is_none());
}

#[test]
fn an_entry_that_is_replaced_all_the_time_is_itself_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let cache = opened(folder.path()).unwrap();
    let (object, over) = (cache.object(&HASH), AtomicBool::new(false));
    let mut code = compiled(folder.path());
    let given = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                replace(&object);
            }
        });
        let given: Vec<File> =
            (0..TIMES).flat_map(|_| [cache.file(&HASH, &mut code).ok(), cache.get(&HASH)]).flatten().collect();
        over.store(true, Ordering::Relaxed);
        given
    });
    assert!(given.len() >= TIMES, "it was filed {TIMES} times, and given {} times", given.len());
    for file in given {
        assert_eq!(io::read_to_string(file).unwrap(), "code");
    }
}

/// Both the folder of the cache and those in it.
#[test]
fn a_link_in_a_folders_place_is_not_entered() {
    for name in ["cache", "cache/objects", "cache/index", "state"] {
        let folder = tempfile::tempdir().unwrap();
        let cache = opened(folder.path()).unwrap();
        cache.file(&HASH, &mut compiled(folder.path())).unwrap();
        let (place, elsewhere) = (folder.path().join(name), folder.path().join("elsewhere"));
        fs::rename(&place, &elsewhere).unwrap();
        symlink(&elsewhere, &place).unwrap();
        let refused = opened(folder.path()).map(drop).unwrap_err();
        assert!(refused.contains("not a directory") && refused.contains(name), "{name}: {refused}");
    }
}

/// A supervisor that has opened its cache already finds nothing behind the link that its key has not tagged.
#[test]
fn what_lies_behind_a_link_is_foreign() {
    let [own, foreign] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let caches = [&own, &foreign].map(|folder| opened(folder.path()).unwrap());
    for (cache, folder) in caches.iter().zip([&own, &foreign]) {
        cache.file(&HASH, &mut compiled(folder.path())).unwrap();
    }
    let objects = own.path().join("cache/objects");
    fs::remove_dir_all(&objects).unwrap();
    symlink(foreign.path().join("cache/objects"), &objects).unwrap();
    assert!(caches[1].get(&HASH).is_some() && caches[0].get(&HASH).is_none());
}
