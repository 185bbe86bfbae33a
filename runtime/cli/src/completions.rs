//! `wjob completions SHELL`: prints the script that teaches a shell wjob's verbs and options.
//! It installs nothing; where the script belongs is the distribution's or the user's choice.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::render;

/// What `wjob completions` is told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    // Into memory first: the generator panics when a write fails.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::command(), "wjob", &mut script);
    render::print(String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
