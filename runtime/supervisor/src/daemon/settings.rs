//! Where a supervisor is and what it is made of, as the command line says: user, folders, sockets, programs. It is
//! settled before there is a supervisor, and looks at nothing but the configuration file.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wjob_model::daemon::{Configuration, Partial};

/// The logger's socket, beside the control socket.
const LOG_SOCKET: &str = "log.sock";

/// Where a supervisor is, settled for as long as it lives, whatever program its process executes meanwhile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Version and build.
    pub build: String,
    /// The user it serves; 0 = the system.
    pub uid: u32,
    /// That user's home.
    pub home: String,
    /// State and cache.
    pub state: PathBuf,
    /// Compiled programs.
    pub cache: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// The configuration file.
    pub configuration: PathBuf,
    /// Whether that file was named, and so has to be there.
    pub configuration_named: bool,
    /// Where job files are, unless the configuration says so.
    pub folders: Vec<PathBuf>,
    /// The command line's part of the configuration.
    #[serde(skip)]
    pub flags: Partial,
    /// The `wjob` file.
    pub worker: PathBuf,
    /// The program's own file, by the name it was started under: what is found there later may be another build.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Settings {
    /// `system` or `user/UID`.
    pub fn domain(&self) -> String {
        if self.uid == 0 { "system".into() } else { format!("user/{}", self.uid) }
    }

    /// The `wjob` file that belongs to a `wjobd` file: the one that is named, or the one beside it.
    pub fn worker_beside(configuration: &Configuration, program: &Path) -> PathBuf {
        configuration.worker.clone().unwrap_or_else(|| program.with_file_name("wjob"))
    }

    /// The socket on which the logger answers.
    pub(super) fn log_socket(&self) -> PathBuf {
        self.socket.with_file_name(LOG_SOCKET)
    }

    /// The folder in which it answers, and in which sockets are made that have no place of their own.
    pub(super) fn runtime(&self) -> PathBuf {
        self.socket.parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// Folders of job files.
    pub(super) fn folders(&self, configuration: &Configuration) -> Vec<PathBuf> {
        configuration.jobs.clone().unwrap_or_else(|| self.folders.clone())
    }

    /// The configuration file's name and text; `None` = it is not there and need not be.
    ///
    /// # Errors
    /// When it cannot be read, or was named and is not there.
    pub fn configuration_text(&self) -> Result<(String, Option<String>), String> {
        let name = self.configuration.display().to_string();
        match fs::read_to_string(&self.configuration) {
            Ok(text) => Ok((name, Some(text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.configuration_named => Ok((name, None)),
            Err(error) => Err(format!("{name}: {error}")),
        }
    }
}
