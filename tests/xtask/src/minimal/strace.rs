//! strace, below which the tests run: how it is called, how long it may take, and that nothing it holds is left when it
//! is over, since a call that strace was to look at is refused to whoever is left without it (seccomp(2), ENOSYS). What
//! its lines mean is `trace`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::trace::{FOLLOWED, Trace};
use crate::cargo;
use crate::process;
use crate::step::advise;

/// Only calls that are looked at stop a process, and numbers are not turned into names, which makes lines short; but a
/// filter is written out, and beside the number of a process in a table of its own stands the one that strace has.
const OPTIONS: [&str; 9] =
    ["-f", "--seccomp-bpf", "--pidns-translation", "-X", "raw", "-e", "abbrev=!seccomp", "-e", "signal=none"];

/// How long parts of a run may take.
pub struct Patience {
    /// All of it.
    pub all: Duration,
    /// What is left when the tests are over.
    pub after: Duration,
}

/// All tests take some minutes, and below strace some times as long: an hour is for slow machines. What a test leaves
/// has 20 s to end when it is asked to (ExitTimeOut), and below strace everything takes longer: that three times over.
pub const PATIENCE: Patience = Patience { all: Duration::from_secs(60 * 60), after: Duration::from_secs(60) };

/// How long what was killed may take to be gone.
const ENDING: Duration = Duration::from_secs(10);
/// How often all that is there is killed: who was about to make a process has one more the next time.
const ATTEMPTS: usize = 3;
/// How many processes are named.
const NAMED: usize = 20;

/// Looks for strace, and whether it knows what is asked of it.
pub fn find() -> anyhow::Result<()> {
    let tried = Command::new("strace").args(OPTIONS).arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).status();
    let why = match tried {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("`strace {} -V` ended with {status}", OPTIONS.join(" ")),
        Err(error) => format!("strace cannot be started: {error}"),
    };
    let remedy = "install the package strace (`apt install strace` on Debian), version 5.9 or later";
    Err(advise("what workers do cannot be looked at", &why, remedy))
}

/// The tests below strace, whose standard output is the trace; the shell sees to it that theirs goes to a file.
pub fn command(program: &Path, tests: &[String], sought: &BTreeSet<String>, said: &Path) -> Command {
    let calls = FOLLOWED.into_iter().chain(sought.iter().map(String::as_str));
    // Of a name that this strace does not know it says nothing.
    let calls: Vec<String> = calls.map(|call| format!("?{call}")).collect();
    let mut command = Command::new("strace");
    command.args(OPTIONS).arg("-e").arg(format!("trace={}", calls.join(",")));
    command.args(["-o", "/dev/stdout", "--", "/bin/sh", "-c", "exec \"$@\" > \"$0\""]);
    command.args([said.as_os_str(), program.as_os_str()]).args(tests).args(["--color", "never"]);
    command.current_dir(cargo::root()).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Runs strace to its end and has its lines read. What outlives the tests is ended and told of on standard error;
/// tests that take too long are ended too, and that is an error.
pub fn follow(command: &mut Command, trace: &mut Trace, patience: &Patience) -> anyhow::Result<()> {
    let mut run = Run::start(command, patience.all)?;
    let heard = hear(&mut run.pipe, trace, patience.after);
    // It ends with the status of the tests, which are not judged here.
    let ended = run.end();
    match heard.context("cannot read what strace tells")? {
        Heard::TooLong => return Err(too_long(patience.all, &ended)),
        Heard::Outlived if !ended.is_empty() => {
            eprintln!("{} outlived the tests by {} s: ended by force", in_words(&ended), patience.after.as_secs());
        }
        Heard::Outlived | Heard::All => {}
    }
    Ok(())
}

/// How far reading came.
#[derive(Debug, PartialEq)]
enum Heard {
    /// To the end.
    All,
    /// To the end of the tests and of the time after them.
    Outlived,
    /// To the end of the time, within the tests.
    TooLong,
}

fn hear<P: Read + AsFd>(pipe: &mut BufReader<Until<P>>, trace: &mut Trace, after: Duration) -> io::Result<Heard> {
    match trace.read_first(pipe) {
        Ok(true) => pipe.get_mut().end = Instant::now() + after,
        Ok(false) => return Ok(Heard::All),
        Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(Heard::TooLong),
        Err(error) => return Err(error),
    }
    match trace.read_rest(pipe) {
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(Heard::Outlived),
        read => read.map(|()| Heard::All),
    }
}

/// A pipe that is read until a moment, whether something lies in it then or not.
struct Until<P> {
    pipe: P,
    end: Instant,
}

impl<P: Read + AsFd> Read for Until<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left).map_err(io::Error::other)?;
        if left.is_zero() || poll(&mut [PollFd::new(&self.pipe, PollFlags::IN)], Some(&limit))? == 0 {
            return Err(ErrorKind::TimedOut.into());
        }
        self.pipe.read(buffer)
    }
}

