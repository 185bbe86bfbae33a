//! The sockets of a job, bound or connected, and held: from its load to its unload they are there, whoever serves them.
//! Nothing is accepted or read here, so that no client is lost between two runs.

mod acl;
mod advice;
mod network;
mod owner;
mod path;
mod private;
mod remote;
mod saved;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use thiserror::Error;
use wjob_model::message::{HandedSocket, Users};
use wjob_model::socket::{AddressError, Place, Socket, SocketKind};

use crate::trust::Distrust;
pub use owner::Owner;
pub(crate) use private::{fresh_name, sweep};
pub use remote::Connection;
pub use saved::SavedListener;

/// Most sockets of a job: as many as one message hands over (SCM_MAX_FD is 253), and room for the rest.
pub const MOST: usize = 200;

/// Why a job's sockets are not there. None of them is then.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Its address says nothing.
    #[error("socket {name}: {error}")]
    Address {
        /// Its name.
        name: String,
        /// What is wrong.
        error: AddressError,
    },
    /// The folder of its path is not to be trusted.
    #[error("socket {name}: {distrust}")]
    Folder {
        /// Its name.
        name: String,
        /// What is wrong.
        distrust: Box<Distrust>,
    },
    /// Something is at its place.
    #[error("socket {name}: {place}: {what}")]
    Taken {
        /// Its name.
        name: String,
        /// Its address or path.
        place: String,
        /// What is there, and what to do.
        what: String,
    },
    /// The system refuses.
    #[error("socket {name}: {place}: {error}")]
    System {
        /// Its name.
        name: String,
        /// Its address or path.
        place: String,
        /// Why.
        error: std::io::Error,
    },
    /// Nobody answers where it is to be connected.
    #[error("socket {name}: {place}: not connected: {why}")]
    Unconnected {
        /// Its name.
        name: String,
        /// Its address or path.
        place: String,
        /// Why.
        why: String,
    },
    /// They are too many.
    #[error("the job has {0} sockets; at most {MOST} are bound")]
    Many(usize),
}

/// A socket that is bound, or is to be connected.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    descriptor: OwnedFd,
    /// As a client would write it.
    pub address: String,
    place: Option<path::Placed>,
    /// Of one without a place of its own.
    folder: Option<private::Folder>,
    /// Whom its access list admits, if it has one.
    admitted: Option<Users>,
    /// Of one that is connected to somebody else's.
    connection: Option<Connection>,
}

impl Listener {
    /// The developer's name for it.
    pub fn name(&self) -> &str {
        &self.socket.name
    }

