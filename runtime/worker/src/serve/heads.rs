//! How long a client may take to say what he wants. The time of a head begins with its first byte: before that he is
//! silent, which IdleTime bounds. It reads no head and closes nothing: hyper does both, and asks for the time whenever it
//! begins to wait for a head.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use hyper::server::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime_wasi_http::io::TokioIo;

/// How long the head of a request may take from its first byte.
pub(crate) const HEAD: Duration = Duration::from_secs(10);
/// Largest head of a request, and most that waits to be read or sent besides, bytes.
const HEAD_BYTES: usize = 64 << 10;
/// Most header lines of a request.
const HEAD_LINES: usize = 100;

/// What answers the requests of a connection, each of whose heads may take this long, and the connection for it.
pub(crate) fn over<T>(connection: T, head: Duration) -> (http1::Builder, TokioIo<Heard<T>>) {
    let heard = Arc::new(AtomicU64::new(0));
    let mut builder = http1::Builder::new();
    builder.timer(Heads(heard.clone())).header_read_timeout(head).max_buf_size(HEAD_BYTES).max_headers(HEAD_LINES);
    (builder, TokioIo::new(Heard { connection, heard }))
}

/// A connection that counts what comes.
pub(crate) struct Heard<T> {
    connection: T,
    /// Bytes.
    heard: Arc<AtomicU64>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.connection).poll_read(context, buffer);
        let more = buffer.filled().len() - before;
        self.heard.fetch_add(more as u64, Ordering::Relaxed);
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heard<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

/// The clock of a connection's heads.
struct Heads(Arc<AtomicU64>);

impl Timer for Heads {
    fn sleep(&self, most: Duration) -> Pin<Box<dyn Sleep>> {
        let before = self.0.load(Ordering::Relaxed);
        Box::pin(Head { heard: self.0.clone(), before, most, sleep: None })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }
}

/// The time of one head. What came of it together with the request before it does not count as its first byte: how long
/// that may lie is IdleTime's.
struct Head {
    heard: Arc<AtomicU64>,
    before: u64,
    most: Duration,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Future for Head {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.heard.load(Ordering::Relaxed) == self.before {
            // hyper has just read and found nothing: what comes wakes it, and it asks again.
            return Poll::Pending;
        }
        let most = self.most;
        self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(most))).as_mut().poll(context)
    }
}

impl Sleep for Head {}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::os::unix::net::UnixStream as Blocking;

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Full;
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use tokio::net::UnixStream;

    use super::*;

    /// So short that no head of two pieces is in time.
    const SHORT: Duration = Duration::from_millis(1);
    /// So long that whoever waits for it hangs.
    const LONG: Duration = Duration::from_secs(3600);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
    }

    /// A client of a connection whose heads may take so long.
    fn with_client<F: Future<Output = ()>>(head: Duration, client: impl FnOnce(UnixStream) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (one, other) = Blocking::pair().unwrap();
            let [server, end] = [one, other].map(|stream| {
                stream.set_nonblocking(true).unwrap();
                UnixStream::from_std(stream).unwrap()
            });
            let (builder, io) = over(server, head);
            // How it ends is seen by its client.
            let (_, ()) = tokio::join!(builder.serve_connection(io, service_fn(hello)), client(end));
        });
    }

    async fn say(client: &UnixStream, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            client.writable().await.unwrap();
            match client.try_write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    }

    /// What comes until it is enough, or the connection ends.
    async fn hear(client: &UnixStream, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut heard = Vec::new();
        while !enough(&heard) {
            client.readable().await.unwrap();
            let mut piece = [0; 1024];
            match client.try_read(&mut piece) {
                Ok(0) => break,
                Ok(length) => heard.extend_from_slice(&piece[..length]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        heard
    }

    async fn is_answered(client: &UnixStream) {
        let heard = hear(client, |heard| heard.ends_with(b"hello")).await;
        assert!(heard.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&heard));
    }

    async fn is_closed(client: &UnixStream) {
        assert_eq!(hear(client, |_| false).await, b"");
    }

    #[test]
    fn who_waits_between_two_requests_is_not_hurried() {
        with_client(SHORT, |client| async move {
            for _ in 0..3 {
                // Another clock that began meanwhile would be over before this one.
                tokio::time::sleep(SHORT * 5).await;
                say(&client, REQUEST).await;
                is_answered(&client).await;
            }
        });
    }

    #[test]
    fn half_a_head_is_waited_for_no_longer_than_it_may_take() {
        for half in [&b"G"[..], b"\r\n", &REQUEST[..REQUEST.len() - 1]] {
            with_client(SHORT, |client| async move {
                say(&client, half).await;
                is_closed(&client).await;
            });
            with_client(SHORT, |client| async move {
                say(&client, REQUEST).await;
                is_answered(&client).await;
                say(&client, half).await;
                is_closed(&client).await;
            });
        }
    }

    #[test]
    fn a_head_in_pieces_is_answered_when_it_is_in_time() {
        with_client(LONG, |client| async move {
            for piece in REQUEST.chunks(7) {
                say(&client, piece).await;
                tokio::task::yield_now().await;
            }
            is_answered(&client).await;
        });
    }

    /// All of each is read before it is refused.
    #[test]
    fn a_head_has_a_largest_size_and_most_lines() {
        let begun = |more: &str| format!("GET / HTTP/1.1\r\nHost: localhost\r\n{more}");
        let lines = |number: usize| begun(&("X: y\r\n".repeat(number) + "\r\n"));
        let large = begun(&format!("X: {}", "y".repeat(HEAD_BYTES)));
        let rows = [
            (lines(HEAD_LINES - 1), "200"),
            (lines(HEAD_LINES), "431"),
            (large[..HEAD_BYTES - 10].to_owned() + "\r\n\r\n", "200"),
            (large[..HEAD_BYTES].to_owned(), "431"),
        ];
        for (head, status) in rows {
            with_client(LONG, |client| async move {
                say(&client, head.as_bytes()).await;
                let first = hear(&client, |heard| heard.windows(2).any(|end| end == b"\r\n")).await;
                let expected = format!("HTTP/1.1 {status} ");
                assert!(first.starts_with(expected.as_bytes()), "{} bytes: {status} was expected", head.len());
            });
        }
    }
}
