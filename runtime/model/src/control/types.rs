//! What travels over the control socket, as values: one struct for each call's parameters and each reply. The
//! interface file beside it says the same in Varlink's words; a test compares the two.

use serde::{Deserialize, Serialize};

/// A call about one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfJob {
    /// Its label.
    pub label: String,
}

/// `Bootstrap`: load a job file, or all of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Absolute path.
    pub path: String,
}

/// What `Bootstrap` and `Reload` did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// Labels of the jobs loaded.
    pub loaded: Vec<String>,
    /// Labels of the jobs that were taken out, by `Reload`.
    pub removed: Vec<String>,
    /// What could not be loaded, one sentence each.
    pub refused: Vec<String>,
}

/// `Bootout`: take a job out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootout {
    /// Its label.
    pub label: String,
    /// Whether the answer waits until the job is gone.
    pub wait: bool,
}

/// `Kickstart`: start a job now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kickstart {
    /// Its label.
    pub label: String,
    /// Whether a running one is ended first.
    pub kill: bool,
}

/// What `Kickstart` did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kickstarted {
    /// The worker's process; absent while the program is still being compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i64>,
    /// Whether it had been running already.
    pub running: bool,
}

/// `Kill`: send a job a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// Its label.
    pub label: String,
    /// The signal's number.
    pub signal: i64,
}

/// `Reload`: read one job file again, or, without a label, the configuration and all folders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// The job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// The supervisor itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervisor {
    /// Version and build.
    pub build: String,
    /// `system` or `user/UID`.
    pub domain: String,
    /// Its process.
    pub pid: i64,
    /// When it started, RFC 3339.
    pub since: String,
    /// Jobs loaded.
    pub jobs: i64,
    /// Jobs running.
    pub running: i64,
    /// Whether it is shutting down.
    pub stopping: bool,
    /// Its log level.
    pub log_level: String,
    /// Folder of history and overrides.
    pub state: String,
    /// The configuration file, whether or not it is there.
    pub configuration: String,
    /// Folders job files are read from.
    pub folders: Vec<String>,
    /// Whether the logger runs; else why not.
    pub logger: String,
    /// Folder of the control group that it divides among its jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_lacking: Option<String>,
}

/// What `Upgrade` came to, as the program that has taken over says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgraded {
    /// Its version and build.
    pub build: String,
    /// Jobs whose workers went on meanwhile.
    pub running: i64,
}

/// A job in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRow {
    /// Its label.
    pub label: String,
    /// State in one word: idle, waiting, misconfigured, starting, running, stopping, finished, disabled, leaving.
    pub state: String,
    /// Why it does not run and what it waits for, or why it runs; one phrase.
    pub why: String,
    /// Its worker's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i64>,
    /// The last run's exit status; a signal is negative. Absent before the first end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
    /// When it starts next, as far as that is known; RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How often it was started.
    pub runs: i64,
    /// Whether it runs without walls (`Isolation` None).
    pub unwalled: bool,
}

/// `List`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jobs {
    /// By label.
    pub jobs: Vec<JobRow>,
}

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A wall as it was read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallRow {
    /// Its name.
    pub wall: String,
    /// What was found.
    pub found: String,
    /// Whether it stands.
    pub stands: bool,
}

/// Something that a job was denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenialRow {
    /// When it was denied first in its run, RFC 3339.
    pub time: String,
    /// One word: read, write, connect, unix, bind, socket, lookup, request or environment.
    pub kind: String,
    /// What, in words.
    pub what: String,
    /// Which wall refused it, in words.
    pub wall: String,
    /// The lines of the job file that would allow it; empty if a grant reaches so far and something else refused it.
    pub lines: String,
}

/// Whether a run used one of its job's grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantUse {
    /// The grant, in words.
    pub grant: String,
    /// Whether it was used.
    pub used: bool,
}

/// One thing there is to say of a job, and what holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// The key of the job file that it is about.
    pub about: String,
    /// The sentence.
    pub says: String,
    /// How the WASI wall holds it; empty if that has no part in it. A native program has no such wall.
    pub guest: String,
    /// How the kernel wall holds it; empty if that has no part in it.
    pub kernel: String,
}

/// `Print`: everything about a job. What the caller may not see is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDetail {
    /// As in a list.
    pub row: JobRow,
    /// Its job file.
    pub path: String,
    /// `system` or `user/UID`.
    pub domain: String,
    /// The program file.
    pub program: String,
    /// argv.
    pub arguments: Vec<String>,
    /// What it is given.
    pub environment: Vec<Pair>,
    /// The rest of the job file that was set: key and value in words.
    pub properties: Vec<Pair>,
    /// What can start it, in words.
    pub demand: Vec<String>,
    /// What it may do, in words.
    pub grants: Vec<String>,
    /// What it may use, in words, and for those who may see it what holds each of that.
    pub limits: Vec<String>,
    /// What demanded the current or last run, in order.
    pub reason: Vec<String>,
    /// How the last run ended, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<String>,
    /// Failed starts in a row.
    pub failures: i64,
    /// The walls of the current or last run.
    pub walls: Vec<WallRow>,
    /// What the current or last run was denied.
    pub denials: Vec<DenialRow>,
    /// What its job file means, in sentences.
    pub sentences: Vec<Sentence>,
}

/// `Blame`: what demanded the current or last run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blame {
    /// In order, at most 16.
    pub causes: Vec<String>,
}

/// `Audit`: how much a job could do if its program were hostile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audited {
    /// Its label.
    pub label: String,
    /// From 0 to 10, rounded up to a tenth.
    pub score: f64,
    /// The same in a word: SAFE, OK, MEDIUM, EXPOSED, UNSAFE.
    pub level: String,
    /// How its walls are known: "read back" from its current or last run, or "expected" of one.
    pub walls: String,
    /// What there is to say beside; absent = nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What the score is made of.
    pub findings: Vec<Exposure>,
}

/// A line of an audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// Its fixed name.
    pub id: String,
    /// From 0 to 10.
    pub badness: i64,
    /// What it adds to the score.
    pub points: f64,
    /// What holds it: both walls, the guest's (WASI), the kernel's, none.
    pub held: String,
    /// What it is, in a sentence.
    pub words: String,
    /// What to change to lower it.
    pub change: String,
}

/// A row of the overrides store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// A label, loaded or not.
    pub label: String,
    /// What was decided.
    pub disabled: bool,
}

/// `Overrides`: the whole store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// By label.
    pub overrides: Vec<Override>,
}

/// `Events`: one thing that happened; replies go on until the caller leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// When, RFC 3339.
    pub time: String,
    /// The job; absent if it is about the supervisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// One word: loaded, unloaded, waiting, started, ended, failed, denied, enabled, disabled, lost,
    /// stopping, upgraded.
    pub what: String,
    /// In words.
    pub detail: String,
}
