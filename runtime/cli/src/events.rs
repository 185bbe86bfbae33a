//! `wjob events [DOMAIN]`: what happens to jobs, a line each, from now on until Ctrl-C. What happened before is in
//! `wjob history` and `wjob log`.

use std::process::ExitCode;

use wjob_model::control::{Happened, Method};
use wjob_model::varlink::Nothing;

use crate::target::{self, Target};
use crate::when::Clock;
use crate::{outlet, render, socket};

/// What `wjob events` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// The domain; without it your own
    #[arg(value_name = "DOMAIN")]
    domain: Option<String>,
    /// Print one JSON object per event and line
    #[arg(long)]
    json: bool,
}

/// Prints them as they come, for as long as somebody reads.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let domain = Target::domain(arguments.domain.as_deref())?;
    let clock = Clock::system();
    let mut client = socket::control(domain)?;
    for happened in client.stream::<Happened>(&Method::Events.full_name(), &Nothing {})? {
        let happened = happened?;
        let line = if arguments.json { serde_json::to_string(&happened)? } else { in_words(&happened, &clock) };
        if !outlet::write(&format!("{line}\n"))? {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(happened: &Happened, clock: &Clock) -> String {
    let label = happened.label.as_deref().unwrap_or("wjobd");
    let mut words = format!("{} {label} {}", clock.local(&happened.time), happened.what);
    if !happened.detail.is_empty() {
        words += &format!(": {}", happened.detail);
    }
    render::escape(&words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::when::standing;

    #[test]
    fn an_event_is_a_line() {
        for (label, detail, expected) in [
            (Some("a.b"), "RunAtLoad", "2026-11-21 10:00:00 a.b started: RunAtLoad"),
            (Some("a.b"), "", "2026-11-21 10:00:00 a.b started"),
            (None, "x\n\u{1b}[2J", "2026-11-21 10:00:00 wjobd started: x\\n\\u{1b}[2J"),
        ] {
            let happened = Happened {
                time: "2026-11-21T09:00:00Z".into(),
                label: label.map(str::to_owned),
                what: "started".into(),
                detail: detail.into(),
            };
            assert_eq!(in_words(&happened, &standing()), expected);
        }
    }
}
