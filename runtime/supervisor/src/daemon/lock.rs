//! One supervisor per state directory: a locked file that says who holds it. The kernel drops the lock with the
//! process, however that ends.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Its file in the state directory.
const NAME: &str = "wjobd.lock";

/// The lock, as long as this lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

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
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(held(&mut file, state)),
            Err(error) => return Err(failed(error.into())),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self(file))
    }
}

fn held(file: &mut File, state: &Path) -> String {
    let mut holder = String::new();
    let read = file.rewind().and_then(|()| file.take(32).read_to_string(&mut holder));
    let holder = match read {
        Ok(1..) => format!("process {}", holder.trim()),
        _ => "another process".to_owned(),
    };
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
        drop(first);
        assert!(Lock::take(folder.path()).is_ok());
    }
}
