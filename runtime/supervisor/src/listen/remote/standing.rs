//! How a connection stands that was made for a job: seen when it has come about, when it is over and when a run begins.
//! How one is made is beside.

use rustix::event::PollFlags;
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{SendFlags, getpeername, send, sockopt};
use serde::{Deserialize, Serialize};
use wjob_model::socket::{Place, Remote, SocketKind};

use super::{open, reach, unconnected};
use crate::listen::{ListenError, Listener, Owner};

/// Why a connection is not there that was.
const CLOSED: &str = "it was closed";
/// Why one is taken for over that would wake whoever waits at it, for ever.
pub(super) const UNREAD: &str = "errors wait at it that nobody reads";
/// How a connection stands, as far as that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    /// It is under way.
    Begun,
    /// It was made.
    Made,
    /// It is not there, and why.
    Lost(String),
}

impl Connection {
    pub(super) fn of(connected: Result<(), Errno>) -> Self {
        match connected {
            Ok(()) => Self::Made,
            Err(Errno::INPROGRESS) => Self::Begun,
            Err(error) => Self::Lost(error.to_string()),
        }
    }
}

impl Listener {
    /// How it stands, if it is one that is connected to somebody else's.
    pub fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref()
    }

    /// Why it is not connected, if it should be and is not.
    pub fn lost(&self) -> Option<&str> {
        match &self.connection {
            Some(Connection::Lost(why)) => Some(why),
            _ => None,
        }
    }

    /// Whether it should be connected and is not.
    pub fn is_lost(&self) -> bool {
        self.lost().is_some()
    }

    /// The same as an error, for who does not wait until it is.
    ///
    /// # Errors
    /// When it should be connected and is not.
    pub fn demand(&self) -> Result<(), ListenError> {
        match self.lost() {
            None => Ok(()),
            Some(why) => Err(ListenError::Unconnected {
                name: self.socket.name.clone(),
                place: self.address.clone(),
                why: why.to_owned(),
            }),
        }
    }

    /// Sees what came of a connection that was under way, and takes from one that nothing can be read from what would
    /// wake whoever waits at it.
    pub fn settle(&mut self) {
        match self.connection {
            Some(Connection::Begun) if !self.seen(PollFlags::OUT).is_empty() => {
                self.connection = Some(self.outcome());
            }
            Some(Connection::Made) => self.settle_what_was_made(),
            _ => {}
        }
    }

    fn settle_what_was_made(&mut self) {
        let seen = self.seen(PollFlags::IN);
        if seen.contains(PollFlags::IN) {
            return;
        }
        if seen.contains(PollFlags::HUP) {
            // What a run has left over may have taken it apart: an end that comes from the other side can be read.
            self.lose(CLOSED.into());
        } else if seen.contains(PollFlags::ERR) {
            // A datagram that did not arrive (udp(7), "Error handling"); its sender has ended.
            let _ = sockopt::socket_error(&self.descriptor);
            // What he has had kept for himself (ip(7), IP_RECVERR; MSG_ZEROCOPY) is there still.
            let left = self.seen(PollFlags::IN);
            if left.contains(PollFlags::ERR) && !left.contains(PollFlags::IN) {
                self.lose(UNREAD.into());
            }
        }
    }

    /// It is not there any more, and nobody waits at the descriptor that it has. That is given up: by its address anybody
    /// could send datagrams to it, and of a stream the other end waits for this one to be closed.
    fn lose(&mut self, why: String) {
        let kind = self.socket.kind;
        let bare = || sockopt::socket_domain(&self.descriptor).and_then(|family| unconnected(family, kind));
        // Without a descriptor left it is what it was.
        if let Ok(bare) = bare() {
            self.descriptor = bare;
        }
        self.connection = Some(Connection::Lost(why));
    }

    fn outcome(&self) -> Connection {
        match sockopt::socket_error(&self.descriptor) {
            // Another may have asked for the error before.
            Ok(Ok(())) => Connection::of(getpeername(&self.descriptor).map(drop)),
            Ok(Err(error)) | Err(error) => Connection::Lost(error.to_string()),
        }
    }

    /// Nobody has it any more who was handed it: sees whether the connection is over.
    pub fn come_back(&mut self, owner: &Owner) {
        self.settle();
        if self.connection == Some(Connection::Made) && self.is_over() {
            self.lose(CLOSED.into());
        }
        self.look_again(owner);
    }

    /// Sees whether a server of datagrams is still there, or there again, before a run is handed the socket: nothing
    /// tells that he has gone.
    pub fn look_again(&mut self, owner: &Owner) {
        let is_made = self.connection == Some(Connection::Made) && !self.socket.kind.accepts();
        if is_made && let Err(why) = self.find_server(owner) {
            self.lose(why);
        }
    }

    fn find_server(&self, owner: &Owner) -> Result<(), String> {
        match &self.socket.place {
            // A run has taken it apart, or the kernel when one sent to nobody; what is there may be anybody's.
            _ if getpeername(&self.descriptor).is_err() => Err(CLOSED.into()),
            // To the kernel it is the same whether anybody is still there. Connecting to another drops what waits to be
            // read, and loses nothing else.
            Place::Remote(Remote::Path(path)) if !self.is_wanted() => reach(&self.descriptor, path, owner),
            _ => Ok(()),
        }
    }

    /// Whether one of the ends was closed, and nothing is left to be read. Of datagrams that is this one.
    fn is_over(&self) -> bool {
        let ended = self.has_hung_up() || self.has_ended_sending();
        ended && ioctl_fionread(&self.descriptor).unwrap_or_default() == 0
    }

    /// Whether this end was closed: no byte can be sent, not even none. A packet can be empty, and would arrive.
    fn has_ended_sending(&self) -> bool {
        let none = || send(&self.descriptor, &[], SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
        self.socket.kind == SocketKind::Stream && none() == Err(Errno::PIPE)
    }

    /// Makes a connection, or begins to; nobody waits at the descriptor that it has.
    pub fn make_anew(&mut self, owner: &Owner) {
        let Place::Remote(remote) = &self.socket.place else {
            return;
        };
        match open(&self.socket, remote, owner, Some(&self.address)) {
            Ok(made) => *self = made,
            Err(error) => self.connection = Some(Connection::Lost(error.to_string())),
        }
    }
}
