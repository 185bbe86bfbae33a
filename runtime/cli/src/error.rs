//! `wjob error [N]`: what an exit status means and what to do about it.
//! The statuses of wjob are model's table; a job's own statuses mean what the job says, so they are not explained.

use std::process::ExitCode;

use serde::Serialize;
use wjob_model::status::{self, STATUSES, StatusRow};

use crate::render;

/// What a shell adds to the number of the signal that ended a process (POSIX, sh, "Exit Status for Commands").
const SIGNAL_BASE: u8 = 128;

/// The signals of signal(7), from 1, each with what it usually says about a job.
pub(crate) const SIGNALS: &[(&str, &str)] = &[
    ("SIGHUP", "its terminal or session went away"),
    ("SIGINT", "Ctrl-C"),
    ("SIGQUIT", "Ctrl-\\"),
    ("SIGILL", "an instruction the processor does not have"),
    ("SIGTRAP", "a breakpoint nobody waited for"),
    ("SIGABRT", "it gave up by itself, or a guest trapped"),
    ("SIGBUS", "memory behind a file that became shorter, or misaligned"),
    ("SIGFPE", "a division by zero"),
    ("SIGKILL", "killed: a limit, the kernel short of memory, or an operator"),
    ("SIGUSR1", "a signal it does not handle"),
    ("SIGSEGV", "memory that is not its own"),
    ("SIGUSR2", "a signal it does not handle"),
    ("SIGPIPE", "it wrote to a pipe or socket nobody reads"),
    ("SIGALRM", "its own alarm"),
    ("SIGTERM", "asked to end"),
    ("SIGSTKFLT", "unused on Linux"),
    ("SIGCHLD", "a signal that does not end a process by itself"),
    ("SIGCONT", "a signal that does not end a process by itself"),
    ("SIGSTOP", "a signal that does not end a process by itself"),
    ("SIGTSTP", "a signal that does not end a process by itself"),
    ("SIGTTIN", "a signal that does not end a process by itself"),
    ("SIGTTOU", "a signal that does not end a process by itself"),
    ("SIGURG", "a signal that does not end a process by itself"),
    ("SIGXCPU", "its limit of processor time"),
    ("SIGXFSZ", "its limit of file size"),
    ("SIGVTALRM", "its own timer"),
    ("SIGPROF", "its own profiling timer"),
    ("SIGWINCH", "a signal that does not end a process by itself"),
    ("SIGIO", "input or output became possible"),
    ("SIGPWR", "the power is failing"),
    ("SIGSYS", "a system call the kernel wall does not allow"),
];

/// Real-time signals a program may use (signal(7); the C library keeps 32 and 33).
pub(crate) const REAL_TIME: std::ops::RangeInclusive<u8> = 34..=64;

/// What `wjob error` is told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The exit status; without it all of wjob's own are listed
    #[arg(value_name = "N")]
    status: Option<u8>,
    /// Print one JSON object per status and line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    status: u8,
    name: String,
    meaning: String,
    advice: String,
}

impl From<&StatusRow> for Row {
    fn from(row: &StatusRow) -> Self {
        Self {
            status: row.status.code(),
            name: row.name.into(),
            meaning: row.meaning.into(),
            advice: row.advice.into(),
        }
    }
}

/// Prints the table, or one status in full.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let rows = match arguments.status {
        Some(code) => vec![row(code)],
        None => STATUSES.iter().map(Row::from).collect(),
    };
    let text = if arguments.json {
        let lines: Result<Vec<_>, _> = rows.iter().map(serde_json::to_string).collect();
        lines?.join("\n") + "\n"
    } else if arguments.status.is_some() {
        rows.iter().map(in_full).collect()
    } else {
        rows.iter().map(in_table).collect()
    };
    render::print(text)?;
    Ok(ExitCode::SUCCESS)
}

/// A status in one row: wjob's own, a signal's, or the job's.
fn row(code: u8) -> Row {
    let signal = signal(code);
    let mut row = match (status::row(code), &signal) {
        (Some(known), _) => Row::from(known),
        (None, Some((name, meaning))) => Row {
            status: code,
            name: name.clone(),
            meaning: format!("a signal ended the job: {meaning}"),
            advice: "the job's stderr, and its record, say what it was doing".into(),
        },
        (None, None) => own(code),
    };
    if let (Some(_), Some((name, _))) = (status::row(code), signal) {
        row.meaning += &format!(" (128 + {}, {name})", code - SIGNAL_BASE);
    }
    row
}

fn own(code: u8) -> Row {
    let meaning = match code {
        0 => "it went well",
        _ => "none of wjob's own statuses: the job ended with it, and the job says what it means",
    };
    Row {
        status: code,
        name: "the job's own".into(),
        meaning: meaning.into(),
        advice: "`wjob run --status-file F` writes whose status it was".into(),
    }
}

/// The signal a status tells of, with what it usually means.
fn signal(code: u8) -> Option<(String, &'static str)> {
    let number = code.checked_sub(SIGNAL_BASE)?;
    if REAL_TIME.contains(&number) {
        let offset = number - REAL_TIME.start();
        return Some((format!("SIGRTMIN+{offset}"), "a signal it does not handle"));
    }
    let (name, meaning) = SIGNALS.get(usize::from(number.checked_sub(1)?))?;
    Some(((*name).into(), meaning))
}

fn in_table(row: &Row) -> String {
    format!("{:>4}  {:<18}{}\n", row.status, row.name, row.meaning)
}

fn in_full(row: &Row) -> String {
    format!("{} {}\n  means: {}\n  do:    {}\n", row.status, row.name, row.meaning, row.advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_signals_and_the_jobs_own_are_told_apart() {
        for (code, name) in [
            (0, "the job's own"),
            (3, "not running"),
            (4, "the job's own"),
            (37, "already loaded"),
            (65, "bad job file"),
            (128, "the job's own"),
            (134, "trap"),
            (139, "SIGSEGV"),
            (159, "SIGSYS"),
            (160, "the job's own"),
            (162, "SIGRTMIN+0"),
            (255, "the job's own"),
        ] {
            assert_eq!(row(code).name, name, "{code}");
        }
        assert!(row(134).meaning.contains("128 + 6, SIGABRT"));
    }
}
