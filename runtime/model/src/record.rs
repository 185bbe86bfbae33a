//! What a supervisor tells its logger and what the logger answers those who ask: values, and the bounds on them. How
//! they travel is `sandbox::channel`'s and Varlink's business, how they are kept is the logger's.

use serde::{Deserialize, Serialize};

use crate::control::{DenialRow, GrantUse, WallRow};
use crate::daemon::LogLevel;
use crate::grant::Control;
use crate::noted::Noted;

/// Largest message to a logger, bytes: the end of a run brings its denials.
pub const RECORD_BYTES: usize = 8 << 20;
/// The interface that the query socket serves.
pub const INTERFACE: &str = "io.wjob.log";

/// A run as a person counts: which start of its job it was, under the supervisor that started it (`fleet::RunId`).
pub fn start_number(run: i64) -> i64 {
    run & 0xffff_ffff
}

/// What a supervisor says. [`Open`] comes first and once; the channel's end is the order to finish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToLogger {
    /// Begin. Two descriptors come with it: the state directory and the listening query socket.
    Open(Open),
    /// Read a stream. One descriptor comes with it: the read end of the pipe that the job writes to.
    Attach(Attach),
    /// Keep a line of the supervisor's own log.
    Line(Line),
    /// A run began. Said again after the logger was restarted, it is the same run.
    Began(Began),
    /// A run is over.
    Ended(Ended),
    /// The bounds have changed.
    Bounds(Bounds),
    /// Whose process it is that asks the logger something: the answer to [`FromLogger::Asks`].
    Asker(Asker),
}

/// What a logger says. How it goes holds until the next word of that; a logger that cannot go on says why and ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromLogger {
    /// What comes is kept, and queries are answered.
    Ready,
    /// Nothing can be kept now. Pipes are read all the same, and what is dropped is counted.
    Failed {
        /// The reason, in words.
        why: String,
    },
    /// A client is there, of whose process is to be told whether it is a job's.
    Asks {
        /// The logger's number for it.
        client: u64,
        /// Its process.
        pid: i32,
    },
}

/// Whose process a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// The logger's number for the client.
    pub client: u64,
    /// The `Control` grant of the job that it belongs to, if it belongs to one.
    pub job: Option<Option<Control>>,
}

/// The first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The build that sends it; another build refuses, naming both.
    pub build: String,
    /// The user whose domain it is: it and root may ask.
    pub owner: u32,
    /// How much is kept.
    pub limits: Bounds,
}

/// How much a logger keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Of one job's output, bytes.
    pub per_job_bytes: u64,
    /// Of all output, bytes.
    pub total_bytes: u64,
    /// Runs of one job.
    pub runs_per_job: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { per_job_bytes: 16 << 20, total_bytes: 256 << 20, runs_per_job: 1_000 }
    }
}

/// A stream to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The job.
    pub label: String,
    /// The run, by the supervisor's number.
    pub run: u64,
    /// Which of its two streams.
    pub stream: Stream,
}

/// A job's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stream {
    /// stdout
    Out,
    /// stderr
    Error,
}

/// A line of the supervisor's own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The job it is about, if it is about one.
    pub label: Option<String>,
    /// How much it matters.
    pub level: Level,
    /// The text.
    pub text: String,
}

/// How much a line of the supervisor's matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Every step.
    Debug,
    /// What happened.
    Info,
    /// What is probably not meant so.
    Warn,
    /// What failed.
    Error,
    /// What ended the supervisor.
    Fatal,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
            LogLevel::Fatal => Self::Fatal,
        }
    }
}

/// A run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Began {
    /// The run, by the supervisor's number.
    pub run: u64,
    /// The job.
    pub label: String,
    /// What demanded it, in order.
    pub causes: Vec<String>,
    /// Its worker's process.
    pub pid: u32,
    /// When, in milliseconds since 1970.
    pub wall_ms: i64,
}

/// A run is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The run, by the supervisor's number.
    pub run: u64,
    /// The job.
    pub label: String,
    /// How it ended, in words.
    pub end: String,
    /// Its exit status; a signal is negative. Absent if it never ran.
    pub status: Option<i32>,
    /// Processor time, microseconds.
    pub cpu_micros: u64,
    /// Largest resident set, bytes.
    pub peak_memory: u64,
    /// The walls as they were read back.
    pub walls: Vec<WallRow>,
    /// What was denied, in its order.
    pub denials: Vec<Noted>,
    /// Which of its grants it used; absent if that does not show, as of a native program, or it never ran.
    pub grants: Option<Vec<GrantUse>>,
    /// When, in milliseconds since 1970.
    pub wall_ms: i64,
}

/// What `Log` is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// One job; absent = all jobs and the supervisor, empty = what the supervisor said about no job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Only lines of this moment or later, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only lines with this text in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grep: Option<String>,
    /// Only so many of the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<i64>,
    /// Whether lines that are still to come are wanted too.
    #[serde(default)]
    pub follow: bool,
}

/// One reply of `Log`. The last reply, which is not continued, has no fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was read, RFC 3339.
    pub time: String,
    /// The job; absent for what the supervisor said about no job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The run, by the supervisor's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// `out`, `error` or `wjobd`.
    pub stream: String,
    /// The text, without its line end; bytes that are not UTF-8 are escaped as in `\xff`.
    pub text: String,
    /// Whether the line goes on in the next one of this run and stream.
    pub continued: bool,
}

/// What `History` is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryQuery {
    /// One job; absent = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Only so many of the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<i64>,
}

/// `History`: runs in the order they began; as many of the newest as fit into one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The runs.
    pub runs: Vec<RunRow>,
}

/// A run as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// The supervisor's number of it.
    pub run: i64,
    /// The job.
    pub label: String,
    /// What demanded it, in order.
    pub reason: Vec<String>,
    /// Its worker's process, while it ran.
    pub pid: i64,
    /// When it began, RFC 3339.
    pub start: String,
    /// When it ended, RFC 3339; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// How it ended, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Its exit status; a signal is negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
    /// Processor time, microseconds.
    pub cpu_micros: i64,
    /// Largest resident set, bytes.
    pub peak_memory: i64,
    /// The walls as they were read back.
    pub walls: Vec<WallRow>,
    /// What was denied, in its order.
    pub denials: Vec<DenialRow>,
    /// How much more was denied than was kept.
    pub more_denials: i64,
    /// Which of its grants it used; absent if that does not show, as of a native program, or was too much to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<GrantUse>>,
}
