//! Compiled programs, kept for one user in folders only he can enter: `objects/HASH-BUILD` and its tag beside it,
//! and `index/FILE`, which spares reading an unchanged program to learn its hash.
//!
//! Compiled code is machine code. So an entry is used only if its owner and mode are right and its keyed BLAKE3
//! tag fits its name and bytes; anything else is as if it were not there. Nothing here compiles.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wjob_model::message::OwnFolder;

use crate::places::{Places, own_place, private_folder};

/// Most bytes of compiled programs kept; the oldest go first.
const MOST_BYTES: u64 = 4 << 30;
/// A file changed this recently may change again within the same tick of the clock: its hash is not remembered.
const SETTLED: Duration = Duration::from_secs(2);
/// Length of hashes, tags and the key.
const LENGTH: usize = 32;

/// The content of a program.
pub type Hash = [u8; LENGTH];

/// One user's cache.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    state: PathBuf,
    key: [u8; LENGTH],
    build: String,
    user: u32,
}

impl Cache {
    /// Opens the cache of `user`, making it and its key where they are missing.
    ///
    /// # Errors
    /// When a folder cannot be made or lets others in, or the key is damaged beyond making anew.
    pub fn open(places: &Places, user: u32, build: &str) -> Result<Self, String> {
        private_folder(&places.cache, user)?;
        private_folder(&places.state, user)?;
        for name in ["objects", "index"] {
            private_folder(&places.cache.join(name), user)?;
        }
        let key = key(&places.state, user).map_err(|error| format!("{}: {error}", places.state.display()))?;
        Ok(Self { folder: places.cache.clone(), state: places.state.clone(), key, build: fingerprint(build), user })
    }

    /// The same folder for programs that run as another user: no entry of one serves the other, nor an account that
    /// was given the same number later.
    pub fn of_user(&self, uid: u32, name: &str) -> Self {
        let build = match uid == self.user {
            true => self.build.clone(),
            false => format!("{}-{uid}-{}", self.build, fingerprint(name)),
        };
        Self { folder: self.folder.clone(), state: self.state.clone(), key: self.key, build, user: self.user }
    }

    /// The folders that no job may reach: who can write here can have any code run.
    pub fn folders(&self) -> Vec<OwnFolder> {
        let folders = [self.folder.clone(), self.state.clone(), self.folder.join("objects"), self.folder.join("index")];
        folders.iter().filter_map(|folder| own_place(folder)).collect()
    }

    /// The hash of a program that was read before and has not changed since.
    pub fn known_hash(&self, status: &Metadata) -> Option<Hash> {
        let mut entry = self.open_own(&self.index(status))?;
        let mut content = [0; 2 * LENGTH];
        entry.read_exact(&mut content).ok()?;
        let (hash, tag) = content.split_at(LENGTH);
        let hash: Hash = hash.try_into().ok()?;
        (self.index_tag(status, &hash).as_bytes() == tag).then_some(hash)
    }

    /// Remembers the hash of a program.
    pub fn remember_hash(&self, status: &Metadata, hash: &Hash) {
        if !settled(status) {
            return;
        }
        let content = [&hash[..], self.index_tag(status, hash).as_bytes()].concat();
        // Forgetting costs a second reading and nothing else.
        let _ = self.put(&self.index(status), &mut &content[..]);
    }

    /// The compiled form of a program, for reading only.
    pub fn get(&self, hash: &Hash) -> Option<File> {
        let object = self.object(hash);
        let mut tag = [0; LENGTH];
        self.open_own(&object.with_extension("tag"))?.read_exact(&mut tag).ok()?;
        let mut file = self.open_own(&object)?;
        let expected = self.tag(hash, &mut file).ok()?;
        if expected.as_bytes() != &tag {
            return None;
        }
        file.rewind().ok()?;
        Some(file)
    }

    /// Files a compiled program and opens it for reading: what was written, whatever takes its place meanwhile.
    ///
    /// # Errors
    /// When it cannot be written whole; then nothing is left of it.
    pub fn file(&self, hash: &Hash, compiled: &mut File) -> io::Result<File> {
        let object = self.object(hash);
        compiled.rewind()?;
        let tag = self.tag(hash, compiled)?;
        compiled.rewind()?;
        self.make_room(compiled.metadata()?.len());
        // The old tag must not stand beside the new bytes, nor the other way round: neither fits, both are made anew.
        let filed = self.put(&object, compiled)?;
        self.put(&object.with_extension("tag"), &mut &tag.as_bytes()[..])?;
        Ok(filed)
    }

    fn object(&self, hash: &Hash) -> PathBuf {
        self.folder.join("objects").join(format!("{}-{}", hex(hash), self.build))
    }

