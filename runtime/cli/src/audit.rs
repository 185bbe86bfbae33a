//! `wjob audit [FILE|TARGET]`: how much a job could do if its program were hostile, as a score from 0 to 10 and line by
//! line; without an argument all jobs of a domain, the most exposed first. The model judges; a loaded job is the
//! supervisor's to bring before it, a job file this verb's. With --attack it is tried instead (`attack`).

mod file;
mod words;

use std::path::Path;
use std::process::ExitCode;

use wjob_model::control::{Audited, Failure, Method, OfJob};
use wjob_model::status::Status;

use crate::attack::AttackOptions;
use crate::client::{CallError, Client};
use crate::refusal::Refusal;
use crate::target::{self, Target};
use crate::{list, render, socket};

/// What `wjob audit` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(crate) struct Arguments {
    /// A job file, a job, or a domain of which all jobs are ranked; without it your own domain
    #[arg(value_name = "FILE|TARGET")]
    target: Option<String>,
    /// Fail with status 79 if a score is above N, from 0 to 10
    #[arg(long, value_name = "N", value_parser = bar)]
    fail_above: Option<f64>,
    /// Print one JSON object per job and line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    attack: AttackOptions,
}

/// What of the subject is to be shown.
enum Subject {
    /// One job, line by line.
    Job(Audited),
    /// Jobs, in their ranks.
    Ranks(Vec<Audited>),
}

fn after_help() -> String {
    format!(
        "\
What is -, begins with / or . or ends in .plist is a job file; it is judged by the walls that this
machine can put up, a loaded job by those that were read back from its current or last run.

{}",
        target::HELP
    )
}

/// A score that is still allowed.
fn bar(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=10.0).contains(number));
    number.ok_or_else(|| format!("{text:?} is no score; expected a number from 0 to 10"))
}

/// Judges, shows, and holds the scores against what is allowed.
pub(crate) fn run(arguments: Arguments, build: &str) -> anyhow::Result<ExitCode> {
    if let Some(done) = arguments.attack.run(arguments.json, build) {
        return done;
    }
    let subject = match arguments.target.as_deref() {
        Some(file) if target::names_file(file) => match file::audited(Path::new(file))? {
            Some(audited) => Subject::Job(audited),
            None => return Ok(ExitCode::from(Status::BadJobFile.code())),
        },
        target => of_target(&Target::or_own(target)?)?,
    };
    render::print(subject.shown(arguments.json)?)?;
    if let Some(bar) = arguments.fail_above {
        held_to(bar, subject.all())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn of_target(target: &Target) -> anyhow::Result<Subject> {
    let mut client = socket::control(target.domain)?;
    Ok(match &target.label {
        Some(label) => Subject::Job(ask(&mut client, label)?),
        None => Subject::Ranks(ranked(&mut client)?),
    })
}

fn ask(client: &mut Client, label: &str) -> Result<Audited, CallError> {
    client.call(Method::Audit, &OfJob { label: label.to_owned() })
}

/// All jobs, the most exposed first and by label among equals. One that is gone since it was listed is left out.
fn ranked(client: &mut Client) -> anyhow::Result<Vec<Audited>> {
    let mut ranked = Vec::new();
    for row in list::jobs(client)? {
        match ask(client, &row.label) {
            Ok(audited) => ranked.push(audited),
            Err(CallError::Refused(Failure::NoSuchJob { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    ranked.sort_by(|one, other| other.score.total_cmp(&one.score));
    Ok(ranked)
}

impl Subject {
    fn all(&self) -> &[Audited] {
        match self {
            Self::Job(audited) => std::slice::from_ref(audited),
            Self::Ranks(all) => all,
        }
    }

    fn shown(&self, json: bool) -> anyhow::Result<String> {
        Ok(match self {
            _ if json => lines(self.all())?,
            Self::Job(audited) => words::in_full(audited),
            Self::Ranks(all) => words::in_table(all),
        })
    }
}

fn lines(all: &[Audited]) -> anyhow::Result<String> {
    let mut text = String::new();
    for audited in all {
        text += &serde_json::to_string(audited)?;
        text.push('\n');
    }
    Ok(text)
}

/// Refuses scores above what is allowed.
fn held_to(bar: f64, all: &[Audited]) -> Result<(), Refusal> {
    let above: Vec<&Audited> = all.iter().filter(|audited| audited.score > bar).collect();
    let Some(worst) = above.iter().max_by(|one, other| one.score.total_cmp(&other.score)) else {
        return Ok(());
    };
    let label = &worst.label;
    let what = match above.len() {
        1 => format!("{label} is too exposed"),
        several => format!("{several} jobs are too exposed"),
    };
    let why = format!("{label} has {:.1}, and --fail-above allows {bar}", worst.score);
    let advice = "change what its lines with points say is to be changed, or allow more";
    Err(Refusal::new(Status::TooExposed, what, why, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audited(label: &str, score: f64) -> Audited {
        let (level, walls) = ("OK".into(), "read back".into());
        Audited { label: label.into(), score, level, walls, note: None, findings: Vec::new() }
    }

    #[test]
    fn a_score_may_be_what_is_allowed_and_no_more() {
        for (bar, scores, expected) in [
            (5.0, &[][..], None),
            (1.3, &[1.3], None),
            (1.2, &[1.3], Some("job-0 is too exposed")),
            (0.0, &[0.1, 10.0], Some("2 jobs are too exposed")),
            (5.0, &[0.1, 10.0], Some("job-1 is too exposed")),
        ] {
            let all = scores.iter().enumerate().map(|(index, score)| audited(&format!("job-{index}"), *score));
            let refused = held_to(bar, &all.collect::<Vec<_>>()).err();
            assert_eq!(refused.as_ref().map(|refusal| refusal.words.what.as_str()), expected, "{bar} {scores:?}");
            assert!(refused.is_none_or(|refusal| refusal.status == Status::TooExposed));
        }
    }

    #[test]
    fn what_is_allowed_is_a_number_on_the_scale() {
        for (text, expected) in [("0", Some(0.0)), ("4.5", Some(4.5)), ("10", Some(10.0))] {
            assert_eq!(bar(text).ok(), expected, "{text}");
        }
        for text in ["", "11", "-1", "NaN", "inf", "five"] {
            assert!(bar(text).is_err(), "{text}");
        }
    }

    #[test]
    fn json_has_a_job_in_each_line() {
        let all = [audited("a", 0.3), audited("b", 10.0)];
        let text = lines(&all).unwrap();
        let found: Vec<Audited> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(found, all);
    }
}
