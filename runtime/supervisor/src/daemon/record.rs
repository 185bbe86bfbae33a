//! What is noted of one run while it lives: its walls, its denials, what it used. It is handed on when the run is over.

use std::path::Path;

use serde::{Deserialize, Serialize};
use wjob_model::denial::Denial;
use wjob_model::message::Evidence;
use wjob_model::wall::WallPlan;

use super::log::Level;
use crate::order::Reporter;
use crate::spawn::Usage;

/// What is noted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// Walls as they were read back.
    pub walls: Vec<Evidence>,
    /// Denials, in words; the worker bounds them.
    pub denials: Vec<String>,
    /// What it used.
    pub usage: Usage,
    /// What is to be said in the supervisor's log.
    said: Vec<(Level, String)>,
}

impl Record {
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
        self.said.push((Level::Debug, format!("denied: {denial}")));
        self.denials.push(denial.to_string());
    }

    fn walls(&mut self, evidence: &[Evidence], plan: &WallPlan) {
        self.walls = evidence.to_vec();
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
