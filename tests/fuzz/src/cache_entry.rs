//! Entries of the cache of compiled programs. Compiled code is machine code: whatever lies in the cache's folders,
//! nothing is taken from it but what was filed under the same name with the same key, to the byte.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wjob_supervisor::{Cache, Places};

/// A program's hash, and another's.
const HASH: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];
const BUILD: &str = "build";
const CODE: &[u8] = b"compiled code of a program";

/// The first byte says what is done to an entry, the next 32 are a tag; the rest is what is put in the place of code, or
/// where the code is changed.
pub fn cache_entry(bytes: &[u8]) {
    let Some((how, rest)) = bytes.split_first() else { return };
    let Some((tag, rest)) = rest.split_first_chunk::<32>() else { return };
    let folder = TempDir::new().expect("a folder");
    let cache = open(folder.path(), "state");
    let object = file(&cache, folder.path(), &HASH);
    let tag_file = object.with_extension("tag");
    assert_eq!(content(cache.get(&HASH)).as_deref(), Some(CODE));
    match how % 4 {
        0 => write(&object, rest),
        1 => write(&tag_file, &[&tag[..], rest].concat()),
        2 => change(&object, tag, rest),
        _ => foreign(folder.path(), &object, rest),
    }
    // Bytes that make no difference are no change, and what stands behind a tag is not read.
    let is_same = fs::read(&object).is_ok_and(|code| code == CODE) && is_ours(&cache, &object, &tag_file);
    assert_eq!(content(cache.get(&HASH)).as_deref(), is_same.then_some(CODE));
    assert!(cache.get(&OTHER).is_none());
    index(&cache, folder.path(), rest);
}

/// The cache of a folder; each state has a key of its own.
fn open(folder: &Path, state: &str) -> Cache {
    let places = Places { cache: folder.join("cache"), state: folder.join(state) };
    Cache::open(&places, rustix::process::geteuid().as_raw(), BUILD).expect("a cache")
}

/// Files the code under a hash; where it lies.
fn file(cache: &Cache, folder: &Path, hash: &[u8; 32]) -> PathBuf {
    let compiled = folder.join("compiled");
    write(&compiled, CODE);
    cache.file(hash, &mut File::open(compiled).expect("the code")).expect("an entry");
    let name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut objects = names(&folder.join("cache/objects"));
    objects.retain(|path| path.extension().is_none() && is_named(path, &name));
    objects.pop().expect("the entry was filed under its hash")
}

fn is_named(path: &Path, beginning: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning))
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the cache");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// What the file holds that the cache gave.
fn content(file: Option<File>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file?.read_to_end(&mut bytes).expect("the code can be read");
    Some(bytes)
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file of the cache can be written");
}

/// Changes one byte of the code, or cuts it there, or adds to it.
fn change(object: &Path, tag: &[u8; 32], rest: &[u8]) {
    let mut code = CODE.to_vec();
    let place = usize::from(tag[0]) % (code.len() + 1);
    match code.get_mut(place) {
        Some(byte) if tag[1] != 0 => *byte ^= tag[1],
        Some(_) => code.truncate(place),
        None => code.extend_from_slice(rest),
    }
    write(object, &code);
}

/// Puts into the place of an entry one that another key made of the same code, or of other bytes.
fn foreign(folder: &Path, object: &Path, rest: &[u8]) {
    let beside = folder.join("beside");
    fs::create_dir(&beside).expect("a folder");
    let made = file(&open(&beside, "other-state"), &beside, &HASH);
    // Not by fs::copy, which the fuzzer's alarm interrupts (signal(7)).
    write(&object.with_extension("tag"), &fs::read(made.with_extension("tag")).expect("the other tag"));
    if !rest.is_empty() {
        write(object, rest);
    }
}

/// Whether the tag that lies there now is the one that filing the code makes; it is filed anew to see.
fn is_ours(cache: &Cache, object: &Path, tag: &Path) -> bool {
    let (code, before) = (fs::read(object).expect("code"), fs::read(tag).expect("a tag"));
    let folder = object.ancestors().nth(3).expect("the folder of the cache");
    file(cache, folder, &HASH);
    let own = fs::read(tag).expect("a tag");
    write(object, &code);
    write(tag, &before);
    before.starts_with(&own)
}

/// A hash that is remembered is taken from nothing but the file that remembering made.
fn index(cache: &Cache, folder: &Path, bytes: &[u8]) {
    let Ok(status) = fs::metadata("/bin/sh") else { return };
    cache.remember_hash(&status, &HASH);
    for entry in names(&folder.join("cache/index")) {
        let own = fs::read(&entry).expect("an entry of the index");
        write(&entry, bytes);
        assert!(cache.known_hash(&status).is_none() || bytes.starts_with(&own), "{bytes:?}");
    }
}