/// strace, running.
struct Run {
    child: Child,
    pipe: BufReader<Until<ChildStdout>>,
}

impl Run {
    fn start(command: &mut Command, limit: Duration) -> anyhow::Result<Self> {
        let mut child = command.spawn().context("cannot start strace")?;
        let pipe = child.stdout.take().context("the output of strace is no pipe")?;
        Ok(Self { child, pipe: BufReader::new(Until { pipe, end: Instant::now() + limit }) })
    }

    /// Kills what strace still holds, with which it ends itself; what that was, by number.
    fn end(mut self) -> BTreeMap<u32, String> {
        let (strace, mut ended) = (self.child.id(), BTreeMap::new());
        for _ in 0..ATTEMPTS {
            ended.extend(process::traced_by(strace).into_iter().map(|held| (held, process::name(held))));
            ended.keys().for_each(|held| kill(*held, strace));
            self.pipe.get_mut().end = Instant::now() + ENDING;
            if io::copy(&mut self.pipe, &mut io::sink()).is_ok() {
                break;
            }
        }
        // Ended already is as good as killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        ended
    }
}

/// SIGKILL, once it is sure that the descriptor is of a process that strace holds and of no later one of that number.
fn kill(held: u32, strace: u32) {
    let number = i32::try_from(held).ok().and_then(Pid::from_raw);
    let Some(descriptor) = number.and_then(|number| pidfd_open(number, PidfdFlags::empty()).ok()) else { return };
    if process::tracer(held) == Some(strace) {
        // Gone already is as good as killed.
        let _ = pidfd_send_signal(&descriptor, Signal::KILL);
    }
}

fn too_long(limit: Duration, ended: &BTreeMap<u32, String>) -> anyhow::Error {
    advise(
        &format!("the tests were not over after {} min below strace", limit.as_secs() / 60),
        &format!("{} still ran: ended by force", in_words(ended)),
        "see with `cargo xtask test` which test does not end; if the machine is slow, raise PATIENCE in \
         tests/xtask/src/minimal/strace.rs",
    )
}

