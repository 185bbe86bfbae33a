//! Tests of a job's code on hosts that are not WebAssembly: connections, sockets and a stop, all in memory and all of
//! the thread that asks for them. It shows what the code does with what it gets; whether the job file grants it that,
//! only a run under wjob shows.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::activation::{Datagram, Datagrams, Listener, Socket};
use crate::host::{self, Wire, stage, wire};
use crate::{Connection, Peer};

/// Runs a future to its end, and with it what it spawns.
///
/// ```
/// assert_eq!(wjob_sdk::testing::run(async { 7 }), 7);
/// ```
pub fn run<T>(future: impl Future<Output = T>) -> T {
    host::block_on(future)
}

/// A connection from the network whose other end sends this and then no more, and that other end.
///
/// ```
/// use wjob_sdk::testing;
///
/// let (mut connection, client) = testing::connection("hello");
/// testing::run(connection.write_all(b"welcome")).unwrap();
/// assert_eq!(client.received(), b"welcome");
/// ```
pub fn connection(data: impl Into<Vec<u8>>) -> (Connection, Client) {
    connection_from(Peer::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000)).into()), data)
}

/// A connection from somebody in particular.
///
/// ```
/// use wjob_sdk::{LocalProcess, Peer, testing};
///
/// let root = Peer::Local(LocalProcess { pid: 311, uid: 0, gid: 0 });
/// let (connection, _client) = testing::connection_from(root.clone(), "");
/// assert_eq!(connection.peer(), root);
/// ```
pub fn connection_from(peer: Peer, data: impl Into<Vec<u8>>) -> (Connection, Client) {
    let wire = Arc::new(Mutex::new(Wire { input: data.into(), ..Wire::default() }));
    let connection = Connection::new(host::Connection { peer, wire: wire.clone() });
    (connection, Client { wire })
}

/// The other end of a connection.
///
/// ```
/// let (connection, client) = wjob_sdk::testing::connection("");
/// assert!(!client.ended());
/// drop(connection);
/// assert!(client.ended());
/// ```
#[derive(Debug)]
pub struct Client {
    wire: Arc<Mutex<Wire>>,
}

impl Client {
    /// All that it got until now.
    ///
    /// ```
    /// let (_connection, client) = wjob_sdk::testing::connection("");
    /// assert!(client.received().is_empty());
    /// ```
    pub fn received(&self) -> Vec<u8> {
        wire(&self.wire).output.clone()
    }

    /// Whether it saw the end: no more will come.
    ///
    /// ```
    /// let (mut connection, client) = wjob_sdk::testing::connection("");
    /// wjob_sdk::testing::run(connection.finish()).unwrap();
    /// assert!(client.ended());
    /// ```
    pub fn ended(&self) -> bool {
        wire(&self.wire).ended
    }
}

/// A listener of this name on which these connections come, and which then is idle.
///
/// ```
/// use wjob_sdk::{activation, testing};
///
/// let (connection, _client) = testing::connection("hello");
/// testing::hand_over([testing::listener("Listeners", [connection])]);
/// assert!(activation::check_in().unwrap().listener("Listeners").is_ok());
/// ```
pub fn listener(name: &str, connections: impl IntoIterator<Item = Connection>) -> Socket {
    let connections = Mutex::new(connections.into_iter().collect());
    Socket::Listener(Listener::new(host::Listener { name: name.into(), connections }))
}

/// A datagram socket of this name on which these come and which then is idle, and what is sent through it.
///
/// ```
/// use wjob_sdk::{activation, testing};
///
/// let (socket, sent) = testing::datagrams("Time", []);
/// testing::hand_over([socket]);
/// assert!(activation::check_in().unwrap().datagrams("Time").is_ok());
/// assert!(sent.all().is_empty());
/// ```
pub fn datagrams(name: &str, received: impl IntoIterator<Item = Datagram>) -> (Socket, Sent) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let received = Mutex::new(received.into_iter().collect());
    let raw = host::Datagrams { name: name.into(), received, sent: sent.clone() };
    (Socket::Datagrams(Datagrams::new(raw)), Sent { datagrams: sent })
}

/// What is sent through a datagram socket.
///
/// ```
/// let (_socket, sent) = wjob_sdk::testing::datagrams("Time", []);
/// assert!(sent.all().is_empty());
/// ```
#[derive(Debug)]
pub struct Sent {
    datagrams: Arc<Mutex<Vec<Datagram>>>,
}

impl Sent {
    /// All that was sent until now, with whom it went to.
    ///
    /// ```
    /// let (_socket, sent) = wjob_sdk::testing::datagrams("Time", []);
    /// assert!(sent.all().is_empty());
    /// ```
    pub fn all(&self) -> Vec<Datagram> {
        self.datagrams.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Sets what the next [`check_in`](crate::activation::check_in) of this thread gives.
///
/// ```
/// use wjob_sdk::{Error, activation, testing};
///
/// testing::hand_over([testing::listener("Listeners", [])]);
/// assert_eq!(activation::check_in().unwrap().into_iter().count(), 1);
/// assert_eq!(activation::check_in().err(), Some(Error::Invalid));
/// ```
pub fn hand_over(sockets: impl IntoIterator<Item = Socket>) {
    let sockets = sockets.into_iter().collect();
    stage(|stage| {
        stage.sockets = sockets;
        stage.checked_in = false;
    });
}

/// Lets the next [`connect::unix`](crate::connect::unix) of this thread to a path have this connection.
///
/// ```
/// use wjob_sdk::{Error, connect, testing};
///
/// testing::answer("/run/example/socket", testing::connection("hello").0);
/// assert!(testing::run(connect::unix("/run/example/socket")).is_ok());
/// assert_eq!(testing::run(connect::unix("/run/example/socket")).err(), Some(Error::Unreachable));
/// ```
pub fn answer(path: &str, connection: Connection) {
    stage(|stage| stage.servers.insert(format!("unix://{path}"), connection));
}

/// Asks the run of this thread to stop.
///
/// ```
/// use wjob_sdk::{lifecycle, testing};
///
/// testing::stop();
/// testing::run(lifecycle::termination());
/// ```
pub fn stop() {
    let waiting = stage(|stage| {
        stage.stopped = true;
        std::mem::take(&mut stage.waiting)
    });
    waiting.into_iter().for_each(std::task::Waker::wake);
}
