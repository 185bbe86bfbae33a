//! `wjob audit --attack FILE`: performs the corpus of attacks against the grants and limits of a job, and says of each what
//! contained it. Every attack runs in the job's place, by the same code as `wjob run`, on folders made for it: nothing that
//! the job was granted is touched. What an attack is and how it may end stands in the corpus, not here.

mod copy;
mod corpus;
mod judgement;
mod stage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use wjob_model::job::{Isolation, Job};
use wjob_model::outcome::StopReason;
use wjob_model::status::Status;

use crate::refusal::Refusal;
use crate::runtime::Runtime;
use crate::{job_file, outlet, render, table};
use copy::Run;
use corpus::{Attack, Corpus};
use judgement::Judgement;
use stage::Stage;

/// What `wjob audit` is told of attacks.
#[derive(Debug, clap::Args)]
pub(crate) struct AttackOptions {
    /// Run the corpus of attacks against a job file's grants and limits, on folders made for it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "fail_above"])]
    attack: Option<PathBuf>,
    /// Where the corpus lies (default: the folder hostile beside wjob's own, or in share/wjob there)
    #[arg(long, value_name = "DIR", requires = "attack")]
    corpus: Option<PathBuf>,
}

impl AttackOptions {
    /// Does it, if it is asked for.
    pub(crate) fn run(&self, json: bool, build: &str) -> Option<anyhow::Result<ExitCode>> {
        let file = self.attack.as_deref()?;
        Some(attack(file, self.corpus.as_deref(), json, build))
    }
}

/// A line of what is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    attack: &'a str,
    group: u64,
    wall: Option<&'a str>,
    contained: Option<bool>,
    how: &'a str,
}

impl<'a> Row<'a> {
    fn of(attack: &'a Attack, judgement: &'a Judgement) -> Self {
        let (wall, contained, how) = match judgement {
            Judgement::Contained { wall, how } => (Some(wall.as_str()), Some(true), how),
            Judgement::Open(why) => (None, Some(false), why),
            Judgement::Through(what) => (None, Some(false), what),
            Judgement::LeftOut(why) => (None, None, why),
        };
        Self { attack: &attack.name, group: attack.group, wall, contained, how }
    }

    fn cells(&self) -> Vec<String> {
        let contained = match self.contained {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "left out",
        };
        let rest = [self.attack, contained, self.wall.unwrap_or("-"), self.how].map(ToOwned::to_owned);
        std::iter::once(self.group.to_string()).chain(rest).collect()
    }
}

/// Performs all attacks that the job can be tried with. The status is 70 when one got through: then wjob has failed.
///
/// # Errors
/// When the job file is bad, there is no corpus, or the job cannot be run here.
fn attack(file: &Path, corpus: Option<&Path>, json: bool, build: &str) -> anyhow::Result<ExitCode> {
    let job = job(file)?;
    let corpus = Corpus::open(corpus)?;
    let runtime = Runtime::open(build)?;
    let stage = Stage::make()?;
    let mut told = Vec::new();
    for attack in &corpus.attacks {
        let judgement = match left_out(attack, &job, &stage) {
            Some(judgement) => judgement,
            None => match perform(&runtime, &corpus, &job, &stage, attack)? {
                Ok(judgement) => judgement,
                Err(stopped) => return Ok(ExitCode::from(stopped.code())),
            },
        };
        if json && !outlet::write(&format!("{}\n", serde_json::to_string(&Row::of(attack, &judgement))?))? {
            break;
        }
        told.push((attack, judgement));
    }
    if !json {
        render::print(in_words(file, &told))?;
    }
    let through = told.iter().any(|(_, judgement)| matches!(judgement, Judgement::Through(_)));
    Ok(if through { ExitCode::from(Status::Internal.code()) } else { ExitCode::SUCCESS })
}

