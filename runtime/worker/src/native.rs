//! Runs a native program behind the same grants. The worker makes a process table whose first process, the init,
//! puts the walls up around itself, starts the program in them, and ends with it: so everything the program left
//! behind ends too, however wjob itself ends. Only for a job with AbandonProcessGroup the init stays for that, under
//! the same walls and limits.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use wjob_model::job::STANDARD_PATH;
use wjob_model::limit::Limit;
use wjob_model::message::{Code, FromWorker, INLINE_BYTES, Manner, Run, StartFailure, ToWorker};
use wjob_model::outcome::{HeldBy, Outcome};
use wjob_sandbox::channel::Channel;
use wjob_sandbox::grants::Opened;
use wjob_sandbox::probe::{Before, try_what_must_fail};
use wjob_sandbox::root::Root;
use wjob_sandbox::signals::Signals;
use wjob_sandbox::{confine, mount, namespaces};

use crate::handed::Handed;
use crate::output::{Meter, Output};
use crate::relay::{Carried, Relay};
use crate::role::{Started, no_namespaces, open_grants, open_root, report, set_umask, told_to_go, wall};
use crate::transactions::{self, Transactions};
use crate::{inetd, open, served, spent};

/// Performs the role.
pub(crate) fn perform(started: Started, run: Run) -> u8 {
    let Started { channel, descriptors } = started;
    match outside(descriptors, &run) {
        Ok(found) if run.walls.processes => in_own_process_table(channel, run, found),
        Ok(found) => inside(&channel, run, found),
        Err(failure) => {
            report(&channel, failure);
            1
        }
    }
}

/// What the job names, opened.
struct Found {
    stdio: [OwnedFd; 3],
    listeners: Vec<OwnedFd>,
    opened: Vec<Opened>,
    root: Option<Root>,
}

/// Step 3: namespaces, then everything the job names is opened.
fn outside(descriptors: Vec<OwnedFd>, run: &Run) -> Result<Found, StartFailure> {
    set_umask(run);
    namespaces::enter(&run.walls).map_err(|error| no_namespaces(&error))?;
    let root = open_root(run)?;
    let mut descriptors = descriptors.into_iter();
    let stdio = open::stdio(&run.stdio, &mut descriptors, &run.own, root.as_ref())?;
    Ok(Found { stdio, listeners: descriptors.collect(), opened: open_grants(run, root.as_ref())?, root })
}

/// The next child is the first process of the new table: it is the init, and this process only waits for it.
fn in_own_process_table(channel: Channel, run: Run, found: Found) -> u8 {
    // SAFETY: this process has one thread, so the child may do anything its parent could.
    match unsafe { libc::fork() } {
        0 => {
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            let status = inside(&channel, run, found);
            std::process::exit(status.into())
        }
        -1 => {
            report(&channel, StartFailure::own("fork", std::io::Error::last_os_error()));
            1
        }
        init => {
            // Only the init speaks from here on, and its end must show as the end of the channel.
            drop((channel, found));
            wait_for(init)
        }
    }
}

fn wait_for(init: i32) -> u8 {
    let pid = Pid::from_raw(init);
    loop {
        match rustix::process::waitpid(pid, WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                if let Some(signal) = status.terminating_signal().and_then(Signal::from_named_raw) {
                    // The supervisor is to see what the init met, as if it had been its own child.
                    let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
                }
                return status.exit_status().and_then(|status| u8::try_from(status).ok()).unwrap_or(1);
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return 1,
        }
    }
}

