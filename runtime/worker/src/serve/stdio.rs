//! A connection as a guest's stdin and stdout, as inetd has it: straight on the socket, no task and no copy between.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::stream::{MOST_READ, Stream};

/// What a guest may hand over at once.
const PERMIT: usize = 64 << 10;

/// Either side of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Side(pub Arc<Stream>);

impl IsTerminal for Side {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Side {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(Incoming { stream: self.0.clone(), held: None })
    }
}

impl StdoutStream for Side {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Outgoing { stream: self.0.clone(), permit: 0 })
    }
}

impl AsyncRead for Side {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let length = ready!(self.0.poll_read_into(context, buffer.initialize_unfilled()))?;
        buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Side {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.end_sending();
        Poll::Ready(Ok(()))
    }
}

/// The 0.2 face of stdin, with what waiting brought.
struct Incoming {
    stream: Arc<Stream>,
    held: Option<io::Result<Bytes>>,
}

#[async_trait::async_trait]
impl Pollable for Incoming {
    /// Waiting for the socket is reading from it: then there is nothing to be mistaken about.
    async fn ready(&mut self) {
        if self.held.is_none() {
            let stream = &self.stream;
            self.held = Some(std::future::poll_fn(|context| stream.poll_read(context, MOST_READ)).await);
        }
    }
}

#[async_trait::async_trait]
impl InputStream for Incoming {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let read = match self.held.take() {
            Some(Ok(mut bytes)) if bytes.len() > size => {
                let first = bytes.split_to(size);
                self.held = Some(Ok(bytes));
                Ok(Some(first))
            }
            Some(held) => held.map(Some),
            None => self.stream.read_now(size),
        };
        match read {
            Ok(Some(bytes)) if bytes.is_empty() => Err(StreamError::Closed),
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Ok(Bytes::new()),
            Err(error) => Err(StreamError::LastOperationFailed(error.into())),
        }
    }
}

/// The 0.2 face of stdout, with what the last check let through: a guest may skip the check.
struct Outgoing {
    stream: Arc<Stream>,
    permit: usize,
}

fn failed(error: io::Error) -> StreamError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => StreamError::Closed,
        _ => StreamError::LastOperationFailed(error.into()),
    }
}

#[async_trait::async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {
        let stream = &self.stream;
        // An error shows at the next write.
        let _ = std::future::poll_fn(|context| stream.poll_flush(context)).await;
    }
}

#[async_trait::async_trait]
impl OutputStream for Outgoing {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > self.permit {
            return Err(StreamError::trap("a write of more than check-write allowed"));
        }
        self.permit -= bytes.len();
        self.stream.write(bytes).map_err(failed)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.stream.flush_now().map(drop).map_err(failed)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.permit = if self.stream.flush_now().map_err(failed)? { PERMIT } else { 0 };
        Ok(self.permit)
    }
}
