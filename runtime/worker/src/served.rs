//! inetd's way for native programs: for each connection a process, with the connection as its stdin and stdout. This one
//! accepts, starts them, bounds and ends them; it reads nothing that a client says.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::SocketFlags;
use rustix::process::{Pid, Signal, WaitOptions};
use wjob_model::denial::Denial;
use wjob_model::limit::Limit;
use wjob_model::message::{Code, FromWorker, INLINE_BYTES, Run, StartFailure, ToWorker};
use wjob_model::outcome::{HeldBy, Outcome, Verdict};
use wjob_model::wall::DEFAULT_INSTANCES;
use wjob_sandbox::channel::Channel;
use wjob_sandbox::signals::Signals;

use crate::native::{cannot_execute, command, enter_directory, globbed, outcome};
use crate::output::{Meter, Output};
use crate::relay::{Carried, Relay};
use crate::serve::gate::Gate;
use crate::serve::listening::{NotNow, Peer, Socket, Source};
use crate::serve::shortage::Shortage;

/// How long nobody is accepted after there was no room for another process or connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Serves until it is asked to stop and everybody was served, or nobody has come for a while.
///
/// # Errors
/// When not even the first process can be started.
pub(crate) fn serve(
    channel: &Channel,
    run: &Run,
    stdio: [OwnedFd; 3],
    sockets: Vec<OwnedFd>,
) -> Result<Outcome, StartFailure> {
    let Code::Native(path) = &run.code else {
        return Err(StartFailure::own("the program", "it is not native"));
    };
    enter_directory(run)?;
    let arguments = if run.globbing { globbed(&run.arguments, &run.environment)? } else { run.arguments.clone() };
    let sockets = sockets.into_iter().zip(&run.sockets).map(|(socket, about)| Socket::new(socket, about.clone()));
    let sockets: Result<Vec<Socket>, _> = sockets.collect();
    let [_, _, stderr] = stdio;
    let mut service = Service {
        channel,
        run,
        path,
        arguments,
        signals: Signals::block(&[libc::SIGCHLD]).map_err(|error| StartFailure::own("signals", error))?,
        sockets: sockets.map_err(|error| StartFailure::own("a socket", error))?,
        output: Output::new(stderr, Meter::shared(&run.limits), run.raw),
        gate: Gate::new(&run.limits, Instant::now()),
        shortage: Shortage::default(),
        served: HashMap::new(),
        number: 0,
        met: Vec::new(),
        closing: false,
        rested: Instant::now(),
        not_before: None,
    };
    service.see_out()
}

struct Service<'a> {
    channel: &'a Channel,
    run: &'a Run,
    path: &'a str,
    arguments: Vec<String>,
    signals: Signals,
    sockets: Vec<Socket>,
    output: Output,
    gate: Gate,
    /// Of room for connections.
    shortage: Shortage,
    served: HashMap<u32, Served>,
    /// Connections so far.
    number: u64,
    /// Limits that were met, each of which is told once.
    met: Vec<Limit>,
    /// Whether nobody is accepted any more.
    closing: bool,
    /// When the last process ended.
    rested: Instant,
    /// When there may be room again.
    not_before: Option<Instant>,
}

/// A process that serves a connection.
struct Served {
    number: u64,
    source: Source,
    /// What it complains of.
    relay: Option<Relay>,
    /// When RunTime is over.
    until: Option<Instant>,
}

