//! `wjob check FILE...`: everything that is wrong with job files, or worth knowing, and how their jobs would be run.
//! It starts nothing and changes nothing; what counts as wrong is model's decision, and the loader refuses by the same.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use wjob_model::finding::{Finding, Severity, line_and_column};
use wjob_model::imports::{self, HowRun};
use wjob_model::job::{Job, ProgramFile, STANDARD_PATH};
use wjob_model::plist;
use wjob_model::status::Status;
use wjob_model::wall::unheld;

use wjob_worker::inspect;

use crate::{job_file, render};

/// What `wjob check` is told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Job files; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object per finding and line
    #[arg(long)]
    json: bool,
    /// Turn warnings into errors
    #[arg(long)]
    strict: bool,
    /// Show notes too
    #[arg(long, short)]
    verbose: bool,
}

/// What is known about one file.
struct Checked {
    file: String,
    text: Vec<u8>,
    findings: Vec<Finding>,
    /// How the job would be run, when that is known.
    how: Option<String>,
}

/// Checks every file; fails when one of them would be refused.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut failed = false;
    for file in &arguments.files {
        let checked = check(file)?;
        failed |= checked.fails(arguments.strict);
        let report = if arguments.json { checked.lines()? } else { checked.in_words(arguments.verbose) };
        render::print(report)?;
    }
    Ok(if failed { ExitCode::from(Status::BadJobFile.code()) } else { ExitCode::SUCCESS })
}

fn check(file: &Path) -> anyhow::Result<Checked> {
    let mut checked =
        Checked { file: file.to_string_lossy().into_owned(), text: Vec::new(), findings: Vec::new(), how: None };
    match job_file::read(file) {
        Ok(text) => checked.text = text,
        Err(fault) => {
            let finding =
                Finding::new(Severity::Error, "unreadable", fault).help("name a property list that you may read");
            checked.findings.push(finding);
            return Ok(checked);
        }
    }
    let loaded = job_file::load(file, &checked.text)?;
    checked.findings = loaded.findings;
    if let Some(job) = &loaded.job {
        checked.look_at_program(job);
    }
    Ok(checked)
}

impl Checked {
    /// Compares the job with what its program imports and exports, if the program is there and WebAssembly.
    fn look_at_program(&mut self, job: &Job) {
        let Some(path) = program(&job.program.file) else {
            let name = job.program.file.text();
            let message = format!("the program {name} does not exist here, so its imports were not compared");
            self.findings.push(Finding::new(Severity::Note, "program-missing", message));
            return;
        };
        match inspect::program(&path) {
            Ok(Some(seen)) => {
                let imports: Vec<&str> = seen.imports.iter().map(String::as_str).collect();
                let exports: Vec<&str> = seen.exports.iter().map(String::as_str).collect();
                let mut findings = imports::compare(seen.kind, &imports, job);
                let how = imports::how_run(seen.kind, &imports, &exports, job);
                findings.extend(how.as_ref().err().cloned());
                findings.extend(how.as_ref().ok().and_then(|how| imports::reuse_without_effect(*how, job)));
                self.place(&mut findings);
                self.findings.extend(findings);
                // What would not even start is not run in any way.
                self.how = how.ok().filter(|_| self.count(Severity::Error) == 0).map(|how| how.in_words().to_owned());
            }
            Ok(None) => {
                let reuse = imports::reuse_without_effect(HowRun::Native, job);
                let mut findings: Vec<Finding> = unheld(job).chain(reuse).collect();
                self.place(&mut findings);
                self.findings.extend(findings);
            }
            Err(fault) => {
                let message = format!("the program {} cannot be examined: {fault}", path.display());
                self.findings.push(Finding::new(Severity::Error, "program-unreadable", message));
            }
        }
    }

