//! A process that a test started: its output is gathered, every wait for it has a bound, and it ends with its value at
//! the latest. What it is and what its output means is not known here.

use std::io::{Error as IoError, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::gathered::Gathered;
use super::{Error, Exit};

/// How long a process may take to be gone once it was killed, and its streams to end once it is gone.
const LAST: Duration = Duration::from_secs(10);

/// A process, with what it wrote.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Waits are for this: a number could be another process's by then.
    descriptor: OwnedFd,
    ended: bool,
    /// Its standard output.
    pub(super) output: Gathered,
    /// Its standard error.
    pub(super) log: Gathered,
}

impl Process {
    /// Starts it, with nothing on standard input. The advice is for somebody on whose machine it is missing.
    pub(super) fn start(mut command: Command, advice: &'static str) -> Result<Self, Error> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().map_err(|error| Error::Start { program, error, advice })?;
        let output = gather(child.stdout.take());
        let log = gather(child.stderr.take());
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(descriptor) => Ok(Self { child, descriptor, ended: false, output, log }),
            Err(error) => {
                // Without a descriptor there is no way to wait for it with a bound.
                let _ = child.kill();
                let _ = child.wait();
                Err(Error::System { what: "a process cannot be watched", error: error.into() })
            }
        }
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) -> Result<(), Error> {
        match pidfd_send_signal(&self.descriptor, Signal::TERM) {
            // It has ended already; how, its status says.
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(Error::System { what: "a process cannot be stopped", error: error.into() }),
        }
    }

    /// Waits for its end, and kills it when that takes too long.
    pub(super) fn end(&mut self, what: &'static str, patience: Duration) -> Result<Exit, Error> {
        let in_time = self.ends_within(patience);
        let status = self.status()?;
        for stream in [&self.output, &self.log] {
            stream.wait(LAST, |_| false);
        }
        let (output, log) = (self.output.text(), self.log.text());
        match in_time {
            true => Ok(Exit { status, output, log }),
            false => Err(Error::Late { what, seconds: patience.as_secs(), log }),
        }
    }

    /// Its status as a shell has it, once it is gone; it is killed if it is not.
    fn status(&mut self) -> Result<i32, Error> {
        let refused = |error: IoError| Error::System { what: "a process has no status", error };
        if !self.ends_within(Duration::ZERO) {
            self.child.kill().map_err(refused)?;
            if !self.ends_within(LAST) {
                return Err(refused(std::io::ErrorKind::TimedOut.into()));
            }
        }
        let status = self.child.wait().map_err(refused)?;
        self.ended = true;
        Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
    }

    /// Waits until it is gone, but not longer than this; whether it is.
    fn ends_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).ok();
            // A descriptor of a process is readable once the process has ended (pidfd_open(2)).
            match poll(&mut [PollFd::new(&self.descriptor, PollFlags::IN)], left.as_ref()) {
                Err(Errno::INTR) => {}
                result => return matches!(result, Ok(1..)),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            // Nobody is left to be told that it would not go.
            let _ = self.status();
        }
    }
}

fn gather(stream: Option<impl Read + Send + 'static>) -> Gathered {
    stream.map(Gathered::of).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::Process;
    use crate::harness::Error;

    /// Longest wait for what is sure to come.
    const PATIENCE: Duration = Duration::from_secs(120);

    fn shell(script: &str) -> Process {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Process::start(command, "").expect("a shell")
    }

    #[test]
    fn status_and_streams_are_told() {
        let exit = shell("echo out; echo err >&2; exit 7").end("the end", PATIENCE).expect("an end");
        assert_eq!((exit.status(), exit.output(), exit.log()), (7, "out\n", "err\n"));
        assert!(!exit.success());
        assert_eq!(shell("kill -9 $$").end("the end", PATIENCE).expect("an end").status(), 137);
    }

    #[test]
    fn what_takes_too_long_is_killed_and_what_was_said_is_told() {
        let mut process = shell("echo waiting >&2; exec sleep 1000");
        process.log.wait(PATIENCE, |text| !text.is_empty());
        let error = process.end("the end", Duration::from_millis(1)).expect_err("no end");
        assert_eq!(error.to_string(), "the end took longer than 0 s; the log is\nwaiting\n");
        assert!(process.ended);
    }

    #[test]
    fn it_ends_when_it_is_asked_to() {
        let mut process = shell("exec sleep 1000");
        process.terminate().expect("a process");
        assert_eq!(process.end("the end", PATIENCE).expect("an end").status(), 143);
    }

    #[test]
    fn a_program_that_is_missing_comes_with_advice() {
        let error = Process::start(Command::new("/no/such/program"), "install it").expect_err("nothing to start");
        assert!(matches!(error, Error::Start { .. }));
        let words = error.to_string();
        assert!(
            words.starts_with("/no/such/program cannot be started: ") && words.ends_with("; install it"),
            "{words}"
        );
    }
}
