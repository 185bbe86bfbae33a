//! A folder for the Unix sockets of one guest under test, gone with it. It is nobody else's: wjob binds no socket where
//! others could put something else in its place.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, process};

use super::Error;

/// Numbers the folders of this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The folder; dropping it removes it and all in it.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A new one, below the folder for temporary files.
    pub(super) fn new() -> Result<Self, Error> {
        loop {
            let name = format!("wjob-guest-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // An earlier process of this number was killed and has left it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::System { what: "a folder for sockets cannot be made", error }),
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It lies among temporary files: what cannot be removed goes with them.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::Folder;

    #[test]
    fn each_is_its_own_and_goes_with_its_value() {
        let (first, second) = (Folder::new().expect("a folder"), Folder::new().expect("a folder"));
        assert_ne!(first.path(), second.path());
        std::fs::write(first.path().join("file"), "").expect("a file");
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists() && second.path().is_dir());
    }
}
