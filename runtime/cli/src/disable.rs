//! `wjob disable TARGET`: keeps a job from being loaded and started, now and after a restart.
//! The job need not be loaded; the supervisor keeps the decision by its label.

use std::process::ExitCode;

use wjob_model::control::Method;

pub(crate) use crate::enable::Arguments;
use crate::enable::decide;

/// Has it done.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    decide(&arguments, Method::Disable)
}
