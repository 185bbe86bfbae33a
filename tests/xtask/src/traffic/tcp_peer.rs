//! The echo servers beside wjob: the ways people turn a connection into a process today, and a loop that makes none.
//! One that is not installed, or does not echo here, is left out by name with what would bring it in.

use std::fs;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::Server;
use super::{c_echo, echo, loopback};
use crate::peer::{self, Missing, in_path};

/// openbsd-inetd with the static C program.
pub const INETD: &str = "inetd + C";
/// The same, with the program in a sandbox made for each connection.
pub const INETD_BWRAP: &str = "inetd + bwrap + C";
/// openbsd-inetd with the component, compiled ahead of time.
pub const INETD_WASMTIME: &str = "inetd + wasmtime";
/// Threads that accept by themselves.
pub const ACCEPT_LOOP: &str = "accept loop, no process";
const TCPSERVER: &str = "tcpserver + C";
const SYSTEMD: &str = "systemd-socket-activate + C";

/// Those that make a process for each connection, through inetd.
pub const THROUGH_INETD: &[&str] = &[INETD, INETD_BWRAP, INETD_WASMTIME];
/// All of them.
pub const ALL: &[&str] = &[INETD, TCPSERVER, SYSTEMD, INETD_BWRAP, INETD_WASMTIME, ACCEPT_LOOP];

/// How often inetd may start a service in a minute. It does not take 0 for "no bound".
const RATE: &str = "1000000000";
/// How many programs tcpserver may have at once: its own 40 would be a bound of the bench.
const PROGRAMS: &str = "1000";

/// An echo server that is up.
pub struct TcpPeer {
    /// Its name in the table.
    pub name: &'static str,
    /// Where it echoes.
    pub address: SocketAddrV4,
    /// Its process.
    pub server: Server,
}

/// What the peers are made of. What could not be had is told in one line.
pub struct Kit<'a> {
    folder: &'a Path,
    native: Result<PathBuf, String>,
    wasmtime: Result<[String; 4], String>,
}

impl<'a> Kit<'a> {
    /// Makes it in this folder, with this component as the guest.
    pub fn new(folder: &'a Path, component: &Path) -> Self {
        Self { folder, native: c_echo::compile(folder), wasmtime: wasmtime(folder, component) }
    }

    /// Starts the peers of these names.
    pub fn start(&self, names: &[&'static str]) -> (Vec<TcpPeer>, Vec<Missing>) {
        let (mut peers, mut missing) = (Vec::new(), Vec::new());
        for name in names.iter().copied() {
            match self.start_one(name) {
                Ok(peer) => peers.push(peer),
                Err(advice) => missing.push(Missing { name, advice }),
            }
        }
        (peers, missing)
    }

    fn start_one(&self, name: &'static str) -> Result<TcpPeer, String> {
        let failed = |error: anyhow::Error| format!("it does not run here: {error:#}");
        let [address] = loopback::free_some::<1>().map_err(failed)?;
        let mut command = self.command(name, address)?;
        let said = self.folder.join(format!("{}.log", address.port()));
        let mut server = Server::start(&mut command, &said).map_err(failed)?;
        server.wait_for(|| echo::exchange(address).map(|_| ())).map_err(failed)?;
        Ok(TcpPeer { name, address, server })
    }

    fn command(&self, name: &str, address: SocketAddrV4) -> Result<Command, String> {
        match name {
            INETD => self.inetd(address, &[self.native()?.as_str()]),
            INETD_BWRAP => self.inetd_bwrap(address),
            INETD_WASMTIME => self.inetd(address, &self.wasmtime.clone()?.each_ref().map(String::as_str)),
            TCPSERVER => self.tcpserver(address),
            SYSTEMD => self.systemd(address),
            _ => accept_loop(address),
        }
    }

    fn native(&self) -> Result<String, String> {
        word(&self.native.clone()?)
    }

    /// In the foreground, with a configuration of its own, which has a user for each service.
    fn inetd(&self, address: SocketAddrV4, program: &[&str]) -> Result<Command, String> {
        let mut command = Command::new(installed("inetd", "openbsd-inetd")?);
        let file = self.folder.join(format!("inetd-{}.conf", address.port()));
        fs::write(&file, service(address, &user()?, program))
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        command.args(["-i", "-R", RATE]).arg(file).env("HOME", self.folder);
        Ok(command)
    }

    fn inetd_bwrap(&self, address: SocketAddrV4) -> Result<Command, String> {
        let (bwrap, native) = (word(&installed("bwrap", "bubblewrap")?)?, self.native()?);
        self.inetd(address, &[bwrap.as_str(), "--unshare-all", "--ro-bind", "/", "/", native.as_str()])
    }

    /// Without looking up names and without asking the client who it is.
    fn tcpserver(&self, address: SocketAddrV4) -> Result<Command, String> {
        let mut command = Command::new(installed("tcpserver", "ucspi-tcp")?);
        command.args(["-q", "-H", "-R", "-l", "0", "-c", PROGRAMS]);
        command.args([address.ip().to_string(), address.port().to_string(), self.native()?]);
        Ok(command)
    }

    /// Without a line in its log for each connection.
    fn systemd(&self, address: SocketAddrV4) -> Result<Command, String> {
        let mut command = Command::new(installed("systemd-socket-activate", "systemd")?);
        command.args(["--accept", "--inetd", "--listen"]).arg(address.to_string()).arg(self.native()?);
        command.env("SYSTEMD_LOG_LEVEL", "warning");
        Ok(command)
    }
}

/// This program once more, under the word only the bench uses.
fn accept_loop(address: SocketAddrV4) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program's own file is unknown: {error}"))?;
    let mut command = Command::new(program);
    command.args(["bench-peer", "accept-loop"]).arg(address.port().to_string());
    Ok(command)
}

