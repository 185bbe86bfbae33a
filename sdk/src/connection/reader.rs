//! The direction from the other end to the job. It reads in pieces of a fixed size and hands out what it has; it does
//! not look for lines, which [`std::io::BufReader`] does on the blocking face.

use std::mem;
use std::sync::Arc;

use crate::{Error, host};

/// How much is asked for at once.
const CHUNK: usize = 16 * 1024;

/// What the other end sends.
///
/// Dropping one of its futures before it is done may lose what had come by then: whoever stops waiting stops reading.
///
/// ```
/// use wjob_sdk::{Error, Reader};
///
/// async fn length(mut reader: Reader) -> Result<usize, Error> {
///     let mut total = 0;
///     let mut buffer = [0; 512];
///     loop {
///         match reader.read(&mut buffer).await? {
///             0 => return Ok(total),
///             length => total += length,
///         }
///     }
/// }
/// # let (connection, _client) = wjob_sdk::testing::connection("hello");
/// # assert_eq!(wjob_sdk::testing::run(length(connection.split().0)), Ok(5));
/// ```
#[derive(Debug)]
pub struct Reader {
    // Before the connection, so that it is dropped before it.
    incoming: Option<host::Incoming>,
    buffer: Vec<u8>,
    // Where in the buffer the part begins that nobody has read yet.
    start: usize,
    raw: Arc<host::Connection>,
}

impl Reader {
    pub(crate) fn new(raw: Arc<host::Connection>) -> Self {
        Self { incoming: None, buffer: Vec::new(), start: 0, raw }
    }

    /// Reads what has come, waiting for something if nothing has; 0 is the end.
    ///
    /// ```
    /// # use wjob_sdk::testing;
    /// let (connection, _client) = testing::connection("hello");
    /// let (mut reader, _writer) = connection.split();
    /// let mut buffer = [0; 8];
    /// assert_eq!(testing::run(reader.read(&mut buffer)), Ok(5));
    /// ```
    ///
    /// # Errors
    /// How the other end broke off, if it did.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let unread = self.unread().await?;
        let length = unread.len().min(buffer.len());
        buffer[..length].copy_from_slice(&unread[..length]);
        self.start += length;
        Ok(length)
    }

    /// Reads all that is still to come, behind what the buffer holds, and says how much that was.
    ///
    /// ```
    /// # use wjob_sdk::testing;
    /// let (connection, _client) = testing::connection("hello");
    /// let (mut reader, _writer) = connection.split();
    /// let mut text = b"> ".to_vec();
    /// assert_eq!(testing::run(reader.read_to_end(&mut text)), Ok(5));
    /// assert_eq!(text, b"> hello");
    /// ```
    ///
    /// # Errors
    /// How the other end broke off, if it did; the buffer holds what came before.
    pub async fn read_to_end(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Error> {
        let before = buffer.len();
        loop {
            let unread = self.unread().await?;
            if unread.is_empty() {
                return Ok(buffer.len() - before);
            }
            buffer.extend_from_slice(unread);
            self.start = self.buffer.len();
        }
    }

    /// The next piece, in the allocation of a buffer that is no longer wanted; empty at the end.
    pub(crate) async fn chunk(&mut self, mut spare: Vec<u8>) -> Result<Vec<u8>, Error> {
        if self.start < self.buffer.len() {
            return Ok(mem::take(&mut self.buffer).split_off(mem::take(&mut self.start)));
        }
        spare.clear();
        spare.reserve(CHUNK);
        self.incoming().read(spare).await
    }

    /// What has come and was not read; if that is nothing, what comes next; if that is nothing, it is the end.
    async fn unread(&mut self) -> Result<&[u8], Error> {
        if self.start == self.buffer.len() {
            let spare = mem::take(&mut self.buffer);
            self.start = 0;
            self.buffer = self.chunk(spare).await?;
        }
        Ok(&self.buffer[self.start..])
    }

    fn incoming(&mut self) -> &mut host::Incoming {
        self.incoming.get_or_insert_with(|| self.raw.receive())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing;

    #[test]
    fn a_piece_holds_what_a_read_left_over() {
        let (connection, _client) = testing::connection("hello");
        let (mut reader, _writer) = connection.split();
        let mut two = [0; 2];
        assert_eq!(testing::run(reader.read(&mut two)), Ok(2));
        assert_eq!(testing::run(reader.chunk(Vec::new())).as_deref(), Ok(b"llo".as_slice()));
        assert_eq!(testing::run(reader.chunk(Vec::new())).as_deref(), Ok(b"".as_slice()));
        assert_eq!(testing::run(reader.read(&mut two)), Ok(0));
    }
}
