//! The end of a connection whose client may still be speaking. Closed over bytes that nobody has read it is reset, and
//! with it goes what the client was told and has not read yet (RFC 9112, 9.6); on a Unix socket he gets an error instead
//! of the end. So nothing more is sent, and what he says is dropped until he has left. That is bounded in time, in bytes
//! and in clients, costs nothing where nothing is unread, and nobody waits for it. What was said, and whether all was
//! heard, is `stream`'s to know.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use tokio::io::Interest;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use wjob_model::wall::MOST_LINGERING;

use crate::readiness::{Watched, watch};

/// How long a client is listened to who speaks on.
const LONGEST: Duration = Duration::from_secs(2);
/// How much of what he says is dropped; whoever has more to say is cut off.
const MOST_BYTES: usize = 16 << 20;
/// Most bytes dropped at once.
const PIECE: usize = 8 << 10;

/// Places for those who speak on; where there is none a connection is closed at once.
static PLACES: Semaphore = Semaphore::const_new(MOST_LINGERING as usize);

/// Lets go of a connection that nobody reads or writes any more, of a client who was told something and whose end was not
/// heard; `expected` says that he has more to say, although it may not have come yet.
pub(crate) fn let_go(descriptor: Arc<OwnedFd>, watched: Option<Watched>, expected: bool) {
    let speaks_on = match drop_piece(&descriptor) {
        Ok(length) => length > 0,
        Err(error) => error == Errno::AGAIN && expected,
    };
    if !speaks_on {
        return;
    }
    // At the end of a process there is no runtime any more.
    let (Ok(runtime), Ok(place)) = (Handle::try_current(), PLACES.try_acquire()) else {
        return;
    };
    let Some(watched) = watched.or_else(|| watch(descriptor, Interest::READABLE).ok()) else {
        return;
    };
    // He hears the end now, however long he speaks.
    let _ = shutdown(watched.get_ref(), Shutdown::Write);
    drop(runtime.spawn(async move {
        until_he_has_left(&watched, MOST_BYTES, LONGEST).await;
        drop((watched, place));
    }));
}

async fn until_he_has_left(watched: &Watched, most: usize, longest: Duration) {
    // Whoever is there after that is cut off.
    let _ = tokio::time::timeout(longest, drop_all(watched, most)).await;
}

async fn drop_all(watched: &Watched, most: usize) {
    let mut left = most;
    while left > 0 {
        let Ok(mut guard) = watched.readable().await else {
            return;
        };
        match drop_piece(watched.get_ref()) {
            Ok(0) => return,
            Ok(length) => left = left.saturating_sub(length),
            Err(Errno::AGAIN) => guard.clear_ready(),
            Err(_) => return,
        }
        // Others are served between his pieces.
        tokio::task::yield_now().await;
    }
}

/// Drops some of what has come; how many bytes, 0 at the end.
fn drop_piece(descriptor: impl AsFd) -> Result<usize, Errno> {
    let mut piece = [0_u8; PIECE];
    loop {
        match recv(&descriptor, &mut piece[..], RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            read => return read.map(|(length, _)| length),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// So short that a test need not wait long.
    const SHORT: Duration = Duration::from_millis(1);
    /// So long that whoever waits for it hangs.
    const LONG: Duration = Duration::from_secs(3600);

    /// Listens to a client who says this and stays.
    fn listens(said: &[u8], most: usize, longest: Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (end, mut client) = UnixStream::pair().unwrap();
            end.set_nonblocking(true).unwrap();
            client.write_all(said).unwrap();
            let watched = watch(Arc::new(end.into()), Interest::READABLE).unwrap();
            until_he_has_left(&watched, most, longest).await;
            drop(client);
        });
    }

    #[test]
    fn who_stays_is_listened_to_no_longer_than_this() {
        listens(b"", MOST_BYTES, SHORT);
        listens(b"said", MOST_BYTES, SHORT);
    }

    #[test]
    fn who_speaks_on_is_heard_no_further_than_this() {
        listens(&[b'x'; 3 * PIECE], 2 * PIECE, LONG);
    }
}