/// The words that run the component, compiled ahead of time.
fn wasmtime(folder: &Path, component: &Path) -> Result<[String; 4], String> {
    let program = peer::wasmtime_program()?;
    let compiled = folder.join("echo.cwasm");
    peer::wasmtime_compiled(&program, component, &compiled)?;
    Ok([word(&program)?, "run".into(), "--allow-precompiled".into(), word(&compiled)?])
}

/// A line of inetd.conf(5): the program's file, then its arguments from the first one on.
fn service(address: SocketAddrV4, user: &str, program: &[&str]) -> String {
    let file = program.first().unwrap_or(&"");
    format!("{address} stream tcp nowait {user} {file} {}\n", program.join(" "))
}

/// A path as a word of inetd.conf(5), which knows no quotes.
fn word(path: &Path) -> Result<String, String> {
    let word = path.to_str().filter(|word| !word.contains(char::is_whitespace));
    word.map(str::to_owned).ok_or_else(|| format!("inetd cannot be told of {}", path.display()))
}

/// The user that inetd runs a service as: root's may be anybody, somebody else's only itself.
fn user() -> Result<String, String> {
    let output = Command::new("id").arg("-un").output().map_err(|error| format!("id cannot be started: {error}"))?;
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !name.is_empty() { Ok(name) } else { Err("this user has no name".into()) }
}

/// The program of this name, which may be where only root looks.
fn installed(name: &str, package: &str) -> Result<PathBuf, String> {
    let administrators = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(name));
    in_path(name)
        .or_else(|| administrators.into_iter().find(|file| file.is_file()))
        .ok_or_else(|| format!("it is not installed; Debian packages it as {package}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_names_its_program_twice() {
        let address = SocketAddrV4::new([127, 0, 0, 1].into(), 7);
        for (program, expected) in [
            (&["/e"][..], "127.0.0.1:7 stream tcp nowait root /e /e\n"),
            (&["/b", "--x", "/e"], "127.0.0.1:7 stream tcp nowait root /b /b --x /e\n"),
        ] {
            assert_eq!(service(address, "root", program), expected);
        }
    }

    #[test]
    fn inetd_is_told_of_no_path_with_a_space() {
        for (path, is_word) in [("/tmp/echo", true), ("/tmp/my echo", false), ("/tmp/a\tb", false)] {
            assert_eq!(word(Path::new(path)).is_ok(), is_word, "{path}");
        }
    }
}
