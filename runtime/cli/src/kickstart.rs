//! `wjob kickstart [-k] [-p] TARGET`: starts a job now, whatever it waits for. With `-k` a running one is ended first, or,
//! if it serves clients, once its successor does; its job file is not read again, `wjob reload` does that.

use std::process::ExitCode;

use wjob_model::control::{Kickstart, Kickstarted, Method};
use wjob_model::status::Status;

use crate::target::{self, Target};
use crate::{render, socket};

/// What `wjob kickstart` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// End it first, if it is running; one with sockets ends when the new worker accepts
    #[arg(short, long)]
    kill: bool,
    /// Print the number of its process, alone
    #[arg(short, long)]
    print_pid: bool,
    /// The job
    #[arg(value_name = "TARGET")]
    target: String,
}

/// Starts it.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (domain, label) = Target::job(&arguments.target)?;
    let kickstart = Kickstart { label, kill: arguments.kill };
    let started: Kickstarted = socket::control(domain)?.call(Method::Kickstart, &kickstart)?;
    match started.pid {
        Some(pid) if arguments.print_pid => render::print(format!("{pid}\n"))?,
        None if arguments.print_pid => {
            let label = &kickstart.label;
            render::complain(&format!("{label} has no process yet; `wjob print {label}` says how far it is"));
            return Ok(ExitCode::from(Status::NotRunning.code()));
        }
        _ => render::print(in_words(&kickstart, &started))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Nothing if what was asked for was done.
fn in_words(kickstart: &Kickstart, started: &Kickstarted) -> String {
    if kickstart.kill || !started.running {
        return String::new();
    }
    let label = render::escape(&kickstart.label);
    match started.pid {
        Some(pid) => format!("{label} is running already, process {pid}\n"),
        None => format!("{label} is starting already\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_job_that_was_running_is_spoken_of() {
        for (kill, pid, running, expected) in [
            (false, Some(7), false, ""),
            (false, None, false, ""),
            (false, Some(7), true, "a.b is running already, process 7\n"),
            (false, None, true, "a.b is starting already\n"),
            (true, Some(7), true, ""),
        ] {
            let kickstart = Kickstart { label: "a.b".into(), kill };
            assert_eq!(in_words(&kickstart, &Kickstarted { pid, running }), expected, "{kill} {pid:?} {running}");
        }
    }
}
