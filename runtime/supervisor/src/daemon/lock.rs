//! One supervisor per state directory: a locked file that says who holds it. The kernel drops the lock with the
//! process, however that ends.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};

/// Its file in the state directory.
const NAME: &str = "wjobd.lock";

/// How often, and how far apart, a lock is tried whose holder is no more.
const TRIES: u32 = 200;
const BETWEEN_TRIES: std::time::Duration = std::time::Duration::from_millis(10);

/// The lock, as long as this lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
    was_left: bool,
}

impl Lock {
    /// Takes it.
    ///
    /// # Errors
    /// When another holds it, saying who; or the file cannot be made.
    pub fn take(state: &Path) -> Result<Self, String> {
        let path = state.join(NAME);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(failed)?;
        let mut tries = TRIES;
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            let holder = holder(&mut file);
            tries = tries.saturating_sub(1);
            match error {
                // One that was killed holds it until the last of its children has begun its own program.
                Errno::WOULDBLOCK if tries > 0 && !holder.is_some_and(is_alive) => std::thread::sleep(BETWEEN_TRIES),
                Errno::WOULDBLOCK => return Err(held(holder, state)),
                error => return Err(failed(error.into())),
            }
        }
        // Who ends in order has taken his number away by now.
        let was_left = holder(&mut file).is_some();
        // Looking for the holder moved the place at which is written.
        let written =
            file.rewind().and_then(|()| file.set_len(0)).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(failed)?;
        Ok(Self { file, was_left })
    }

    /// Whether the one before has not ended by itself, so that what it has started may be there still.
    pub fn was_left(&self) -> bool {
        self.was_left
    }

    /// Keeps it for the next program of this process.
    pub fn saved(&self, kept: &mut Kept) -> i32 {
        kept.keep(&self.file)
    }

    /// The one that the program before this one has taken.
    ///
    /// # Errors
    /// When it was not handed over.
    pub fn resumed(saved: i32, inherited: &mut Inherited) -> Result<Self, HandoverError> {
        inherited.take(saved).map(|file| Self { file: file.into(), was_left: false })
    }
}

impl Drop for Lock {
    /// Leaves no number, which says that it has ended by itself, and no lock, whoever has a copy of the descriptor.
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// The process that wrote its number into the file.
fn holder(file: &mut File) -> Option<u32> {
    let mut holder = String::new();
    file.rewind().and_then(|()| file.take(32).read_to_string(&mut holder)).ok()?;
    holder.trim().parse().ok()
}

/// Whether a process is there and has not ended.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
}

fn held(holder: Option<u32>, state: &Path) -> String {
    let holder = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    format!("{}: {holder} serves this state directory; end it, or name another --state-directory", state.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(!first.was_left());
        drop(first);
        assert!(!Lock::take(folder.path()).unwrap().was_left());
    }

    #[test]
    fn one_that_was_killed_is_known_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), format!("{}\n", i32::MAX)).unwrap();
        assert!(Lock::take(folder.path()).unwrap().was_left());
    }
}
