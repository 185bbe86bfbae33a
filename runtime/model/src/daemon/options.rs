//! The registry of wjobd's options: the file, the flags, `--help` and every message come from these rows. It holds
//! no values; an option that is not here is unknown everywhere.

use super::configuration::LogLevel;
use super::kind::{Kind, PATH_BYTES, SOCKET_BYTES};
use crate::keys::distance;

/// The option that `debug` is short for.
pub(super) const LOG_LEVEL: &str = "log-level";
/// The option that is short for a log level.
pub(super) const DEBUG: &str = "debug";

/// Names longer than this are not compared with the known ones.
const MOST_NAME_BYTES: usize = 64;
/// The largest size that any option bounds: 1 TiB.
const MOST_SIZE: u64 = 1 << 40;

/// A row of the registry.
#[derive(Clone, Copy, Debug)]
pub struct DaemonOption {
    /// Its name in `daemon.json`.
    pub name: &'static str,
    /// Its name on the command line.
    pub flag: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// What holds without it, in words.
    pub default: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Whether SIGHUP applies it; the others take a restart.
    pub reloadable: bool,
}

/// All options, in the order of the documentation.
pub fn options() -> &'static [DaemonOption] {
    OPTIONS
}

/// The option of this name in the file.
pub(super) fn named(name: &str) -> Option<&'static DaemonOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// The option of this flag.
pub(super) fn flagged(flag: &str) -> Option<&'static DaemonOption> {
    OPTIONS.iter().find(|option| option.flag == flag)
}

/// The option that was probably meant: the nearest one, if at most a third of the letters differ.
pub(super) fn nearest(name: &str) -> Option<&'static DaemonOption> {
    if name.len() > MOST_NAME_BYTES {
        return None;
    }
    let name = name.to_ascii_lowercase().replace('_', "-");
    OPTIONS
        .iter()
        .map(|option| (distance(option.name, &name), option))
        .filter(|(distance, _)| distance * 3 <= name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, option)| option)
}

