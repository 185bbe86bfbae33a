//! `wjob print TARGET`: all that the supervisor knows of a job, or of itself and its jobs. The text is for people and
//! may change; programs read the JSON.

use std::process::ExitCode;

use serde_json::json;
use wjob_model::control::{JobDetail, Method, OfJob};

use crate::target::{self, Domain, Target};
use crate::when::Clock;
use crate::{detail, list, render, socket, supervisor};

/// What `wjob print` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// A job or a domain
    #[arg(value_name = "TARGET")]
    target: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints it.
pub(crate) fn run(arguments: Arguments, build: &str) -> anyhow::Result<ExitCode> {
    let target = Target::parse(&arguments.target)?;
    match target.label {
        Some(label) => job(target.domain, label, arguments.json),
        None => domain(target.domain, build, arguments.json),
    }
}

/// Prints everything about a job.
///
/// # Errors
/// When the supervisor does not answer, or knows no such job.
pub(crate) fn job(domain: Domain, label: String, json: bool) -> anyhow::Result<ExitCode> {
    let found: JobDetail = socket::control(domain)?.call(Method::Print, &OfJob { label })?;
    render::print(match json {
        true => serde_json::to_string(&found)? + "\n",
        false => detail::in_words(&found, &Clock::system()),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn domain(domain: Domain, build: &str, json: bool) -> anyhow::Result<ExitCode> {
    let mut client = socket::control(domain)?;
    let state = supervisor::state(&mut client)?;
    let jobs = list::jobs(&mut client)?;
    if json {
        render::print(format!("{}\n", json!({ "supervisor": state, "jobs": jobs })))?;
        return Ok(ExitCode::SUCCESS);
    }
    let clock = Clock::system();
    let head = match state {
        Some(state) => supervisor::in_words(&state, build, &clock),
        None => format!("supervisor of {domain}\n  its health and places are for the domain's owner and root\n"),
    };
    render::print(format!("{head}\n{}", list::in_table(&jobs, &clock)))?;
    Ok(ExitCode::SUCCESS)
}
