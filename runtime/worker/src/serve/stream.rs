//! One connection: read and written without waiting, and waited for in the runtime of the thread that serves it. Every
//! way of serving goes through it; it knows nothing of what is said.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::Interest;

use crate::readiness::{Watched, watch};

/// Most bytes read at once.
pub(crate) const MOST_READ: usize = 64 << 10;

/// A connection's descriptor, which does not block, and what waits to be sent.
#[derive(Debug)]
pub(crate) struct Stream {
    descriptor: Arc<OwnedFd>,
    registered: OnceLock<Watched>,
    /// Taken from the guest and not yet by the kernel.
    pending: Mutex<Bytes>,
    began: Instant,
    /// Milliseconds after `began` at which something last went through.
    last: AtomicU64,
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Stream {
    /// A connection that does not block.
    pub fn new(descriptor: OwnedFd) -> Arc<Self> {
        Arc::new(Self {
            descriptor: Arc::new(descriptor),
            registered: OnceLock::new(),
            pending: Mutex::default(),
            began: Instant::now(),
            last: AtomicU64::new(0),
        })
    }

    /// How long nothing has gone through.
    pub fn silent(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }

    fn went_through(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Only what has to wait has a place in the runtime: most answers never do.
    fn watched(&self) -> io::Result<&Watched> {
        if let Some(watched) = self.registered.get() {
            return Ok(watched);
        }
        let watched = watch(self.descriptor.clone(), Interest::READABLE | Interest::WRITABLE)?;
        Ok(self.registered.get_or_init(|| watched))
    }

    /// What has come, at most `most` bytes; nothing at the end, `None` when it has to be waited for.
    pub fn read_now(&self, most: usize) -> io::Result<Option<Bytes>> {
        let mut buffer = Vec::with_capacity(most.min(MOST_READ));
        loop {
            match recv(&self.descriptor, spare_capacity(&mut buffer), RecvFlags::empty()) {
                Ok(_) => {
                    self.went_through();
                    return Ok(Some(buffer.into()));
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The same, waiting.
    pub fn poll_read(&self, context: &mut Context<'_>, most: usize) -> Poll<io::Result<Bytes>> {
        loop {
            if let Some(bytes) = self.read_now(most)? {
                return Poll::Ready(Ok(bytes));
            }
            ready!(self.watched()?.poll_read_ready(context))?.clear_ready();
        }
    }

    /// The same, into a guest's own memory.
    pub fn poll_read_into(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match recv(&self.descriptor, &mut *buffer, RecvFlags::empty()) {
                Ok((length, _)) => {
                    self.went_through();
                    return Poll::Ready(Ok(length));
                }
                Err(Errno::AGAIN) => ready!(self.watched()?.poll_read_ready(context))?.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Sends what the kernel takes; `None` when it takes nothing now.
    fn send_now(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        loop {
            match send(&self.descriptor, bytes, SendFlags::NOSIGNAL) {
                Ok(length) => {
                    self.went_through();
                    return Ok(Some(length));
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends some of `bytes`, waiting until the kernel takes any.
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            if let Some(length) = self.send_now(bytes)? {
                return Poll::Ready(Ok(length));
            }
            ready!(self.watched()?.poll_write_ready(context))?.clear_ready();
        }
    }

    /// Takes all of `bytes`; what the kernel does not take now is kept until [`Stream::poll_flush`].
    pub fn write(&self, mut bytes: Bytes) -> io::Result<()> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        while pending.is_empty() && !bytes.is_empty() {
            match self.send_now(&bytes)? {
                Some(length) => bytes.advance(length),
                None => *pending = bytes.clone(),
            }
        }
        Ok(())
    }

    /// Whether nothing waits to be sent any more; what the kernel takes now is sent.
    pub fn flush_now(&self) -> io::Result<bool> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        while !pending.is_empty() {
            match self.send_now(&pending)? {
                Some(length) => pending.advance(length),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Waits until nothing waits to be sent any more.
    pub fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.flush_now()? {
            ready!(self.watched()?.poll_write_ready(context))?.clear_ready();
        }
        Poll::Ready(Ok(()))
    }

    /// Resolves when nothing more will come from the other side, whether or not what came was read.
    pub async fn left(&self) {
        match self.watched() {
            // Of what is watched for here only the end counts as urgent (tokio's Ready::from_interest): bytes that nobody
            // reads now wake nobody.
            Ok(watched) => {
                let _ = watched.ready(Interest::PRIORITY).await;
            }
            Err(_) => std::future::pending().await,
        }
    }

    /// Nothing more is sent, and nothing more is heard.
    pub fn cut_off(&self) {
        let _ = shutdown(&self.descriptor, Shutdown::Both);
    }

    /// Nothing more is sent. A client that is gone has no use for that.
    pub fn end_sending(&self) {
        let _ = shutdown(&self.descriptor, Shutdown::Write);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A connection of this thread's runtime, and its other end.
    fn pair() -> (Arc<Stream>, UnixStream) {
        let (one, other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        (Stream::new(one.into()), other)
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn who_has_left_is_missed_although_nobody_has_read_what_he_said() {
        let ways: [fn(UnixStream) -> Option<UnixStream>; 2] = [
            |_| None,
            |end| {
                end.shutdown(Shutdown::Write).unwrap();
                Some(end)
            },
        ];
        for leaves in ways {
            block_on(async {
                let (stream, mut end) = pair();
                end.write_all(b"said").unwrap();
                let _end = leaves(end);
                stream.left().await;
                assert_eq!(stream.read_now(MOST_READ).unwrap().as_deref(), Some(&b"said"[..]));
            });
        }
    }

    #[test]
    fn who_only_speaks_has_not_left() {
        block_on(async {
            let (stream, mut end) = pair();
            end.write_all(b"said").unwrap();
            tokio::select! {
                biased;
                () = stream.left() => panic!("he is there"),
                // Both are told of what he said.
                ready = stream.watched().unwrap().readable() => assert!(ready.is_ok()),
            }
            assert_eq!(stream.read_now(MOST_READ).unwrap().as_deref(), Some(&b"said"[..]));
            stream.cut_off();
            stream.left().await;
        });
    }
}
