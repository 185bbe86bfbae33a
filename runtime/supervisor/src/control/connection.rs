//! One client of the control socket: bytes in, calls out; answers in, bytes out. It never blocks and holds only so
//! much of what a client sends or leaves unread; it answers no call itself and knows no clock: `now` is any count of
//! milliseconds that only grows.
//!
//! Calls are answered in their order, so one is handed out at a time. Until it is answered and the answer is read,
//! nothing more is taken from the client, whose own writes then wait.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use serde::{Deserialize, Serialize};
use wjob_model::control::Failure;
use wjob_model::varlink::{BadMessage, Call, Frames, parse};
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};
use wjob_sandbox::peer::Peer;

/// The longest call, in bytes.
pub const MOST_MESSAGE: usize = 1 << 20;
/// The most that is read at a time, so that no client keeps the loop to itself.
const MOST_READ: usize = 64 << 10;
/// The most of a stream that may be unread, in bytes.
pub const MOST_UNREAD: usize = 1 << 20;
/// How long the rest of a call, or the reading of an answer, may take, in seconds.
const PATIENCE: u64 = 5;

/// What came of a client.
#[derive(Debug, PartialEq)]
pub enum Incoming {
    /// A call. Unless it is `oneway` it waits for [`Connection::send`].
    Call(Call),
    /// No call, but what is bad about it is to be sent ([`BadMessage::reply`]).
    Bad(BadMessage),
    /// It left.
    Closed,
}

/// A client.
#[derive(Debug)]
pub struct Connection {
    /// Who it is.
    pub peer: Peer,
    stream: UnixStream,
    frames: Frames,
    unread: VecDeque<u8>,
    /// A call was handed out and its last answer has not come.
    answering: bool,
    /// The client sends nothing more.
    ended: bool,
    /// It goes when what is unread is read.
    closing: bool,
    dead: bool,
    /// Since when half a call is here and its rest is waited for.
    half_since: Option<u64>,
    /// Since when the last answer to a call is unread.
    unread_since: Option<u64>,
}

/// A client as it is handed over, with what it has said and was not asked for, and what it was told and has not read.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedConnection {
    stream: i32,
    frames: Frames,
    unread: Vec<u8>,
    answering: bool,
    ended: bool,
    closing: bool,
    half_since: Option<u64>,
    unread_since: Option<u64>,
}

impl Connection {
    /// Takes a client in.
    ///
    /// # Errors
    /// When the system does not say who it is.
    pub fn accept(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let peer = Peer::of(&stream)?;
        Ok(Self {
            peer,
            stream,
            frames: Frames::new(MOST_MESSAGE),
            unread: VecDeque::new(),
            answering: false,
            ended: false,
            closing: false,
            dead: false,
            half_since: None,
            unread_since: None,
        })
    }

    /// What the next program of this process is told of it.
    pub fn saved(&self, kept: &mut Kept) -> SavedConnection {
        SavedConnection {
            stream: kept.keep(&self.stream),
            frames: self.frames.clone(),
            unread: self.unread.iter().copied().collect(),
            answering: self.answering,
            ended: self.ended,
            closing: self.closing,
            half_since: self.half_since,
            unread_since: self.unread_since,
        }
    }

    /// A client of the program before this one, which waits for the same answer.
    ///
    /// # Errors
    /// When it was not handed over, or the system does not say any more who it is.
    pub fn resumed(saved: SavedConnection, inherited: &mut Inherited) -> Result<Self, HandoverError> {
        let stream = UnixStream::from(inherited.take(saved.stream)?);
        let mut connection = Self::accept(stream)?;
        connection.peer.forget_process();
        Ok(Self {
            frames: saved.frames,
            unread: saved.unread.into(),
            answering: saved.answering,
            ended: saved.ended,
            closing: saved.closing,
            half_since: saved.half_since,
            unread_since: saved.unread_since,
            ..connection
        })
    }

    /// Sends a client that there is no room for away, saying why.
    pub fn refuse(mut self, why: &str) {
        self.unread.extend(Failure::Failed { why: why.into() }.reply());
        self.flush(0);
    }

