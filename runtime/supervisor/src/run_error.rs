//! Why a job did not run: every cause with its exit status, what to do about it, and how the state machine of a run
//! knows it. Nothing is tried here.

use thiserror::Error;
use wjob_model::message::{Fault, StartFailure};
use wjob_model::status::Status;
use wjob_model::wall::WallRefusal;

use crate::compile::CompileError;
use crate::listen::ListenError;
use crate::program::ProgramError;

/// Why a job did not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// There is no program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// It cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A wall is required and not to be had.
    #[error(transparent)]
    Refused(#[from] WallRefusal),
    /// The worker could not begin.
    #[error("{0}")]
    Failed(StartFailure),
    /// Its sockets are not to be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system refused something the supervisor needs.
    #[error("{0}")]
    System(String),
}

impl RunError {
    /// The exit status that says so.
    pub fn status(&self) -> Status {
        match self {
            Self::Program(_) | Self::Compile(CompileError::Limit { .. }) => Status::Misconfigured,
            Self::Compile(CompileError::TooLarge { .. }) | Self::Listen(_) => Status::Misconfigured,
            Self::Compile(CompileError::System { .. }) | Self::System(_) => Status::System,
            Self::Refused(
                WallRefusal::NoneForWasm
                | WallRefusal::RootForNative
                | WallRefusal::RootForUnwalled
                | WallRefusal::UsersBehindView,
            ) => Status::Misconfigured,
            Self::Refused(_) => Status::NotPermitted,
            Self::Failed(failure) | Self::Compile(CompileError::Program(failure)) => match failure.fault {
                Fault::Job => Status::Misconfigured,
                Fault::Wall | Fault::Namespaces(_) | Fault::Refused(_) => Status::NotPermitted,
                Fault::Stale | Fault::Own => Status::Internal,
            },
        }
    }

    /// What to do about it, in one line.
    pub fn advice(&self) -> &str {
        match self {
            Self::Failed(failure) | Self::Compile(CompileError::Program(failure)) => &failure.advice,
            Self::Refused(WallRefusal::NoneForWasm) => "remove the key Isolation, or name a native program",
            Self::Refused(WallRefusal::RootForNative) => "give the grant another GuestPath",
            Self::Refused(WallRefusal::RootForUnwalled) => "remove the key Isolation, or RootDirectory",
            Self::Refused(WallRefusal::UsersBehindView) => {
                "remove unix:// from Connect or Users from Grants, or load the job into the system domain"
            }
            Self::Refused(WallRefusal::Limit { .. }) => "remove the limit, or run the job where it can be held",
            Self::Refused(WallRefusal::Required { wall, .. }) => wall.advice(),
            Self::Listen(error) => error.advice(),
            Self::Program(_) => "correct Program or ProgramArguments",
            Self::Compile(_) => "`wjob compile` shows how far it comes; a smaller program helps",
            Self::System(_) => "the message names the call that failed",
        }
    }

    /// The same as the run's state machine knows failures.
    pub fn as_failure(&self) -> StartFailure {
        let fault = match (self, self.status()) {
            (Self::Failed(failure), _) => return failure.clone(),
            (Self::Compile(CompileError::Program(failure)), _) => return failure.clone(),
            (_, Status::Misconfigured) => Fault::Job,
            (_, Status::NotPermitted) => Fault::Wall,
            _ => Fault::Own,
        };
        StartFailure::new(fault, "the job was not started", self, self.advice())
    }
}
