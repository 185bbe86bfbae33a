//! What `wjob run` says on stderr while a job runs: one line for each thing, and the lines of the job file that
//! would allow what was denied. The job's own output is none of its business.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context as _;
use wjob_model::denial::{Denial, GRANTED};
use wjob_model::grant::Grants;
use wjob_model::message::Evidence;
use wjob_model::outcome::Verdict;
use wjob_model::wall::{Missing, WallPlan, WorkerKind};
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
    /// What a native program could see and reach, in words.
    view: Option<String>,
    usage: Usage,
}

impl Terminal {
    /// A reporter.
    pub fn new(explain: bool, show_walls: bool, grants: &Grants) -> Self {
        Self { explain, show_walls, grants: grants.clone(), ..Self::default() }
    }

    /// What a native program that failed was shown: the kernel does not tell what it refused, so the ways out are
    /// named instead.
    pub fn native_view(&self) {
        if let Some(view) = &self.view {
            render::complain_lines(&[
                format!("a native program's refusals are the kernel's, which names none; this is what it had: {view}"),
                "a file elsewhere needs Grants.Paths, a connection Grants.Connect; Isolation None gives all its user's rights".into(),
            ]);
        }
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
        let Some(allowing) = denial.lines(&self.grants) else {
            return render::complain(&format!("denied: {denial}: {GRANTED}"));
        };
        let mut lines =
            vec![format!("denied: {denial}: not granted"), "these lines of the job file would allow it:".to_owned()];
        lines.extend(allowing.lines().map(|line| format!("  {}", line.replace('\t', "  "))));
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
        self.view = (plan.kind == WorkerKind::Native && !plan.is_unwalled()).then(|| view(&self.grants, plan));
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

fn view(grants: &Grants, plan: &WallPlan) -> String {
    let paths = grants.paths.iter().map(|grant| format!("{} ({})", grant.guest, grant.access.word()));
    let paths: Vec<String> = paths.chain(grants.sockets().map(|path| format!("{path} (Connect)"))).collect();
    let network = match (plan.network.any(), plan.network_namespace) {
        (true, _) => "the network of Connect and Bind",
        (false, true) => "a network with nothing in it",
        (false, false) => "no network",
    };
    let paths = if paths.is_empty() { "no granted path".into() } else { paths.join(", ") };
    format!("the base (/usr, /lib and what libc reads of /etc), a /tmp and /proc of its own, {paths}, {network}")
}

fn without(missing: &Missing) -> String {
    format!("warning: running without the {} wall: {}", missing.wall.row().name, missing.why)
}
