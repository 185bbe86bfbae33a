//! `wjob`: what a user types. One file per verb, each with its arguments and `run`; what they do is done by the
//! crates below. This is the only place that prints, and the only one with an error type that holds anything.

#![forbid(unsafe_code)]

mod calendar;
mod check;
mod compile;
mod completions;
mod error;
mod info;
mod job_file;
mod keys;
mod man;
mod program;
mod render;
mod report;
mod run;
mod runtime;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use wjob_model::status::Status;

/// Runs what the command line says; under the name of a role this process is that instead.
pub fn main(build: &'static str) -> ExitCode {
    let mut arguments = std::env::args_os();
    if let Some(name) = arguments.next() {
        role(&name, build);
    }
    match Line::try_parse() {
        Ok(line) => perform(line.verb, build).unwrap_or_else(|error| {
            render::complain(&format!("{error:#}"));
            ExitCode::from(Status::System.code())
        }),
        Err(error) => {
            // clap prints help and versions to stdout and faults to stderr; a closed pipe is nobody's fault.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { Status::Usage.code() } else { 0 })
        }
    }
}

/// By the name it was started under, this process is a part of wjob instead, and does not come back.
fn role(name: &OsString, build: &'static str) {
    match std::path::Path::new(name).file_name().and_then(|name| name.to_str()) {
        Some("wjob-worker") => wjob_worker::main(build),
        Some(wjob_logger::NAME) => wjob_logger::main(build),
        _ => {}
    }
}

/// The command line as clap knows it, for completions and the manual page.
pub(crate) fn command() -> clap::Command {
    <Line as clap::CommandFactory>::command()
}

/// Jobs are property lists; their programs get what the list grants and nothing else
#[derive(Parser)]
#[command(name = "wjob", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run one job, or one program with the grants given here, in the foreground
    Run(Box<run::Arguments>),
    /// Say what is wrong with job files, and how their jobs would be run
    Check(check::Arguments),
    /// List the keys a job file may have, or explain one
    Keys(keys::Arguments),
    /// Say when calendar times are due next
    Calendar(calendar::Arguments),
    /// Compile programs ahead, so that their first run need not
    Compile(compile::Arguments),
    /// Say what this machine can enforce, and where wjob keeps its things
    Info(info::Arguments),
    /// Explain an exit status
    Error(error::Arguments),
    /// Print the completions of a shell
    Completions(completions::Arguments),
    /// Print the manual page
    Man(man::Arguments),
}

fn perform(verb: Verb, build: &'static str) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Run(arguments) => run::run(*arguments, build),
        Verb::Check(arguments) => check::run(arguments),
        Verb::Keys(arguments) => keys::run(arguments),
        Verb::Calendar(arguments) => calendar::run(arguments),
        Verb::Compile(arguments) => compile::run(arguments, build),
        Verb::Info(arguments) => info::run(arguments, build),
        Verb::Error(arguments) => error::run(arguments),
        Verb::Completions(arguments) => completions::run(arguments),
        Verb::Man(arguments) => man::run(arguments),
    }
}
