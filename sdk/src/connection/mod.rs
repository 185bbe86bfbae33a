//! One connection, and its two directions. What it was accepted on and who is at the other end can be asked; the
//! address it came to and the options of the socket cannot, because those are the job file's.
//!
//! Each direction opens when it is first used. Nothing is sent when a connection is only read, and the other way round.

mod blocking;
mod reader;
mod writer;

use std::sync::Arc;

pub use self::blocking::Blocking;
pub use self::reader::Reader;
pub use self::writer::Writer;
use crate::{Error, Peer, host};

/// A connection. Dropping it closes it; [`finish`](Self::finish) it first, or what was written last may be cut off.
///
/// ```
/// use wjob_sdk::{Connection, Error};
///
/// async fn greet(mut connection: Connection) -> Result<(), Error> {
///     let greeting = format!("hello, {}\n", connection.peer());
///     connection.write_all(greeting.as_bytes()).await?;
///     connection.finish().await
/// }
/// # let (connection, client) = wjob_sdk::testing::connection("");
/// # wjob_sdk::testing::run(greet(connection)).unwrap();
/// # assert!(client.received().starts_with(b"hello, 127.0.0.1:"));
/// # assert!(client.ended());
/// ```
#[derive(Debug)]
pub struct Connection {
    reader: Reader,
    writer: Writer,
    raw: Arc<host::Connection>,
}

impl Connection {
    pub(crate) fn new(raw: host::Connection) -> Self {
        let raw = Arc::new(raw);
        Self { reader: Reader::new(raw.clone()), writer: Writer::new(raw.clone()), raw }
    }

    /// Its number, counted from 1 in each run; the job's log names it by that. 0 for one the job opened itself.
    ///
    /// ```
    /// let (connection, _client) = wjob_sdk::testing::connection("");
    /// assert_eq!(connection.number(), 1);
    /// ```
    pub fn number(&self) -> u64 {
        self.raw.number()
    }

    /// The name of the socket in the job file that it came through; empty for one the job opened itself.
    ///
    /// ```
    /// let (connection, _client) = wjob_sdk::testing::connection("");
    /// assert_eq!(connection.socket(), "Listeners");
    /// ```
    pub fn socket(&self) -> String {
        self.raw.socket()
    }

    /// Who is at the other end.
    ///
    /// ```
    /// use wjob_sdk::{Connection, Peer};
    ///
    /// fn is_root(connection: &Connection) -> bool {
    ///     matches!(connection.peer(), Peer::Local(process) if process.uid == 0)
    /// }
    /// # let (connection, _client) = wjob_sdk::testing::connection("");
    /// # assert!(!is_root(&connection));
    /// ```
    pub fn peer(&self) -> Peer {
        self.raw.peer()
    }

    /// Reads what has come, waiting for something if nothing has; 0 is the end.
    ///
    /// ```
    /// # use wjob_sdk::testing;
    /// # testing::run(async {
    /// let (mut connection, _client) = testing::connection("hello");
    /// let mut buffer = [0; 4];
    /// assert_eq!(connection.read(&mut buffer).await, Ok(4));
    /// assert_eq!(&buffer, b"hell");
    /// assert_eq!(connection.read(&mut buffer).await, Ok(1));
    /// assert_eq!(connection.read(&mut buffer).await, Ok(0));
    /// # });
    /// ```
    ///
    /// # Errors
    /// How the other end broke off, if it did.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.reader.read(buffer).await
    }

    /// Reads all that is still to come, behind what the buffer holds, and says how much that was.
    ///
    /// ```
    /// # use wjob_sdk::testing;
    /// # testing::run(async {
    /// let (mut connection, _client) = testing::connection("hello");
    /// let mut text = Vec::new();
    /// assert_eq!(connection.read_to_end(&mut text).await, Ok(5));
    /// assert_eq!(text, b"hello");
    /// # });
    /// ```
    ///
    /// # Errors
    /// How the other end broke off, if it did; the buffer holds what came before.
    pub async fn read_to_end(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Error> {
        self.reader.read_to_end(buffer).await
    }

    /// Sends all of it, waiting while the other end is slower.
    ///
    /// ```
    /// # use wjob_sdk::testing;
    /// # testing::run(async {
    /// let (mut connection, client) = testing::connection("");
    /// connection.write_all(b"hello").await.unwrap();
    /// assert_eq!(client.received(), b"hello");
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`] after [`finish`](Self::finish), or how the other end broke off.
    pub async fn write_all(&mut self, data: &[u8]) -> Result<(), Error> {
        self.writer.write_all(data).await
    }

    /// Ends the sending and waits until all of it is gone. Reading goes on.
    ///
    /// ```
    /// # use wjob_sdk::testing;
    /// # testing::run(async {
    /// let (mut connection, client) = testing::connection("");
    /// connection.finish().await.unwrap();
    /// assert!(client.ended());
    /// # });
    /// ```
    ///
    /// # Errors
    /// How the other end broke off, if it did.
    pub async fn finish(&mut self) -> Result<(), Error> {
        self.writer.finish().await
    }

    /// Its two directions, for those who use both at once. The connection is closed when both are dropped.
    ///
    /// ```
    /// # use wjob_sdk::testing;
    /// # testing::run(async {
    /// let (connection, client) = testing::connection("hello");
    /// let (mut reader, mut writer) = connection.split();
    /// wjob_sdk::copy(&mut reader, &mut writer).await.unwrap();
    /// assert_eq!(client.received(), b"hello");
    /// # });
    /// ```
    pub fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }

    /// The same connection for code that knows nothing of `async`: it reads and writes as the standard library does.
    ///
    /// ```
    /// use std::io::{BufRead, BufReader};
    ///
    /// let (connection, _client) = wjob_sdk::testing::connection("one\ntwo\n");
    /// let lines = BufReader::new(connection.blocking()).lines();
    /// assert_eq!(lines.count(), 2);
    /// ```
    pub fn blocking(self) -> Blocking {
        Blocking::new(self)
    }
}

/// Sends all that comes from a reader through a writer, and says how much that was. It does not finish the writer.
///
/// ```
/// # use wjob_sdk::{copy, testing};
/// # testing::run(async {
/// let (left, _client) = testing::connection("hello");
/// let (right, server) = testing::connection("");
/// let (mut reader, _) = left.split();
/// let (_, mut writer) = right.split();
/// assert_eq!(copy(&mut reader, &mut writer).await, Ok(5));
/// assert_eq!(server.received(), b"hello");
/// # });
/// ```
///
/// # Errors
/// How either end broke off, if it did.
pub async fn copy(reader: &mut Reader, writer: &mut Writer) -> Result<u64, Error> {
    let mut total = 0;
    // One buffer goes back and forth: it is filled by the reader and given back empty by the writer.
    let mut buffer = Vec::new();
    loop {
        buffer = reader.chunk(buffer).await?;
        if buffer.is_empty() {
            return Ok(total);
        }
        total += buffer.len() as u64;
        buffer = writer.write_owned(buffer).await?;
    }
}
