//! The guest's stdin, stdout and stderr, straight on the job's descriptors: no thread and no copy between.
//! A descriptor is never made non-blocking, since others share it; readiness is asked instead.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use rustix::event::PollFlags;
use rustix::fs::{FileType, fstat};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use wjob_model::limit::Limit;
use wjob_model::outcome::HeldBy;

use crate::halt::Halt;
use crate::output::{Output, Refusal};
use crate::readiness::{Watched, watch};

/// Most bytes read at once.
const MOST_READ: usize = 64 << 10;
/// What a pipe that is ready takes without waiting (pipe(7), PIPE_BUF).
const PIPE_PIECE: usize = 4096;
/// What a file takes at once.
const FILE_PIECE: usize = 64 << 10;

/// A descriptor and, where it can be waited for, its place in the runtime.
#[derive(Debug)]
struct Source {
    descriptor: Arc<OwnedFd>,
    waits: bool,
    registered: OnceLock<Option<Watched>>,
}

impl Source {
    fn new(descriptor: Arc<OwnedFd>) -> Self {
        let waits = fstat(&descriptor).is_ok_and(|status| {
            !matches!(
                FileType::from_raw_mode(status.st_mode),
                FileType::RegularFile | FileType::Directory | FileType::BlockDevice
            )
        });
        Self { descriptor, waits, registered: OnceLock::new() }
    }

    /// The runtime's handle; `None` when the kernel cannot watch it (files, /dev/null): then it is always ready.
    fn watched(&self) -> Option<&Watched> {
        self.registered
            .get_or_init(|| {
                let interest = Interest::READABLE | Interest::WRITABLE;
                // A copy: many may write to one descriptor, and a place in the runtime is a descriptor's.
                let copy = || rustix::io::fcntl_dupfd_cloexec(&self.descriptor, 0).ok();
                self.waits.then(|| watch(Arc::new(copy()?), interest).ok()).flatten()
            })
            .as_ref()
    }

    fn is_ready(&self, flags: PollFlags) -> bool {
        !self.waits || crate::output::ready(&self.descriptor, flags, Some(Duration::ZERO))
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let Some(watched) = self.watched() else {
            return Poll::Ready(());
        };
        loop {
            let Ok(mut guard) = ready!(watched.poll_read_ready(context)) else {
                return Poll::Ready(());
            };
            if self.is_ready(PollFlags::IN) {
                return Poll::Ready(());
            }
            guard.clear_ready();
        }
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        let Some(watched) = self.watched() else {
            return Poll::Ready(());
        };
        loop {
            let Ok(mut guard) = ready!(watched.poll_write_ready(context)) else {
                return Poll::Ready(());
            };
            if self.is_ready(PollFlags::OUT) {
                return Poll::Ready(());
            }
            guard.clear_ready();
        }
    }
}

/// stdin.
#[derive(Clone, Debug)]
pub(crate) struct Stdin(Arc<Source>);

impl Stdin {
    /// A guest's stdin on a descriptor.
    pub fn new(descriptor: OwnedFd) -> Self {
        Self(Arc::new(Source::new(Arc::new(descriptor))))
    }

    fn read_now(&self, size: usize) -> io::Result<Option<Vec<u8>>> {
        if !self.0.is_ready(PollFlags::IN) {
            return Ok(None);
        }
        let mut buffer = vec![0; size.min(MOST_READ)];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.0.descriptor, &mut buffer)) {
            Ok(length) => {
                buffer.truncate(length);
                Ok(Some(buffer))
            }
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        rustix::termios::isatty(&self.0.descriptor)
    }
}

impl StdinStream for Stdin {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Stdin {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.0.poll_readable(context)).await;
    }
}

#[async_trait::async_trait]
impl InputStream for Stdin {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        match self.read_now(size) {
            Ok(Some(bytes)) if bytes.is_empty() => Err(StreamError::Closed),
            Ok(Some(bytes)) => Ok(bytes.into()),
            Ok(None) => Ok(Bytes::new()),
            Err(error) => Err(StreamError::LastOperationFailed(error.into())),
        }
    }
}