/// Steps 4 and 5, in the process that the walls are around.
fn inside(channel: &Channel, run: Run, found: Found) -> u8 {
    let Found { stdio, listeners, opened, root } = found;
    let walls = match put_up(&run, &opened, root.as_ref()) {
        Ok(walls) => walls,
        Err(failure) => {
            report(channel, failure);
            return 1;
        }
    };
    let serves = run.inetd_wait == Some(false) && !listeners.is_empty();
    if channel.send(&FromWorker::Manner(Manner { hears: true, serves }), &[]).is_err() {
        return 1;
    }
    if channel.send(&FromWorker::Walls(walls), &[]).is_err() || !told_to_go(channel) {
        return 1;
    }
    drop((opened, root));
    if serves {
        let outcome = match served::serve(channel, &run, stdio, listeners) {
            Ok(outcome) => outcome,
            Err(failure) => {
                report(channel, failure);
                return 1;
            }
        };
        let _ = channel.send(&FromWorker::Ended(outcome), &[]);
        return 0;
    }
    match Program::start(&run, stdio, listeners) {
        Ok(mut program) => {
            if !run.walls.processes {
                // The end of the channel tells of the supervisor's; this process outlives it to end the program's group.
                let _ = rustix::process::set_parent_process_death_signal(None);
            }
            let outcome = program.see_out(channel, &run);
            // A limit ends the whole run.
            let stays = run.abandon && run.walls.processes && !matches!(outcome, Outcome::LimitHit { .. });
            let _ = channel.send(&FromWorker::Ended(outcome), &[]);
            if stays {
                program.stay(channel, &run);
            }
            0
        }
        Err(failure) => {
            report(channel, failure);
            1
        }
    }
}

fn put_up(
    run: &Run,
    opened: &[Opened],
    root: Option<&Root>,
) -> Result<Vec<wjob_model::message::Evidence>, StartFailure> {
    let before = Before::open();
    if let Some(plan) = &run.walls.mount {
        mount::put_up(plan, opened, root).map_err(|error| wall(&error))?;
    }
    let mut evidence: Vec<_> = before.mounts(&run.walls, opened).into_iter().collect();
    confine(&run.walls, opened).map_err(|error| wall(&error))?;
    evidence.extend(try_what_must_fail(&run.walls).map_err(|error| wall(&error))?);
    Ok(evidence)
}

/// A started program.
struct Program {
    child: Child,
    relays: Vec<Relay>,
    signals: Signals,
    transactions: Option<Transactions>,
}

impl Program {
    fn start(run: &Run, stdio: [OwnedFd; 3], listeners: Vec<OwnedFd>) -> Result<Self, StartFailure> {
        let Code::Native(path) = &run.code else {
            return Err(StartFailure::own("the program", "it is not native"));
        };
        enter_directory(run)?;
        let signals = Signals::block(&[libc::SIGCHLD]).map_err(|error| StartFailure::own("signals", error))?;
        let arguments = if run.globbing { globbed(&run.arguments, &run.environment)? } else { run.arguments.clone() };
        let (stdio, listeners) = inetd::stdio(run, stdio, listeners)?;
        let (stdio, relays) = connect(run, stdio).map_err(|error| StartFailure::own("pipes", error))?;
        let account = run.transactions.then(|| Transactions::new(run.idle_timeout)).transpose();
        let (transactions, account) = account.map_err(|error| StartFailure::own("pipes", error))?.unzip();
        let command = command(path, &arguments, run, account, &listeners);
        let mut command = command.map_err(|error| StartFailure::own("the sockets", error))?;
        let [stdin, stdout, stderr] = stdio.map(Stdio::from);
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        let child = command.spawn().map_err(|error| cannot_execute(path, &error, run))?;
        drop(command);
        Ok(Self { child, relays, signals, transactions })
    }

    /// Waits for the program's end, carrying its output and passing on what the supervisor says.
    fn see_out(&mut self, channel: &Channel, run: &Run) -> Outcome {
        let mut told = None;
        loop {
            if let Some(outcome) = self.reap(run) {
                return self.ended(outcome, told, run);
            }
            let idle = self.idle_in().filter(|_| told.is_none());
            self.wait(channel, look(run).into_iter().chain(idle).min());
            self.hear();
            if told.is_none() && is_spent(run) {
                told = Some(limit(Limit::CpuTime));
                self.signal(libc::SIGKILL);
            }
            if said(channel) {
                match channel.receive::<ToWorker>(INLINE_BYTES) {
                    Ok(Some(ToWorker::Stop { signal })) => told = told.or(self.stop(signal.into())),
                    Ok(Some(ToWorker::Drain)) => told = told.or(self.stop(libc::SIGTERM)),
                    Ok(Some(_)) => {}
                    // Nobody is left to work for.
                    Ok(None) | Err(_) => self.signal(libc::SIGKILL),
                }
            }
            if told.is_none() && self.idle_in() == Some(Duration::ZERO) {
                told = Some(self.end_at_once());
            }
            if self.carry() == Carried::Limit {
                told = Some(limit(Limit::OutputSize));
                self.signal(libc::SIGKILL);
            }
        }
    }

