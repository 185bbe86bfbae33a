//! wjob's side: a wjobd with jobs that have a socket each, all walls up. Its jobs are measured as they are supervised,
//! not as `wjob run` would run them.

use std::fs;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use super::loopback::PATIENCE;
use super::server::Server;
use crate::dist;
use crate::peer::escaped;
use crate::step::advise;
use crate::temporary;
use crate::unprivileged;
use crate::wjobd;

/// Its name in the tables.
pub const NAME: &str = "wjob";

/// The key of a job that gets each connection as standard input and output.
pub const INETD: &str = "<key>inetdCompatibility</key> <dict><key>Wait</key> <false/></dict>\n";

/// Connections or requests at once.
pub const INSTANCES: usize = 1000;

/// A job to be reached at an address.
pub struct Job<'a> {
    /// Its label.
    pub label: String,
    /// Its program.
    pub program: &'a Path,
    /// Where it is reached.
    pub address: SocketAddrV4,
    /// Its further keys.
    pub keys: String,
}

impl Job<'_> {
    /// Connections come as fast as they are served: the job is never held back between two starts.
    fn file(&self) -> anyhow::Result<String> {
        let Self { label, address, keys, .. } = self;
        let (node, port) = (address.ip(), address.port());
        let program = escaped(self.program)?;
        // One account for all: what is compiled is kept by user, and a job that names none has one of its own.
        let user = if unprivileged::is_root()? { "<key>UserName</key> <string>daemon</string>\n" } else { "" };
        Ok(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">\n<dict>\n\
             <key>Label</key> <string>{label}</string>\n\
             <key>Program</key> <string>{program}</string>\n\
             <key>Sockets</key> <dict><key>Listener</key> <dict>\n\
             <key>SockNodeName</key> <string>{node}</string>\n\
             <key>SockServiceName</key> <string>{port}</string>\n\
             <key>SockFamily</key> <string>IPv4</string></dict></dict>\n\
             <key>ThrottleInterval</key> <integer>0</integer>\n\
             <key>Limits</key> <dict><key>Instances</key> <integer>{INSTANCES}</integer></dict>\n\
             {user}{keys}</dict>\n</plist>\n"
        ))
    }
}

/// A component of the distribution, copied to where a user of the supervisor's choice may read it.
pub fn guest(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let guests = dist::folder().join("guests");
    let name = format!("{name}.wasm");
    let (found, copy) = (guests.join(&name), folder.join(&name));
    if !found.is_file() {
        return Err(advise(
            &format!("the component {name} is missing"),
            &format!("it is not in {}", guests.display()),
            "leave out --no-build, or run `cargo xtask dist` first",
        ));
    }
    temporary::copy(&found, &copy)?;
    Ok(copy)
}

/// Starts wjobd with these jobs in this folder, and waits until it has loaded them.
pub fn start(folder: &Path, jobs: &[Job]) -> anyhow::Result<Server> {
    let files = folder.join("jobs");
    temporary::make_folder(&files)?;
    for job in jobs {
        let file = files.join(format!("{}.plist", job.label));
        fs::write(&file, job.file()?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let (mut command, notified) = wjobd::command(&dist::folder().join("bin/wjobd"), folder)?;
    let mut server = Server::start(&mut command, &folder.join("wjobd.log"))?;
    server.wait_for(|| notified.wait(PATIENCE / 100)).map_err(unusable)?;
    Ok(server)
}

/// A fault of wjob's own, without which there is nothing to compare.
pub fn unusable(fault: anyhow::Error) -> anyhow::Error {
    advise("wjob itself does not serve here", &format!("{fault:#}"), "run `cargo xtask test`, and `wjobd` by hand")
}

/// Fails if a job of the wjobd in this folder has a process.
pub fn ensure_idle(folder: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(dist::folder().join("bin/wjob"));
    command.args(["list", "--json"]).env("WJOB_SOCKET", wjobd::socket(folder));
    let output = command.output().context("cannot start `wjob list`")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "`wjob list` failed: {}", complaint.trim());
    let running = running(&String::from_utf8_lossy(&output.stdout));
    anyhow::ensure!(running.is_empty(), "these jobs run before anybody asked for them: {}", running.join(", "));
    Ok(())
}

/// Labels of the jobs that have a process, of `wjob list --json`.
fn running(list: &str) -> Vec<String> {
    let rows = list.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let running = rows.filter(|row| row["pid"].is_number());
    running.map(|row| row["label"].as_str().unwrap_or("?").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_file_has_its_address_and_its_keys() {
        let address = SocketAddrV4::new([127, 0, 0, 1].into(), 4711);
        let job = Job { label: "a".into(), program: Path::new("/x & y/e.wasm"), address, keys: INETD.into() };
        let file = job.file().expect("a job file");
        for part in ["<string>/x &amp; y/e.wasm</string>", "<string>4711</string>", "<string>127.0.0.1</string>", INETD]
        {
            assert!(file.contains(part), "{part} in {file}");
        }
    }

    #[test]
    fn only_jobs_with_a_process_run() {
        let list = "{\"label\":\"a\",\"pid\":null}\n{\"label\":\"b\",\"pid\":12}\n{\"label\":\"c\"}\n";
        assert_eq!(running(list), ["b"]);
    }
}
