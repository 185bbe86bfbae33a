//! Where a supervisor is and what it is made of, as the command line says: user, folders, sockets, programs. It is
//! settled before there is a supervisor, and looks at nothing but the configuration file.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wjob_model::daemon::{Configuration, Partial};

use crate::trust::{Fault, TrustedKind, open_trusted};

/// The logger's socket, beside the control socket.
const LOG_SOCKET: &str = "log.sock";
/// The longest configuration file, bytes.
const MOST_CONFIGURATION: u64 = 1 << 20;

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

    /// The configuration file's name and text; `None` = it is not there and need not be. It says where jobs come from and
    /// what workers are, so it is held to the rules of job files, and nothing but a regular file is waited for.
    ///
    /// # Errors
    /// When others could have changed it, it is too long, cannot be read, or was named and is not there.
    pub fn configuration_text(&self) -> Result<(String, Option<String>), String> {
        let name = self.configuration.display().to_string();
        let file = match open_trusted(&self.configuration, self.uid, TrustedKind::Configuration) {
            Ok(file) => file,
            Err(distrust) if distrust.fault == Fault::Missing && !self.configuration_named => return Ok((name, None)),
            Err(distrust) => return Err(format!("the configuration {name} is not read: {distrust}")),
        };
        let mut text = String::new();
        // One byte more than is taken shows that there are more.
        let read = file.take(MOST_CONFIGURATION + 1).read_to_string(&mut text);
        let length = read.map_err(|error| {
            format!("{name}: {error}; expected a JSON object in UTF-8; write it anew, or begin with {{}}")
        })?;
        if u64::try_from(length).unwrap_or(u64::MAX) > MOST_CONFIGURATION {
            return Err(format!(
                "{name}: it is longer than {MOST_CONFIGURATION} bytes; expected at most that; leave out what is no option"
            ));
        }
        Ok((name, Some(text)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn settings(configuration: PathBuf, configuration_named: bool) -> Settings {
        let none = PathBuf::new;
        Settings {
            build: "test 1".into(),
            uid: rustix::process::geteuid().as_raw(),
            home: "/".into(),
            state: none(),
            cache: none(),
            socket: none(),
            configuration,
            configuration_named,
            folders: Vec::new(),
            flags: Partial::default(),
            worker: none(),
            program: none(),
            arguments: Vec::new(),
        }
    }

    fn text(path: &Path, mode: u32, text: &[u8]) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_configuration_is_a_file_that_nobody_else_can_change() {
        type Make = fn(&Path);
        type Case = (&'static str, Make, Result<Option<usize>, &'static str>);
        let cases: &[Case] = &[
            ("as it should be", |path| text(path, 0o644, b"{}"), Ok(Some(2))),
            ("missing", |_| {}, Ok(None)),
            ("all may write", |path| text(path, 0o646, b"{}"), Err("mode 646 lets everybody write; expected a file")),
            ("its group may write", |path| text(path, 0o664, b"{}"), Err("lets its group write; expected a file")),
            ("a folder", |path| fs::create_dir(path).unwrap(), Err("found a directory; expected a regular file")),
            ("nobody writes to it", fifo, Err("found a FIFO; expected a regular file")),
            ("a device", |path| symlink("/dev/zero", path).unwrap(), Err("found a device; expected a regular file")),
            ("as long as may be", |path| text(path, 0o600, &b" ".repeat(1 << 20)), Ok(Some(1 << 20))),
            (
                "longer",
                |path| text(path, 0o600, &b" ".repeat((1 << 20) + 1)),
                Err("longer than 1048576 bytes; expected"),
            ),
            ("no text", |path| text(path, 0o600, b"\xff"), Err("expected a JSON object in UTF-8; write it anew")),
        ];
        for (name, make, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("daemon.json");
            make(&path);
            let found = settings(path, false).configuration_text().map(|(_, text)| text.map(|text| text.len()));
            match (found, expected) {
                (Err(why), Err(part)) => assert!(why.contains(part) && why.contains("daemon.json"), "{name}: {why}"),
                (found, expected) => assert_eq!(found, expected.map_err(str::to_owned), "{name}"),
            }
        }
    }

    fn fifo(path: &Path) {
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    }

    #[test]
    fn a_configuration_that_is_named_is_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let why = settings(folder.path().join("daemon.json"), true).configuration_text().unwrap_err();
        assert!(why.contains("daemon.json: No such file"), "{why}");
    }
}