    fn index(&self, status: &Metadata) -> PathBuf {
        let name = blake3::hash(&identity(status)).to_hex();
        self.folder.join("index").join(&name.as_str()[..LENGTH])
    }

    fn index_tag(&self, status: &Metadata, hash: &Hash) -> blake3::Hash {
        blake3::keyed_hash(&self.key, &[&identity(status)[..], &hash[..], b"index"].concat())
    }

    /// The tag covers the name an entry is filed under, so that one cannot stand for another.
    fn tag(&self, hash: &Hash, compiled: &mut File) -> io::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(hash);
        hasher.update(self.build.as_bytes());
        hasher.update_reader(compiled)?;
        Ok(hasher.finalize())
    }

    /// Opens an entry if it is a file of this user that nobody else may write.
    fn open_own(&self, path: &Path) -> Option<File> {
        let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).ok()?;
        let status = file.metadata().ok()?;
        (status.is_file() && status.uid() == self.user && status.mode() & 0o022 == 0).then_some(file)
    }

    /// Writes a file beside its place and renames it into it; gives it for reading. The folder lets nobody in; the file
    /// itself may be read, because a worker that is another user opens the descriptor it was handed once more.
    fn put(&self, path: &Path, content: &mut dyn Read) -> io::Result<File> {
        let beside = path.with_extension(format!("new-{}", std::process::id()));
        // One that was left by a process of the same number that was killed.
        let _ = fs::remove_file(&beside);
        let result = File::options()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&beside)
            .and_then(|mut file| io::copy(content, &mut file))
            .and_then(|_| File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(&beside))
            .and_then(|file| fs::rename(&beside, path).map(|()| file));
        if result.is_err() {
            let _ = fs::remove_file(&beside);
        }
        result
    }

    /// Removes the oldest entries until `wanted` more bytes fit.
    fn make_room(&self, wanted: u64) {
        let Ok(entries) = fs::read_dir(self.folder.join("objects")) else {
            return;
        };
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let status = entry.metadata().ok()?;
                Some((status.modified().ok()?, status.len(), entry.path()))
            })
            .collect();
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in entries {
            if total.saturating_add(wanted) <= MOST_BYTES {
                break;
            }
            // Another process may have removed it; either way it is gone.
            let _ = fs::remove_file(path);
            total = total.saturating_sub(length);
        }
    }
}

/// What says that a file is unchanged: content cannot change without one of these (stat(2)).
fn identity(status: &Metadata) -> Vec<u8> {
    [
        status.dev(),
        status.ino(),
        status.size(),
        status.mtime().cast_unsigned(),
        status.mtime_nsec().cast_unsigned(),
        status.ctime().cast_unsigned(),
        status.ctime_nsec().cast_unsigned(),
    ]
    .iter()
    .flat_map(|number| number.to_le_bytes())
    .collect()
}

fn settled(status: &Metadata) -> bool {
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(status.ctime()).unwrap_or_default());
    SystemTime::now().duration_since(changed).is_ok_and(|age| age > SETTLED)
}

/// Build and processor: code compiled by another of either is not looked at.
fn fingerprint(build: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(build.as_bytes());
    for leaf in [1, 7] {
        let answer = std::arch::x86_64::__cpuid_count(leaf, 0);
        // The upper byte of EBX of leaf 1 is the processor this runs on, which changes from start to start.
        let ebx = if leaf == 1 { 0 } else { answer.ebx };
        for register in [answer.eax, ebx, answer.ecx, answer.edx] {
            hasher.update(&register.to_le_bytes());
        }
    }
    hasher.finalize().to_hex().as_str()[..16].to_owned()
}

fn hex(hash: &Hash) -> String {
    blake3::Hash::from(*hash).to_hex().to_string()
}

/// The key, made once; a damaged one is made anew, and all old entries are foreign.
fn key(state: &Path, user: u32) -> io::Result<[u8; LENGTH]> {
    let path = state.join("cache.key");
    if let Some(key) = read_key(&path, user) {
        return Ok(key);
    }
    let mut key = [0; LENGTH];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let beside = state.join(format!("cache.key.{}", std::process::id()));
    let _ = fs::remove_file(&beside);
    File::options().write(true).create_new(true).mode(0o600).open(&beside)?.write_all(&key)?;
    if read_key(&path, user).is_none() {
        let _ = fs::remove_file(&path);
    }
    // Of two processes that make a key at once, the first one's counts.
    let linked = fs::hard_link(&beside, &path);
    fs::remove_file(&beside)?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) => read_key(&path, user).ok_or(error),
    }
}

