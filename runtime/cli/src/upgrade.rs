//! `wjob upgrade [DOMAIN]`: has the supervisor replace itself by the `wjobd` that is installed now. Jobs, sockets and
//! clients go over; whether the new one can take them over it is asked before, and one that cannot is refused.

use std::process::ExitCode;

use wjob_model::control::{Method, Upgraded};
use wjob_model::varlink::Nothing;

use crate::target::{self, Target};
use crate::{render, socket};

/// What `wjob upgrade` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// The domain whose supervisor is replaced; without it your own
    #[arg(value_name = "DOMAIN")]
    domain: Option<String>,
}

/// Replaces it.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let domain = Target::domain(arguments.domain.as_deref())?;
    let upgraded: Upgraded = socket::control(domain)?.call(Method::Upgrade, &Nothing {})?;
    render::print(in_words(&upgraded))?;
    Ok(ExitCode::SUCCESS)
}

fn in_words(upgraded: &Upgraded) -> String {
    let workers = match upgraded.running {
        0 => "no job was running".to_owned(),
        1 => "1 worker went on".to_owned(),
        count => format!("{count} workers went on"),
    };
    format!("wjobd is {} now, {workers}\n", render::escape(&upgraded.build))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_build_and_what_went_on_are_told() {
        for (running, expected) in [
            (0, "wjobd is 0.1.0-b now, no job was running\n"),
            (1, "wjobd is 0.1.0-b now, 1 worker went on\n"),
            (7, "wjobd is 0.1.0-b now, 7 workers went on\n"),
        ] {
            assert_eq!(in_words(&Upgraded { build: "0.1.0-b".into(), running }), expected);
        }
    }
}
