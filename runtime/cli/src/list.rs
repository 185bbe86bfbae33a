//! `wjob list [TARGET]`: the jobs of a domain, a line each, or everything about one of them. The first three columns
//! are launchctl's.

use std::process::ExitCode;

use wjob_model::control::{JobRow, Jobs, Method};
use wjob_model::varlink::Nothing;

use crate::client::Client;
use crate::target::{self, Target};
use crate::when::Clock;
use crate::{print, render, socket, table};

/// What `wjob list` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// A domain, or a job of which all is printed; without it the jobs of your own domain are listed
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// Print one JSON object per job and line
    #[arg(long)]
    json: bool,
    /// Print the labels of your own domain, a line each; nothing if no supervisor answers
    #[arg(long, hide = true)]
    labels: bool,
}

/// Lists them.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if arguments.labels {
        return labels();
    }
    let target = Target::or_own(arguments.target.as_deref())?;
    if let Some(label) = target.label {
        return print::job(target.domain, label, arguments.json);
    }
    let jobs = jobs(&mut socket::control(target.domain)?)?;
    let text = if arguments.json { lines(&jobs)? } else { in_table(&jobs, &Clock::system()) };
    render::print(text)?;
    Ok(ExitCode::SUCCESS)
}

/// All jobs, by label.
///
/// # Errors
/// When the supervisor does not answer.
pub(crate) fn jobs(client: &mut Client) -> anyhow::Result<Vec<JobRow>> {
    Ok(client.call::<Jobs>(Method::List, &Nothing {})?.jobs)
}

/// A shell that completes a word has no use for a reason.
fn labels() -> anyhow::Result<ExitCode> {
    let found = socket::control(target::own()).and_then(|mut client| jobs(&mut client)).unwrap_or_default();
    let lines: String = found.iter().map(|row| format!("{}\n", render::escape(&row.label))).collect();
    render::print(lines)?;
    Ok(ExitCode::SUCCESS)
}

fn lines(jobs: &[JobRow]) -> anyhow::Result<String> {
    let mut text = String::new();
    for job in jobs {
        text += &serde_json::to_string(job)?;
        text.push('\n');
    }
    Ok(text)
}

/// Jobs in columns, with a heading.
pub(crate) fn in_table(jobs: &[JobRow], clock: &Clock) -> String {
    let heading = ["PID", "Status", "Label", "State", "Why"].map(str::to_owned).to_vec();
    let rows = jobs.iter().map(|job| row(job, clock));
    table::aligned(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

fn row(job: &JobRow, clock: &Clock) -> Vec<String> {
    let state = if job.unwalled { format!("{}, no walls", job.state) } else { job.state.clone() };
    let next = job.next.as_deref().map(|next| format!("next start {}", clock.ahead(next)));
    let why = [Some(job.why.clone()).filter(|why| !why.is_empty()), next];
    let why = why.into_iter().flatten().collect::<Vec<_>>().join("; ");
    vec![table::number(job.pid), table::number(job.status), job.label.clone(), state, why]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::when::standing;

    fn job(label: &str, state: &str, why: &str) -> JobRow {
        JobRow {
            label: label.into(),
            state: state.into(),
            why: why.into(),
            pid: None,
            status: None,
            next: None,
            runs: 0,
            unwalled: false,
        }
    }

    #[test]
    fn the_table_begins_with_launchctls_columns() {
        let jobs = [
            job("a.idle", "idle", "waits for `wjob kickstart`"),
            JobRow {
                status: Some(-9),
                next: Some("2026-11-21T09:03:00Z".into()),
                ..job("b.timed", "waiting", "every 5 s")
            },
            JobRow { pid: Some(4321), status: Some(0), unwalled: true, ..job("c.runs", "running", "RunAtLoad") },
            JobRow { next: Some("soon".into()), ..job("d\u{1b}", "idle", "") },
        ];
        let expected = "\
PID   Status  Label    State              Why
-     -       a.idle   idle               waits for `wjob kickstart`
-     -9      b.timed  waiting            every 5 s; next start in 3 min (2026-11-21 10:03:00)
4321  0       c.runs   running, no walls  RunAtLoad
-     -       d\\u{1b}  idle               next start soon
";
        assert_eq!(in_table(&jobs, &standing()), expected);
    }

    #[test]
    fn json_has_a_job_in_each_line_as_it_came() {
        let jobs = [job("a", "idle", "x"), JobRow { pid: Some(1), ..job("b", "running", "y") }];
        let text = lines(&jobs).unwrap();
        let found: Vec<JobRow> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(found, jobs);
    }
}