    /// What the program's end counts as, given what it was told before. One that ended by itself was not stopped,
    /// however close the two came.
    fn ended(&mut self, own: Outcome, told: Option<Outcome>, run: &Run) -> Outcome {
        let limited = matches!(told, Some(Outcome::LimitHit { .. }));
        let carried = if limited { Carried::End } else { self.drain() };
        self.leave(run);
        match told {
            Some(told) if limited => told,
            _ if carried == Carried::Limit => limit(Limit::OutputSize),
            Some(told) if own == Outcome::Signaled(SIGKILL) => told,
            _ => own,
        }
    }

    /// Stays for what the program left, until all of it has ended, a limit is reached or the supervisor wants or is
    /// no more: this process's end is that of its process table.
    fn stay(&mut self, channel: &Channel, run: &Run) {
        while has_children() {
            self.wait(channel, look(run));
            self.hear();
            if is_spent(run) || self.carry() == Carried::Limit {
                return;
            }
            if said(channel) {
                match channel.receive::<ToWorker>(INLINE_BYTES) {
                    Ok(Some(ToWorker::Stop { signal: SIGKILL }) | None) | Err(_) => return,
                    Ok(Some(_)) => {}
                }
            }
        }
    }

    /// Takes signals and the program's account of its work.
    fn hear(&mut self) {
        while self.signals.next().is_some() {}
        if let Some(transactions) = &mut self.transactions {
            transactions.hear(Instant::now());
        }
    }

    /// How long until the program counts as idle, if it ever does.
    fn idle_in(&self) -> Option<Duration> {
        self.transactions.as_ref()?.idle_in(Instant::now())
    }

    /// A request to stop; what it came to, if that is settled: a program that says that nothing is under way loses
    /// nothing by ending at once.
    fn stop(&self, signal: i32) -> Option<Outcome> {
        if signal == libc::SIGTERM && self.transactions.as_ref().is_some_and(Transactions::nothing_open) {
            return Some(self.end_at_once());
        }
        self.signal(signal);
        None
    }

    /// Ends the program alone: what it started ends or lives on by its own rules.
    fn end_at_once(&self) -> Outcome {
        if let Some(pid) = self.pid() {
            // As in `signal`: the number is still its own, and gone is as good as killed.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        Outcome::Stopped
    }

    /// Waits until a child ended, the supervisor speaks, output is there or the time is up.
    fn wait(&self, channel: &Channel, at_most: Option<Duration>) {
        let mut waiting = vec![
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(channel.as_fd(), PollFlags::IN),
        ];
        waiting.extend(self.transactions.as_ref().and_then(Transactions::waiting));
        let mut pause = at_most;
        for relay in &self.relays {
            match relay.waiting() {
                Ok(waits) => waiting.push(waits),
                Err(wait) => pause = Some(pause.map_or(wait, |pause| pause.min(wait))),
            }
        }
        let timeout = pause.and_then(|pause| Timespec::try_from(pause).ok());
        // An interrupted wait is as good as a finished one: everything is looked at again.
        let _ = poll(&mut waiting, timeout.as_ref());
    }

    fn carry(&mut self) -> Carried {
        let mut worst = Carried::More;
        self.relays.retain(|relay| {
            if !relay.is_ready() {
                return true;
            }
            match relay.carry(usize::MAX).0 {
                Carried::More => true,
                Carried::End => false,
                Carried::Limit => {
                    worst = Carried::Limit;
                    false
                }
            }
        });
        worst
    }

    /// Carries what was in the pipes at the program's end, at the rate's pace; what its children still write is
    /// theirs to lose.
    fn drain(&mut self) -> Carried {
        for relay in &self.relays {
            let mut left = relay.waits();
            while left > 0 {
                match relay.carry(left) {
                    (Carried::More, 0) => crate::output::pause(relay.waiting().err()),
                    (Carried::More, carried) => left -= carried.min(left),
                    (Carried::Limit, _) => return Carried::Limit,
                    (Carried::End, _) => break,
                }
            }
            relay.finish();
        }
        Carried::End
    }

    /// Takes the status of everything that ended; the program's own is the outcome.
    fn reap(&mut self, run: &Run) -> Option<Outcome> {
        let own = i32::try_from(self.child.id()).ok();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if Some(pid.as_raw_nonzero().get()) == own {
                return Some(outcome(status, run));
            }
        }
        None
    }

