//! The contestants of `cargo xtask bench idle`: each is begun with so many jobs that wait, and tells when all of them
//! are loaded. One that is not installed, or does not come to serve, is left out by name.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::cargo;
use crate::dist;
use crate::peer::{Missing, escaped, in_path};
use crate::process;
use crate::temporary::Temporary;
use crate::wjobd;

/// Jobs that everybody is compared with.
pub const JOBS: usize = 10_000;
/// Services of whoever has a process for each: ten thousand processes are no fair demand on a machine, and s6-svscan
/// takes 500 unless told otherwise.
const PROCESSES: usize = 200;
/// Nobody takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often one is looked at that does not say when it is ready.
const LOOK: Duration = Duration::from_millis(2);

/// Begins a program with so many jobs, laid out in a folder.
type Begin = fn(&Path, &Path, usize) -> anyhow::Result<Loaded>;

/// A supervisor.
pub struct Contestant {
    /// Its name in the table.
    pub name: &'static str,
    /// The jobs it is measured with.
    pub jobs: usize,
    /// What the table calls its processes but the first; `None` = all of them count together.
    pub rest: Option<&'static str>,
    program: PathBuf,
    begin: Begin,
}

impl Contestant {
    /// Begins it with so many jobs, which are laid out in this empty folder, and waits until they are loaded.
    pub fn begin(&self, folder: &Path, jobs: usize) -> anyhow::Result<Loaded> {
        (self.begin)(&self.program, folder, jobs).with_context(|| format!("{} with {jobs} jobs", self.name))
    }
}

/// Those that are installed, wjobd first, and those that are not.
pub fn all() -> (Vec<Contestant>, Vec<Missing>) {
    let wjobd = Contestant {
        name: "wjobd",
        jobs: JOBS,
        rest: Some("its logger"),
        program: dist::folder().join("bin/wjobd"),
        begin: begin_wjobd,
    };
    let (mut contestants, mut missing) = (vec![wjobd], Vec::new());
    for (name, jobs, begin) in
        [("s6-svscan", PROCESSES, begin_s6 as Begin), ("supervisord", JOBS, begin_supervisord as Begin)]
    {
        match in_path(name) {
            Some(program) => contestants.push(Contestant { name, jobs, rest: None, program, begin }),
            None => missing.push(Missing { name, advice: "not installed".into() }),
        }
    }
    (contestants, missing)
}

/// A supervisor that has loaded its jobs. Dropping it ends it.
pub struct Loaded {
    child: Child,
    /// From its start to all jobs loaded.
    pub ready: Duration,
    /// What its jobs watch.
    _watched: Option<Temporary>,
}

impl Loaded {
    /// Its processes, the first one first.
    pub fn processes(&self) -> Vec<u32> {
        process::family(self.child.id())
    }

