//! `wjob explain TARGET|FILE`: what a job may do and which wall holds it, in sentences; what its runs were denied, with
//! the lines that would allow it, and which grants none of them used. A file is explained without a supervisor too.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use wjob_model::control::{JobDetail, Method, OfJob, Sentence};
use wjob_model::denial::GRANTED;
use wjob_model::explain::{Denied, Unused, denied, sentences, unused};
use wjob_model::finding::Severity;
use wjob_model::job::ProgramFile;
use wjob_model::program::ProgramKind;
use wjob_model::record::{HistoryQuery, RunRow};
use wjob_model::status::Status;

use crate::refusal::{Refusal, in_a_line};
use crate::target::{self, Domain, Target};
use crate::when::Clock;
use crate::{history, job_file, render, socket};

/// What `wjob explain` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = target::HELP)]
pub(crate) struct Arguments {
    /// A loaded job, or a job file
    #[arg(value_name = "TARGET|FILE")]
    target: String,
    /// In how many of the newest runs it is looked what was denied and used
    #[arg(long, value_name = "N", default_value_t = 20)]
    runs: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Everything that is explained.
#[derive(Serialize)]
struct Explained {
    label: String,
    file: String,
    /// What its program is, if that could be found out.
    #[serde(skip)]
    kind: Option<ProgramKind>,
    sentences: Vec<Sentence>,
    /// What its runs have shown; absent if nobody could be asked.
    past: Option<Past>,
    /// Why nobody could.
    #[serde(skip)]
    unasked: Option<String>,
}

/// What runs have shown.
#[derive(Default, Serialize)]
struct Past {
    /// How many were looked at.
    runs: usize,
    /// Of how many it shows which grants they used.
    watched: usize,
    denied: Vec<Denied>,
    /// Denials that were not kept.
    more_denials: i64,
    unused: Vec<Unused>,
}

/// Explains it.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let explained = match is_file(&arguments.target) {
        true => of_file(Path::new(&arguments.target), arguments.runs)?,
        false => of_job(&arguments.target, arguments.runs)?,
    };
    render::print(match arguments.json {
        true => serde_json::to_string(&explained)? + "\n",
        false => explained.in_words(&Clock::system()),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A file is named by a path, or lies here; one that is called as a domain is written as in ./system.
fn is_file(text: &str) -> bool {
    let path = Path::new(text);
    text == "-" || !target::names_domain(text) && (text.contains('/') || text.ends_with(".plist") || path.is_file())
}

fn of_file(file: &Path, runs: u32) -> anyhow::Result<Explained> {
    let name = file.display().to_string();
    let text = job_file::read(file).map_err(|why| {
        let advice = "name a property list that you may read, or the label of a job that is loaded";
        Refusal::new(Status::BadJobFile, format!("{name} cannot be explained"), why, advice)
    })?;
    let loaded = job_file::load(file, &text)?;
    let Some(job) = loaded.job else {
        let first = loaded.findings.iter().find(|finding| finding.severity == Severity::Error);
        let why = first.map_or_else(|| "it has errors".into(), |finding| finding.message.clone());
        let advice = format!("`wjob check {name}` says everything that is wrong with it");
        return Err(Refusal::new(Status::BadJobFile, format!("{name} is no job"), why, advice).into());
    };
    let (kind, sentences) = (kind(&job.program.file), sentences(&job, None));
    let explained = Explained { label: job.label, file: name, kind, sentences, past: None, unasked: None };
    Ok(explained.with_past(target::own(), &job.grants.in_words(), runs))
}

fn of_job(text: &str, runs: u32) -> anyhow::Result<Explained> {
    let (domain, label) = Target::job(text)?;
    let job: JobDetail = socket::control(domain)?.call(Method::Print, &OfJob { label: label.clone() })?;
    if job.path.is_empty() {
        let why = "what a job may do names its paths, which are for the domain's owner and root";
        let advice = "ask as one of them, or explain the job's file";
        return Err(Refusal::new(Status::NotPermitted, format!("{label} is not explained to you"), why, advice).into());
    }
    let program = match job.program.contains('/') {
        true => ProgramFile::Path(job.program),
        false => ProgramFile::Name(job.program),
    };
    let (file, sentences) = (job.path, job.sentences);
    let explained = Explained { label, file, kind: kind(&program), sentences, past: None, unasked: None };
    Ok(explained.with_past(domain, &job.grants, runs))
}

/// What a program is; one that cannot be opened is anything.
fn kind(program: &ProgramFile) -> Option<ProgramKind> {
    wjob_supervisor::find(program).ok().map(|found| found.kind)
}

impl Past {
    /// Asks the logger of a domain.
    ///
    /// # Errors
    /// When it does not answer, or not this caller.
    fn ask(domain: Domain, label: &str, grants: &[String], runs: u32) -> anyhow::Result<Self> {
        let query = HistoryQuery { label: Some(label.to_owned()), last: Some(runs.into()) };
        Ok(Self::of(&socket::ask_log(domain, |client| history::ask(client, &query))?, grants))
    }

    fn of(runs: &[RunRow], grants: &[String]) -> Self {
        Self {
            runs: runs.len(),
            watched: runs.iter().filter(|run| run.grants.is_some()).count(),
            denied: denied(runs),
            more_denials: runs.iter().map(|run| run.more_denials).sum(),
            unused: unused(grants, runs),
        }
    }

    fn denials(&self, clock: &Clock) -> Vec<String> {
        let mut lines = Vec::new();
        for Denied { denial, runs } in &self.denied {
            let (what, wall, time) = (&denial.what, &denial.wall, clock.local(&denial.time));
            let how = if denial.lines.is_empty() { GRANTED } else { "these lines of the job file would allow it:" };
            lines.push(format!("{what}: refused by {wall} in {} of them, last at {time}; {how}", times(*runs)));
            lines.extend(denial.lines.lines().map(|line| format!("    {}", line.replace('\t', "  "))));
        }
        if self.more_denials > 0 {
            lines.push(format!("and {} more, which were not kept", self.more_denials));
        }
        lines
    }

    fn unused(&self) -> Vec<String> {
        self.unused.iter().map(|Unused { grant, runs }| format!("{grant}: not in {}", times(*runs))).collect()
    }

    /// What does not show, so that nobody takes it for not there.
    fn unknown(&self, native: bool) -> Vec<String> {
        let variables = "which variables it reads: a guest is handed all of them at once";
        let mut lines = vec![
            if native { "what it uses and what it was refused: the kernel does not tell" } else { variables }
                .to_owned(),
        ];
        let unwatched = self.runs - self.watched;
        if !native && unwatched > 0 {
            lines.push(format!("which grants were used in {}, which did not end or never began", times(unwatched)));
        }
        lines
    }
}

fn times(runs: usize) -> String {
    if runs == 1 { "1 run".into() } else { format!("{runs} runs") }
}

impl Explained {
    /// With what runs have shown, as far as somebody knows of it.
    fn with_past(self, domain: Domain, grants: &[String], runs: u32) -> Self {
        match Past::ask(domain, &self.label, grants, runs) {
            Ok(past) => Self { past: Some(past), ..self },
            Err(error) => Self { unasked: Some(in_a_line(&error)), ..self },
        }
    }

    fn in_words(&self, clock: &Clock) -> String {
        let kind = self.kind.map_or(String::new(), |kind| format!(", {}", kind.in_words()));
        let head = format!("{} ({}){kind}\n", render::escape(&self.label), render::escape(&self.file));
        let native = self.kind.is_some_and(|kind| !kind.is_wasm());
        let mut text = head + &section("what it may do", &self.may());
        let Some(past) = &self.past else {
            let why = self.unasked.as_deref().unwrap_or_default();
            return text + &section("what its runs have shown", &[format!("nobody could be asked: {why}")]);
        };
        if past.runs == 0 {
            return text + &section("what its runs have shown", &["it has not been run".to_owned()]);
        }
        text += &section(&format!("denied in the last {}", times(past.runs)), &past.denials(clock));
        text += &section("granted and never used", &past.unused());
        text + &section("what does not show", &past.unknown(native))
    }

    fn may(&self) -> Vec<String> {
        let wasm = self.kind.is_none_or(ProgramKind::is_wasm);
        let mut lines = Vec::new();
        for Sentence { says, guest, kernel, .. } in &self.sentences {
            lines.push(says.clone());
            let of_wasm = if self.kind.is_none() { ", of a WebAssembly program" } else { "" };
            let held = [(wasm, format!("WASI wall{of_wasm}"), guest), (true, "kernel wall".into(), kernel)];
            let held = held.iter().filter(|(stands, _, how)| *stands && !how.is_empty());
            lines.extend(held.map(|(_, wall, how)| format!("    {wall}: {how}")));
        }
        lines
    }
}

/// A title and lines below it, each made safe; one that says so if there are none.
fn section(title: &str, lines: &[String]) -> String {
    let none = ["nothing".to_owned()];
    let lines = if lines.is_empty() { none.as_slice() } else { lines };
    let lines: String = lines.iter().map(|line| format!("  {}\n", render::escape(line))).collect();
    format!("\n{title}\n{lines}")
}

#[cfg(test)]
mod tests {
    use wjob_model::control::DenialRow;

    use super::*;
    use crate::when::standing;

    fn explained(kind: Option<ProgramKind>, past: Option<Past>) -> Explained {
        let sentence = Sentence {
            about: "Grants.Paths[0]".into(),
            says: "It may read /a\u{1b}.".into(),
            guest: "preopened".into(),
            kernel: "shown".into(),
        };
        let unasked = past.is_none().then(|| "no supervisor answers".to_owned());
        Explained { label: "a.b".into(), file: "/j/a.plist".into(), kind, sentences: vec![sentence], past, unasked }
    }

    fn past() -> Past {
        let denial = DenialRow {
            time: "2026-11-21T09:00:00Z".into(),
            kind: "read".into(),
            what: "reading /x".into(),
            wall: "the WASI wall".into(),
            lines: "<key>Grants</key>\n\t<key>Paths</key>".into(),
        };
        let unused = Unused { grant: "connect tcp://x:1".into(), runs: 3 };
        Past { runs: 3, watched: 3, denied: vec![Denied { denial, runs: 1 }], more_denials: 0, unused: vec![unused] }
    }

    #[test]
    fn a_job_is_explained_with_what_its_runs_have_shown() {
        let expected = "\
a.b (/j/a.plist), a WebAssembly component

what it may do
  It may read /a\\u{1b}.
      WASI wall: preopened
      kernel wall: shown

denied in the last 3 runs
  reading /x: refused by the WASI wall in 1 run of them, last at 2026-11-21 10:00:00; these lines of the job file would allow it:
      <key>Grants</key>
        <key>Paths</key>

granted and never used
  connect tcp://x:1: not in 3 runs

what does not show
  which variables it reads: a guest is handed all of them at once
";
        assert_eq!(explained(Some(ProgramKind::Component), Some(past())).in_words(&standing()), expected);
    }

    #[test]
    fn what_is_not_known_is_said() {
        for (kind, past, part, absent) in [
            (Some(ProgramKind::Elf), Some(past()), "the kernel does not tell", "WASI wall: preopened"),
            (None, Some(past()), "WASI wall, of a WebAssembly program: preopened", "the kernel does not tell"),
            (None, None, "nobody could be asked: no supervisor answers", "never used"),
            (None, Some(Past::default()), "it has not been run", "never used"),
            (Some(ProgramKind::Module), Some(Past { watched: 1, ..past() }), "in 2 runs, which did not end", "native"),
            (
                Some(ProgramKind::Module),
                Some(Past { runs: 1, watched: 1, ..Past::default() }),
                "never used\n  nothing\n",
                "which did not end",
            ),
        ] {
            let text = explained(kind, past).in_words(&standing());
            assert!(text.contains(part) && !text.contains(absent), "{text}");
        }
    }

    #[test]
    fn files_are_told_from_labels() {
        for (text, expected) in [
            ("com.example.a", false),
            ("system/com.example.a", false),
            ("user/7/a.plist", false),
            ("a.plist", true),
            ("./system", true),
            ("/j/a", true),
            ("-", true),
        ] {
            assert_eq!(is_file(text), expected, "{text}");
        }
    }
}
