//! `wjob enable TARGET`: lets a job be loaded and started again, now and after a restart.
//! The job need not be loaded; the supervisor keeps the decision by its label.

use std::process::ExitCode;

use wjob_model::control::{Method, OfJob};
use wjob_model::varlink::Nothing;

use crate::socket;
use crate::target::{self, Target};

/// What `wjob enable` is told, and `wjob disable`.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// The job
    #[arg(value_name = "TARGET")]
    target: String,
}

/// Has it done.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    decide(&arguments, Method::Enable)
}

/// Has the supervisor decide so of the job.
///
/// # Errors
/// When no job is named, or the supervisor does not answer or refuses.
pub(crate) fn decide(arguments: &Arguments, method: Method) -> anyhow::Result<ExitCode> {
    let (domain, label) = Target::job(&arguments.target)?;
    socket::control(domain)?.call::<Nothing>(method, &OfJob { label })?;
    Ok(ExitCode::SUCCESS)
}
