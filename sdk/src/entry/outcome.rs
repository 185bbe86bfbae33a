//! What an entry point may return: nothing, or a result whose error can be shown. It shows the error; what follows from
//! it is the caller's.

use std::fmt::Display;

use crate::stderr;

/// What a future that serves a job may end with: `()`, or a `Result` whose error is written to standard error.
///
/// ```
/// use wjob_sdk::{Connection, Error, Outcome};
///
/// fn is_outcome(_: impl Outcome) {}
///
/// is_outcome(());
/// is_outcome(Ok::<(), Error>(()));
/// is_outcome(Err::<(), String>("no such user".into()));
/// ```
pub trait Outcome {
    /// Writes what went wrong to standard error, as `error: …`, and says whether all went well.
    fn report(self) -> bool;
}

impl Outcome for () {
    fn report(self) -> bool {
        true
    }
}

impl<E: Display> Outcome for Result<(), E> {
    fn report(self) -> bool {
        match self {
            Ok(()) => true,
            Err(error) => {
                stderr::line(&format!("error: {error}"));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn only_an_error_is_a_failure() {
        assert!(().report());
        assert!(Ok::<(), String>(()).report());
        assert!(!Err::<(), _>("no such user").report());
    }
}
