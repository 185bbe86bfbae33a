//! Runs the cases one after the other and prints what cargo's own test runner would. What a case is, and whether it
//! came out right, is decided elsewhere.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use wjob_model::wall::Machine;
use wjob_sandbox::machine;

use crate::judge::{Report, Verdict, judge, not_applicable};
use crate::payload::{CONTAINED, DUMPED, ESCAPED, KILLED, NO_WALLS};
use crate::stage::Stage;
use crate::table::{Case, Need, cases};

/// The most one attack may take; it takes a hundredth of a second.
const MOST_TIME: Duration = Duration::from_secs(20);

/// The status that cargo's runner ends with when a test failed.
const FAILURE: u8 = 101;

/// Flags of cargo's runner that are followed by a value.
const FLAGS_WITH_VALUES: &[&str] =
    &["--test-threads", "--format", "--color", "--logfile", "--shuffle-seed", "--report-time", "-Z"];

/// What the command line asks for.
#[derive(Debug, Default)]
pub struct Wanted {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
    ignored: bool,
}

impl Wanted {
    /// Reads the flags of cargo's runner that mean something here; the others are passed over.
    pub fn of(arguments: &[String]) -> Self {
        let mut wanted = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => wanted.exact = true,
                "--list" => wanted.list = true,
                "--ignored" => wanted.ignored = true,
                "--skip" => wanted.skipped.extend(arguments.next().cloned()),
                flag if FLAGS_WITH_VALUES.contains(&flag) => _ = arguments.next(),
                flag if flag.starts_with('-') => {}
                filter => wanted.filters.push(filter.to_owned()),
            }
        }
        wanted
    }

    fn takes(&self, name: &str) -> bool {
        let matches = |filter: &String| if self.exact { name == filter } else { name.contains(filter.as_str()) };
        let asked = self.filters.is_empty() || self.filters.iter().any(matches);
        // No case is ever ignored.
        asked && !self.ignored && !self.skipped.iter().any(matches)
    }
}

/// Runs what is wanted.
pub fn run(wanted: &Wanted) -> ExitCode {
    let all = cases();
    let filtered = all.len();
    let chosen: Vec<Case> = all.into_iter().filter(|case| wanted.takes(&case.name())).collect();
    if wanted.list {
        chosen.iter().for_each(|case| println!("{}: test", case.name()));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let began = Instant::now();
    let machine = machine::look();
    let failures: Vec<(String, String)> = chosen.iter().filter_map(|case| one(case, &machine)).collect();
    summary(&failures, chosen.len(), filtered - chosen.len(), began.elapsed())
}

/// Runs one case and prints its line; its name and why it failed, if it did.
fn one(case: &Case, machine: &Machine) -> Option<(String, String)> {
    let name = case.name();
    print!("test {name} ... ");
    let _ = std::io::stdout().flush();
    match verdict(case, machine) {
        Verdict::Good(None) => println!("ok"),
        Verdict::Good(Some(remark)) => println!("ok ({remark})"),
        Verdict::Bad(why) => {
            println!("FAILED");
            return Some((name, why));
        }
    }
    None
}

fn verdict(case: &Case, machine: &Machine) -> Verdict {
    let mut stage = match Stage::set() {
        Ok(stage) => stage,
        Err(error) => return Verdict::Bad(format!("the stage could not be set: {error}")),
    };
    if let Some(reason) = not_applicable(case, machine, &stage) {
        return Verdict::Good(Some(format!("not applicable: {reason}")));
    }
    match attack(case, &stage) {
        Ok(report) => judge(case, &report, &mut stage),
        Err(error) => Verdict::Bad(format!("the attacker could not be started: {error}")),
    }
}

fn summary(failures: &[(String, String)], run: usize, filtered: usize, took: Duration) -> ExitCode {
    if !failures.is_empty() {
        println!("\nfailures:\n");
        failures.iter().for_each(|(name, why)| println!("---- {name} ----\n{why}\n"));
        println!("failures:");
        failures.iter().for_each(|(name, _)| println!("    {name}"));
    }
    let result = if failures.is_empty() { "ok" } else { "FAILED" };
    let passed = run - failures.len();
    println!(
        "\ntest result: {result}. {passed} passed; {} failed; 0 ignored; 0 measured; {filtered} filtered out; finished in {:.2}s\n",
        failures.len(),
        took.as_secs_f64()
    );
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILURE) }
}

/// Starts the attacker, waits for its end and takes its report.
fn attack(case: &Case, stage: &Stage) -> std::io::Result<Report> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(crate::ATTACK).arg(case.name()).args(stage.scene.arguments()).env_clear();
    command.stdin(match (&stage.terminal, case.attack.need) {
        (Some(terminal), Need::Terminal) => Stdio::from(terminal.slave.try_clone()?),
        _ => Stdio::null(),
    });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let Some(status) = wait(&mut child)? else {
        return Ok(Report::Late);
    };
    let said = child.stdout.take().map(|pipe| what_was_said(pipe.into())).unwrap_or_default();
    let complaints = child.stderr.take().map(|pipe| what_was_said(pipe.into())).unwrap_or_default();
    Ok(report(status, &said, &complaints))
}

/// Waits for the end; `None` when it took too long and was made.
fn wait(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let end = pidfd_open(pid.ok_or_else(|| std::io::Error::other("no pid"))?, PidfdFlags::empty())?;
    let began = Instant::now();
    while began.elapsed() < MOST_TIME {
        let left = Timespec::try_from(MOST_TIME.saturating_sub(began.elapsed())).ok();
        match poll(&mut [PollFd::new(&end, PollFlags::IN)], left.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return child.wait().map(Some),
            Err(error) => return Err(error.into()),
        }
    }
    child.kill()?;
    child.wait().map(|_| None)
}

/// What is in a pipe, without waiting for whoever else may hold its other end.
fn what_was_said(pipe: OwnedFd) -> String {
    let mut said = Vec::new();
    if rustix::io::ioctl_fionbio(pipe.as_fd(), true).is_ok() {
        // Ends with an error when somebody still could write: what was read until then is kept.
        let _ = std::fs::File::from(pipe).read_to_end(&mut said);
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn report(status: ExitStatus, said: &str, complaints: &str) -> Report {
    if let Some(signal) = status.signal() {
        return Report::Killed { signal, dumped: status.core_dumped() };
    }
    said.lines().rev().find_map(line).unwrap_or_else(|| Report::Silent(format!("{status}: {complaints}")))
}

fn line(line: &str) -> Option<Report> {
    let number = |text: &str| text.trim().parse().ok();
    if let Some(what) = line.strip_prefix(ESCAPED) {
        return Some(Report::Escaped(what.to_owned()));
    }
    if let Some(why) = line.strip_prefix(NO_WALLS) {
        return Some(Report::NoWalls(why.to_owned()));
    }
    if let Some(errno) = line.strip_prefix(CONTAINED) {
        return Some(Report::Stopped(number(errno)?));
    }
    let (signal, dumped) = match (line.strip_prefix(KILLED), line.strip_prefix(DUMPED)) {
        (Some(signal), _) => (signal, false),
        (None, Some(signal)) => (signal, true),
        (None, None) => return None,
    };
    Some(Report::Killed { signal: number(signal)?, dumped })
}