    /// A request to end goes to the program, which may have children to see to; SIGKILL goes to its whole group.
    fn signal(&self, signal: i32) {
        let Some(pid) = self.pid() else {
            return;
        };
        // The child was not waited for yet, so the number is still its own. Gone is as good as signalled.
        let _ = match Signal::from_named_raw(signal) {
            // It may have left its group, and may have made another of its number's.
            Some(Signal::KILL) => {
                let _ = rustix::process::kill_process_group(pid, Signal::KILL);
                rustix::process::kill_process(pid, Signal::KILL)
            }
            Some(signal) => rustix::process::kill_process(pid, signal),
            None => Ok(()),
        };
    }

    /// Without a process table of its own, what is left of the program's group is asked to end, unless the job
    /// abandons it (launchd's rule).
    fn leave(&self, run: &Run) {
        if let Some(pid) = self.pid().filter(|_| !run.walls.processes && !run.abandon) {
            // The group lives on as long as a member does, so the number is nobody else's.
            let _ = rustix::process::kill_process_group(pid, Signal::TERM);
        }
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }
}

/// SIGKILL as messages and outcomes have it.
const SIGKILL: u8 = 9;

/// How often the run's processor time is looked at, if that is limited.
fn look(run: &Run) -> Option<Duration> {
    run.limits.cpu_time.filter(|_| run.walls.processes).map(|_| spent::LOOK)
}

fn is_spent(run: &Run) -> bool {
    let bound = run.limits.cpu_time.filter(|_| run.walls.processes).map(Duration::from_secs);
    bound.is_some_and(|bound| spent::by_the_run() >= bound)
}

fn limit(limit: Limit) -> Outcome {
    Outcome::LimitHit { limit, wall: HeldBy::Kernel }
}

/// Takes the status of whatever has ended; whether there is anything left.
fn has_children() -> bool {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

fn said(channel: &Channel) -> bool {
    crate::output::ready(channel, PollFlags::IN, Some(Duration::ZERO))
}

pub(crate) fn outcome(status: WaitStatus, run: &Run) -> Outcome {
    let narrow = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Outcome::Exited(narrow(status)),
        (None, Some(libc::SIGXCPU)) if run.limits.cpu_time.is_some() => {
            Outcome::LimitHit { limit: Limit::CpuTime, wall: HeldBy::Kernel }
        }
        (None, signal) => Outcome::Signaled(narrow(signal.unwrap_or_default())),
    }
}

/// The program's stdio: its own descriptors, or pipes to relays where a terminal or a limit asks for them.
fn connect(run: &Run, stdio: [OwnedFd; 3]) -> std::io::Result<([OwnedFd; 3], Vec<Relay>)> {
    let limited = run.limits.output_size.is_some() || run.limits.output_rate.is_some();
    let meter = Meter::shared(&run.limits);
    let mut relays = Vec::new();
    let [stdin, stdout, stderr] = stdio;
    let mut one = |descriptor: OwnedFd| -> std::io::Result<OwnedFd> {
        if !limited && (run.raw || !rustix::termios::isatty(&descriptor)) {
            return Ok(descriptor);
        }
        let (relay, program) = Relay::new(Output::new(descriptor, meter.clone(), run.raw))?;
        relays.push(relay);
        Ok(program)
    };
    let stdio = [stdin, one(stdout)?, one(stderr)?];
    Ok((stdio, relays))
}

pub(crate) fn enter_directory(run: &Run) -> Result<(), StartFailure> {
    let directory = run.working_directory.as_deref().unwrap_or("/");
    std::env::set_current_dir(directory).map_err(|error| {
        let advice = "make the folder, or grant it in Grants.Paths: a job sees nothing else";
        StartFailure::job(format!("WorkingDirectory {directory}"), error, advice)
    })
}