impl Service<'_> {
    fn see_out(&mut self) -> Result<Outcome, StartFailure> {
        let channel = self.channel;
        loop {
            self.reap();
            if self.served.is_empty() && (self.closing || self.idle_in() == Some(Duration::ZERO)) {
                return Ok(Outcome::Stopped);
            }
            self.wait(channel);
            while self.signals.next().is_some() {}
            self.carry();
            if crate::output::ready(channel, PollFlags::IN, Some(Duration::ZERO)) {
                match channel.receive::<ToWorker>(INLINE_BYTES) {
                    Ok(Some(ToWorker::Stop { signal })) => self.stop(signal.into()),
                    Ok(Some(ToWorker::Drain)) => self.closing = true,
                    Ok(Some(_)) => {}
                    // Nobody is left to work for.
                    Ok(None) | Err(_) => self.stop(libc::SIGKILL),
                }
            }
            self.end_overdue();
            self.accept()?;
        }
    }

    fn stop(&mut self, signal: i32) {
        self.closing = true;
        for pid in self.served.keys() {
            end(*pid, signal);
        }
    }

    fn idle_in(&self) -> Option<Duration> {
        let timeout = Duration::from_secs(self.run.idle_timeout?.into());
        self.served.is_empty().then(|| timeout.saturating_sub(self.rested.elapsed()))
    }

    /// Whether one more may come; `Err` with the time when that is to be asked again.
    fn room(&mut self) -> Result<bool, Duration> {
        let most = self.run.limits.instances.unwrap_or(DEFAULT_INSTANCES);
        if self.closing || self.served.len() as u64 >= most {
            return Ok(false);
        }
        let now = Instant::now();
        if let Some(left) =
            self.not_before.map(|moment| moment.saturating_duration_since(now)).filter(|it| !it.is_zero())
        {
            return Err(left);
        }
        self.gate.pause(now).map_or(Ok(true), Err)
    }

    fn wait(&mut self, channel: &Channel) {
        let (room, pause) = match self.room() {
            Ok(room) => (room, None),
            Err(pause) => (false, Some(pause)),
        };
        let mut waiting = vec![
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(channel.as_fd(), PollFlags::IN),
        ];
        if room {
            waiting.extend(self.sockets.iter().map(|socket| PollFd::new(&socket.descriptor, PollFlags::IN)));
        }
        let now = Instant::now();
        let overdue = self.served.values().filter_map(|served| Some(served.until?.saturating_duration_since(now)));
        let mut timeout = overdue.chain(self.idle_in()).chain(pause).min();
        for relay in self.served.values().filter_map(|served| served.relay.as_ref()) {
            match relay.waiting() {
                Ok(waits) => waiting.push(waits),
                Err(wait) => timeout = Some(timeout.map_or(wait, |timeout| timeout.min(wait))),
            }
        }
        // A millisecond more, so that the moment has come when it is looked at.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout + Duration::from_millis(1)).ok());
        // An interrupted wait is as good as a finished one: everything is looked at again.
        let _ = poll(&mut waiting, timeout.as_ref());
    }

    fn carry(&mut self) {
        for served in self.served.values_mut() {
            if let Some(relay) = served.relay.take_if(|relay| relay.is_ready()) {
                served.relay = (relay.carry(usize::MAX).0 == Carried::More).then_some(relay);
            }
        }
    }

    fn end_overdue(&mut self) {
        let now = Instant::now();
        let overdue = self.served.iter().filter(|(_, served)| served.until.is_some_and(|until| until <= now));
        let overdue: Vec<(u32, u64)> = overdue.map(|(pid, served)| (*pid, served.number)).collect();
        for (pid, number) in overdue {
            self.ended(number, &Outcome::LimitHit { limit: Limit::RunTime, wall: HeldBy::Kernel });
            end(pid, libc::SIGKILL);
        }
    }

    /// Everybody who is there and may come.
    fn accept(&mut self) -> Result<(), StartFailure> {
        for at in 0..self.sockets.len() {
            while self.room() == Ok(true) {
                match self.sockets[at].accept_with(SocketFlags::CLOEXEC) {
                    Ok((connection, peer)) => self.begin(connection, &peer)?,
                    Err(NotNow::Gone) => {}
                    Err(NotNow::Nobody) => break,
                    Err(NotNow::NoRoom(error)) => {
                        let now = Instant::now();
                        if self.shortage.is_news(now, error.raw_os_error()) {
                            let words = format!("wjob: accepting pauses: {error}\n");
                            let _ = self.output.write_uncounted(words.as_bytes());
                        }
                        self.not_before = Some(now + NO_ROOM);
                    }
                    Err(NotNow::Dead(error)) => {
                        let address = self.sockets[at].about.address.clone();
                        let words = format!("wjob: nobody is accepted at {address} any more: {error}\n");
                        let _ = self.output.write_uncounted(words.as_bytes());
                        self.sockets.remove(at);
                        self.closing |= self.sockets.is_empty();
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, connection: OwnedFd, peer: &Peer) -> Result<(), StartFailure> {
        if !peer.is_admitted(self.run, &connection) {
            return Ok(());
        }
        if !self.gate.enter(peer.source()) {
            return Ok(());
        }
        self.number += 1;
        match self.start(connection, peer) {
            Ok((pid, relay)) => {
                let until = self.run.limits.run_time.map(|seconds| Instant::now() + Duration::from_secs(seconds));
                let served = Served { number: self.number, source: peer.source(), relay: Some(relay), until };
                self.served.insert(pid, served);
                Ok(())
            }
            Err(error) => {
                self.gate.leave(peer.source());
                if self.number == 1 && error.raw_os_error() != Some(libc::EAGAIN) {
                    // It never could: nothing that another client brings would change that.
                    return Err(cannot_execute(self.path, &error, self.run));
                }
                self.complain(self.number, &format!("no process for it: {error}"));
                self.not_before = Some(Instant::now() + NO_ROOM);
                Ok(())
            }
        }
    }

    fn start(&self, connection: OwnedFd, peer: &Peer) -> std::io::Result<(u32, Relay)> {
        let (relay, stderr) = Relay::new(self.output.labelled(format!("connection {}: ", self.number)))?;
        let mut command = command(self.path, &self.arguments, self.run, None, &[])?;
        if let Peer::Network(address, port) = peer {
            command.env("REMOTE_ADDR", address.to_string()).env("REMOTE_PORT", port.to_string());
        }
        command.stdin(connection.try_clone()?).stdout(connection).stderr(stderr);
        Ok((command.spawn()?.id(), relay))
    }

    /// Takes the status of everything that ended.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get().unsigned_abs();
            let Some(served) = self.served.remove(&pid) else {
                continue;
            };
            self.rested = Instant::now();
            self.gate.leave(served.source);
            if let Some(relay) = served.relay {
                // What its children still write is theirs to lose.
                let mut left = relay.waits();
                while left > 0 {
                    match relay.carry(left) {
                        (Carried::More, carried) if carried > 0 => left -= carried.min(left),
                        _ => break,
                    }
                }
                relay.finish();
            }
            let ended = outcome(status, self.run);
            if !matches!(ended, Outcome::Exited(0)) && !self.closing {
                self.ended(served.number, &ended);
            }
        }
    }

    /// Says how a process came to no good end. A limit that it met is for the run's record too.
    fn ended(&mut self, number: u64, outcome: &Outcome) {
        let words = match outcome {
            Outcome::Exited(status) => format!("exit {status}"),
            outcome => Verdict { outcome: outcome.clone(), stop: None }.in_words().unwrap_or_default(),
        };
        self.complain(number, &words);
        if let Outcome::LimitHit { limit, wall } = *outcome
            && !self.met.contains(&limit)
        {
            self.met.push(limit);
            // The report is a courtesy, as a guest's is: whoever does not read it must hold nobody up.
            let _ = self.channel.offer(&FromWorker::Denied(Denial::Limit { limit, wall }));
        }
    }

    fn complain(&self, number: u64, what: &str) {
        let _ = self.output.write_uncounted(format!("wjob: connection {number}: {what}\n").as_bytes());
    }
}

/// Signals a process that was not waited for yet, so that its number is still its own; SIGKILL goes to its whole group.
fn end(pid: u32, signal: i32) {
    let (Some(pid), Some(signal)) = (i32::try_from(pid).ok().and_then(Pid::from_raw), Signal::from_named_raw(signal))
    else {
        return;
    };
    // Gone is as good as signalled.
    let _ = if signal == Signal::KILL {
        rustix::process::kill_process_group(pid, signal)
    } else {
        rustix::process::kill_process(pid, signal)
    };
}