    /// One for a worker, and what it is told of it.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn handed_over(&self) -> std::io::Result<(HandedSocket, OwnedFd)> {
        let (name, address) = (self.socket.name.clone(), self.address.clone());
        let (kind, connected) = (self.socket.kind, self.connection.is_some());
        Ok((HandedSocket { name, address, kind, connected }, self.descriptor.try_clone()?))
    }

    /// The variable by which its job is told where it is, and its path; `None` = its place is in the list.
    pub fn variable(&self) -> Option<(&str, &str)> {
        match &self.socket.place {
            Place::Private { variable } => Some((variable, self.address.strip_prefix("unix://")?)),
            Place::Network { .. } | Place::Path { .. } | Place::Remote(_) => None,
        }
    }

    /// Whether it is what a definition asks for; its name is only a name.
    fn serves(&self, socket: &Socket) -> bool {
        (self.socket.kind, &self.socket.place) == (socket.kind, &socket.place)
    }

    /// Whether it may stay as it is for a definition: who may connect was settled when it was made, and nobody can connect
    /// any more to one that was shut down.
    fn stays(&self, socket: &Socket, owner: &Owner) -> bool {
        let listed = matches!(socket.place, Place::Path { .. });
        self.serves(socket) && (!listed || self.admitted == owner.admitted) && self.is_alive()
    }

    /// Whether it has the path that another definition of the job asks for.
    fn is_at_path_of(&self, socket: &Socket) -> bool {
        match (&self.socket.place, &socket.place) {
            (Place::Path { path, .. }, Place::Path { path: other, .. }) => path == other,
            _ => false,
        }
    }

    /// Whether clients can still reach it: whoever it was handed to may have shut it down. One in the network listens no
    /// more then; a Unix socket says that it listens (SO_ACCEPTCONN) and refuses everybody, and one for datagrams has
    /// never listened: these are known by their hang-up. What is connected has no clients.
    pub fn is_alive(&self) -> bool {
        if self.connection.is_some() {
            return true;
        }
        let listens = || rustix::net::sockopt::socket_acceptconn(&self.descriptor).unwrap_or(false);
        (!self.socket.kind.accepts() || listens()) && !self.has_hung_up()
    }

    fn has_hung_up(&self) -> bool {
        self.seen(PollFlags::RDHUP).intersects(PollFlags::RDHUP | PollFlags::HUP)
    }

    /// Whether somebody waits at it, or a connection has something to read.
    pub fn is_wanted(&self) -> bool {
        let is_there = match &self.connection {
            Some(connection) => *connection == Connection::Made,
            None => self.is_alive(),
        };
        is_there && self.seen(PollFlags::IN).contains(PollFlags::IN)
    }

    /// Whether one to which others come would wake whoever waits at it: by somebody, or by an error that nobody reads.
    pub fn is_stirred(&self) -> bool {
        self.connection.is_none() && !self.seen(PollFlags::IN).is_empty()
    }

    fn seen(&self, wanted: PollFlags) -> PollFlags {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut asked = [PollFd::new(&self.descriptor, wanted)];
        // Only looked at, so that it fails for want of memory alone; then nothing is known to be wrong.
        match poll(&mut asked, Some(&at_once)) {
            Ok(_) => asked[0].revents(),
            Err(_) => PollFlags::empty(),
        }
    }

    /// Gives up the descriptor of one that was shut down, and keeps its place in the list. A socket for datagrams has its
    /// address for as long as anybody has it, and this supervisor is somebody. One in a folder is replaced there, and
    /// until then its number is no other file's only because it is open.
    pub fn give_up(&mut self) {
        if self.place.is_some() {
            return;
        }
        // What has no other end is as dead as it was. Without a descriptor left it is kept, and given up the next time.
        if let Ok((dead, _)) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None) {
            self.descriptor = dead;
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Binds the sockets of a job: all, or none. Those that are to be connected are, or are lost, or on their way.
///
/// # Errors
/// The first that cannot be bound, and why.
pub fn bind(sockets: &[Socket], owner: &Owner) -> Result<Vec<Listener>, ListenError> {
    let (mut listeners, _) = bind_further(sockets, &[], owner)?;
    listeners.iter_mut().for_each(|listener| listener.make_anew(owner));
    Ok(listeners)
}

/// The same for a job that takes another's place: what both have stays as it is and keeps its clients; which of the old
/// ones these are, by their places in `old`, is told with the new ones. None of these is connected yet: it may be that the
/// job is not to run.
///
/// # Errors
/// As [`bind`]; nothing is changed then.
pub fn bind_further(
    sockets: &[Socket],
    old: &[Listener],
    owner: &Owner,
) -> Result<(Vec<Listener>, Vec<usize>), ListenError> {
    let (mut made, mut kept) = (Vec::new(), Vec::new());
    for socket in sockets {
        let same = old.iter().enumerate().filter(|(_, listener)| listener.stays(socket, owner)).map(|(at, _)| at);
        let same: Vec<usize> = same.filter(|at| !kept.contains(at)).collect();
        if same.is_empty() || lacks_an_address(socket, old) {
            let own = old.iter().find(|listener| listener.is_at_path_of(socket));
            let there: Vec<&Listener> = same.iter().filter_map(|at| old.get(*at)).collect();
            made.extend(one(socket, owner, own, &there)?);
        }
        kept.extend(same);
        if made.len() + kept.len() > MOST {
            return Err(ListenError::Many(sockets.len()));
        }
    }
    Ok((made, kept))
}

/// The listeners of a job in the order of its list, of those kept and those made.
pub fn in_order(sockets: &[Socket], old: Vec<Listener>, kept: &[usize], made: Vec<Listener>) -> Vec<Listener> {
    let kept = old.into_iter().enumerate().filter(|(at, _)| kept.contains(at)).map(|(_, listener)| listener);
    let mut all: Vec<Listener> = kept.chain(made).collect();
    let mut place = |listener: &Listener| sockets.iter().position(|socket| listener.serves(socket));
    all.sort_by_key(&mut place);
    for listener in &mut all {
        if let Some(socket) = place(listener).and_then(|at| sockets.get(at)) {
            listener.socket.clone_from(socket);
        }
    }
    all
}

/// Whether one of several addresses of a socket was shut down.
fn lacks_an_address(socket: &Socket, old: &[Listener]) -> bool {
    let dead = |listener: &Listener| listener.serves(socket) && !listener.is_alive();
    matches!(socket.place, Place::Network { .. }) && old.iter().any(dead)
}

/// Binds a socket; of one in the network, those addresses that are not `there`.
fn one(
    socket: &Socket,
    owner: &Owner,
    own: Option<&Listener>,
    there: &[&Listener],
) -> Result<Vec<Listener>, ListenError> {
    match &socket.place {
        Place::Network { .. } => network::bind(socket, there),
        Place::Path { .. } => path::bind(socket, owner, own).map(|listener| vec![listener]),
        Place::Private { .. } => private::bind(socket, owner).map(|listener| vec![listener]),
        Place::Remote(remote) => remote::put_off(socket, remote).map(|listener| vec![listener]),
    }
}

fn kind(kind: SocketKind) -> SocketType {
    match kind {
        SocketKind::Stream => SocketType::STREAM,
        SocketKind::Datagram => SocketType::DGRAM,
        SocketKind::Seqpacket => SocketType::SEQPACKET,
    }
}

/// As many clients wait as the system lets (net.core.somaxconn cuts it).
const BACKLOG: i32 = i32::MAX;

fn system(socket: &Socket, place: &str, error: rustix::io::Errno) -> ListenError {
    ListenError::System { name: socket.name.clone(), place: place.to_owned(), error: error.into() }
}

#[cfg(test)]
mod tests;