fn read_key(path: &Path, user: u32) -> Option<[u8; LENGTH]> {
    let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(path).ok()?;
    let status = file.metadata().ok()?;
    let mut key = [0; LENGTH];
    let whole = status.len() == LENGTH as u64 && (&file).read_exact(&mut key).is_ok();
    (whole && status.uid() == user && status.mode() & 0o077 == 0).then_some(key)
}

#[cfg(test)]
mod replaced;

#[cfg(test)]
mod tests {
    use super::*;

    fn places(folder: &Path) -> Places {
        Places { cache: folder.join("cache"), state: folder.join("state") }
    }

    fn user() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn content(file: Option<File>) -> Option<String> {
        file.map(|file| io::read_to_string(file).unwrap())
    }

    fn compiled(folder: &Path, text: &str) -> File {
        let path = folder.join("compiled");
        fs::write(&path, text).unwrap();
        File::open(path).unwrap()
    }

    #[test]
    fn an_entry_is_found_by_hash_and_build_only() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&places(folder.path()), user(), "one").unwrap();
        assert!(cache.get(&[1; 32]).is_none());
        cache.file(&[1; 32], &mut compiled(folder.path(), "code")).unwrap();
        assert_eq!(content(cache.get(&[1; 32])).as_deref(), Some("code"));
        assert!(cache.get(&[2; 32]).is_none());
        let other = Cache::open(&places(folder.path()), user(), "two").unwrap();
        assert!(other.get(&[1; 32]).is_none());
    }

    #[test]
    fn what_was_tampered_with_is_not_there() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&places(folder.path()), user(), "one").unwrap();
        let object = cache.object(&[1; 32]);
        let file = || cache.file(&[1; 32], &mut compiled(folder.path(), "code")).map(drop).unwrap();
        type Damage<'a> = Box<dyn Fn() + 'a>;
        let damages: [(&str, Damage<'_>); 6] = [
            ("changed", Box::new(|| fs::write(&object, "evil").unwrap())),
            ("cut", Box::new(|| fs::write(&object, "cod").unwrap())),
            ("without tag", Box::new(|| fs::remove_file(object.with_extension("tag")).unwrap())),
            ("another's tag", Box::new(|| fs::write(object.with_extension("tag"), [7; 32]).unwrap())),
            ("open to others", Box::new(|| fs::set_permissions(&object, fs::Permissions::from_mode(0o664)).unwrap())),
            (
                "a link",
                Box::new(|| {
                    let elsewhere = object.with_extension("elsewhere");
                    fs::rename(&object, &elsewhere).unwrap();
                    std::os::unix::fs::symlink(elsewhere, &object).unwrap();
                }),
            ),
        ];
        for (what, damage) in damages {
            file();
            assert!(cache.get(&[1; 32]).is_some());
            damage();
            assert!(cache.get(&[1; 32]).is_none(), "{what}");
        }
        file();
        assert!(cache.get(&[1; 32]).is_some(), "and it is filed anew");
    }

    #[test]
    fn another_entrys_bytes_and_tag_do_not_stand_for_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&places(folder.path()), user(), "one").unwrap();
        cache.file(&[1; 32], &mut compiled(folder.path(), "code")).unwrap();
        for extension in ["", "tag"] {
            let path = |hash| cache.object(hash).with_extension(extension);
            fs::copy(path(&[1; 32]), path(&[2; 32])).unwrap();
        }
        assert!(cache.get(&[2; 32]).is_none());
    }

    #[test]
    fn a_hash_is_remembered_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&places(folder.path()), user(), "one").unwrap();
        let settled = fs::metadata("/bin/sh").unwrap();
        assert!(cache.known_hash(&settled).is_none());
        cache.remember_hash(&settled, &[3; 32]);
        assert_eq!(cache.known_hash(&settled), Some([3; 32]));
        let entry = cache.index(&settled);
        let mut content = fs::read(&entry).unwrap();
        content[0] ^= 1;
        fs::write(&entry, content).unwrap();
        assert!(cache.known_hash(&settled).is_none(), "a damaged entry says nothing");
        let fresh = folder.path().join("fresh");
        fs::write(&fresh, "x").unwrap();
        let fresh = fs::metadata(fresh).unwrap();
        cache.remember_hash(&fresh, &[4; 32]);
        assert!(cache.known_hash(&fresh).is_none(), "a file changed just now may change again");
    }

    #[test]
    fn the_key_is_made_once_and_anew_when_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let one = Cache::open(&places(folder.path()), user(), "b").unwrap().key;
        assert_eq!(Cache::open(&places(folder.path()), user(), "b").unwrap().key, one);
        fs::write(folder.path().join("state/cache.key"), "short").unwrap();
        assert_ne!(Cache::open(&places(folder.path()), user(), "b").unwrap().key, one);
    }
}
