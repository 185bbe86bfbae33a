//! `wjob print-disabled [DOMAIN]`: what `enable` and `disable` decided, of jobs that are loaded or not.

use std::process::ExitCode;

use wjob_model::control::{Method, Override, Overrides};
use wjob_model::varlink::Nothing;

use crate::target::{self, Target};
use crate::{render, socket, table};

/// What `wjob print-disabled` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// The domain; without it your own
    #[arg(value_name = "DOMAIN")]
    domain: Option<String>,
    /// Print one JSON object per label and line
    #[arg(long)]
    json: bool,
}

/// Prints the decisions, by label.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let domain = Target::domain(arguments.domain.as_deref())?;
    let found: Overrides = socket::control(domain)?.call(Method::Overrides, &Nothing {})?;
    let text = if arguments.json { lines(&found.overrides)? } else { in_table(&found.overrides) };
    render::print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn lines(overrides: &[Override]) -> anyhow::Result<String> {
    let mut text = String::new();
    for decided in overrides {
        text += &serde_json::to_string(decided)?;
        text.push('\n');
    }
    Ok(text)
}

fn in_table(overrides: &[Override]) -> String {
    let word = |disabled: bool| if disabled { "disabled" } else { "enabled" };
    let rows: Vec<Vec<String>> =
        overrides.iter().map(|decided| vec![decided.label.clone(), word(decided.disabled).to_owned()]).collect();
    table::aligned(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decision_has_a_line() {
        let decided = |label: &str, disabled| Override { label: label.into(), disabled };
        let overrides = [decided("a", true), decided("long.b", false)];
        assert_eq!(in_table(&overrides), "a       disabled\nlong.b  enabled\n");
        let expected = "{\"label\":\"a\",\"disabled\":true}\n{\"label\":\"long.b\",\"disabled\":false}\n";
        assert_eq!(lines(&overrides).unwrap(), expected);
    }
}
