//! The direction from the job to the other end. It holds nothing back: what a write returns from, the host has taken.
//! Whether the other end has it too, only [`Writer::finish`] can say.

use std::mem;
use std::sync::Arc;

use crate::{Error, host};

/// What is sent to the other end. Dropping it ends the sending, without waiting for what is on its way.
///
/// ```
/// use wjob_sdk::{Error, Writer};
///
/// async fn count(mut writer: Writer) -> Result<(), Error> {
///     for number in 1..=3 {
///         writer.write_all(format!("{number}\n").as_bytes()).await?;
///     }
///     writer.finish().await
/// }
/// # let (connection, client) = wjob_sdk::testing::connection("");
/// # wjob_sdk::testing::run(count(connection.split().1)).unwrap();
/// # assert_eq!(client.received(), b"1\n2\n3\n");
/// ```
#[derive(Debug)]
pub struct Writer {
    // Before the connection, so that it is dropped before it.
    sending: Sending,
    raw: Arc<host::Connection>,
}

/// How far the sending is.
#[derive(Debug)]
enum Sending {
    NotBegun,
    Begun(host::Outgoing),
    Finished,
}

impl Writer {
    pub(crate) fn new(raw: Arc<host::Connection>) -> Self {
        Self { sending: Sending::NotBegun, raw }
    }

    /// Sends all of it, waiting while the other end is slower.
    ///
    /// ```
    /// # use wjob_sdk::{Error, testing};
    /// # testing::run(async {
    /// let (connection, client) = testing::connection("");
    /// let (_reader, mut writer) = connection.split();
    /// writer.write_all(b"hello").await.unwrap();
    /// writer.finish().await.unwrap();
    /// assert_eq!(writer.write_all(b"more").await, Err(Error::Closed));
    /// assert_eq!(client.received(), b"hello");
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`] after [`finish`](Self::finish), or how the other end broke off.
    pub async fn write_all(&mut self, data: &[u8]) -> Result<(), Error> {
        self.write_owned(data.to_vec()).await.map(drop)
    }

    /// Ends the sending and waits until all of it is gone. A second time it does nothing.
    ///
    /// ```
    /// # use wjob_sdk::testing;
    /// let (connection, client) = testing::connection("");
    /// let (_reader, mut writer) = connection.split();
    /// testing::run(writer.finish()).unwrap();
    /// assert!(client.ended());
    /// ```
    ///
    /// # Errors
    /// How the other end broke off, if it did.
    pub async fn finish(&mut self) -> Result<(), Error> {
        match mem::replace(&mut self.sending, Sending::Finished) {
            Sending::NotBegun => self.raw.send().finish().await,
            Sending::Begun(outgoing) => outgoing.finish().await,
            Sending::Finished => Ok(()),
        }
    }

    /// Sends all of it and gives its allocation back, empty.
    pub(crate) async fn write_owned(&mut self, data: Vec<u8>) -> Result<Vec<u8>, Error> {
        let outgoing = self.outgoing()?;
        match data.is_empty() {
            true => Ok(data),
            false => outgoing.write(data).await,
        }
    }

    fn outgoing(&mut self) -> Result<&mut host::Outgoing, Error> {
        if let Sending::NotBegun = self.sending {
            self.sending = Sending::Begun(self.raw.send());
        }
        match &mut self.sending {
            Sending::Begun(outgoing) => Ok(outgoing),
            _ => Err(Error::Closed),
        }
    }
}
