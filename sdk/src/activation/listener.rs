//! A socket on which others connect. It accepts; how many connections there may be at once, and from whom, is the job
//! file's.

use crate::{Connection, Error, host};

/// A socket on which others connect.
///
/// ```
/// use wjob_sdk::activation::Listener;
/// use wjob_sdk::{Error, spawn};
///
/// async fn serve(listener: Listener) -> Result<(), Error> {
///     loop {
///         match listener.accept().await {
///             Ok(connection) => spawn(async move { println!("{} is here", connection.peer()) }),
///             Err(Error::Closed) => return Ok(()),
///             Err(error) => return Err(error),
///         }
///     }
/// }
/// # use wjob_sdk::{activation, testing};
/// # testing::hand_over([testing::listener("Listeners", [testing::connection("").0])]);
/// # let listener = activation::check_in().unwrap().listener("Listeners").unwrap();
/// # assert_eq!(testing::run(serve(listener)), Ok(()));
/// ```
#[derive(Debug)]
pub struct Listener {
    raw: host::Listener,
}

impl Listener {
    pub(crate) fn new(raw: host::Listener) -> Self {
        Self { raw }
    }

    /// Its name in the job file; several sockets may share one.
    ///
    /// ```
    /// # use wjob_sdk::{activation, testing};
    /// # testing::hand_over([testing::listener("Listeners", [])]);
    /// # let listener = activation::check_in().unwrap().listener("Listeners").unwrap();
    /// assert_eq!(listener.socket(), "Listeners");
    /// ```
    pub fn socket(&self) -> String {
        self.raw.socket()
    }

    /// Where it is bound: `tcp://127.0.0.1:8080` or `unix:///run/job/socket`.
    ///
    /// ```
    /// # use wjob_sdk::{activation, testing};
    /// # testing::hand_over([testing::listener("Listeners", [])]);
    /// # let listener = activation::check_in().unwrap().listener("Listeners").unwrap();
    /// assert!(listener.address().starts_with("tcp://"));
    /// ```
    pub fn address(&self) -> String {
        self.raw.address()
    }

    /// Waits for the next connection. Dropping the future before it is done may close a connection that came by then.
    ///
    /// ```
    /// # use wjob_sdk::{Error, activation, testing};
    /// # testing::hand_over([testing::listener("Listeners", [testing::connection("").0])]);
    /// # let listener = activation::check_in().unwrap().listener("Listeners").unwrap();
    /// # testing::run(async {
    /// assert_eq!(listener.accept().await.map(|connection| connection.number()), Ok(1));
    /// assert_eq!(listener.accept().await.err(), Some(Error::Closed));
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`] once the run is asked to stop or has been idle for its time.
    pub async fn accept(&self) -> Result<Connection, Error> {
        self.raw.accept().await
    }
}
