//! What `wjob run` says on stderr while a job runs: one line for each thing, and the lines of the job file that
//! would allow what was denied. The job's own output is none of its business.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context as _;
use wjob_model::denial::Denial;
use wjob_model::grant::Grants;
use wjob_model::message::Evidence;
use wjob_model::outcome::Verdict;
use wjob_model::wall::{Missing, WallPlan};
use wjob_supervisor::{Reporter, Usage};

use crate::render;

/// Tells the operator.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    /// Whether denials are told.
    pub explain: bool,
    /// Whether the evidence of the walls is told.
    pub show_walls: bool,
    grants: Grants,
    told: BTreeSet<&'static str>,
    usage: Usage,
}

impl Terminal {
    /// A reporter.
    pub fn new(explain: bool, show_walls: bool, grants: &Grants) -> Self {
        Self { explain, show_walls, grants: grants.clone(), ..Self::default() }
    }

    /// Writes what a run came to, beside its place and renamed into it, so that a reader sees all or nothing.
    pub fn write_status(&self, file: &Path, label: &str, verdict: &Verdict) -> anyhow::Result<()> {
        let status = serde_json::json!({
            "label": label,
            "status": verdict.status(),
            "by": if verdict.decided_by_wjob() { "wjob" } else { "job" },
            "reason": verdict.in_words(),
            "cpuSeconds": self.usage.cpu_micros as f64 / 1e6,
            "peakMemory": self.usage.peak_memory,
            "ended": SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map(|time| time.as_secs()).unwrap_or_default(),
        });
        write(file, &status)
    }
}

/// Writes why a job did not run.
pub(crate) fn write_failure(file: &Path, label: &str, status: u8, why: &str) -> anyhow::Result<()> {
    write(file, &serde_json::json!({ "label": label, "status": status, "by": "wjob", "reason": why }))
}

fn write(file: &Path, status: &serde_json::Value) -> anyhow::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let result = std::fs::write(&beside, format!("{status}\n")).and_then(|()| std::fs::rename(&beside, file));
    if result.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    result.with_context(|| format!("cannot write the status file {}", file.display()))
}

impl Reporter for Terminal {
    fn compiling(&mut self, path: &Path) {
        if rustix::termios::isatty(std::io::stderr()) {
            render::complain(&format!("compiling {} (once; `wjob compile` does it ahead)", path.display()));
        }
    }

    fn denied(&mut self, denial: &Denial) {
        if !self.explain || !self.told.insert(denial.kind()) {
            return;
        }
        let mut lines =
            vec![format!("denied: {denial}: not granted"), "these lines of the job file would allow it:".to_owned()];
        lines.extend(denial.lines(&self.grants).lines().map(|line| format!("  {}", line.replace('\t', "  "))));
        render::complain_lines(&lines);
    }

    fn walls(&mut self, evidence: &[Evidence], plan: &WallPlan) {
        if self.show_walls {
            let stand = evidence.iter().map(|evidence| {
                let stands = if evidence.stands { "stands" } else { "FALLEN" };
                format!("{:<18} {stands}  {}", evidence.wall.row().name, evidence.found)
            });
            render::complain_lines(&stand.collect::<Vec<_>>());
        }
        for missing in &plan.missing {
            render::complain(&without(missing));
        }
    }

    fn warn(&mut self, text: &str) {
        render::complain(&format!("warning: {text}"));
    }

    fn used(&mut self, usage: Usage) {
        self.usage = usage;
    }
}

fn without(missing: &Missing) -> String {
    format!("warning: running without the {} wall: {}", missing.wall.row().name, missing.why)
}
