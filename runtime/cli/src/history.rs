//! `wjob history [TARGET]`: the runs there were, as the logger keeps them: when, for how long, at what cost, how they
//! ended and what had demanded them.

use std::process::ExitCode;

use wjob_model::record::{History, HistoryQuery, INTERFACE, RunRow, start_number};

use crate::client::{CallError, Client};
use crate::target::{self, Target};
use crate::when::{Clock, between};
use crate::{amount, render, socket, table};

/// The table's heading.
const HEADING: [&str; 9] = ["Run", "Label", "Started", "Took", "CPU", "Memory", "Status", "End", "Demanded by"];

/// What `wjob history` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// A job, or a domain; without it your own domain
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// How many of the newest
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: u32,
    /// Print one JSON object per run and line
    #[arg(long)]
    json: bool,
}

/// Prints them, the newest last.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let target = Target::or_own(arguments.target.as_deref())?;
    let query = HistoryQuery { label: target.label.clone(), last: Some(arguments.last.into()) };
    let runs = socket::ask_log(target.domain, |client| ask(client, &query))?;
    if let Some(label) = target.label.filter(|_| runs.is_empty()) {
        socket::is_loaded(target.domain, &label)?;
    }
    let text = if arguments.json { lines(&runs)? } else { in_table(&runs, &Clock::system()) };
    render::print(text)?;
    Ok(ExitCode::SUCCESS)
}

/// The runs that a logger knows of, as many as were asked for.
///
/// # Errors
/// When it refuses, or leaves.
pub(crate) fn ask(client: &mut Client, query: &HistoryQuery) -> Result<Vec<RunRow>, CallError> {
    let mut answers = client.stream::<History>(&format!("{INTERFACE}.History"), query)?;
    // There is always one, if only to say that the logger has left.
    let answer = answers.next().unwrap_or_else(|| Ok(History::default()))?;
    Ok(answer.runs)
}

fn lines(runs: &[RunRow]) -> anyhow::Result<String> {
    let mut text = String::new();
    for run in runs {
        text += &serde_json::to_string(run)?;
        text.push('\n');
    }
    Ok(text)
}

fn in_table(runs: &[RunRow], clock: &Clock) -> String {
    let heading = HEADING.map(str::to_owned).to_vec();
    let rows = runs.iter().map(|run| row(run, clock));
    table::aligned(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

fn row(run: &RunRow, clock: &Clock) -> Vec<String> {
    let ended = run.end.is_some();
    let dash = || "-".to_owned();
    vec![
        start_number(run.run).to_string(),
        run.label.clone(),
        clock.local(&run.start),
        run.end.as_deref().and_then(|end| between(&run.start, end)).unwrap_or_else(dash),
        if ended { amount::milliseconds(run.cpu_micros / 1000) } else { dash() },
        if ended { amount::memory(run.peak_memory) } else { dash() },
        table::number(run.status),
        end(run),
        run.reason.join(", "),
    ]
}

/// How it ended, and what else there is to know of it.
fn end(run: &RunRow) -> String {
    let outcome = match (&run.outcome, &run.end) {
        (Some(words), _) => words.clone(),
        (None, Some(_)) => "ended".into(),
        (None, None) => "runs".into(),
    };
    let denials = match run.denials.len() + usize::try_from(run.more_denials).unwrap_or(0) {
        0 => None,
        1 => Some("1 denial".to_owned()),
        count => Some(format!("{count} denials")),
    };
    let fallen = run.walls.iter().filter(|wall| !wall.stands).map(|wall| format!("without the {} wall", wall.wall));
    std::iter::once(outcome).chain(denials).chain(fallen).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use wjob_model::control::{DenialRow, WallRow};

    use super::*;
    use crate::when::standing;

    fn ended(run: i64, label: &str) -> RunRow {
        RunRow {
            run,
            label: label.into(),
            reason: vec!["RunAtLoad".into(), "operator".into()],
            pid: 7,
            start: "2026-11-21T09:00:00Z".into(),
            end: Some("2026-11-21T09:00:01.5Z".into()),
            outcome: Some("it ended".into()),
            status: Some(0),
            cpu_micros: 12_345,
            peak_memory: 5 << 20,
            walls: vec![WallRow { wall: "mount".into(), found: "tmpfs".into(), stands: true }],
            denials: Vec::new(),
            more_denials: 0,
            grants: None,
        }
    }

    fn denial() -> DenialRow {
        let text = || "x".to_owned();
        DenialRow { time: text(), kind: text(), what: text(), wall: text(), lines: text() }
    }

    #[test]
    fn runs_are_listed_with_what_they_took() {
        let running = RunRow { end: None, outcome: None, status: None, reason: vec![], ..ended(12, "long.label") };
        let expected = "\
Run  Label       Started              Took     CPU    Memory    Status  End       Demanded by
11   a           2026-11-21 10:00:00  1500 ms  12 ms  5120 KiB  0       it ended  RunAtLoad, operator
12   long.label  2026-11-21 10:00:00  -        -      -         -       runs
";
        assert_eq!(in_table(&[ended(11, "a"), running], &standing()), expected);
    }

    #[test]
    fn the_end_names_denials_and_fallen_walls() {
        let mut run = ended(1, "a");
        run.denials = vec![denial()];
        run.more_denials = 1;
        run.walls[0].stands = false;
        run.outcome = None;
        assert_eq!(end(&run), "ended, 2 denials, without the mount wall");
        run.more_denials = 0;
        assert_eq!(end(&run), "ended, 1 denial, without the mount wall");
    }

    #[test]
    fn json_has_a_run_in_each_line_as_it_came() {
        let runs = [ended(1, "a"), ended(2, "b")];
        let text = lines(&runs).unwrap();
        let found: Vec<RunRow> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(found, runs);
    }
}
