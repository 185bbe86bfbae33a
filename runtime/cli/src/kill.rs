//! `wjob kill SIGNAL TARGET`: sends a job's process a signal. What becomes of the job then is its own affair and that
//! of its KeepAlive.

use std::process::ExitCode;

use wjob_model::control::{Kill, Method};
use wjob_model::varlink::Nothing;

use crate::error::{REAL_TIME, SIGNALS};
use crate::refusal::Refusal;
use crate::socket;
use crate::target::{self, Target};

/// What `wjob kill` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// A number, or a name as in TERM or SIGTERM
    #[arg(value_name = "SIGNAL")]
    signal: String,
    /// The job
    #[arg(value_name = "TARGET")]
    target: String,
}

/// Sends it.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let signal = number(&arguments.signal).ok_or_else(|| no_signal(&arguments.signal))?;
    let (domain, label) = Target::job(&arguments.target)?;
    socket::control(domain)?.call::<Nothing>(Method::Kill, &Kill { label, signal: signal.into() })?;
    Ok(ExitCode::SUCCESS)
}

fn no_signal(text: &str) -> Refusal {
    Refusal::usage(
        format!("{text:?} is no signal"),
        "expected a number from 1 to 64, or a name as in TERM or SIGTERM",
        "the signal comes first, as in `wjob kill TERM LABEL`; signal(7) lists them",
    )
}

/// The number of a signal that is given by its number or by its name, with SIG or without, in letters of any case.
fn number(text: &str) -> Option<u8> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|number| (1..=*REAL_TIME.end()).contains(number));
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(offset) = name.strip_prefix("RTMIN") {
        return real_time(offset);
    }
    let place = SIGNALS.iter().position(|(known, _)| known.strip_prefix("SIG") == Some(name))?;
    u8::try_from(place + 1).ok()
}

/// A real-time signal, by how far it is from the first: nothing, or as in `+3`.
fn real_time(offset: &str) -> Option<u8> {
    let offset = match offset {
        "" => 0,
        offset => offset.strip_prefix('+')?.parse().ok()?,
    };
    REAL_TIME.start().checked_add(offset).filter(|number| REAL_TIME.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_numbers_and_names() {
        for (text, expected) in [
            ("1", Some(1)),
            ("9", Some(9)),
            ("64", Some(64)),
            ("TERM", Some(15)),
            ("SIGTERM", Some(15)),
            ("sigkill", Some(9)),
            ("Hup", Some(1)),
            ("SYS", Some(31)),
            ("RTMIN", Some(34)),
            ("SIGRTMIN+30", Some(64)),
            ("SIGRTMIN+31", None),
            ("RTMIN+", None),
            ("RTMIN-1", None),
            ("0", None),
            ("65", None),
            ("300", None),
            ("-9", None),
            ("SIG", None),
            ("SIGSIGTERM", None),
            ("a.b", None),
            ("", None),
        ] {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }
}