impl AsyncRead for Stdin {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_readable(context));
            if let Some(bytes) = self.read_now(buffer.remaining())? {
                buffer.put_slice(&bytes);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// stdout or stderr.
#[derive(Clone, Debug)]
pub(crate) struct Stdout(Arc<StdoutInner>);

#[derive(Debug)]
struct StdoutInner {
    output: Output,
    source: Source,
    halt: Halt,
}

impl Stdout {
    /// A guest's stdout or stderr on an output.
    pub fn new(output: Output, halt: Halt) -> Self {
        let source = Source::new(output.descriptor().clone());
        Self(Arc::new(StdoutInner { output, source, halt }))
    }

    /// The run is over.
    pub fn finish(&self) {
        self.0.output.finish();
    }

    /// The same output for one connection: each line says which.
    pub fn of_connection(&self, number: u64) -> Self {
        let output = self.0.output.labelled(format!("connection {number}: "));
        let source = Source::new(output.descriptor().clone());
        Self(Arc::new(StdoutInner { output, source, halt: self.0.halt.clone() }))
    }

    /// From here on it is another connection's.
    pub fn now_of(&self, number: u64) {
        self.0.output.relabel(format!("connection {number}: "));
    }

    /// A line of wjob's own; it waits for nobody.
    pub fn complain(&self, line: &str) {
        if self.0.source.is_ready(PollFlags::OUT) {
            let _ = self.0.output.write_uncounted(line.as_bytes());
        }
    }

    /// How much can be written without waiting; nothing, and how long, when the rate holds it back.
    fn permit(&self) -> Result<usize, Option<Duration>> {
        if !self.0.source.is_ready(PollFlags::OUT) {
            return Err(None);
        }
        let piece = if self.0.source.waits { PIPE_PIECE } else { FILE_PIECE };
        self.0.output.admit(piece).map_err(Some)
    }

    fn write_now(&self, bytes: &[u8]) -> Result<(), Refusal> {
        let result = self.0.output.write(bytes);
        if matches!(result, Err(Refusal::Limit)) {
            self.0.halt.now(Limit::OutputSize, HeldBy::Guest);
        }
        result
    }
}

impl IsTerminal for Stdout {
    fn is_terminal(&self) -> bool {
        self.0.output.is_terminal()
    }
}

impl StdoutStream for Stdout {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Writing { stdout: self.clone(), pause: None })
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Direct { stdout: self.clone(), permit: 0 })
    }
}

/// The 0.2 face of stdout, with what the last check let through: a guest may skip the check.
struct Direct {
    stdout: Stdout,
    permit: usize,
}

#[async_trait::async_trait]
impl Pollable for Direct {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.stdout.0.source.poll_writable(context)).await;
        while let Err(Some(pause)) = self.stdout.permit() {
            tokio::time::sleep(pause).await;
        }
    }
}

#[async_trait::async_trait]
impl OutputStream for Direct {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > self.permit {
            return Err(StreamError::trap("a write of more than check-write allowed"));
        }
        self.permit -= bytes.len();
        match self.stdout.write_now(&bytes) {
            Ok(()) => Ok(()),
            Err(Refusal::Limit) => Err(StreamError::trap("the limit OutputSize is reached")),
            Err(Refusal::System(error)) if error.kind() == io::ErrorKind::BrokenPipe => Err(StreamError::Closed),
            Err(Refusal::System(error)) => Err(StreamError::LastOperationFailed(error.into())),
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.permit = self.stdout.permit().unwrap_or(0);
        Ok(self.permit)
    }
}

/// The 0.3 face of stdout, with the pause that the rate imposes.
struct Writing {
    stdout: Stdout,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl AsyncWrite for Writing {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            ready!(self.stdout.0.source.poll_writable(context));
            match self.stdout.permit() {
                Ok(permit) => {
                    let length = permit.min(bytes.len());
                    return Poll::Ready(match self.stdout.write_now(&bytes[..length]) {
                        Ok(()) => Ok(length),
                        Err(Refusal::Limit) => Err(io::ErrorKind::StorageFull.into()),
                        Err(Refusal::System(error)) => Err(error),
                    });
                }
                Err(Some(pause)) => self.pause = Some(Box::pin(tokio::time::sleep(pause))),
                Err(None) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
