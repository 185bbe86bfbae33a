//! Why a guest could not be tested: what happened and what to do about it, with what the programs said. What a guest
//! does wrong is no error here; its status and its log say that.

use std::{fmt, io};

/// Why a guest could not be tested.
///
/// Its `Debug` is its words too, since those are what a test that returns it shows.
///
/// ```
/// use wjob_sdk::harness::Error;
///
/// let error = Error::NoSocket { kind: "TCP", method: "listen_tcp" };
/// assert_eq!(format!("{error:?}"), "the guest has no TCP socket; call listen_tcp before start");
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The test is not run by cargo, which would say what to build.
    #[error("the variable {variable} is not set; run the test by `cargo test`, or name a component with Guest::at")]
    NotCargo {
        /// The variable that is missing.
        variable: &'static str,
    },
    /// A program cannot be started.
    #[error("{program} cannot be started: {error}; {advice}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        error: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// The component could not be built.
    #[error("the component could not be built; cargo says\n{log}")]
    Build {
        /// What cargo said.
        log: String,
    },
    /// The crate builds no component.
    #[error("the crate builds no component; give it a main function, or crate-type = [\"cdylib\"] in [lib]")]
    NoComponent,
    /// The crate builds several components.
    #[error("the crate builds several components; name one of these with Guest::at: {files}")]
    SeveralComponents {
        /// Their files.
        files: String,
    },
    /// wjob ended before all sockets were there.
    #[error("wjob ended with status {status} before it listened; it says\n{log}")]
    Ended {
        /// Its status.
        status: i32,
        /// What it said.
        log: String,
    },
    /// Something did not happen in time.
    #[error("{what} took longer than {seconds} s; the log is\n{log}")]
    Late {
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
        /// What was said until then.
        log: String,
    },
    /// The guest did not say what was waited for.
    #[error("{text:?} did not come in the log, which is\n{log}")]
    Unsaid {
        /// What was waited for.
        text: String,
        /// What was said instead.
        log: String,
    },
    /// The guest has no socket of the kind that was asked for.
    #[error("the guest has no {kind} socket; call {method} before start")]
    NoSocket {
        /// The kind.
        kind: &'static str,
        /// What would give it one.
        method: &'static str,
    },
    /// The system refused something on the way.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
    /// A connection of the test's own failed.
    #[error("the test's own connection failed: {0}")]
    Client(#[from] io::Error),
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
