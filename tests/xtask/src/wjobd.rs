//! A wjobd of a bench's own: everything it keeps lies in one folder, and it tells when it has loaded its jobs.
//! Whoever starts the command also ends the process.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

/// Where one is told by sd_notify(3) that it is ready.
pub struct Notified(UnixDatagram);

impl Notified {
    /// Waits until it is, at most this long from one message to the next.
    pub fn wait(&self, at_most: Duration) -> anyhow::Result<()> {
        self.0.set_read_timeout(Some(at_most)).context("cannot set a timeout")?;
        let mut said = [0; 1024];
        loop {
            let length = self.0.recv(&mut said).context("it did not say READY=1; start it by hand to see why")?;
            if said[..length].starts_with(b"READY=1") {
                return Ok(());
            }
        }
    }
}

/// The command that starts this wjobd in a folder that has its job files in `jobs`.
pub fn command(program: &Path, folder: &Path) -> anyhow::Result<(Command, Notified)> {
    fs::write(folder.join("daemon.json"), "{}").context("cannot write the configuration")?;
    let place = folder.join("notify");
    let notified = UnixDatagram::bind(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let mut command = Command::new(program);
    command.env("HOME", folder).env("NOTIFY_SOCKET", place);
    for (flag, name) in [
        ("--config", "daemon.json"),
        ("--state-directory", "state"),
        ("--cache-directory", "cache"),
        ("--socket", SOCKET),
        ("--jobs", "jobs"),
    ] {
        command.arg(flag).arg(folder.join(name));
    }
    Ok((command, Notified(notified)))
}

const SOCKET: &str = "run/wjob.sock";

/// The control socket of the wjobd in this folder.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join(SOCKET)
}
