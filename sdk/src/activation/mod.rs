//! The sockets of a job that accepts by itself (launchd's check-in). They are bound before the job starts and stay
//! when it ends; the job takes them over and never opens one.

mod datagrams;
mod listener;

pub use self::datagrams::{Datagram, Datagrams, Sender};
pub use self::listener::Listener;
use crate::{Connection, Error, host};

/// Takes the job's sockets over, all of them. It may be called once in a run.
///
/// ```
/// use wjob_sdk::{Error, activation};
///
/// async fn serve() -> Result<(), Error> {
///     let mut sockets = activation::check_in()?;
///     let listener = sockets.listener("Listeners")?;
///     println!("serving at {}", listener.address());
///     Ok(())
/// }
/// # use wjob_sdk::testing;
/// # testing::hand_over([testing::listener("Listeners", [])]);
/// # testing::run(serve()).unwrap();
/// # assert_eq!(testing::run(serve()), Err(Error::Invalid));
/// ```
///
/// # Errors
/// [`Error::Invalid`] the second time.
pub fn check_in() -> Result<Sockets, Error> {
    host::check_in().map(Sockets)
}

/// Why the job was started: the causes in order, at most 16, in words.
///
/// ```
/// for cause in wjob_sdk::activation::reason() {
///     println!("started because of: {cause}");
/// }
/// ```
pub fn reason() -> Vec<String> {
    host::reason()
}

/// The sockets of the job, in the order of the job file.
///
/// One entry of the job file can become several sockets of one name, as when it names no family and gets one for each.
/// Each call for a name takes the next of them:
///
/// ```
/// use wjob_sdk::activation;
///
/// # use wjob_sdk::testing;
/// # testing::hand_over([testing::listener("Web", []), testing::listener("Web", [])]);
/// let mut sockets = activation::check_in().unwrap();
/// let mut count = 0;
/// while let Ok(listener) = sockets.listener("Web") {
///     println!("serving at {}", listener.address());
///     count += 1;
/// }
/// assert_eq!(count, 2);
/// ```
#[derive(Debug)]
pub struct Sockets(Vec<Socket>);

impl Sockets {
    /// Takes the next listener of a name.
    ///
    /// ```
    /// # use wjob_sdk::{activation, testing};
    /// # testing::hand_over([testing::listener("Listeners", [])]);
    /// let mut sockets = activation::check_in().unwrap();
    /// let listener = sockets.listener("Listeners").unwrap();
    /// assert_eq!(listener.socket(), "Listeners");
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSocket`] when there is none left.
    pub fn listener(&mut self, name: &str) -> Result<Listener, Error> {
        let found = |socket: &Socket| matches!(socket, Socket::Listener(listener) if listener.socket() == name);
        match self.take(found) {
            Some(Socket::Listener(listener)) => Ok(listener),
            _ => Err(Error::NoSocket),
        }
    }

    /// Takes the next socket of a name that takes datagrams.
    ///
    /// ```
    /// # use wjob_sdk::{Error, activation, testing};
    /// # testing::hand_over([testing::datagrams("Time", []).0]);
    /// let mut sockets = activation::check_in().unwrap();
    /// assert!(sockets.datagrams("Time").is_ok());
    /// assert_eq!(sockets.datagrams("Time").err(), Some(Error::NoSocket));
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSocket`] when there is none left.
    pub fn datagrams(&mut self, name: &str) -> Result<Datagrams, Error> {
        let found = |socket: &Socket| matches!(socket, Socket::Datagrams(datagrams) if datagrams.socket() == name);
        match self.take(found) {
            Some(Socket::Datagrams(datagrams)) => Ok(datagrams),
            _ => Err(Error::NoSocket),
        }
    }

    /// Takes the next connection of a name that was made for the job.
    ///
    /// ```
    /// # use wjob_sdk::activation::Socket;
    /// # use wjob_sdk::{Error, activation, testing};
    /// # testing::hand_over([Socket::Connection(testing::connection("hello").0)]);
    /// let mut sockets = activation::check_in().unwrap();
    /// // What is in memory is of the socket Listeners, whatever hands it over.
    /// assert!(sockets.connection("Listeners").is_ok());
    /// assert_eq!(sockets.connection("Listeners").err(), Some(Error::NoSocket));
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSocket`] when there is none left.
    pub fn connection(&mut self, name: &str) -> Result<Connection, Error> {
        let found = |socket: &Socket| matches!(socket, Socket::Connection(connection) if connection.socket() == name);
        match self.take(found) {
            Some(Socket::Connection(connection)) => Ok(connection),
            _ => Err(Error::NoSocket),
        }
    }

    fn take(&mut self, found: impl Fn(&Socket) -> bool) -> Option<Socket> {
        let position = self.0.iter().position(found)?;
        Some(self.0.remove(position))
    }
}

impl IntoIterator for Sockets {
    type Item = Socket;
    type IntoIter = std::vec::IntoIter<Socket>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// One socket of the job.
///
/// ```
/// use wjob_sdk::activation::{self, Socket};
///
/// for socket in activation::check_in().unwrap() {
///     match socket {
///         Socket::Listener(listener) => println!("{} takes connections", listener.socket()),
///         Socket::Datagrams(datagrams) => println!("{} takes datagrams", datagrams.socket()),
///         Socket::Connection(connection) => println!("{} is a connection", connection.socket()),
///     }
/// }
/// ```
#[derive(Debug)]
pub enum Socket {
    /// It takes connections.
    Listener(Listener),
    /// It takes datagrams.
    Datagrams(Datagrams),
    /// It is a connection that was made for the job (SockPassive false).
    Connection(Connection),
}
