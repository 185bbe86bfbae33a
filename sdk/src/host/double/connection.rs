//! A connection in memory. What its other end sends is known from the beginning; what it gets is kept. Nothing waits,
//! and nothing breaks off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, Peer};

/// What goes both ways.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// What is still to come from the other end.
    pub(crate) input: Vec<u8>,
    /// What the other end got.
    pub(crate) output: Vec<u8>,
    /// Whether the other end saw the end of it.
    pub(crate) ended: bool,
}

/// Locks it; a test that failed in another thread changes nothing about what is on the wire.
pub(crate) fn wire(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    pub(crate) wire: Arc<Mutex<Wire>>,
}

impl Connection {
    pub(crate) fn number(&self) -> u64 {
        1
    }

    pub(crate) fn socket(&self) -> String {
        "Listeners".into()
    }

    pub(crate) fn peer(&self) -> Peer {
        self.peer.clone()
    }

    pub(crate) fn receive(&self) -> Incoming {
        Incoming { wire: self.wire.clone() }
    }

    pub(crate) fn send(&self) -> Outgoing {
        Outgoing { wire: self.wire.clone() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        wire(&self.wire).ended = true;
    }
}

#[derive(Debug)]
pub(crate) struct Incoming {
    wire: Arc<Mutex<Wire>>,
}

impl Incoming {
    pub(crate) async fn read(&mut self, mut buffer: Vec<u8>) -> Result<Vec<u8>, Error> {
        let mut wire = wire(&self.wire);
        let room = buffer.capacity() - buffer.len();
        let length = room.min(wire.input.len());
        buffer.extend(wire.input.drain(..length));
        Ok(buffer)
    }
}

#[derive(Debug)]
pub(crate) struct Outgoing {
    wire: Arc<Mutex<Wire>>,
}

impl Outgoing {
    pub(crate) async fn write(&mut self, mut data: Vec<u8>) -> Result<Vec<u8>, Error> {
        wire(&self.wire).output.append(&mut data);
        Ok(data)
    }

    pub(crate) async fn finish(self) -> Result<(), Error> {
        // Dropping it is the end.
        Ok(())
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        wire(&self.wire).ended = true;
    }
}
