//! How much a job could do if its program were hostile, line by line and as one score from 0 to 10, as
//! systemd-analyze(1) has it for units. It judges a job as it is meant and the walls that were read back or are
//! expected; it opens nothing, refuses nothing and changes no grant.
//!
//! The score is the sum of what the lines have, at most 10: so what one line costs can be read off it, a grant never
//! lowers it and a wall never raises it.

mod grants;
mod limits;
mod network;
mod reach;
mod standing;
mod table;
#[cfg(test)]
mod tests;
mod walls;

use crate::control::{Audited, Exposure};
use crate::job::{Isolation, Job};
use crate::program::ProgramKind;
use crate::varlink::shortened;
use crate::wall::Wall;

pub use standing::{Basis, Standing, names_root, user_like};
pub use table::{ROWS, Row};

/// The worst that a line can be.
pub const WORST: u32 = 10;
/// The highest score, in hundredths.
const MOST: u32 = 1_000;
/// Hundredths in a tenth, to which a score is rounded up: what is compared is what is read.
const ROUNDED_TO: u32 = 10;
/// How many things of a kind a sentence names.
const NAMED: usize = 3;

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The job.
    pub job: &'a Job,
    /// What its program is; `None` = that cannot be told, and it is taken for a native one.
    pub kind: Option<ProgramKind>,
    /// Whether it runs as root.
    pub root: bool,
    /// The walls around it.
    pub standing: &'a Standing,
}

impl Subject<'_> {
    fn is_wasm(&self) -> bool {
        self.kind.is_some_and(ProgramKind::is_wasm)
    }

    fn has(&self, wall: Wall) -> bool {
        self.standing.walls.contains(&wall)
    }

    /// What holds a thing that the WASI wall holds, and in the kernel these walls together; without walls that are
    /// named, the kernel's as a whole.
    fn held(&self, walls: &[Wall]) -> Held {
        let whole = self.job.isolation != Isolation::None;
        let kernel = if walls.is_empty() { whole } else { walls.iter().all(|wall| self.has(*wall)) };
        match (self.is_wasm(), kernel) {
            (true, true) => Held::Both,
            (true, false) => Held::Guest,
            (false, true) => Held::Kernel,
            (false, false) => Held::Nothing,
        }
    }
}

/// Which wall holds what a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The WASI wall and the kernel wall.
    Both,
    /// The WASI wall alone.
    Guest,
    /// The kernel wall alone.
    Kernel,
    /// None.
    Nothing,
}

impl Held {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Guest => "guest",
            Self::Kernel => "kernel",
            Self::Nothing => "none",
        }
    }
}

/// What a row of the table says of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// From 0 to [`WORST`].
    pub badness: u32,
    /// What holds it.
    pub held: Held,
    /// What it is, in a plain sentence.
    pub words: String,
}

impl Judged {
    fn new(badness: u32, held: Held, words: impl Into<String>) -> Self {
        Self { badness: badness.min(WORST), held, words: words.into() }
    }
}

/// A row of the table and what it says of the job.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The row.
    pub row: &'static Row,
    /// What it says.
    pub judged: Judged,
}

impl Finding {
    /// What it adds to the score, in hundredths.
    pub fn points(&self) -> u32 {
        self.row.weight * self.judged.badness
    }
}

/// All that is to be said of a job.
#[derive(Clone, Debug)]
pub struct Audit {
    /// A line for each row of the table, in its order.
    pub findings: Vec<Finding>,
}

/// Judges a job.
pub fn audit(subject: &Subject<'_>) -> Audit {
    Audit { findings: ROWS.iter().map(|row| Finding { row, judged: row.judge(subject) }).collect() }
}

impl Audit {
    /// The sum.
    pub fn score(&self) -> Score {
        let points: u32 = self.findings.iter().map(Finding::points).sum();
        Score(points.min(MOST).div_ceil(ROUNDED_TO))
    }

    /// The same as it is told.
    pub fn told(&self, subject: &Subject<'_>) -> Audited {
        let score = self.score();
        Audited {
            label: subject.job.label.clone(),
            score: score.number(),
            level: score.level().word().into(),
            walls: subject.standing.basis.word().into(),
            note: subject.standing.note.clone(),
            findings: self.findings.iter().map(exposure).collect(),
        }
    }
}

fn exposure(finding: &Finding) -> Exposure {
    let Judged { badness, held, words } = &finding.judged;
    Exposure {
        id: finding.row.id.into(),
        badness: i64::from(*badness),
        points: f64::from(finding.points()) / 100.0,
        held: held.word().into(),
        words: words.clone(),
        change: finding.row.change.into(),
    }
}

/// How exposed a job is, in tenths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(u32);

impl Score {
    /// From 0.0 to 10.0.
    pub fn number(self) -> f64 {
        f64::from(self.0) / 10.0
    }

    /// The same in a word.
    pub fn level(self) -> Level {
        match self.0 {
            0..10 => Level::Safe,
            10..30 => Level::Ok,
            30..50 => Level::Medium,
            50..80 => Level::Exposed,
            _ => Level::Unsafe,
        }
    }
}

/// A score in a word, from the least exposed on. The words are those of systemd-analyze(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Below 1: it reaches nothing that matters.
    Safe,
    /// Below 3.
    Ok,
    /// Below 5.
    Medium,
    /// Below 8.
    Exposed,
    /// The rest.
    Unsafe,
}

impl Level {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Safe => "SAFE",
            Self::Ok => "OK",
            Self::Medium => "MEDIUM",
            Self::Exposed => "EXPOSED",
            Self::Unsafe => "UNSAFE",
        }
    }
}

/// The worst of several, and a step more for each further one.
fn worst(each: &[u32]) -> u32 {
    let Some(most) = each.iter().max() else {
        return 0;
    };
    most.saturating_add(count(each.len() - 1)).min(WORST)
}

/// A number of things, as far as it makes anything worse.
fn count(things: usize) -> u32 {
    u32::try_from(things).unwrap_or(WORST).min(WORST)
}

/// Some things by name, and how many more there are. A job file may name thousands, and each at length.
fn named(things: &[String]) -> String {
    let first: Vec<String> = things.iter().take(NAMED).map(|thing| shortened(thing)).collect();
    match things.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
