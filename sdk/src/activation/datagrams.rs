//! A socket that takes datagrams, each whole. It opens no association with anybody: whom a job may send to is decided
//! by who wrote to it lately and by what its job file grants.

use crate::{Error, IpAddress, host};

/// A socket that takes datagrams.
///
/// ```
/// use wjob_sdk::Error;
/// use wjob_sdk::activation::Datagrams;
///
/// async fn echo(datagrams: &Datagrams) -> Result<(), Error> {
///     loop {
///         let datagram = datagrams.receive().await?;
///         datagrams.send_to(&datagram.data, &datagram.peer).await?;
///     }
/// }
/// # use wjob_sdk::activation::{self, Datagram, Sender};
/// # use wjob_sdk::testing;
/// # let sender = Sender::Path("/run/one".into());
/// # let question = Datagram { data: b"hello".to_vec(), peer: sender };
/// # let (socket, sent) = testing::datagrams("Echo", [question.clone()]);
/// # testing::hand_over([socket]);
/// # let datagrams = activation::check_in().unwrap().datagrams("Echo").unwrap();
/// # assert_eq!(testing::run(echo(&datagrams)), Err(Error::Closed));
/// # assert_eq!(sent.all(), [question]);
/// ```
#[derive(Debug)]
pub struct Datagrams {
    raw: host::Datagrams,
}

/// One datagram, whole.
///
/// ```
/// use wjob_sdk::activation::{Datagram, Sender};
///
/// let datagram = Datagram { data: b"hello".to_vec(), peer: Sender::Unnamed };
/// assert_eq!(datagram.data.len(), 5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Its bytes; at most 65,507 in the network.
    pub data: Vec<u8>,
    /// Who sent it.
    pub peer: Sender,
}

/// Where a datagram came from or goes to.
///
/// ```
/// use wjob_sdk::activation::Sender;
///
/// fn can_be_answered(sender: &Sender) -> bool {
///     *sender != Sender::Unnamed
/// }
/// # assert!(!can_be_answered(&Sender::Unnamed));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The network.
    Ip(IpAddress),
    /// A Unix socket with a path.
    Path(String),
    /// A Unix socket without a name: it cannot be answered.
    Unnamed,
}

impl Datagrams {
    pub(crate) fn new(raw: host::Datagrams) -> Self {
        Self { raw }
    }

    /// Its name in the job file.
    ///
    /// ```
    /// # use wjob_sdk::{activation, testing};
    /// # testing::hand_over([testing::datagrams("Time", []).0]);
    /// # let datagrams = activation::check_in().unwrap().datagrams("Time").unwrap();
    /// assert_eq!(datagrams.socket(), "Time");
    /// ```
    pub fn socket(&self) -> String {
        self.raw.socket()
    }

    /// Where it is bound: `udp://0.0.0.0:5353` or `unix:///run/job/socket`.
    ///
    /// ```
    /// # use wjob_sdk::{activation, testing};
    /// # testing::hand_over([testing::datagrams("Time", []).0]);
    /// # let datagrams = activation::check_in().unwrap().datagrams("Time").unwrap();
    /// assert!(datagrams.address().starts_with("udp://"));
    /// ```
    pub fn address(&self) -> String {
        self.raw.address()
    }

    /// Waits for the next datagram. Dropping the future before it is done may lose one that came by then.
    ///
    /// ```
    /// # use wjob_sdk::{Error, activation, testing};
    /// # testing::hand_over([testing::datagrams("Time", []).0]);
    /// # let datagrams = activation::check_in().unwrap().datagrams("Time").unwrap();
    /// # testing::run(async {
    /// assert_eq!(datagrams.receive().await, Err(Error::Closed));
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`] once the run is asked to stop or has been idle for its time.
    pub async fn receive(&self) -> Result<Datagram, Error> {
        self.raw.receive().await
    }

    /// Sends one datagram. The job may answer whoever sent it something lately, and send to what `Connect` grants.
    ///
    /// ```
    /// # use wjob_sdk::{activation, testing};
    /// use wjob_sdk::IpAddress;
    /// use wjob_sdk::activation::Sender;
    ///
    /// # let (socket, sent) = testing::datagrams("Time", []);
    /// # testing::hand_over([socket]);
    /// # let datagrams = activation::check_in().unwrap().datagrams("Time").unwrap();
    /// # testing::run(async {
    /// let neighbour = Sender::Ip(IpAddress { host: "127.0.0.1".into(), port: 37 });
    /// datagrams.send_to("what time is it?", &neighbour).await.unwrap();
    /// # });
    /// # assert_eq!(sent.all()[0].data, b"what time is it?");
    /// ```
    ///
    /// # Errors
    /// [`Error::Denied`] for anybody else, [`Error::Invalid`] for data that is too long or a sender without a name.
    pub async fn send_to(&self, data: impl AsRef<[u8]>, to: &Sender) -> Result<(), Error> {
        self.raw.send(Datagram { data: data.as_ref().to_vec(), peer: to.clone() }).await
    }
}
