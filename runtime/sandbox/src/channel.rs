//! The one way between a supervisor and a worker: a SEQPACKET pair, one message a packet, descriptors beside it.
//! It bounds what is received and says nothing about what a message means; that is `model::message`.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use wjob_model::message::INLINE_BYTES;

use crate::memory;

/// Most descriptors beside one message: the code, stdio, a job's sockets, and the body of a long message
/// (SCM_MAX_FD, net/scm.h).
const MOST_DESCRIPTORS: usize = 253;

/// What can go wrong between the two ends.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// The system refused.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// The other end is closed, and nobody reads what is sent.
    #[error("the other end is gone")]
    Gone,
    /// The packet is no message, or too long.
    #[error("not a message: {0}")]
    Malformed(String),
}

impl From<rustix::io::Errno> for ChannelError {
    fn from(error: rustix::io::Errno) -> Self {
        match error {
            rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET => Self::Gone,
            error => Self::System(error.into()),
        }
    }
}

/// One end.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// How the body of a message travels: the first byte of its packet.
const INLINE: u8 = 0;
const IN_MEMORY_FILE: u8 = 1;

/// What is there to be heard.
#[derive(Debug)]
pub enum Heard<T> {
    /// A message.
    Message(T),
    /// Nothing yet.
    Nothing,
    /// Nothing more: the other end is gone.
    End,
}

