//! A program that serves while it is measured: started, waited for until it answers, and ended by its own number when
//! this value is dropped, so that nothing stays behind on a fault either. What it says goes to a file.

use std::fs::{self, File};
use std::mem;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use super::loopback::PATIENCE;
use crate::cargo;
use crate::process;

/// How often one is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// In how many looks it is given up that a server comes to rest.
const RESTS: usize = 50;

/// The program and the file with what it says.
pub struct Server {
    child: Child,
    said: PathBuf,
}

impl Server {
    /// Starts it.
    pub fn start(command: &mut Command, said: &Path) -> anyhow::Result<Self> {
        let line = cargo::command_line(command);
        let output = File::create(said).with_context(|| format!("cannot make {}", said.display()))?;
        let complaints = output.try_clone().context("cannot share a file")?;
        command.stdin(Stdio::null()).stdout(output).stderr(complaints);
        let child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
        Ok(Self { child, said: said.to_path_buf() })
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Asks until there is an answer; one that ends meanwhile, or takes too long, is a fault.
    pub fn wait_for(&mut self, mut answer: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let begin = Instant::now();
        while let Err(fault) = answer() {
            if let Some(status) = self.child.try_wait().context("cannot look after a server")? {
                anyhow::bail!("it ended with {status}{}", self.last_words());
            }
            anyhow::ensure!(begin.elapsed() < PATIENCE, "it does not serve: {fault:#}{}", self.last_words());
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Waits until nothing of it runs any more, so that what it finishes late is not the next one's burden. One that
    /// never rests is not waited for.
    pub fn come_to_rest(&self) {
        let mut last = None;
        for _ in 0..RESTS {
            let now = Some(process::switches(&process::family(self.child.id())));
            if mem::replace(&mut last, now) == now {
                return;
            }
            thread::sleep(LOOK);
        }
    }

    /// The last line it said, to be appended to a fault.
    fn last_words(&self) -> String {
        let said = fs::read(&self.said).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        said.trim().lines().last().map_or_else(String::new, |line| format!("; it says: {line}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The number of one that was waited for may be somebody else's by now.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let processes = process::family(self.child.id());
        // It may end by itself at this moment, and then there is nothing to do.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let begin = Instant::now();
        while processes.iter().any(|process| process::runs(*process)) {
            if begin.elapsed() > PATIENCE {
                kill(&processes);
                break;
            }
            thread::sleep(LOOK);
        }
        let _ = self.child.wait();
    }
}

/// Ends those that would not end.
fn kill(processes: &[u32]) {
    for process in processes.iter().filter(|process| process::runs(**process)) {
        if let Some(process) = i32::try_from(*process).ok().and_then(Pid::from_raw) {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::temporary::Temporary;

    #[test]
    fn a_server_is_waited_for_and_ended_and_its_complaint_is_told() {
        let folder = Temporary::below(Path::new("/tmp"), "server", 0o700).expect("a folder");
        let said = folder.path().join("said");
        let shell = |script: &str| Server::start(Command::new("sh").args(["-c", script]), &said).expect("a shell");
        let mut sleeps = shell("exec sleep 1000");
        sleeps.wait_for(|| Ok(())).expect("an answer");
        let number = sleeps.child.id();
        drop(sleeps);
        assert!(!process::runs(number));
        let fault = shell("echo no such file; exit 3").wait_for(|| anyhow::bail!("refused")).expect_err("a fault");
        let text = fault.to_string();
        assert!(text.contains("exit status: 3") && text.contains("it says: no such file"), "{text}");
    }
}
