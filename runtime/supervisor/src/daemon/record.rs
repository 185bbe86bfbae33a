//! What is noted of one run while it lives: its walls, what was denied and when, which grants were used, what it cost.
//! It is handed on when the run is over.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wjob_model::control::GrantUse;
use wjob_model::denial::Denial;
use wjob_model::job::Job;
use wjob_model::message::Evidence;
use wjob_model::noted::{Noted, Used, uses};
use wjob_model::wall::{WallPlan, WorkerKind};

use super::clock;
use super::log::Level;
use crate::order::Reporter;
use crate::spawn::Usage;

/// What is noted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// The job as it is run; absent if it never was.
    job: Option<Arc<Job>>,
    /// Walls as they were read back.
    pub walls: Vec<Evidence>,
    /// Denials; the worker bounds how many.
    pub denials: Vec<Noted>,
    /// Grants that were used; absent if that does not show: the kernel does not tell what a native program uses.
    used: Option<Vec<Used>>,
    /// What it cost.
    pub usage: Usage,
    /// What is to be said in the supervisor's log.
    said: Vec<(Level, String)>,
}

impl Record {
    /// Of a run of this job.
    pub fn of(job: &Arc<Job>) -> Self {
        Self { job: Some(job.clone()), ..Self::default() }
    }

    /// Which of the job's grants were used, as far as that shows.
    pub fn grants(&self) -> Option<Vec<GrantUse>> {
        Some(uses(&self.job.as_ref()?.grants, self.used.as_ref()?))
    }

    /// Takes what is to be said.
    pub fn take_said(&mut self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.said)
    }
}

impl Reporter for Record {
    fn compiling(&mut self, path: &Path) {
        self.said.push((Level::Info, format!("compiling {}", path.display())));
    }

    fn denied(&mut self, denial: &Denial) {
        let grants = self.job.as_ref().map(|job| &job.grants);
        let noted = grants.and_then(|grants| Noted::new(denial, clock::now().wall.as_millisecond(), grants));
        if let Some(noted) = noted {
            self.said.push((Level::Debug, format!("denied: {denial}")));
            self.denials.push(noted);
        }
    }

    fn grant_used(&mut self, used: Used) {
        if let Some(all) = self.used.as_mut().filter(|all| !all.contains(&used)) {
            all.push(used);
        }
    }

    fn walls(&mut self, evidence: &[Evidence], plan: &WallPlan) {
        self.walls = evidence.to_vec();
        self.used = (plan.kind == WorkerKind::Wasm).then(Vec::new);
        for missing in &plan.missing {
            let text = format!("without the {} wall: {}", missing.wall.row().name, missing.why);
            self.said.push((Level::Warn, text));
        }
    }

    fn warn(&mut self, text: &str) {
        self.said.push((Level::Warn, text.to_owned()));
    }

    fn used(&mut self, usage: Usage) {
        self.usage = usage;
    }
}

#[cfg(test)]
mod tests {
    use wjob_model::spec::{Context, load};
    use wjob_model::wall::{Machine, plan};

    use super::*;

    fn job() -> Arc<Job> {
        let text = b"{ Label = a; Program = \"/bin/a\"; Grants = { Connect = (\"tcp://127.0.0.1:1\"); }; }";
        let loaded = load(text, &Context { folder: "/", home: "/root", uid: 0 });
        Arc::new(loaded.job.expect("a job"))
    }

    #[test]
    fn a_grant_is_noted_once_and_only_where_its_use_shows() {
        let machine = Machine { uid: 0, landlock_abi: 7, seccomp: true, namespaces: Ok(()), under_root: true };
        for (wasm, expected) in [(true, Some(vec![Used::Connect(0)])), (false, None)] {
            let mut record = Record::of(&job());
            let plan = plan(&job(), "/bin/a", wasm, &machine, false).expect("a plan");
            record.walls(&[], &plan);
            record.grant_used(Used::Connect(0));
            record.grant_used(Used::Connect(0));
            assert_eq!(record.used, expected, "wasm {wasm}");
        }
    }

    #[test]
    fn a_denial_is_noted_with_its_moment_and_said() {
        let mut record = Record::of(&job());
        let before = clock::now().wall.as_millisecond();
        record.denied(&Denial::Lookup { name: "x.example".into() });
        record.denied(&Denial::Lookup { name: "x".repeat(1 << 20) });
        assert_eq!(record.denials.len(), 1, "what no guest can name is not noted");
        assert!(record.denials[0].wall_ms >= before);
        assert_eq!(record.take_said().len(), 1);
    }
}
