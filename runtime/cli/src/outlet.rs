//! Standard output of the verbs that print as things happen. Unlike the rest they have to know when their reader has
//! left, or they would go on for ever.

use std::io::{ErrorKind, Write as _};

use anyhow::Context as _;

/// Writes a text at once; whether somebody still reads.
///
/// # Errors
/// When it cannot be written for another reason than that nobody reads.
pub(crate) fn write(text: &str) -> anyhow::Result<bool> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}
