//! What wjobd is to do, with every option decided: the result of reading, and what a reload may change. It reads
//! nothing.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::options::options;
use crate::wall::compiling;

/// Uids below are the system's and people's (login.defs).
const LEAST_UID: u64 = 1000;
/// Above, a uid is negative to programs that keep it in a signed number.
const MOST_UID: u64 = i32::MAX as u64;
/// Most uids of a range.
const MOST_UIDS: u64 = 1_000_000;
/// nobody, and -1 in 16 bits: no job may have them.
const RESERVED: [u64; 2] = [65_534, 65_535];

/// The configuration of one supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Folders of job files, the first one's label winning; `None` = the domain's usual ones.
    pub jobs: Option<Vec<PathBuf>>,
    /// Where history and overrides are kept; `None` = the domain's usual folder.
    pub state_directory: Option<PathBuf>,
    /// Where compiled programs are kept; `None` = the domain's usual folder.
    pub cache_directory: Option<PathBuf>,
    /// The control socket; `None` = the domain's usual one.
    pub socket: Option<PathBuf>,
    /// The least important messages that are logged.
    pub log_level: LogLevel,
    /// Bytes of captured output kept of one job.
    pub log_job_bytes: u64,
    /// Bytes of captured output kept of all jobs together; never less than of one.
    pub log_total_bytes: u64,
    /// Runs remembered of one job.
    pub history_runs: u64,
    /// How long a shutdown may take as a whole.
    pub shutdown_timeout: Duration,
    /// The `wjob` file that workers are started from; `None` = the one beside wjobd.
    pub worker: Option<PathBuf>,
    /// Uids for jobs of the system domain that name no user.
    pub uid_range: UidRange,
    /// Bytes of memory for one compilation.
    pub compile_memory: u64,
    /// How long one compilation may take.
    pub compile_time: Duration,
    /// How long a look-up of an account may take.
    pub account_time: Duration,
    /// The folder of the control group to divide; `None` = the one that wjobd is in, if it is its own alone.
    pub cgroup: Option<PathBuf>,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            jobs: None,
            state_directory: None,
            cache_directory: None,
            socket: None,
            log_level: LogLevel::default(),
            log_job_bytes: 16 << 20,
            log_total_bytes: 256 << 20,
            history_runs: 1000,
            shutdown_timeout: Duration::from_secs(30),
            worker: None,
            uid_range: UidRange::default(),
            compile_memory: compiling::MEMORY_BYTES,
            compile_time: Duration::from_secs(compiling::RUN_SECONDS),
            account_time: Duration::from_secs(10),
            cgroup: None,
        }
    }
}

impl Configuration {
    /// What holds after the configuration was read again (SIGHUP): the new values, but the running ones of options
    /// that take a restart. The names of those that would have changed come with it, to be logged.
    pub fn reload(&self, mut read: Self) -> (Self, Vec<&'static str>) {
        let mut running = self.clone();
        let held = options()
            .iter()
            .filter(|option| !option.reloadable && option.kind.keep(&mut read, &mut running))
            .map(|option| option.name)
            .collect();
        (read, held)
    }
}

/// How important a message is (dockerd's levels).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// Every step.
    Debug,
    /// What an operator may want to know.
    #[default]
    Info,
    /// What is probably not meant so.
    Warn,
    /// What failed.
    Error,
    /// What ended the supervisor.
    Fatal,
}

impl LogLevel {
    /// All, from the least important.
    pub const ALL: [Self; 5] = [Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The level of a word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.word() == word)
    }
}

/// A range of uids, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UidRange {
    first: u32,
    last: u32,
}

impl UidRange {
    /// The range between two uids, if every one of them may be a job's.
    pub fn new(first: u64, last: u64) -> Option<Self> {
        let fits = LEAST_UID <= first && first <= last && last <= MOST_UID && last - first < MOST_UIDS;
        let free = RESERVED.iter().all(|uid| !(first..=last).contains(uid));
        let (first, last) = (u32::try_from(first).ok()?, u32::try_from(last).ok()?);
        (fits && free).then_some(Self { first, last })
    }

    /// The first uid.
    pub fn first(self) -> u32 {
        self.first
    }

    /// The last uid.
    pub fn last(self) -> u32 {
        self.last
    }

    /// Whether a uid is one of it.
    pub fn contains(self, uid: u32) -> bool {
        (self.first..=self.last).contains(&uid)
    }

    /// What a range may be, in words.
    pub(super) fn words() -> String {
        format!(
            "two whole numbers from {LEAST_UID} to {MOST_UID}, the first not above the last, at most {MOST_UIDS} uids \
             and not 65534 or 65535 among them"
        )
    }
}

impl Default for UidRange {
    /// 2,100,000,000 to 2,100,099,999: above what systemd gives to containers (up to 1,879,048,191) and sssd to
    /// directory users (up to 2,000,200,000), and below systemd's range for foreign images (from 2,147,352,576).
    fn default() -> Self {
        Self { first: 2_100_000_000, last: 2_100_099_999 }
    }
}
