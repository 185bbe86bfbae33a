//! Every message between supervisor and worker, typed and bounded. Encoding and sending are the two ends' business;
//! what a worker sends is hostile input and says nothing about any job but its own.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::{Known, Question};
use crate::denial::Denial;
use crate::grant::{Endpoint, PathGrant};
use crate::learn::Deed;
use crate::limit::Limits;
use crate::noted::Used;
use crate::outcome::Outcome;
use crate::socket::SocketKind;
use crate::wall::{Wall, WallPlan};

/// Largest message that travels inline, bytes; a larger start message travels in a sealed memory file.
pub const INLINE_BYTES: usize = 64 << 10;
/// Largest start message at all, bytes: a job file is at most 1 MiB, arguments at most the kernel's 2 MiB.
pub const START_BYTES: usize = 8 << 20;
/// Largest message a worker may send, bytes.
pub const WORKER_BYTES: usize = 64 << 10;
/// Most denials a worker reports in one run.
pub const MOST_DENIALS: usize = 256;
/// Longest text a worker sends (a trap, a reason), bytes.
pub const TEXT_BYTES: usize = 16 << 10;

/// The first message to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The build that sends it; another build refuses, naming both.
    pub build: String,
    /// What the worker is to be.
    pub role: Role,
}

/// The roles of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Role {
    /// Run a job.
    Run(Box<Run>),
    /// Compile a program: descriptor 0 is the program, descriptor 1 takes the result.
    Compile(Compile),
    /// Look names up.
    Resolve(Resolve),
    /// Look an account up.
    Account(Question),
}

/// A run. Descriptors come with it in this order: compiled code (WebAssembly only), then inherited stdio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What is run.
    pub code: Code,
    /// argv.
    pub arguments: Vec<String>,
    /// Whether patterns in the arguments are expanded in the job's own view.
    pub globbing: bool,
    /// The whole environment.
    pub environment: Vec<(String, String)>,
    /// As the job sees it.
    pub working_directory: Option<String>,
    /// 0 to 0o777.
    pub umask: Option<u32>,
    /// stdin, stdout, stderr.
    pub stdio: [Stdio; 3],
    /// The sockets that come as descriptors behind those of stdio.
    pub sockets: Vec<HandedSocket>,
    /// Whether the sockets are stdio, as inetd has it, and then whether the program gets the listening one.
    pub inetd_wait: Option<bool>,
    /// Who may connect to its Unix sockets, beside its own user and root; `None` = whom their modes let.
    pub users: Option<Users>,
    /// Requests an instance serves before it is thrown away.
    pub instance_reuse: u64,
    /// Why the job runs, in words.
    pub causes: Vec<String>,
    /// Granted paths.
    pub paths: Vec<PathGrant>,
    /// Folders of wjob itself, which nothing that the job names may reach.
    pub own: Vec<OwnFolder>,
    /// The walls.
    pub walls: WallPlan,
    /// The guest's half of the limits.
    pub limits: Limits,
    /// Granted destinations.
    pub connect: Vec<Endpoint>,
    /// Granted addresses.
    pub bind: Vec<Endpoint>,
    /// The address table of granted names.
    pub names: Names,
    /// wasi:config.
    pub config: Vec<(String, String)>,
    /// Whether denials are looked for outside of every grant too.
    pub explain: bool,
    /// Whether every deed is told, for learning which grants it takes.
    pub learn: bool,
    /// Whether terminals get the job's bytes unfiltered.
    pub raw: bool,
    /// Whether a native program is stopped before its first instruction.
    pub wait_for_debugger: bool,
    /// Whether what a native program leaves running lives on after it.
    pub abandon: bool,
    /// Whether a native program counts its open work.
    pub transactions: bool,
    /// Seconds it has to end in once it is asked to stop; 0 = for ever.
    pub exit_timeout: u32,
    /// Seconds without work after which a run that is known to have none is ended; `None` = never.
    pub idle_timeout: Option<u32>,
    /// The host's folder that every host path of this message is resolved in as if it were the root; `None` = the
    /// host's own root.
    pub root: Option<String>,
}

/// A folder of wjob's own: its cache, its state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFolder {
    /// Its path, without links.
    pub path: String,
    /// The device of what is there: of the folder itself, or of the nearest one above it.
    pub device: u64,
    /// The inode of that.
    pub inode: u64,
    /// The names below that which are not there yet, `a/b`; empty = the folder is there.
    pub missing: String,
}

impl Run {
    /// Whether a client of a Unix socket may stay; `groups` are asked for where they matter.
    pub fn admits(&self, uid: u32, groups: impl FnOnce() -> Vec<u32>) -> bool {
        self.users.as_ref().is_none_or(|users| users.admit(uid, groups))
    }
}

/// Who may connect, by numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// Users.
    pub users: Vec<u32>,
    /// Groups.
    pub groups: Vec<u32>,
}

impl Users {
    /// Whether a user in these groups is one of them; root always is.
    pub fn admit(&self, uid: u32, groups: impl FnOnce() -> Vec<u32>) -> bool {
        uid == 0
            || self.users.contains(&uid)
            || (!self.groups.is_empty() && groups().iter().any(|group| self.groups.contains(group)))
    }
}

