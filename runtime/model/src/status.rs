//! Every exit status wjob itself gives, in one table: launchctl's numbers where it has one, sysexits else.
//! A job's own statuses are not here; `wjob run` passes them through.

/// A fixed exit status of wjob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// The job has no process (launchctl 3).
    NotRunning = 3,
    /// A job of that label is loaded already, or has not left yet (launchctl 37).
    AlreadyLoaded = 37,
    /// Wrong command line (sysexits EX_USAGE).
    Usage = 64,
    /// A job file with errors (sysexits EX_DATAERR).
    BadJobFile = 65,
    /// No supervisor to talk to (sysexits EX_UNAVAILABLE).
    NoSupervisor = 69,
    /// A fault of wjob itself (sysexits EX_SOFTWARE).
    Internal = 70,
    /// A system resource refused (sysexits EX_OSERR).
    System = 71,
    /// Not permitted, or a wall that is required cannot be put up (sysexits EX_NOPERM).
    NotPermitted = 77,
    /// The job cannot be started as configured (sysexits EX_CONFIG, launchd's 78).
    Misconfigured = 78,
    /// A score above what was allowed (wjob's own: the number after those of sysexits).
    TooExposed = 79,
    /// No such domain (launchctl 112).
    NoSuchDomain = 112,
    /// No such job (launchctl 113).
    NoSuchJob = 113,
    /// The job is disabled (launchctl 119).
    Disabled = 119,
    /// A file that others than the domain's owner and root could change (launchctl 122).
    UnsafeFile = 122,
    /// The domain is being taken down (launchctl 124).
    ShuttingDown = 124,
    /// The guest trapped (128 + SIGABRT).
    Trap = 134,
    /// A limit ended the run, or SIGKILL did (128 + SIGKILL).
    Killed = 137,
    /// Ctrl-C (128 + SIGINT).
    Interrupted = 130,
    /// SIGTERM (128 + SIGTERM).
    Terminated = 143,
}

/// A row of the table `wjob error` prints.
#[derive(Clone, Copy, Debug)]
pub struct StatusRow {
    /// The status.
    pub status: Status,
    /// Its short name.
    pub name: &'static str,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// What to do, in one line.
    pub advice: &'static str,
}

/// The table.
pub const STATUSES: &[StatusRow] = &[
    StatusRow {
        status: Status::NotRunning,
        name: "not running",
        meaning: "the job has no process",
        advice: "`wjob kickstart` starts it, `wjob print` says what it waits for",
    },
    StatusRow {
        status: Status::AlreadyLoaded,
        name: "already loaded",
        meaning: "a job of that label is loaded already, or has not left yet",
        advice: "`wjob reload` reads its file again, `wjob bootout` takes it out",
    },
    StatusRow {
        status: Status::Usage,
        name: "usage",
        meaning: "the command line is wrong",
        advice: "see `wjob help` or `wjob VERB --help`",
    },
    StatusRow {
        status: Status::BadJobFile,
        name: "bad job file",
        meaning: "the property list has errors, so the job was refused",
        advice: "`wjob check FILE` shows each error with its line",
    },
    StatusRow {
        status: Status::NoSupervisor,
        name: "no supervisor",
        meaning: "no wjobd answers for this domain",
        advice: "start wjobd, or use `wjob run` which needs none",
    },
    StatusRow {
        status: Status::Internal,
        name: "internal fault",
        meaning: "wjob itself failed; the job is not to blame",
        advice: "report it with the message and `wjob info`",
    },
    StatusRow {
        status: Status::System,
        name: "system refused",
        meaning: "the system refused something wjob needs (memory, processes, descriptors)",
        advice: "the message names the call and its error",
    },
    StatusRow {
        status: Status::NotPermitted,
        name: "not permitted",
        meaning: "not permitted, or a wall the job requires cannot be put up on this machine",
        advice: "`wjob info` lists the walls; `--best-effort` runs without the missing ones",
    },
    StatusRow {
        status: Status::Misconfigured,
        name: "misconfigured job",
        meaning: "the job could not be started: program, directory or stdio path missing or unusable",
        advice: "the message names the path; correct it and run again",
    },
    StatusRow {
        status: Status::TooExposed,
        name: "too exposed",
        meaning: "`wjob audit` found a score above what --fail-above allows",
        advice: "`wjob audit` says which lines have points and what to change; or allow more",
    },
    StatusRow {
        status: Status::NoSuchDomain,
        name: "no such domain",
        meaning: "no wjobd serves that user's domain",
        advice: "start wjobd as that user, or name another domain",
    },
    StatusRow {
        status: Status::NoSuchJob,
        name: "no such job",
        meaning: "no job of that label is loaded",
        advice: "`wjob list` shows the labels",
    },
    StatusRow {
        status: Status::Disabled,
        name: "disabled",
        meaning: "the job is disabled",
        advice: "`wjob enable` it first",
    },
    StatusRow {
        status: Status::UnsafeFile,
        name: "untrusted file",
        meaning: "others than the domain's owner and root could change the file or a folder above it",
        advice: "the message names the path; correct its owner or mode",
    },
    StatusRow {
        status: Status::ShuttingDown,
        name: "shutting down",
        meaning: "the supervisor is shutting down and takes nothing new on",
        advice: "try again when it has been started anew",
    },
    StatusRow {
        status: Status::Interrupted,
        name: "interrupted",
        meaning: "the run was stopped by Ctrl-C (SIGINT)",
        advice: "nothing: it was asked for",
    },
    StatusRow {
        status: Status::Trap,
        name: "trap",
        meaning: "the guest trapped, or a native job died of SIGABRT",
        advice: "stderr has the trap and the guest's back-trace",
    },
    StatusRow {
        status: Status::Killed,
        name: "killed",
        meaning: "a limit ended the run, or SIGKILL did",
        advice: "stderr names the limit and the wall that held it",
    },
    StatusRow {
        status: Status::Terminated,
        name: "terminated",
        meaning: "the run was stopped by SIGTERM",
        advice: "nothing: it was asked for",
    },
];

impl Status {
    /// The number the process exits with.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// The row of an exit status, if it is one of wjob's own.
pub fn row(code: u8) -> Option<&'static StatusRow> {
    STATUSES.iter().find(|row| row.status.code() == code)
}

#[cfg(test)]
mod tests {
    use super::STATUSES;

    #[test]
    fn every_status_is_listed_once_and_in_words() {
        let mut codes: Vec<u8> = STATUSES.iter().map(|row| row.status.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), STATUSES.len());
        assert!(STATUSES.iter().all(|row| !row.meaning.is_empty() && !row.advice.is_empty()));
    }
}
