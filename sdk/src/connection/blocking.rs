//! A connection with the face of the standard library, for code that knows nothing of `async`. While it waits, nothing
//! else of the instance runs; a service of many connections in one run uses the asynchronous face.

use std::io::{self, Read, Write};

use crate::{Connection, host};

/// A connection that reads and writes as the standard library does.
///
/// ```
/// use std::io::{self, Read, Write};
/// use wjob_sdk::Connection;
///
/// async fn shout(connection: Connection) -> io::Result<()> {
///     let mut connection = connection.blocking();
///     let mut text = String::new();
///     connection.read_to_string(&mut text)?;
///     connection.write_all(text.to_uppercase().as_bytes())?;
///     connection.finish()
/// }
/// # let (connection, client) = wjob_sdk::testing::connection("hello");
/// # wjob_sdk::testing::run(shout(connection)).unwrap();
/// # assert_eq!(client.received(), b"HELLO");
/// ```
///
/// It must be used inside one of the entry points of this crate: a program with a `main` of the standard library must
/// not wait for anything asynchronous, in this way neither.
#[derive(Debug)]
pub struct Blocking {
    connection: Connection,
}

impl Blocking {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Ends the sending and waits until all of it is gone. Reading goes on.
    ///
    /// ```
    /// let (connection, client) = wjob_sdk::testing::connection("");
    /// connection.blocking().finish().unwrap();
    /// assert!(client.ended());
    /// ```
    ///
    /// # Errors
    /// How the other end broke off, if it did.
    pub fn finish(&mut self) -> io::Result<()> {
        Ok(host::block_on(self.connection.finish())?)
    }

    /// The connection with its asynchronous face.
    ///
    /// ```
    /// let (connection, _client) = wjob_sdk::testing::connection("");
    /// let connection = connection.blocking().into_inner();
    /// assert_eq!(connection.number(), 1);
    /// ```
    pub fn into_inner(self) -> Connection {
        self.connection
    }
}

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(host::block_on(self.connection.read(buffer))?)
    }
}

impl Write for Blocking {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        host::block_on(self.connection.write_all(data))?;
        Ok(data.len())
    }

    /// Does nothing: nothing is held back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