static OPTIONS: &[DaemonOption] = &[
    DaemonOption {
        name: "jobs",
        flag: "--jobs",
        kind: Kind::Folders(|configuration| &mut configuration.jobs),
        default: "/etc/wjob/jobs and /usr/lib/wjob/jobs; a user's: $XDG_CONFIG_HOME/wjob/jobs, then /etc/wjob/agents \
                  and /usr/lib/wjob/agents",
        summary: "folders of job files; of one label in several, the first counts",
        reloadable: true,
    },
    DaemonOption {
        name: "state-directory",
        flag: "--state-directory",
        kind: Kind::Path { names: "DIR", most: PATH_BYTES, field: |configuration| &mut configuration.state_directory },
        default: "/var/lib/wjob; a user's: $XDG_STATE_HOME/wjob",
        summary: "where history, log and overrides are kept; one supervisor each",
        reloadable: false,
    },
    DaemonOption {
        name: "cache-directory",
        flag: "--cache-directory",
        kind: Kind::Path { names: "DIR", most: PATH_BYTES, field: |configuration| &mut configuration.cache_directory },
        default: "/var/cache/wjob; a user's: $XDG_CACHE_HOME/wjob",
        summary: "where compiled programs are kept; may be deleted while wjobd is down",
        reloadable: false,
    },
    DaemonOption {
        name: "socket",
        flag: "--socket",
        kind: Kind::Path { names: "FILE", most: SOCKET_BYTES, field: |configuration| &mut configuration.socket },
        default: "/run/wjob/wjob.sock; a user's: $XDG_RUNTIME_DIR/wjob/wjob.sock",
        summary: "the control socket",
        reloadable: false,
    },
    DaemonOption {
        name: LOG_LEVEL,
        flag: "--log-level",
        kind: Kind::Level(|configuration| &mut configuration.log_level),
        default: "info",
        summary: "the least important messages that wjobd logs",
        reloadable: true,
    },
    DaemonOption {
        name: DEBUG,
        flag: "--debug",
        kind: Kind::Switch(|configuration, on| {
            if on {
                configuration.log_level = LogLevel::Debug;
            }
        }),
        default: "false",
        summary: "the same as log-level debug; not together with log-level",
        reloadable: true,
    },
    DaemonOption {
        name: "log-job-bytes",
        flag: "--log-job-bytes",
        kind: Kind::Number {
            unit: "bytes",
            least: 64 << 10,
            most: MOST_SIZE,
            field: |configuration| &mut configuration.log_job_bytes,
        },
        default: "16777216 (16 MiB)",
        summary: "captured output kept of one job; the oldest goes first",
        reloadable: true,
    },
    DaemonOption {
        name: "log-total-bytes",
        flag: "--log-total-bytes",
        kind: Kind::Number {
            unit: "bytes",
            least: 64 << 10,
            most: MOST_SIZE,
            field: |configuration| &mut configuration.log_total_bytes,
        },
        default: "268435456 (256 MiB)",
        summary: "captured output kept of all jobs together; not less than of one job",
        reloadable: true,
    },
    DaemonOption {
        name: "history-runs",
        flag: "--history-runs",
        kind: Kind::Number {
            unit: "runs",
            least: 1,
            most: 1_000_000,
            field: |configuration| &mut configuration.history_runs,
        },
        default: "1000",
        summary: "runs remembered of one job",
        reloadable: true,
    },
    DaemonOption {
        name: "shutdown-timeout",
        flag: "--shutdown-timeout",
        kind: Kind::Seconds { least: 1, most: 3600, field: |configuration| &mut configuration.shutdown_timeout },
        default: "30",
        summary: "how long a shutdown may take, whatever the jobs' ExitTimeOut",
        reloadable: true,
    },
    DaemonOption {
        name: "worker",
        flag: "--worker",
        kind: Kind::Path { names: "FILE", most: PATH_BYTES, field: |configuration| &mut configuration.worker },
        default: "the file wjob beside wjobd",
        summary: "the wjob file that workers are started from; of the same build as wjobd",
        reloadable: false,
    },
    DaemonOption {
        name: "uid-range",
        flag: "--uid-range",
        kind: Kind::Users(|configuration| &mut configuration.uid_range),
        default: "2100000000 to 2100099999, which neither systemd nor sssd hands out",
        summary: "uids for jobs of the system domain that name no user; one each, kept by label",
        reloadable: false,
    },
    DaemonOption {
        name: "compile-memory",
        flag: "--compile-memory",
        kind: Kind::Number {
            unit: "bytes",
            least: 64 << 20,
            most: MOST_SIZE,
            field: |configuration| &mut configuration.compile_memory,
        },
        default: "4294967296 (4 GiB)",
        summary: "memory for one compilation, beyond which it is ended",
        reloadable: true,
    },
    DaemonOption {
        name: "compile-seconds",
        flag: "--compile-seconds",
        kind: Kind::Seconds { least: 1, most: 86_400, field: |configuration| &mut configuration.compile_time },
        default: "300",
        summary: "how long one compilation may take",
        reloadable: true,
    },
    DaemonOption {
        name: "account-seconds",
        flag: "--account-seconds",
        kind: Kind::Seconds { least: 1, most: 600, field: |configuration| &mut configuration.account_time },
        default: "10",
        summary: "how long the name service may take to find a job's account that is not in /etc/passwd",
        reloadable: true,
    },
    DaemonOption {
        name: "cgroup",
        flag: "--cgroup",
        kind: Kind::Path { names: "DIR", most: PATH_BYTES, field: |configuration| &mut configuration.cgroup },
        default: "the group that wjobd is in, if nothing else is in it and it is wjobd's to divide",
        summary: "the folder of the cgroup v2 group in which jobs with Memory or Processes get groups of their own",
        reloadable: false,
    },
];