/// The command; `account` is the end of a pipe on which the program tells of its open work.
pub(crate) fn command(
    path: &str,
    arguments: &[String],
    run: &Run,
    account: Option<OwnedFd>,
    listeners: &[OwnedFd],
) -> std::io::Result<Command> {
    let mut command = Command::new(path);
    let environment = environment(run, account.is_some().then(|| transactions::descriptor(listeners.len())));
    let pairs = environment.iter().map(|(name, value)| (name, value));
    command.args(arguments.iter().skip(1)).env_clear().envs(pairs).process_group(0);
    if let Some(name) = arguments.first() {
        command.arg0(name);
    }
    let mut handed = match listeners {
        [] => None,
        listeners => Some(Handed::new(Path::new(path), arguments, &environment, listeners, &run.sockets)?),
    };
    let (stopped, at) = (run.wait_for_debugger, transactions::descriptor(listeners.len()));
    // SAFETY: between fork and exec only system calls are made; nothing is allocated or locked. The descriptor that
    // is replaced is the channel, which ends with the exec anyway.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            if let Some(account) = &account
                && libc::dup2(account.as_raw_fd(), at) < 0
            {
                return Err(std::io::Error::last_os_error());
            }
            if stopped {
                rustix::process::kill_process(rustix::process::getpid(), Signal::STOP)?;
            }
            match &mut handed {
                Some(handed) => Err(handed.execute()),
                None => Ok(()),
            }
        });
    }
    Ok(command)
}

/// The program's whole environment: the standard PATH as under launchd, unless the job sets its own, and where it tells
/// of its open work.
fn environment(run: &Run, account: Option<i32>) -> Vec<(String, String)> {
    let mut environment = run.environment.clone();
    if environment.iter().all(|(name, _)| name != "PATH") {
        environment.push(("PATH".into(), STANDARD_PATH.into()));
    }
    environment.extend(account.map(|descriptor| (transactions::VARIABLE.to_owned(), descriptor.to_string())));
    environment
}

pub(crate) fn cannot_execute(path: &str, error: &std::io::Error, run: &Run) -> StartFailure {
    let advice = match run.root {
        None => {
            "a native program sees /usr, /lib and its grants: grant its files in Grants.Paths with Access Execute, or set Isolation to None"
        }
        Some(_) => "a native program sees its RootDirectory and its grants: its interpreter and libraries belong there",
    };
    let what = match interpreter(path).filter(|_| error.kind() == std::io::ErrorKind::NotFound) {
        Some(interpreter) => format!("executing {path} by its interpreter {interpreter}"),
        None => format!("executing {path}"),
    };
    StartFailure::job(what, error, advice)
}

/// What the first line of a script names (execve(2), "Interpreter scripts").
fn interpreter(path: &str) -> Option<String> {
    let mut head = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(std::fs::File::open(path).ok()?, 256), &mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    String::from_utf8_lossy(line).split_whitespace().next().map(ToOwned::to_owned)
}

/// Arguments with their patterns expanded in the current view; a pattern that matches nothing stays (launchd's
/// EnableGlobbing: tilde, and the pattern kept).
///
/// # Errors
/// When a pattern is none.
pub(crate) fn globbed(arguments: &[String], environment: &[(String, String)]) -> Result<Vec<String>, StartFailure> {
    let home = environment.iter().find(|(name, _)| name == "HOME").map(|(_, value)| value.as_str());
    let mut expanded = Vec::new();
    for argument in arguments {
        let pattern = match (argument.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => format!("{home}/{rest}"),
            _ => argument.clone(),
        };
        let matches = glob::glob(&pattern).map_err(|error| {
            StartFailure::job(
                format!("argument {argument:?}"),
                error,
                "correct the pattern, or set EnableGlobbing to false",
            )
        })?;
        let matches: Vec<String> =
            matches.filter_map(Result::ok).filter_map(|path| path.to_str().map(ToOwned::to_owned)).collect();
        if matches.is_empty() {
            expanded.push(pattern);
        } else {
            expanded.extend(matches);
        }
    }
    Ok(expanded)
}
