//! `wjob`: what a user types. One file per verb, each with its arguments and `run`; what they do is done by the
//! crates below. This is the only place that prints, and the only one with an error type that holds anything.

#![forbid(unsafe_code)]

mod amount;
mod attack;
mod audit;
mod blame;
mod bootout;
mod bootstrap;
mod calendar;
mod check;
mod client;
mod compile;
mod completions;
mod detail;
mod disable;
mod enable;
mod error;
mod events;
mod explain;
mod history;
mod info;
mod job_file;
mod keys;
mod kickstart;
mod kill;
mod learn;
mod list;
mod log;
mod log_lines;
mod man;
mod new;
mod outlet;
mod print;
mod print_disabled;
mod program;
mod refusal;
mod reload;
mod render;
mod report;
mod run;
mod runtime;
mod socket;
mod supervisor;
mod table;
mod target;
mod upgrade;
mod when;

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
        Ok(line) => perform(line.verb, build).unwrap_or_else(|error| refusal::tell(&error)),
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
    /// Say in sentences what a job may do, what it was denied and what it never used
    Explain(explain::Arguments),
    /// Run a job with grants that record, and print the least that it takes
    Learn(Box<learn::Arguments>),
    /// List the keys a job file may have, or explain one
    Keys(keys::Arguments),
    /// Say when calendar times are due next
    Calendar(calendar::Arguments),
    /// Write the crate of a new job: program, job file and test
    New(new::Arguments),
    /// Say how much jobs could do if their programs were hostile, as a score with its reasons
    Audit(audit::Arguments),
    /// Compile programs ahead, so that their first run need not
    Compile(compile::Arguments),
    /// List the jobs of a domain
    List(list::Arguments),
    /// Print all there is to know of a job, or of a domain
    Print(print::Arguments),
    /// Say what demanded the current or last run of a job
    Blame(blame::Arguments),
    /// Show what jobs wrote, and what the supervisor said of them
    Log(log::Arguments),
    /// List the runs there were
    History(history::Arguments),
    /// Show what happens to jobs, as it happens
    Events(events::Arguments),
    /// Load job files, or folders of them
    Bootstrap(bootstrap::Arguments),
    /// Stop jobs and take them out
    Bootout(bootout::Arguments),
    /// Read a job's file again, or the configuration and all folders
    Reload(reload::Arguments),
    /// Replace the supervisor by the one that is installed now; jobs and clients go on
    Upgrade(upgrade::Arguments),
    /// Let a job be loaded and started, now and after a restart
    Enable(enable::Arguments),
    /// Keep a job from being loaded and started, now and after a restart
    Disable(disable::Arguments),
    /// List what was enabled and disabled
    PrintDisabled(print_disabled::Arguments),
    /// Start a job now, or end it and start it again
    Kickstart(kickstart::Arguments),
    /// Send a job a signal
    Kill(kill::Arguments),
    /// Say what this machine can enforce, where wjob keeps its things, and how the supervisor is
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
        Verb::Explain(arguments) => explain::run(arguments),
        Verb::Learn(arguments) => learn::run(*arguments, build),
        Verb::Keys(arguments) => keys::run(arguments),
        Verb::Calendar(arguments) => calendar::run(arguments),
        Verb::New(arguments) => new::run(arguments),
        Verb::Audit(arguments) => audit::run(arguments, build),
        Verb::Compile(arguments) => compile::run(arguments, build),
        Verb::List(arguments) => list::run(arguments),
        Verb::Print(arguments) => print::run(arguments, build),
        Verb::Blame(arguments) => blame::run(arguments),
        Verb::Log(arguments) => log::run(arguments),
        Verb::History(arguments) => history::run(arguments),
        Verb::Events(arguments) => events::run(arguments),
        Verb::Bootstrap(arguments) => bootstrap::run(arguments),
        Verb::Bootout(arguments) => bootout::run(arguments),
        Verb::Reload(arguments) => reload::run(arguments),
        Verb::Upgrade(arguments) => upgrade::run(arguments),
        Verb::Enable(arguments) => enable::run(arguments),
        Verb::Disable(arguments) => disable::run(arguments),
        Verb::PrintDisabled(arguments) => print_disabled::run(arguments),
        Verb::Kickstart(arguments) => kickstart::run(arguments),
        Verb::Kill(arguments) => kill::run(arguments),
        Verb::Info(arguments) => info::run(arguments, build),
        Verb::Error(arguments) => error::run(arguments),
        Verb::Completions(arguments) => completions::run(arguments),
        Verb::Man(arguments) => man::run(arguments),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_one_that_clap_accepts() {
        let command = super::command();
        command.clone().debug_assert();
        let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        assert!(verbs.contains(&"print-disabled"), "{verbs:?}");
    }
}