    /// Reads what has come, at most 64 KiB. Then [`Self::incoming`] is asked until it has nothing.
    pub fn read(&mut self, now: u64) {
        if !self.wants_read() {
            return;
        }
        let mut buffer = [0; MOST_READ];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.ended = true,
            Ok(count) => self.take_in(&buffer[..count], now),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.dead = true,
        }
    }

    fn take_in(&mut self, bytes: &[u8], now: u64) {
        self.frames.push(bytes);
        if bytes.contains(&0) {
            // What is half now began in these bytes; one drop at a time prolongs nothing.
            self.half_since = None;
        }
        if self.frames.is_partial() {
            self.half_since.get_or_insert(now);
        }
    }

    /// The next thing the client wants; `None` while it has an answer to wait for or to read. To be asked after
    /// [`Self::read`], and again whenever an answer is sent and read: the next call may be here already.
    pub fn incoming(&mut self) -> Option<Incoming> {
        if self.busy() || self.dead {
            return None;
        }
        match self.frames.next() {
            Some(Ok(message)) => Some(self.call(&message)),
            Some(Err(bad)) => {
                self.closing = true;
                Some(self.bad(bad))
            }
            None if self.ended => {
                self.dead = true;
                Some(Incoming::Closed)
            }
            None => None,
        }
    }

    fn call(&mut self, message: &[u8]) -> Incoming {
        match parse(message) {
            Ok(call) => {
                self.answering = !call.oneway;
                Incoming::Call(call)
            }
            Err(bad) => self.bad(bad),
        }
    }

    fn bad(&mut self, bad: BadMessage) -> Incoming {
        self.answering = true;
        Incoming::Bad(bad)
    }

    /// Sends the answer to the call handed out, or the last one of many. What nobody waits for is not sent: the
    /// answer to a `oneway` call must not pass for the next call's.
    pub fn send(&mut self, answer: Vec<u8>, now: u64) {
        if !self.answering {
            return;
        }
        self.answering = false;
        self.unread_since = Some(now);
        self.queue(answer, now);
    }

    /// Sends one of many answers to the call handed out, with more to come. A client that lets too many of them lie
    /// is dropped: what happens waits for nobody.
    pub fn send_more(&mut self, answer: Vec<u8>, now: u64) {
        if !self.answering {
            return;
        }
        if self.unread.len() + answer.len() > MOST_UNREAD {
            self.dead = true;
        } else {
            self.queue(answer, now);
        }
    }

    fn queue(&mut self, answer: Vec<u8>, now: u64) {
        self.unread.extend(answer);
        self.flush(now);
    }

    /// Writes what the socket takes.
    pub fn flush(&mut self, now: u64) {
        if !self.wants_write() {
            return;
        }
        while !self.unread.is_empty() {
            match send(&self.stream, self.unread.as_slices().0, SendFlags::NOSIGNAL) {
                Ok(count) => drop(self.unread.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.dead = true;
                    return;
                }
            }
        }
        self.all_read(now);
    }

    fn all_read(&mut self, now: u64) {
        // A long answer's room is not kept for as long as its reader stays.
        self.unread = VecDeque::new();
        self.unread_since = None;
        if self.half_since.is_some() && !self.answering {
            // Nothing was read from the client meanwhile, so the rest of its call could not come.
            self.half_since = Some(now);
        }
    }

    fn busy(&self) -> bool {
        self.answering || self.closing || !self.unread.is_empty()
    }

    /// The loop told of EPOLLHUP or EPOLLERR: nobody is there. What was sent before is still read and called.
    pub fn hang_up(&mut self) {
        self.dead |= !self.wants_read();
    }

    /// Whether the loop is to tell when something comes; see [`Self::hang_up`] for what it tells of unasked.
    pub fn wants_read(&self) -> bool {
        !(self.busy() || self.ended || self.dead)
    }

    /// Whether the loop is to tell when the socket takes more.
    pub fn wants_write(&self) -> bool {
        !(self.unread.is_empty() || self.dead)
    }

    /// When [`Self::expire`] has something to do.
    pub fn deadline(&self) -> Option<u64> {
        let half = self.half_since.filter(|_| self.wants_read());
        self.unread_since.or(half).map(|since| since + PATIENCE * 1000)
    }

    /// Ends a client that took too long; one that has sent half a call is told so.
    pub fn expire(&mut self, now: u64) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.unread_since.is_some() {
            self.dead = true;
            return;
        }
        self.closing = true;
        self.answering = true;
        self.send(BadMessage::Unfinished { seconds: PATIENCE }.reply(), now);
    }

    /// Whether it is over and only to be dropped.
    pub fn is_dead(&self) -> bool {
        self.dead || (self.closing && !self.answering && self.unread.is_empty())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests;