    /// Gives findings about the program the place of the key they are about, if the file has it.
    fn place(&self, findings: &mut [Finding]) {
        let Ok(document) = plist::read(&self.text) else {
            return;
        };
        for finding in findings.iter_mut().filter(|finding| finding.span.is_none()) {
            finding.span = document.root.span_of(&finding.key_path);
        }
    }

    fn fails(&self, strict: bool) -> bool {
        self.count(Severity::Error) > 0 || (strict && self.count(Severity::Warning) > 0)
    }

    fn count(&self, severity: Severity) -> usize {
        let same = |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(same).count()
    }

    /// The findings drawn, then the verdict.
    fn in_words(&self, with_notes: bool) -> String {
        let colour = render::colour();
        let mut report = String::new();
        for finding in &self.findings {
            if with_notes || finding.severity > Severity::Note {
                report += &render::finding(&self.file, &self.text, finding, colour);
                report += "\n\n";
            }
        }
        let file = render::escape(&self.file);
        report += &format!("{file}: {}\n", self.verdict(with_notes));
        if let Some(how) = &self.how {
            report += &format!("{file}: {}\n", render::escape(how));
        }
        report
    }

    /// `ok`, or how much of what was found: `1 error, 2 warnings`.
    fn verdict(&self, with_notes: bool) -> String {
        let counts = [
            (self.count(Severity::Error), "error"),
            (self.count(Severity::Warning), "warning"),
            (self.count(Severity::Note), "note"),
        ];
        let mut parts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        if counts[0].0 + counts[1].0 == 0 {
            parts.insert(0, "ok".into());
        }
        let hint = if counts[2].0 > 0 && !with_notes { " (see --verbose)" } else { "" };
        parts.join(", ") + hint
    }

    /// The findings as JSON, one per line.
    fn lines(&self) -> anyhow::Result<String> {
        let mut lines = String::new();
        for finding in &self.findings {
            lines += &serde_json::to_string(&self.row(finding))?;
            lines.push('\n');
        }
        Ok(lines)
    }

    fn row<'a>(&'a self, finding: &'a Finding) -> Row<'a> {
        let place = finding.span.map(|span| line_and_column(&self.text, span.start));
        Row {
            file: &self.file,
            severity: finding.severity,
            code: finding.code,
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            key_path: &finding.key_path,
            message: &finding.message,
            help: finding.help.as_deref(),
        }
    }
}

/// A finding as `--json` prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    file: &'a str,
    severity: Severity,
    code: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    key_path: &'a str,
    message: &'a str,
    help: Option<&'a str>,
}

/// The program file, where it exists.
fn program(file: &ProgramFile) -> Option<PathBuf> {
    let candidates = match file {
        ProgramFile::Path(path) => vec![PathBuf::from(path)],
        ProgramFile::Name(name) => STANDARD_PATH.split(':').map(|folder| Path::new(folder).join(name)).collect(),
    };
    candidates.into_iter().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_counts_and_mentions_what_is_hidden() {
        use Severity::{Error, Note, Warning};
        for (severities, strict, verdict, fails) in [
            (&[][..], true, "ok", false),
            (&[Note], false, "ok, 1 note (see --verbose)", false),
            (&[Note], true, "ok, 1 note", false),
            (&[Warning], true, "1 warning", true),
            (&[Warning, Warning], false, "2 warnings", false),
            (&[Error, Warning], false, "1 error, 1 warning", true),
        ] {
            let findings = severities.iter().map(|severity| Finding::new(*severity, "test", ""));
            let checked =
                Checked { file: "job.plist".into(), text: Vec::new(), findings: findings.collect(), how: None };
            assert_eq!(checked.verdict(strict), verdict);
            assert_eq!(checked.fails(strict), fails, "{verdict}");
        }
    }

    #[test]
    fn only_regular_files_are_read() {
        assert!(job_file::read(Path::new("/dev/null")).is_err());
        assert!(job_file::read(Path::new("/no/such/file")).is_err());
        assert!(job_file::read(Path::new("/proc/self/status")).is_ok());
    }
}
