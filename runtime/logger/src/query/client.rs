//! One client: takes its calls apart and answers them in turn. A client that is slow with half a message, or does not
//! read its replies, is left; one that says nothing may stay.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wjob_model::record::INTERFACE;
use wjob_model::varlink::{BadMessage, Call, Frames, Interface, Standard, introspect, parse};

use super::{Caller, history, log};
use crate::NAME;
use crate::desk::Desk;

/// Longest message, bytes.
const MESSAGE_BYTES: usize = 1 << 20;
/// Read at a time, bytes.
const READ_BYTES: usize = 16 << 10;
/// How long half a message, an unread reply and a stranger's first call are waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of a caller's own text is sent back to it, in characters.
const ECHOED: usize = 200;

/// The interface, for those who ask.
const DESCRIBED: Interface = Interface { name: INTERFACE, description: include_str!("../io.wjob.log.varlink") };

/// The client has left, or is left.
#[derive(Debug)]
pub(super) struct Gone;

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
}

/// Serves a client until it leaves.
pub(super) fn serve(stream: UnixStream, caller: Caller, desk: &Desk) {
    let mut client = Client { stream };
    // However it ends, it is over.
    let _ = client.converse(caller, desk);
}

impl Client {
    /// Sends a message.
    ///
    /// # Errors
    /// When the client has left or does not read.
    pub fn send(&mut self, message: &[u8]) -> Result<(), Gone> {
        self.stream.write_all(message).map_err(|_| Gone)
    }

    /// Whether the client has left; one that only says no more has not.
    pub fn has_left(&self) -> bool {
        let mut waiting = [PollFd::new(&self.stream, PollFlags::empty())];
        let told = poll(&mut waiting, Some(&Timespec::default()));
        told.is_err() || waiting[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }

    fn converse(&mut self, caller: Caller, desk: &Desk) -> Result<(), Gone> {
        self.stream.set_write_timeout(Some(PATIENCE)).map_err(|_| Gone)?;
        let mut frames = Frames::new(MESSAGE_BYTES);
        let mut buffer = vec![0; READ_BYTES];
        let mut waited_since = (caller == Caller::Stranger).then(Instant::now);
        loop {
            let length = self.read(&mut buffer, waited_since)?;
            frames.push(&buffer[..length]);
            let mut whole = false;
            for message in frames.by_ref() {
                whole = true;
                self.answer(message, caller, desk)?;
            }
            waited_since = match waited_since {
                _ if !frames.is_partial() => None,
                Some(since) if !whole => Some(since),
                _ => Some(Instant::now()),
            };
        }
    }

    /// Reads what there is, waiting for the rest of a message no longer than is right.
    fn read(&mut self, buffer: &mut [u8], waited_since: Option<Instant>) -> Result<usize, Gone> {
        loop {
            let left = waited_since.map(|since| PATIENCE.saturating_sub(since.elapsed()));
            if left == Some(Duration::ZERO) {
                return self.late();
            }
            self.stream.set_read_timeout(left).map_err(|_| Gone)?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(Gone),
                Ok(length) => return Ok(length),
                Err(error) => match error.kind() {
                    // The time left is looked at again.
                    ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                    _ => return Err(Gone),
                },
            }
        }
    }

    fn late(&mut self) -> Result<usize, Gone> {
        self.send(&BadMessage::Unfinished { seconds: PATIENCE.as_secs() }.reply())?;
        Err(Gone)
    }

    fn answer(&mut self, message: Result<Vec<u8>, BadMessage>, caller: Caller, desk: &Desk) -> Result<(), Gone> {
        match message.and_then(|bytes| parse(&bytes)) {
            Err(bad @ BadMessage::TooLong { .. }) => {
                self.send(&bad.reply())?;
                Err(Gone)
            }
            Err(bad) => self.send(&bad.reply()),
            Ok(_) if caller == Caller::Stranger => {
                self.send(&Standard::PermissionDenied {}.reply())?;
                Err(Gone)
            }
            // Everything here is a question, and this one wants no answer.
            Ok(call) if call.oneway => Ok(()),
            Ok(call) => self.perform(&call, desk),
        }
    }

    fn perform(&mut self, call: &Call, desk: &Desk) -> Result<(), Gone> {
        if let Some(answer) = introspect(call, NAME, desk.build, &[DESCRIBED]) {
            return self.send(&answer);
        }
        let (interface, method) = call.method.rsplit_once('.').unwrap_or((call.method.as_str(), ""));
        match (interface, method) {
            (INTERFACE, "Log") => log::answer(call, desk, self),
            (INTERFACE, "History") => self.send(&history::answer(call, desk)),
            (INTERFACE, _) => self.send(&Standard::MethodNotFound { method: echo(&call.method) }.reply()),
            _ => self.send(&Standard::InterfaceNotFound { interface: echo(interface) }.reply()),
        }
    }
}

fn echo(text: &str) -> String {
    text.chars().take(ECHOED).collect()
}
