//! `wjob blame TARGET`: what demanded the current or last run of a job, in order.

use std::process::ExitCode;

use wjob_model::control::{Blame, Method, OfJob};

use crate::target::{self, Target};
use crate::{render, socket};

/// What `wjob blame` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// The job
    #[arg(value_name = "TARGET")]
    target: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the causes, a line each.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (domain, label) = Target::job(&arguments.target)?;
    let blame: Blame = socket::control(domain)?.call(Method::Blame, &OfJob { label: label.clone() })?;
    render::print(match arguments.json {
        true => serde_json::to_string(&blame)? + "\n",
        false => in_words(&label, &blame),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn in_words(label: &str, blame: &Blame) -> String {
    if blame.causes.is_empty() {
        return format!("{} has not been started\n", render::escape(label));
    }
    blame.causes.iter().map(|cause| format!("{}\n", render::escape(cause))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_listed_in_order() {
        for (causes, expected) in
            [(&["RunAtLoad", "a\u{7}"][..], "RunAtLoad\na\\u{7}\n"), (&[], "a.b has not been started\n")]
        {
            let causes = causes.iter().map(|cause| (*cause).to_owned()).collect();
            assert_eq!(in_words("a.b", &Blame { causes }), expected);
        }
    }
}
