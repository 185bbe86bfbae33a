//! One connection: read and written without waiting, and waited for in the runtime of the thread that serves it. Every
//! way of serving goes through it; it knows nothing of what is said.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::Interest;

use super::linger;
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
    /// Whether it is a client's, who came by himself.
    client: bool,
    /// Whether something was sent.
    said: AtomicBool,
    /// Whether the end was heard, or nobody wants to hear it.
    ended: AtomicBool,
    /// Whether more is to come than will be read.
    unheard: AtomicBool,
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Stream {
    /// A client who has said his last word, or was told nothing, loses nothing when his connection is closed at once.
    fn drop(&mut self) {
        if self.client && *self.said.get_mut() && !*self.ended.get_mut() {
            linger::let_go(self.descriptor.clone(), self.registered.take(), *self.unheard.get_mut());
        }
    }
}

impl Stream {
    /// A connection that does not block.
    pub fn new(descriptor: OwnedFd) -> Arc<Self> {
        Arc::new(Self::of(descriptor, false))
    }

    /// A client's, which does not block.
    pub fn of_client(descriptor: OwnedFd) -> Arc<Self> {
        Arc::new(Self::of(descriptor, true))
    }

    fn of(descriptor: OwnedFd, client: bool) -> Self {
        Self {
            descriptor: Arc::new(descriptor),
            registered: OnceLock::new(),
            pending: Mutex::default(),
            began: Instant::now(),
            last: AtomicU64::new(0),
            client,
            said: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            unheard: AtomicBool::new(false),
        }
    }

    /// He has more to say than will be read, although it may not have come yet.
    pub fn leave_unheard(&self) {
        self.unheard.store(true, Ordering::Relaxed);
    }

    /// How long nothing has gone through.
    pub fn silent(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }

    fn went_through(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// So many bytes were read; whoever reads has room for some, and none are the end.
    fn heard(&self, length: usize) {
        self.went_through();
        if length == 0 {
            self.ended.store(true, Ordering::Relaxed);
        }
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
                    self.heard(buffer.len());
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
                    self.heard(length);
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
                    self.said.store(true, Ordering::Relaxed);
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
        self.ended.store(true, Ordering::Relaxed);
        let _ = shutdown(&self.descriptor, Shutdown::Both);
    }

    /// Nothing more is sent. A client that is gone has no use for that.
    pub fn end_sending(&self) {
        let _ = shutdown(&self.descriptor, Shutdown::Write);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpListener, TcpStream};
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

    /// A client of each kind, as a descriptor, and his connection.
    fn clients() -> [(Arc<Stream>, File); 2] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let (one, other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        [(OwnedFd::from(accepted), OwnedFd::from(client)), (one.into(), other.into())]
            .map(|(accepted, client)| (Stream::of_client(accepted), File::from(client)))
    }

    async fn has_come(stream: &Stream) {
        drop(stream.watched().unwrap().readable().await.unwrap());
    }

    /// A reset would come in the place of the end, on a Unix socket as well.
    #[test]
    fn who_says_more_than_is_read_hears_all_that_he_is_told() {
        block_on(async {
            for (stream, mut client) in clients() {
                client.write_all(b"said").unwrap();
                has_come(&stream).await;
                stream.write(Bytes::from_static(b"told")).unwrap();
                drop(stream);
                let mut heard = String::new();
                client.read_to_string(&mut heard).unwrap();
                assert_eq!(heard, "told");
            }
        });
    }

    /// Whether there is somebody who still takes what a client says when his connection was let go.
    #[test]
    fn only_who_was_told_something_and_speaks_on_is_listened_to() {
        // What he says and how much of it is read, whether he is told something, whether he has more to say.
        let rows: &[(&str, usize, bool, bool, bool)] = &[
            ("said", 0, true, false, true),
            ("said", 3, true, false, true),
            ("said", 4, true, false, false),
            ("said", 4, true, true, true),
            ("said", 0, false, true, false),
            ("", 0, true, false, false),
            ("", 0, true, true, true),
        ];
        for (said, read, told, unheard, listened_to) in rows {
            block_on(async {
                let (one, mut client) = UnixStream::pair().unwrap();
                one.set_nonblocking(true).unwrap();
                let stream = Stream::of_client(one.into());
                client.write_all(said.as_bytes()).unwrap();
                if *read > 0 {
                    assert_eq!(stream.read_now(*read).unwrap().map(|bytes| bytes.len()), Some(*read));
                }
                if *told {
                    stream.write(Bytes::from_static(b"told")).unwrap();
                }
                if *unheard {
                    stream.leave_unheard();
                }
                drop(stream);
                assert_eq!(client.write_all(b"more").is_ok(), *listened_to, "{said:?}, {read} bytes read");
            });
        }
    }

    #[test]
    fn nobody_is_listened_to_who_was_cut_off_or_has_left_or_never_came() {
        let ends: [fn(&Stream, &UnixStream); 2] = [
            |stream, _| stream.cut_off(),
            |stream, client| {
                client.shutdown(Shutdown::Write).unwrap();
                assert_eq!(stream.read_now(MOST_READ).unwrap().as_deref(), Some(&b""[..]));
            },
        ];
        for ends in ends {
            let (one, client) = UnixStream::pair().unwrap();
            one.set_nonblocking(true).unwrap();
            let mut stream = Stream::of_client(one.into());
            stream.write(Bytes::from_static(b"told")).unwrap();
            ends(&stream, &client);
            assert!(*Arc::get_mut(&mut stream).unwrap().ended.get_mut());
        }
        let (one, _client) = UnixStream::pair().unwrap();
        assert!(!Stream::new(one.into()).client);
    }
}
