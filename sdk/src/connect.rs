//! Connections that the job opens by itself where WASI has none: Unix sockets. Connections to the network are the
//! standard library's.

use std::path::Path;

use crate::{Connection, Error, host};

/// Connects to a Unix socket. The job file names it in `Connect`, as `unix:///run/example/socket`; the path is
/// absolute.
///
/// ```
/// use wjob_sdk::{Error, connect};
///
/// async fn ask() -> Result<Vec<u8>, Error> {
///     let mut connection = connect::unix("/run/example/socket").await?;
///     connection.write_all(b"who?\n").await?;
///     connection.finish().await?;
///     let mut answer = Vec::new();
///     connection.read_to_end(&mut answer).await?;
///     Ok(answer)
/// }
/// # use wjob_sdk::testing;
/// # let (connection, server) = testing::connection("me");
/// # testing::answer("/run/example/socket", connection);
/// # assert_eq!(testing::run(ask()).unwrap(), b"me");
/// # assert_eq!(server.received(), b"who?\n");
/// ```
///
/// # Errors
/// [`Error::Denied`] when no grant names it, [`Error::Unreachable`] when nobody answers there, and [`Error::Invalid`]
/// for a path that is not absolute or no text.
pub async fn unix(path: impl AsRef<Path>) -> Result<Connection, Error> {
    match path.as_ref().to_str() {
        Some(path) if path.starts_with('/') => host::open(format!("unix://{path}")).await,
        _ => Err(Error::Invalid),
    }
}
