//! Waiting in the runtime for a descriptor of the job's, which stays blocking because others share it.
//! It reads and writes nothing.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor with its place in the runtime.
pub(crate) type Watched = AsyncFd<Arc<OwnedFd>>;

/// Registers a descriptor.
///
/// # Errors
/// When the kernel cannot watch it (files, /dev/null): it is always ready then.
pub(crate) fn watch(descriptor: Arc<OwnedFd>, interest: Interest) -> io::Result<Watched> {
    // SAFETY: the registration owns a share of the descriptor, so it is open for as long as it is watched, and an
    // `OwnedFd` answers with the same number each time.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(io::Error::from)
}