/// How many, and the first of them by name and number.
fn in_words(processes: &BTreeMap<u32, String>) -> String {
    let named: Vec<String> = processes.iter().take(NAMED).map(|(number, name)| format!("{name:?} {number}")).collect();
    let noun = if processes.len() == 1 { "process" } else { "processes" };
    let more = if processes.len() > NAMED { ", ..." } else { "" };
    format!("{} {noun} ({}{more})", processes.len(), named.join(", "))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Longer than any test.
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn the_tests_are_told_from_what_is_traced() {
        let sought = BTreeSet::from(["read".to_owned()]);
        let command = command(Path::new("/t/tests"), &["grants::".to_owned()], &sought, Path::new("/t/said"));
        let line = cargo::command_line(&command);
        assert!(line.contains("-e trace=?execve,?execveat,?seccomp,?clone,?clone3,?fork,?vfork,?read -o"), "{line}");
        assert!(line.ends_with("/t/said /t/tests grants:: --color never"), "{line}");
    }

    #[test]
    fn a_pipe_is_read_until_its_moment_and_no_longer() {
        let (pipe, mut writer) = io::pipe().expect("a pipe");
        writer.write_all(b"ab").expect("two bytes");
        let mut until = Until { pipe, end: Instant::now() + LONG };
        let mut byte = [0; 1];
        let mut read = |until: &mut Until<io::PipeReader>| until.read(&mut byte).map_err(|error| error.kind());
        assert_eq!(read(&mut until), Ok(1));
        until.end = Instant::now();
        assert_eq!(read(&mut until), Err(ErrorKind::TimedOut));
        until.end = Instant::now() + LONG;
        assert_eq!(read(&mut until), Ok(1));
        drop(writer);
        assert_eq!(read(&mut until), Ok(0));
    }

    #[test]
    fn what_outlives_the_tests_is_waited_for_a_while_and_the_tests_longer() {
        const BEGUN: &str = "10 execve(\"/bin/sh\", [\"sh\"], 0x7f) = 0\n10 clone(flags=0x1200000|17) = 11\n";
        const OVER: &str = "10 +++ exited with 101 +++\n";
        const GONE: &str = "11 +++ exited with 0 +++\n";
        for (lines, closed, all, after, expected) in [
            (vec![BEGUN, GONE, OVER], true, LONG, LONG, Heard::All),
            (vec![BEGUN, OVER, GONE], true, LONG, LONG, Heard::All),
            (vec![BEGUN, OVER], false, LONG, Duration::ZERO, Heard::Outlived),
            // strace itself was ended.
            (vec![BEGUN], true, LONG, Duration::ZERO, Heard::All),
            (vec![BEGUN, OVER], false, Duration::ZERO, LONG, Heard::TooLong),
        ] {
            let (pipe, mut writer) = io::pipe().expect("a pipe");
            writer.write_all(lines.concat().as_bytes()).expect("a trace");
            let kept = (!closed).then_some(writer);
            let mut pipe = BufReader::new(Until { pipe, end: Instant::now() + all });
            let heard = hear(&mut pipe, &mut Trace::default(), after).expect("a pipe");
            assert_eq!(heard, expected, "{lines:?} {closed}");
            drop(kept);
        }
    }

    #[test]
    fn nothing_that_strace_holds_is_left() {
        let mut tried = Command::new("strace");
        tried.args(OPTIONS).args(["-o", "/dev/null", "--", "/bin/true"]).stderr(Stdio::null());
        if !tried.status().is_ok_and(|status| status.success()) {
            return println!("skipped: this user cannot trace here, or there is no strace");
        }
        let mut command = Command::new("strace");
        command.args(OPTIONS).args(["-e", "trace=?execve,?clone,?clone3,?fork,?vfork", "-o", "/dev/stdout", "--"]);
        command.args(["/bin/sh", "-c", "exec > /dev/null; sleep 3600 &"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut run = Run::start(&mut command, LONG).expect("strace");
        let heard = hear(&mut run.pipe, &mut Trace::default(), Duration::ZERO).expect("a trace");
        let ended = run.end();
        assert_eq!((heard, ended.len()), (Heard::Outlived, 1), "{ended:?}");
        assert!(ended.keys().all(|process| !process::runs(*process)), "{ended:?}");
    }

    #[test]
    fn tests_that_take_too_long_are_an_error_that_names_who_still_ran() {
        let ended = BTreeMap::from([(7, "wjobd".to_owned()), (9, "a\nb".to_owned())]);
        let error = too_long(Duration::from_secs(120), &ended).to_string();
        for part in ["after 2 min", "2 processes (\"wjobd\" 7, \"a\\nb\" 9)", "PATIENCE"] {
            assert!(error.contains(part), "{error}");
        }
        let many: BTreeMap<u32, String> = (1..100).map(|number| (number, "sh".to_owned())).collect();
        assert!(in_words(&many).ends_with("\"sh\" 20, ...)"), "{}", in_words(&many));
    }
}
