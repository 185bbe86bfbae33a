//! `wjob reload [TARGET]`: has the supervisor read a job's file and its program again, or its configuration and all its
//! folders. A job that is named begins anew, and so does one whose file says something else; one that serves clients does
//! so without a gap.

use std::process::ExitCode;

use wjob_model::control::{Loaded, Method, Reload};

use crate::bootstrap::all_loaded;
use crate::target::{self, Target};
use crate::{render, socket};

/// What `wjob reload` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// A job, whose file and program are read again: one with sockets is served by its old worker until the new one
    /// accepts, any other is stopped first; or a domain, of which everything is read; without it your own domain
    #[arg(value_name = "TARGET")]
    target: Option<String>,
}

/// Reloads.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let target = Target::or_own(arguments.target.as_deref())?;
    let whole = target.label.is_none();
    let reload = Reload { label: target.label };
    let loaded: Loaded = socket::control(target.domain)?.call(Method::Reload, &reload)?;
    if whole {
        render::print(in_words(&loaded))?;
    }
    all_loaded(&target.domain.to_string(), &loaded)?;
    Ok(ExitCode::SUCCESS)
}

/// What has changed, a line for each job.
fn in_words(loaded: &Loaded) -> String {
    let line = |what: &str, label: &String| format!("{what} {}\n", render::escape(label));
    let came = loaded.loaded.iter().map(|label| line("loaded", label));
    let went = loaded.removed.iter().map(|label| line("removed", label));
    came.chain(went).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_went_is_told() {
        let loaded =
            Loaded { loaded: vec!["a".into(), "b\u{7}".into()], removed: vec!["c".into()], refused: vec!["d".into()] };
        assert_eq!(in_words(&loaded), "loaded a\nloaded b\\u{7}\nremoved c\n");
        assert_eq!(in_words(&Loaded::default()), "");
    }
}