/// A message with what came beside it.
#[derive(Debug)]
pub struct Received<T> {
    /// The message.
    pub message: T,
    /// Its descriptors, in the sender's order.
    pub descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// Both ends, close-on-exec.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn pair() -> Result<(Self, Self), ChannelError> {
        let (one, other) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(one), Self(other)))
    }

    /// An end that was inherited.
    pub fn inherited(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Sends a message and copies of descriptors.
    ///
    /// # Errors
    /// When the other end is gone or the system refuses.
    pub fn send<T: Serialize>(&self, message: &T, descriptors: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        self.deliver(message, descriptors, SendFlags::NOSIGNAL)
    }

    fn deliver<T: Serialize>(
        &self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> Result<(), ChannelError> {
        let body = postcard::to_stdvec(message).map_err(|error| ChannelError::Malformed(error.to_string()))?;
        if body.len() <= INLINE_BYTES {
            return self.packet(&[&[INLINE], &body], descriptors, flags);
        }
        let file = memory::sealed("wjob-message", &body)?;
        let all: Vec<BorrowedFd<'_>> = descriptors.iter().copied().chain([file.as_fd()]).collect();
        self.packet(&[&[IN_MEMORY_FILE]], &all, flags)
    }

    /// Sends a short message if the other end has room for it; it never waits for a reader.
    ///
    /// # Errors
    /// When the other end is gone or has not read what was sent before.
    pub fn offer<T: Serialize>(&self, message: &T) -> Result<(), ChannelError> {
        let body = postcard::to_stdvec(message).map_err(|error| ChannelError::Malformed(error.to_string()))?;
        self.packet(&[&[INLINE], &body], &[], SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    /// The same for a message of any length, with copies of descriptors.
    ///
    /// # Errors
    /// When the other end is gone or has not read what was sent before.
    pub fn offer_with<T: Serialize>(&self, message: &T, descriptors: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        self.deliver(message, descriptors, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    fn packet(&self, parts: &[&[u8]], descriptors: &[BorrowedFd<'_>], flags: SendFlags) -> Result<(), ChannelError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(ChannelError::Malformed("too many descriptors".into()));
        }
        let parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        rustix::io::retry_on_intr(|| rustix::net::sendmsg(&self.0, &parts, &mut beside, flags))?;
        Ok(())
    }

    /// Receives a message without descriptors; `None` when the other end is gone. Descriptors sent all the same
    /// are dropped by the kernel.
    ///
    /// # Errors
    /// When the packet is no message of this type or longer than `most`.
    pub fn receive<T: DeserializeOwned>(&self, most: usize) -> Result<Option<T>, ChannelError> {
        let packet = self.bytes(most.min(INLINE_BYTES), &mut RecvAncillaryBuffer::default())?;
        match packet.split_first() {
            None => Ok(None),
            Some((&INLINE, body)) => decode(body).map(Some),
            Some(_) => Err(ChannelError::Malformed("a body elsewhere".into())),
        }
    }

    /// Receives a message without descriptors if one is there; it never waits for one.
    ///
    /// # Errors
    /// When the packet is no message of this type or longer than `most`.
    pub fn hear<T: DeserializeOwned>(&self, most: usize) -> Result<Heard<T>, ChannelError> {
        let beside = &mut RecvAncillaryBuffer::default();
        let packet = match self.packet_in(most.min(INLINE_BYTES), beside, RecvFlags::DONTWAIT) {
            Err(ChannelError::System(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                return Ok(Heard::Nothing);
            }
            packet => packet?,
        };
        match packet.split_first() {
            None => Ok(Heard::End),
            Some((&INLINE, body)) => decode(body).map(Heard::Message),
            Some(_) => Err(ChannelError::Malformed("a body elsewhere".into())),
        }
    }

    /// Receives a message and its descriptors; `None` when the other end is gone.
    ///
    /// # Errors
    /// When the packet is no message of this type or longer than `most`.
    pub fn receive_with_descriptors<T: DeserializeOwned>(
        &self,
        most: usize,
    ) -> Result<Option<Received<T>>, ChannelError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let packet = self.bytes(INLINE_BYTES, &mut beside)?;
        let mut descriptors = rights(&mut beside);
        let Some((how, inline)) = packet.split_first() else {
            return Ok(None);
        };
        let message = if *how == IN_MEMORY_FILE {
            let file = descriptors.pop().ok_or_else(|| ChannelError::Malformed("no body".into()))?;
            let body = memory::read(file, most)?;
            decode(&body.ok_or_else(|| ChannelError::Malformed(format!("longer than {most} bytes")))?)?
        } else {
            decode(inline)?
        };
        Ok(Some(Received { message, descriptors }))
    }

    fn bytes(&self, most: usize, beside: &mut RecvAncillaryBuffer<'_>) -> Result<Vec<u8>, ChannelError> {
        self.packet_in(most, beside, RecvFlags::empty())
    }

    fn packet_in(
        &self,
        most: usize,
        beside: &mut RecvAncillaryBuffer<'_>,
        flags: RecvFlags,
    ) -> Result<Vec<u8>, ChannelError> {
        let mut packet = vec![0; most + 2];
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        let mut receive = || {
            rustix::io::retry_on_intr(|| {
                rustix::net::recvmsg(&self.0, &mut [IoSliceMut::new(&mut packet)], beside, flags)
            })
        };
        // An end that closes before it has read everything is told once by an error (unix(7), ECONNRESET), and only behind
        // that comes what it had to say.
        let received = match receive() {
            Err(rustix::io::Errno::CONNRESET) => receive()?,
            received => received?,
        };
        if received.bytes > most + 1 {
            return Err(ChannelError::Malformed(format!("longer than {most} bytes")));
        }
        packet.truncate(received.bytes);
        Ok(packet)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, ChannelError> {
    postcard::from_bytes(body).map_err(|error| ChannelError::Malformed(error.to_string()))
}

fn rights(beside: &mut RecvAncillaryBuffer<'_>) -> Vec<OwnedFd> {
    beside
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_any_length_and_descriptors_arrive() {
        let (one, other) = Channel::pair().unwrap();
        for length in [0, 1, INLINE_BYTES - 8, INLINE_BYTES + 1, 3 << 20] {
            let text = "x".repeat(length);
            one.send(&text, &[std::io::stdin().as_fd()]).unwrap();
            let received = other.receive_with_descriptors::<String>(4 << 20).unwrap().unwrap();
            assert_eq!(received.message, text);
            assert_eq!(received.descriptors.len(), 1);
        }
    }

    #[test]
    fn what_is_too_long_or_no_message_is_refused() {
        let (one, other) = Channel::pair().unwrap();
        one.send(&"x".repeat(5000), &[]).unwrap();
        assert!(other.receive::<String>(4096).is_err());
        rustix::net::send(one.as_fd(), &[INLINE, 0xff, 0xff], SendFlags::empty()).unwrap();
        assert!(other.receive::<String>(4096).is_err());
        drop(one);
        assert!(other.receive::<String>(4096).unwrap().is_none());
    }

    #[test]
    fn one_that_leaves_without_reading_is_heard_and_then_gone() {
        let (one, other) = Channel::pair().unwrap();
        one.send(&"unread", &[]).unwrap();
        other.send(&"last words", &[]).unwrap();
        drop(other);
        assert!(matches!(one.send(&"more", &[]), Err(ChannelError::Gone)));
        assert!(matches!(one.offer(&"more"), Err(ChannelError::Gone)));
        assert_eq!(one.receive::<String>(4096).unwrap().as_deref(), Some("last words"));
        assert!(matches!(one.hear::<String>(4096), Ok(Heard::End)));
        let (one, other) = Channel::pair().unwrap();
        one.send(&"unread", &[]).unwrap();
        drop(other);
        assert!(matches!(one.hear::<String>(4096), Ok(Heard::End)));
    }
}
