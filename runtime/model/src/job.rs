//! A job as it is meant: what one property list describes, defaults filled in and every value checked.
//! `spec` makes it from the list as written; nothing here reads text.

use serde::{Deserialize, Serialize};

use crate::grant::{Access, Grants, PathGrant};
use crate::launch::Launch;
use crate::limit::{Limits, ResourceLimit};
use crate::socket::{Place, Socket};
use crate::spec::below;

/// launchd's ExitTimeOut when none is given, in seconds (launchd.plist(5)).
pub const DEFAULT_EXIT_TIMEOUT: u32 = 20;

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub label: String,
    /// What is run.
    pub program: Program,
    /// When it is wanted.
    pub launch: Launch,
    /// `EnvironmentVariables`, in the file's order.
    pub environment: Vec<(String, String)>,
    /// `WorkingDirectory`, as the job sees it.
    pub working_directory: Option<String>,
    /// `Umask`, 0 to 0o777.
    pub umask: Option<u32>,
    /// `StandardInPath`, absolute and on the host.
    pub standard_in: Option<String>,
    /// `StandardOutPath`, absolute and on the host.
    pub standard_out: Option<String>,
    /// `StandardErrorPath`, absolute and on the host.
    pub standard_error: Option<String>,
    /// `Nice`, -20 to 20.
    pub nice: Option<i32>,
    /// `UserName`.
    pub user: Option<String>,
    /// `GroupName`.
    pub group: Option<String>,
    /// `RootDirectory`, absolute and not `/`: every path of the host that the job names for itself lies in it.
    pub root_directory: Option<String>,
    /// `ExitTimeOut` in seconds; 0 = for ever.
    pub exit_timeout: u32,
    /// `AbandonProcessGroup`.
    pub abandon_process_group: bool,
    /// `WaitForDebugger`.
    pub wait_for_debugger: bool,
    /// What it may do.
    pub grants: Grants,
    /// What it may use.
    pub limits: Limits,
    /// Soft- and HardResourceLimits.
    pub resource_limits: Vec<ResourceLimit>,
    /// How it is kept apart.
    pub isolation: Isolation,
    /// Requests an instance serves before it is thrown away.
    pub instance_reuse: u64,
    /// `Config`, flattened: wasi:config keys and values.
    pub config: Vec<(String, String)>,
    /// Its `Sockets`, in the order of the list.
    pub sockets: Vec<Socket>,
    /// Names of its `MachServices`.
    pub services: Vec<String>,
    /// Whether `inetdCompatibility` is given, and then its `Wait`.
    pub inetd_wait: Option<bool>,
}

impl Job {
    /// Seconds without work after which it may be ended: a job with sockets is started again by its next client.
    pub fn idle_exit(&self) -> Option<u32> {
        self.launch.idle_exit(!self.sockets.is_empty())
    }

    /// A priority above the usual one, which a job of the system domain may have and no other.
    pub fn raised_priority(&self) -> Option<i32> {
        self.nice.filter(|nice| *nice < 0)
    }

    /// What is opened for it, as its user, before it begins: granted paths, and the Unix sockets it may connect to.
    pub fn opened(&self) -> Vec<PathGrant> {
        let sockets = self.grants.sockets().map(|path| PathGrant {
            host: below(self.root_directory.as_deref(), path.to_owned()),
            guest: path.to_owned(),
            access: Access::Connect,
        });
        self.grants.paths.iter().cloned().chain(sockets).collect()
    }

    /// Whether its peers' users have to be told apart: others may reach its sockets, and only certain ones.
    pub fn tells_users_apart(&self) -> bool {
        let reached = |socket: &Socket| matches!(socket.place, Place::Path { .. });
        !self.grants.users.is_empty() && self.sockets.iter().any(reached)
    }
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The program file.
    pub file: ProgramFile,
    /// argv, element 0 included.
    pub arguments: Vec<String>,
    /// `EnableGlobbing`.
    pub globbing: bool,
}

/// How the program file is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgramFile {
    /// An absolute path on the host.
    Path(String),
    /// A bare name, looked up in [`STANDARD_PATH`], of `RootDirectory` if there is one.
    Name(String),
}

impl ProgramFile {
    /// The text as written or resolved.
    pub fn text(&self) -> &str {
        match self {
            Self::Path(path) => path,
            Self::Name(name) => name,
        }
    }
}

/// Folders in which a bare program name is looked up, and the PATH of native jobs
/// (launchd's own default, launchctl print).
pub const STANDARD_PATH: &str = "/usr/bin:/bin:/usr/sbin:/sbin";

/// `Isolation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// A worker of its own.
    #[default]
    Process,
    /// The domain's shared worker.
    Shared,
    /// Native only: all its user's rights, no wall.
    None,
}
