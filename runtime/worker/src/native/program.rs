//! A native program that runs: it is waited for, told to stop, idle or over a limit, and seen out with what it left.
//! How it is started stands in `exec`, where its output goes in `piping`.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use wjob_model::limit::Limit;
use wjob_model::message::{Code, INLINE_BYTES, Run, StartFailure, ToWorker};
use wjob_model::outcome::{HeldBy, Outcome};
use wjob_sandbox::channel::Channel;
use wjob_sandbox::signals::Signals;

use super::exec::{cannot_execute, command, enter_directory, globbed};
use super::piping::connect;
use crate::relay::{Carried, Relay};
use crate::transactions::Transactions;
use crate::{handed, inetd, spent};

/// SIGKILL as messages and outcomes have it.
const SIGKILL: u8 = 9;

/// A started program.
pub(super) struct Program {
    child: Child,
    pub(super) relays: Vec<Relay>,
    signals: Signals,
    transactions: Option<Transactions>,
}

impl Program {
    pub(super) fn start(run: &Run, stdio: [OwnedFd; 3], listeners: Vec<OwnedFd>) -> Result<Self, StartFailure> {
        let Code::Native(path) = &run.code else {
            return Err(StartFailure::own("the program", "it is not native"));
        };
        enter_directory(run)?;
        let signals = Signals::block(&[libc::SIGCHLD]).map_err(|error| StartFailure::own("signals", error))?;
        let arguments = if run.globbing { globbed(&run.arguments, &run.environment)? } else { run.arguments.clone() };
        handed::wait_at(&listeners).map_err(|error| StartFailure::own("the sockets", error))?;
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
    pub(super) fn see_out(&mut self, channel: &Channel, run: &Run) -> Outcome {
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
    pub(super) fn stay(&mut self, channel: &Channel, run: &Run) {
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