/// The job of the file.
fn job(file: &Path) -> anyhow::Result<Job> {
    let name = file.display();
    let bad = |why: String| {
        let advice = "`wjob check` shows each error with its line";
        anyhow::Error::from(Refusal::new(Status::BadJobFile, format!("{name} cannot be attacked"), why, advice))
    };
    let text = job_file::read(file).map_err(bad)?;
    let job = job_file::load(file, &text)?.job.ok_or_else(|| bad("it is refused for its errors".into()))?;
    if job.isolation == Isolation::None {
        let why = "with Isolation None there is no wall that could hold anything";
        return Err(
            Refusal::new(Status::Misconfigured, format!("{name} cannot be attacked"), why, "remove the key").into()
        );
    }
    Ok(job)
}

/// Why an attack says nothing of this job, or that nothing of it would end the attack.
fn left_out(attack: &Attack, job: &Job, stage: &Stage) -> Option<Judgement> {
    let missing = judgement::missing(attack, job, stage.addresses());
    let missing = missing.map(Judgement::LeftOut);
    missing.or_else(|| judgement::endless(attack, &job.limits).map(Judgement::Open))
}

/// Performs one; the status to end with if somebody stopped it.
fn perform(
    runtime: &Runtime,
    corpus: &Corpus,
    job: &Job,
    stage: &Stage,
    attack: &Attack,
) -> anyhow::Result<Result<Judgement, Status>> {
    stage.furnish(&job.grants.paths)?;
    let own = copy::of(job, attack, corpus, stage);
    let run = Run::perform(runtime, own)?;
    match run.stop {
        Some(StopReason::Interrupt) => return Ok(Err(Status::Interrupted)),
        Some(StopReason::Terminate) => return Ok(Err(Status::Terminated)),
        _ => {}
    }
    let judgement = judgement::of(attack, job, &run);
    Ok(Ok(stage.touched(&job.grants.paths).map_or(judgement, Judgement::Through)))
}

fn in_words(file: &Path, told: &[(&Attack, Judgement)]) -> String {
    let heading = ["group", "attack", "contained", "wall", "how"].map(ToOwned::to_owned).to_vec();
    let rows = told.iter().map(|(attack, judgement)| Row::of(attack, judgement).cells());
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
    let count = |wanted: fn(&Judgement) -> bool| told.iter().filter(|(_, judgement)| wanted(judgement)).count();
    let contained = count(|judgement| matches!(judgement, Judgement::Contained { .. }));
    let open = count(|judgement| matches!(judgement, Judgement::Open(_)));
    let through = count(|judgement| matches!(judgement, Judgement::Through(_)));
    let rest = told.len() - contained - open - through;
    let file = render::escape(&file.to_string_lossy());
    format!(
        "{}{file}: {contained} attacks contained, {open} that nothing of the job ends, {through} got through, {rest} left \
         out\n",
        table::aligned(&rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_the_sum_tell_every_judgement_apart() {
        let attack = |name: &str| Attack { name: name.into(), group: 4, wall: "limits".into(), ..Attack::default() };
        let attacks = ["a", "b", "c", "d"].map(attack);
        let judgements = [
            Judgement::Contained { wall: "limits".into(), how: "limit CPUTime".into() },
            Judgement::Open("no RunTime".into()),
            Judgement::Through("it was read".into()),
            Judgement::LeftOut("needs a server".into()),
        ];
        let told: Vec<_> = attacks.iter().zip(judgements).collect();
        let words = in_words(Path::new("job.plist"), &told);
        for line in [
            "group  attack  contained  wall    how",
            "4      a       yes        limits  limit CPUTime",
            "4      b       NO         -       no RunTime",
            "4      d       left out   -       needs a server",
            "job.plist: 1 attacks contained, 1 that nothing of the job ends, 1 got through, 1 left out",
        ] {
            assert!(words.contains(line), "{line:?} in\n{words}");
        }
        let json = serde_json::to_value(Row::of(&attacks[3], &told[3].1)).expect("a row");
        assert!(json["contained"].is_null() && json["attack"] == "d", "{json}");
    }
}
