//! What can go wrong, as `wjob:service` counts it. It carries no text of the system: what exactly the system said
//! stands in the job's log, which the job's own clients never see.

use std::io;

/// Why something did not work.
///
/// It becomes a [`std::io::Error`] wherever one is wanted:
///
/// ```
/// use std::io;
/// use wjob_sdk::Error;
///
/// let error = io::Error::from(Error::Denied);
/// assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
/// assert_eq!(error.to_string(), "no grant of the job allows it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The other end has closed, or nothing more is to come.
    #[error("the other end has closed, or nothing more is to come")]
    Closed,
    /// The other end broke the connection off, or it timed out.
    #[error("the other end broke the connection off, or it timed out")]
    Reset,
    /// No grant of the job allows it.
    #[error("no grant of the job allows it")]
    Denied,
    /// One of the job's limits is used up.
    #[error("one of the job's limits is used up")]
    Limit,
    /// What was asked makes no sense: a second check-in, an unreadable address, a datagram that is too long.
    #[error("what was asked makes no sense")]
    Invalid,
    /// Nobody answers there.
    #[error("nobody answers there")]
    Unreachable,
    /// The system refused for another reason, which stands in the job's log.
    #[error("the system refused; the job's log says why")]
    Other,
    /// The job file has no such socket, or all of that name are taken.
    #[error("the job file has no such socket, or all of that name are taken")]
    NoSocket,
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Closed => io::ErrorKind::BrokenPipe,
            Error::Reset => io::ErrorKind::ConnectionReset,
            Error::Denied => io::ErrorKind::PermissionDenied,
            Error::Limit => io::ErrorKind::QuotaExceeded,
            Error::Invalid => io::ErrorKind::InvalidInput,
            Error::Unreachable => io::ErrorKind::ConnectionRefused,
            Error::Other => io::ErrorKind::Other,
            Error::NoSocket => io::ErrorKind::NotFound,
        };
        Self::new(kind, error)
    }
}
