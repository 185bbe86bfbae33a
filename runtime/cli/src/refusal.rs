//! Why a verb did not do what it was told, in three lines and an exit status, whoever said no: the verb itself, or the
//! supervisor it asked. It is told in one place, so that all verbs tell it alike.

use std::fmt;
use std::process::ExitCode;

use wjob_model::control::Words;
use wjob_model::status::Status;

use crate::client::CallError;
use crate::render;

/// What a verb itself says no with.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What the verb exits with.
    pub status: Status,
    /// What, why and what to do.
    pub words: Words,
}

impl Refusal {
    /// From a status and any three texts.
    pub fn new(status: Status, what: impl Into<String>, why: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status, words: Words::new(what, why, advice) }
    }

    /// Of a command line that is wrong.
    pub fn usage(what: impl Into<String>, why: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Status::Usage, what, why, advice)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.words.clone().lines().join("\n"))
    }
}

impl std::error::Error for Refusal {}

/// Says on stderr what went wrong; what to exit with.
pub(crate) fn tell(error: &anyhow::Error) -> ExitCode {
    match told(error) {
        Some((status, words)) => {
            render::complain_lines(&words.lines());
            ExitCode::from(status.code())
        }
        None => {
            render::complain(&format!("{error:#}"));
            ExitCode::from(Status::System.code())
        }
    }
}

/// The same in one line, for those who go on without.
pub(crate) fn in_a_line(error: &anyhow::Error) -> String {
    match told(error) {
        Some((_, words)) => format!("{}: {}", words.what, words.why),
        None => format!("{error:#}"),
    }
}

fn told(error: &anyhow::Error) -> Option<(Status, Words)> {
    let own = error.downcast_ref::<Refusal>().map(|refusal| (refusal.status, refusal.words.clone()));
    own.or_else(|| error.downcast_ref::<CallError>().map(|call| (call.status(), call.words())))
}

/// Does a deed to each of several things. One that is refused keeps no other from being done, unless nobody is there
/// to be asked any more. What to exit with: the last refusal's status.
pub(crate) fn each<T>(things: impl IntoIterator<Item = T>, mut deed: impl FnMut(T) -> anyhow::Result<()>) -> ExitCode {
    let mut exit = ExitCode::SUCCESS;
    for thing in things {
        if let Err(error) = deed(thing) {
            exit = tell(&error);
            if is_last(&error) {
                break;
            }
        }
    }
    exit
}

/// Whether whoever was asked has left, or makes no sense.
fn is_last(error: &anyhow::Error) -> bool {
    error.downcast_ref::<CallError>().is_some_and(|call| !matches!(call, CallError::Refused(_)))
}

#[cfg(test)]
mod tests {
    use wjob_model::control::Failure;

    use super::*;

    fn no_job() -> anyhow::Error {
        CallError::Refused(Failure::NoSuchJob { label: "a.b".into() }).into()
    }

    #[test]
    fn every_error_is_told_with_its_status() {
        for (error, status, line) in [
            (anyhow::Error::from(Refusal::usage("what", "why", "advice")), Some(Status::Usage), "what: why"),
            (no_job(), Some(Status::NoSuchJob), "there is no job a.b: no job of that label is loaded in this domain"),
            (CallError::Lost("gone".into()).into(), Some(Status::NoSupervisor), "left before it had answered: gone"),
            (anyhow::anyhow!("else"), None, "else"),
        ] {
            assert_eq!(told(&error).map(|(status, _)| status), status, "{error}");
            assert!(in_a_line(&error).ends_with(line), "{} lacks {line:?}", in_a_line(&error));
        }
    }

    #[test]
    fn the_others_are_done_unless_nobody_is_there() {
        let lost = || anyhow::Error::from(CallError::Lost("gone".into()));
        let mut done = Vec::new();
        each([1, 2, 3, 4], |number| {
            done.push(number);
            match number {
                1 => Err(no_job()),
                3 => Err(lost()),
                _ => Ok(()),
            }
        });
        assert_eq!(done, [1, 2, 3]);
    }
}