/// A socket that a worker is handed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedSocket {
    /// Its name in the job file.
    pub name: String,
    /// Where it is bound, or to what it is connected, as a URL.
    pub address: String,
    /// What goes through it.
    pub kind: SocketKind,
    /// Whether it is connected to somebody else's.
    pub connected: bool,
}

/// Names and their addresses.
pub type Names = Vec<(String, Vec<IpAddr>)>;

/// What a worker runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Code {
    /// A compiled component.
    Component,
    /// A compiled core module (wasip1).
    Module,
    /// A native program by its path in the job's view.
    Native(String),
}

/// One of stdin, stdout, stderr.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdio {
    /// The next descriptor that came with the message.
    Inherited,
    /// /dev/null.
    Null,
    /// A path the worker opens as the job's user.
    Path(String),
}

/// A compilation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compile {
    /// A component, or else a core module.
    pub component: bool,
    /// The walls.
    pub walls: WallPlan,
}

/// A look-up of names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolve {
    /// The names.
    pub names: Vec<String>,
    /// The walls.
    pub walls: WallPlan,
}

/// What a supervisor says after the start message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// The walls were read back and stand: run.
    Go,
    /// End the run: a native program gets this signal, a guest is trapped.
    Stop {
        /// The signal's number.
        signal: u8,
    },
    /// A fresh address table.
    Names(Names),
    /// Another worker takes the sockets over: accept nothing more, see to the end what is under way, and go.
    Drain,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// How the job will be run; said before the walls are.
    Manner(Manner),
    /// The walls are up, and these were probed or read by the worker itself.
    Walls(Vec<Evidence>),
    /// Something was denied.
    Denied(Denial),
    /// The addresses of names are older than a minute and were asked for again.
    NamesWanted,
    /// The run is over.
    Ended(Outcome),
    /// The run could not begin.
    Failed(StartFailure),
    /// The program was compiled into descriptor 1.
    Compiled,
    /// Names were looked up.
    Resolved(Names),
    /// An account was looked up.
    Account(Known),
    /// A grant was used for the first time.
    Used(Used),
    /// Something was done that is to be learned.
    Did(Deed),
}

impl FromWorker {
    /// Whether it tells of a grant, which a worker does so often and no more.
    pub fn is_report(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::Used(_) | Self::Did(_))
    }
}

/// How a worker runs its job, as far as its end is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manner {
    /// Whether the program hears that it is to stop, or the worker has work under way that it would finish first.
    pub hears: bool,
    /// Whether many instances serve, each with its own time.
    pub serves: bool,
}

/// How one wall was seen to stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which wall.
    pub wall: Wall,
    /// What was read or probed, and its answer.
    pub found: String,
    /// Whether that is what the plan promised.
    pub stands: bool,
}

/// Why a run could not begin.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{what}: {why}")]
pub struct StartFailure {
    /// Whose fault it is.
    pub fault: Fault,
    /// What was being done, naming the path or import.
    pub what: String,
    /// Why it failed.
    pub why: String,
    /// What to do about it.
    pub advice: String,
}

/// Whose fault a failed start is, which decides the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The job file or what it names (78).
    Job,
    /// A wall that is required (77).
    Wall,
    /// The kernel gives no namespace for a wall after all: plan again without (else 77).
    Namespaces(Wall),
    /// The compiled code does not fit this build: compile again.
    Stale,
    /// wjob or the system (70).
    Own,
    /// A wall could not be put up: plan again without it if `--best-effort` was said (else 77).
    Refused(Wall),
}

impl StartFailure {
    /// A failure the job file is to blame for.
    pub fn job(what: impl Into<String>, why: impl ToString, advice: impl Into<String>) -> Self {
        Self::new(Fault::Job, what, why, advice)
    }

    /// A failure of wjob or the system.
    pub fn own(what: impl Into<String>, why: impl ToString) -> Self {
        Self::new(Fault::Own, what, why, "report it with the output of `wjob info`")
    }

    /// A wall that could not be put up.
    pub fn wall(what: impl Into<String>, why: impl ToString) -> Self {
        let advice = "`wjob info` lists the walls; `wjob run --best-effort` does without those that are missing";
        Self::new(Fault::Wall, what, why, advice)
    }

    /// The same of a wall that was tried: what is done without it depends on which it is.
    pub fn refused(wall: Wall, why: impl ToString) -> Self {
        Self::new(Fault::Refused(wall), format!("the {} wall", wall.row().name), why, wall.advice())
    }

    /// Any failure.
    pub fn new(fault: Fault, what: impl Into<String>, why: impl ToString, advice: impl Into<String>) -> Self {
        Self { fault, what: what.into(), why: why.to_string(), advice: advice.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_users_members_of_named_groups_and_root_are_admitted() {
        let users = Users { users: vec![33], groups: vec![50] };
        for (uid, groups, expected) in [
            (0, vec![], true),
            (33, vec![33], true),
            (34, vec![34], false),
            (34, vec![34, 50], true),
            (34, vec![33], false),
            (65_534, vec![65_534], false),
        ] {
            assert_eq!(users.admit(uid, || groups.clone()), expected, "{uid} in {groups:?}");
        }
        let nobody = Users::default();
        assert!(!nobody.admit(34, || unreachable!("no group is named")) && nobody.admit(0, Vec::new));
    }
}
