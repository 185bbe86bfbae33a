//! A line of a client, for the guests that are told by one what to do. It is part of each of them: a crate of its own would
//! be more than it is.

use wjob_sdk::{Connection, Error};

/// The next line, without its end.
pub(crate) async fn line(connection: &mut Connection) -> Result<String, Error> {
    let mut line = Vec::new();
    let mut byte = [0];
    while connection.read(&mut byte).await? == 1 && byte != *b"\n" {
        line.extend_from_slice(&byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
