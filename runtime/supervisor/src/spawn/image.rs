//! The `wjob` file that workers execute, and the null device they begin with: opened once, at numbers that a worker's own
//! descriptors will not take.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};

use crate::trust::{TrustedKind, open_trusted};

/// A descriptor below this number could be overwritten by the worker's own 0 to 3.
const HIGH: RawFd = 10;

/// The `wjob` file, opened once.
#[derive(Debug)]
pub struct Image {
    pub(super) program: OwnedFd,
    pub(super) null: OwnedFd,
    /// Its build.
    pub build: String,
}

impl Image {
    /// The file this process itself runs: whoever started it trusts it already.
    ///
    /// # Errors
    /// When /proc is not there.
    pub fn own(build: &str) -> Result<Self, String> {
        Self::of(open(Path::new("/proc/self/exe"))?, build)
    }

    /// Another file; nobody but root and the caller may have put it there or be able to change it, nor any folder or link
    /// on the way to it.
    ///
    /// # Errors
    /// When it cannot be opened or others could have changed it.
    pub fn open(path: &Path, build: &str) -> Result<Self, String> {
        let owner = rustix::process::geteuid().as_raw();
        let file = open_trusted(path, owner, TrustedKind::Program).map_err(|distrust| distrust.to_string())?;
        Self::of(file, build)
    }

    /// One that another process has opened and handed over.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn handed(file: OwnedFd, build: &str) -> Result<Self, String> {
        Self::of(file.into(), build)
    }

    fn of(program: File, build: &str) -> Result<Self, String> {
        let null = File::options().read(true).write(true).open("/dev/null").map_err(|error| error.to_string())?;
        Ok(Self { program: high(program.into())?, null: high(null.into())?, build: build.to_owned() })
    }

    /// The file, to be executed.
    pub fn program(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// What the next program of this process is told of it.
    pub fn saved(&self, kept: &mut Kept) -> SavedImage {
        SavedImage { program: kept.keep(&self.program), null: kept.keep(&self.null) }
    }

    /// The one that the program before this one has opened for it.
    ///
    /// # Errors
    /// When it was not handed over.
    pub fn resumed(saved: &SavedImage, inherited: &mut Inherited, build: &str) -> Result<Self, HandoverError> {
        let (program, null) = (inherited.take(saved.program)?, inherited.take(saved.null)?);
        Ok(Self { program, null, build: build.to_owned() })
    }
}

/// An image as it is handed over: its descriptors.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedImage {
    program: RawFd,
    null: RawFd,
}

fn open(path: &Path) -> Result<File, String> {
    File::options()
        .read(true)
        .custom_flags(libc::O_CLOEXEC)
        .open(path)
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// The same descriptor at a number that a worker's own will not take.
pub(super) fn high(descriptor: OwnedFd) -> Result<OwnedFd, String> {
    rustix::io::fcntl_dupfd_cloexec(&descriptor, HIGH).map_err(|error| error.to_string())
}