    /// Ends it in order, and waits until nothing of it is left.
    pub fn end(mut self) -> anyhow::Result<()> {
        let processes = self.processes();
        cargo::run(Command::new("sh").arg("-c").arg(format!("kill {}", self.child.id())))?;
        self.child.wait().context("a supervisor that was told to end")?;
        let begin = Instant::now();
        while processes.iter().any(|process| process::runs(*process)) {
            anyhow::ensure!(begin.elapsed() < PATIENCE, "processes of a supervisor are left: {processes:?}");
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // It has ended already, unless a fault comes in between.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a command that writes to nobody.
fn start(command: &mut Command) -> anyhow::Result<(Child, Instant)> {
    let line = cargo::command_line(command);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
    Ok((child, begin))
}

/// Looks until it is ready.
fn watch((mut child, begin): (Child, Instant), is_ready: impl Fn() -> bool) -> anyhow::Result<Loaded> {
    while !is_ready() {
        let ended = child.try_wait()?;
        if ended.is_some() || begin.elapsed() > PATIENCE {
            let _ = child.kill();
            let status = child.wait()?;
            anyhow::bail!("it did not come to serve within {} s and ended with {status}", PATIENCE.as_secs());
        }
        thread::sleep(LOOK);
    }
    Ok(Loaded { child, ready: begin.elapsed(), _watched: None })
}

/// wjobd tells by sd_notify(3) that it is ready.
fn begin_wjobd(program: &Path, folder: &Path, jobs: usize) -> anyhow::Result<Loaded> {
    // Not in /tmp: folders on the way to a watched path are watched, and there others make files all the time.
    let watched = Temporary::below(&cargo::target(), "idle", 0o700)?;
    let files = folder.join("jobs");
    fs::create_dir(&files)?;
    let guest = escaped(&dist::folder().join("guests/hello.wasm"))?;
    for number in 0..jobs {
        let demand = demand(number, watched.path())?;
        fs::write(files.join(format!("{number}.plist")), job_file(number, &guest, &demand))?;
    }
    let (mut command, notified) = wjobd::command(program, folder)?;
    let (child, begin) = start(&mut command)?;
    let mut loaded = Loaded { child, ready: Duration::ZERO, _watched: Some(watched) };
    notified.wait(PATIENCE)?;
    loaded.ready = begin.elapsed();
    Ok(loaded)
}

fn job_file(number: usize, guest: &str, demand: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">\n<dict>\n\
         <key>Label</key> <string>bench.idle.{number}</string>\n\
         <key>ProgramArguments</key> <array><string>{guest}</string><string>world</string></array>\n\
         {demand}</dict>\n</plist>\n"
    )
}

/// What a job waits for: an operator, a change, an entry in a folder, a file. There are no timers among them, whose
/// moments would be wake-ups that are due.
fn demand(number: usize, watched: &Path) -> anyhow::Result<String> {
    let place = watched.join(number.to_string());
    let path = escaped(&place)?;
    Ok(match number % 4 {
        0 => String::new(),
        1 => {
            fs::write(&place, "")?;
            format!("<key>WatchPaths</key> <array><string>{path}</string></array>\n")
        }
        2 => {
            fs::create_dir(&place)?;
            format!("<key>QueueDirectories</key> <array><string>{path}</string></array>\n")
        }
        _ => format!("<key>KeepAlive</key> <dict><key>PathState</key> <dict><key>{path}</key><true/></dict></dict>\n"),
    })
}

/// s6-svscan has an s6-supervise for each service, which has written a status once it waits.
fn begin_s6(program: &Path, folder: &Path, jobs: usize) -> anyhow::Result<Loaded> {
    let services: Vec<PathBuf> = (0..jobs).map(|number| folder.join(number.to_string())).collect();
    for service in &services {
        fs::create_dir(service)?;
        fs::write(service.join("down"), "")?;
        fs::write(service.join("run"), "#!/bin/sh\nexec sleep 1000000\n")?;
        fs::set_permissions(service.join("run"), Permissions::from_mode(0o755))?;
    }
    let started = start(Command::new(program).arg(folder))?;
    watch(started, || {
        folder.join(".s6-svscan/control").exists()
            && services.iter().all(|service| service.join("supervise/status").exists())
    })
}

/// supervisord listens once it has read everything.
fn begin_supervisord(program: &Path, folder: &Path, jobs: usize) -> anyhow::Result<Loaded> {
    let socket = folder.join("socket");
    let mut text = format!(
        "[unix_http_server]\nfile={}\n[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={}\n",
        socket.display(),
        folder.join("pid").display()
    );
    for number in 0..jobs {
        text += &format!(
            "[program:job-{number}]\ncommand=/bin/true\nautostart=false\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
        );
    }
    let configuration = folder.join("supervisord.conf");
    fs::write(&configuration, text)?;
    let started = start(Command::new(program).arg("--nodaemon").arg("--configuration").arg(&configuration))?;
    watch(started, || UnixStream::connect(&socket).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_demand_has_what_it_waits_for() {
        let folder = Temporary::below(Path::new("/tmp"), "demands", 0o700).expect("a folder");
        for (number, key, is_file, is_folder) in [
            (4, "", false, false),
            (5, "WatchPaths", true, false),
            (6, "QueueDirectories", false, true),
            (7, "PathState", false, false),
        ] {
            let demand = demand(number, folder.path()).expect("a demand");
            let place = folder.path().join(number.to_string());
            assert!(demand.contains(key) && demand.is_empty() == key.is_empty(), "{demand}");
            assert_eq!((place.is_file(), place.is_dir()), (is_file, is_folder), "{demand}");
        }
    }
}
