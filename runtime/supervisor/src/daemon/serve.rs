//! The control socket: clients come and go, each call is held against who may make it, and answered. What a call does
//! is done by `load` and by the fleet.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::SocketFlags;
use serde::Serialize;
use wjob_model::control::who::{self, Peer, Verdict};
use wjob_model::control::{
    Blame, Bootout, Bootstrap, DESCRIPTION, Failure, Happened, INTERFACE, Jobs, Kickstart, Kickstarted, Kill, Method,
    OfJob, Override, Overrides, Reload, Supervisor,
};
use wjob_model::domain::Domain;
use wjob_model::fleet::{Event, Label, Other, State};
use wjob_model::grant::Control;
use wjob_model::run;
use wjob_model::spec::label_fault;
use wjob_model::varlink::{self, Call, Interface, Nothing, Standard, introspect};
use wjob_sandbox::peer::Peer as PeerProcess;

use super::ancestry::Belongs;
use super::log::Level;
use super::{Daemon, Wakes, ancestry, clock, describe};
use crate::control::connection::{Connection, Incoming};

/// What is told to whoever asks what this is.
const INTERFACES: [Interface; 1] = [Interface { name: INTERFACE, description: DESCRIPTION }];

/// Signals that ask for an end: SIGINT, SIGKILL, SIGTERM.
const ENDING: [u8; 3] = [2, 9, 15];
/// Descriptors kept for finding out who a client is: its process, a file of /proc.
const RESERVE: usize = 2;
/// Most clients taken in at once.
const AT_ONCE: usize = 16;
/// Most calls of one client answered at once.
const CALLS_AT_ONCE: u32 = 16;
/// How soon clients are taken in again for whom there were no descriptors, milliseconds.
const LISTEN_AGAIN: u64 = 1_000;
/// How often it is said that clients are sent away: so many times in so many milliseconds.
const MOST_SAID: u32 = 20;
const SAY_AGAIN: u64 = 1_000;

/// Why a call has no answer yet, or a bad one.
enum Answer {
    /// The whole answer.
    Now(Vec<u8>),
    /// It comes later, or never ends.
    Later,
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self::Now(failure.reply())
    }
}

impl From<Standard> for Answer {
    fn from(standard: Standard) -> Self {
        Self::Now(standard.reply())
    }
}

fn answer<T: Serialize>(result: Result<T, Failure>) -> Answer {
    match result {
        Ok(value) => Answer::Now(varlink::reply(&value, false)),
        Err(failure) => failure.into(),
    }
}

impl Daemon {
    /// Takes new clients in, as long as there are descriptors for them.
    pub(super) fn accept(&mut self) {
        // Whoever connects without an end leaves time for the others.
        for _ in 0..AT_ONCE {
            if !self.fill_reserve() {
                return self.pause_accepting();
            }
            match rustix::net::accept_with(&self.listener.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => self.admit(UnixStream::from(socket)),
                Err(rustix::io::Errno::AGAIN) => return,
                Err(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => return self.pause_accepting(),
                Err(_) => return,
            }
        }
    }

    /// Finding out who a client is takes descriptors for a moment; without them nobody could be told apart.
    fn fill_reserve(&mut self) -> bool {
        while self.reserve.len() < RESERVE
            && let Ok(spare) = rustix::io::fcntl_dupfd_cloexec(&self.listener.listener, 0)
        {
            self.reserve.push(spare);
        }
        self.reserve.len() == RESERVE
    }

    /// Without descriptors a listener that is ready would wake the loop for ever.
    fn pause_accepting(&mut self) {
        self.poller.remove(&self.listener.listener);
        self.listen_again_at = Some(clock::now().boot + LISTEN_AGAIN);
        self.say(Level::Warn, None, "no descriptors are left for another client; one that leaves makes room");
    }

    fn admit(&mut self, stream: UnixStream) {
        self.reserve.clear();
        let connection = Connection::accept(stream).map_err(|error| error.to_string());
        let admitted = connection.and_then(|mut connection| {
            // Now, while it is surely there: a process that has gone cannot be asked where it came from.
            let caller = self.caller(&connection.peer);
            connection.peer.forget_process();
            Ok((self.clients.admit(connection).map_err(str::to_owned)?, caller))
        });
        let admitted = admitted.map(|(number, caller)| self.callers.insert(number, caller));
        if let Err(why) = admitted {
            let now = clock::now().boot;
            if now >= self.refusals.0 + SAY_AGAIN {
                self.refusals = (now, 0);
            }
            self.refusals.1 += 1;
            if self.refusals.1 <= MOST_SAID {
                self.say(Level::Warn, None, &format!("a client was sent away: {why}"));
            }
        }
    }

    /// Waits for clients as far as they may speak now.
    pub(super) fn register_clients(&mut self) {
        for (number, connection) in self.clients.all() {
            let (read, write) = (connection.wants_read(), connection.wants_write());
            // One that cannot be waited for is swept away when it takes too long.
            let _ = self.poller.add_for(connection.as_fd(), Wakes::Client(number), read, write);
        }
        if self.listen_again_at.is_some_and(|moment| moment <= clock::now().boot) {
            let added = self.poller.add(self.listener.listener.as_fd(), Wakes::Listener);
            self.listen_again_at = added.is_err().then(|| clock::now().boot + LISTEN_AGAIN);
        }
    }

    /// A client spoke, took something, or is gone.
    pub(super) fn client(&mut self, number: u64, gone: bool) {
        let now = clock::now().boot;
        if let Some(connection) = self.clients.get(number) {
            connection.flush(now);
            connection.read(now);
            if gone {
                connection.hang_up();
            }
        }
        self.calls(number);
    }

    /// What was left of calls in the last turn.
    pub(super) fn go_on_with_calls(&mut self) {
        for number in std::mem::take(&mut self.busy) {
            self.calls(number);
        }
    }

    /// Answers the calls that are here, some of them in this turn: whoever sends many leaves time for the others.
    fn calls(&mut self, number: u64) {
        let now = clock::now().boot;
        for turn in 0.. {
            if turn == CALLS_AT_ONCE {
                self.busy.insert(number);
                break;
            }
            let Some(connection) = self.clients.get(number) else {
                break;
            };
            match connection.incoming() {
                Some(Incoming::Call(call)) => {
                    let nobody = Peer::Job { control: None };
                    let peer = self.callers.get(&number).copied().unwrap_or(nobody);
                    if let Answer::Now(bytes) = self.call(number, peer, &call) {
                        self.send(number, bytes);
                    }
                }
                Some(Incoming::Bad(bad)) => connection.send(bad.reply(), now),
                Some(Incoming::Closed) | None => break,
            }
        }
        if self.clients.get(number).is_some_and(|connection| connection.is_dead()) {
            self.client_left(number);
        }
    }

    pub(super) fn send(&mut self, number: u64, bytes: Vec<u8>) {
        if let Some(connection) = self.clients.get(number) {
            connection.send(bytes, clock::now().boot);
        }
    }

    pub(super) fn client_left(&mut self, number: u64) {
        if let Some(connection) = self.clients.get(number) {
            self.poller.remove(connection.as_fd());
        }
        self.clients.remove(number);
        self.callers.remove(&number);
        self.busy.remove(&number);
        self.listen_again_at = self.listen_again_at.map(|_| 0);
        self.subscribers.retain(|subscriber| *subscriber != number);
        self.leaving.retain(|(client, _)| *client != number);
    }

    /// Who a caller is, as far as its rights go.
    fn caller(&self, peer: &PeerProcess) -> Peer {
        let job = self.job_of(peer.pid);
        // What was read of it was another's, if it is gone by now.
        let job = if peer.is_there() { job } else { Some(None) };
        Peer::of(peer.uid, self.reader.owner, job)
    }

    /// The same of a process that the logger has for a client, as [`Daemon::job_of`].
    pub(super) fn job_of_a_client(&mut self, pid: i32) -> Option<Option<Control>> {
        self.reserve.clear();
        let job = self.job_of(pid);
        self.fill_reserve();
        job
    }

    /// The grant of the job that a process belongs to, if it belongs to one: a job's process has that grant, whatever its
    /// user, and one of which it cannot be told whether it is has what a job without the grant has. Whether the number
    /// is still that process's is for whoever asks to see afterwards.
    fn job_of(&self, pid: i32) -> Option<Option<Control>> {
        let runs = || {
            let running =
                self.runs.values().filter_map(|running| Some((running.attempt.pid()?, running.attempt.job())));
            running.chain(self.left_over.iter().map(|left| (left.worker.pid, &left.job)))
        };
        match ancestry::of(pid, std::process::id(), |pid| runs().any(|(worker, _)| worker == pid)) {
            Belongs::Unknown => Some(None),
            Belongs::Nobody => None,
            Belongs::Worker(worker) => {
                Some(runs().find(|(pid, _)| *pid == worker).and_then(|(_, job)| job.grants.control))
            }
        }
    }

    fn call(&mut self, number: u64, peer: Peer, call: &Call) -> Answer {
        if let Some(bytes) = introspect(call, "wjobd", &self.settings.build, &INTERFACES) {
            return Answer::Now(bytes);
        }
        let method = match Method::named(&call.method) {
            Ok(method) => method,
            Err(standard) => return standard.into(),
        };
        if method.streams() && !call.more {
            return Standard::ExpectedMore {}.into();
        }
        if call.oneway && method.only_tells() {
            return Answer::Later;
        }
        let verdict = who::may(peer, method);
        if let Verdict::No(why) = verdict {
            return Failure::NotPermitted { why: why.into() }.into();
        }
        let uid = self.clients.get(number).map_or(u32::MAX, |connection| connection.peer.uid);
        self.perform_call(number, uid, method, call, verdict).unwrap_or_else(Answer::from)
    }

    fn perform_call(
        &mut self,
        number: u64,
        uid: u32,
        method: Method,
        call: &Call,
        verdict: Verdict,
    ) -> Result<Answer, Standard> {
        let redacted = verdict == Verdict::Redacted;
        Ok(match method {
            Method::List => {
                call.take::<Nothing>()?;
                answer(Ok(self.list(redacted)))
            }
            Method::Print => answer(self.print(&call.take::<OfJob>()?.label, redacted)),
            Method::Bootstrap => answer(self.bootstrap(Path::new(&call.take::<Bootstrap>()?.path))),
            Method::Bootout => self.bootout(number, &call.take::<Bootout>()?),
            Method::Enable => answer(self.decide(&call.take::<OfJob>()?.label, false, verdict)),
            Method::Disable => answer(self.decide(&call.take::<OfJob>()?.label, true, verdict)),
            Method::Overrides => {
                call.take::<Nothing>()?;
                answer(Ok(self.all_overrides()))
            }
            Method::Kickstart => answer(self.kickstart(&call.take::<Kickstart>()?, uid)),
            Method::Kill => answer(self.kill(&call.take::<Kill>()?)),
            Method::Blame => answer(self.blame(&call.take::<OfJob>()?.label)),
            Method::Audit => answer(self.audit(&call.take::<OfJob>()?.label)),
            Method::Reload => answer(match call.take::<Reload>()?.label {
                Some(label) => self.reload_job(&label),
                None => self.reload_everything(),
            }),
            Method::Supervisor => {
                call.take::<Nothing>()?;
                answer(Ok(self.own_state()))
            }
            Method::Upgrade => {
                call.take::<Nothing>()?;
                match self.upgrade(number) {
                    Ok(()) => Answer::Later,
                    Err(failure) => failure.into(),
                }
            }
            Method::Events => {
                call.take::<Nothing>()?;
                if !self.subscribers.contains(&number) {
                    self.subscribers.push(number);
                }
                Answer::Later
            }
        })
    }

    fn pid_of(&self, label: &str) -> Option<u32> {
        let current = self.fleet.member(label)?.life.current()?.id;
        self.runs.get(&current)?.attempt.program_pid()
    }

    fn list(&self, redacted: bool) -> Jobs {
        let now = clock::now();
        let rows = self.fleet.members().map(|(label, member)| describe::row(member, self.pid_of(label), now));
        let jobs = rows.map(|row| if redacted { who::redact_row(row) } else { row }).collect();
        Jobs { jobs }
    }

    fn print(&self, label: &str, redacted: bool) -> Result<wjob_model::control::JobDetail, Failure> {
        let missing = || Failure::NoSuchJob { label: label.to_owned() };
        let member = self.fleet.member(label).ok_or_else(missing)?;
        let origin = self.origins.get(label).ok_or_else(missing)?;
        let row = describe::row(member, self.pid_of(label), clock::now());
        let path = origin.path.display().to_string();
        let current = member.life.current().and_then(|run| self.runs.get(&run.id));
        let denials = current.map_or(&origin.denials, |running| &running.record.denials);
        let (domain, walls) = (Domain::of(self.settings.uid), self.walls_of(label));
        let mut detail = describe::detail(row, member, domain, &path, walls, denials);
        if !redacted {
            // Whoever is not told what the program is, is not told what that means either, nor has it opened for him.
            detail.limits = self.limits_of(&member.job);
        }
        detail.properties.extend(self.left_over_of(label));
        detail.properties.extend(self.sockets_in_words(label));
        detail.properties.extend(self.unseen_in_words(&Label::from(label)));
        Ok(if redacted { who::redact(detail) } else { detail })
    }

    fn bootout(&mut self, number: u64, bootout: &Bootout) -> Answer {
        let Some((label, _)) = self.fleet.members().find(|(label, _)| ***label == *bootout.label) else {
            return Failure::NoSuchJob { label: bootout.label.clone() }.into();
        };
        let label = label.clone();
        self.leaving.push((number, label.clone()));
        let reloading = self.fleet.member(&label).is_some_and(|member| member.is_reloading());
        if reloading
            || !matches!(self.fleet.member(&label).map(|member| member.life.state()), Some(State::Leaving { .. }))
        {
            let actions = self.fleet.tell(&label, Event::Unload, clock::now());
            self.act(actions);
        }
        if !bootout.wait && self.fleet.member(&label).is_some() {
            self.leaving.retain(|(client, _)| *client != number);
            return Answer::Now(varlink::reply(&Nothing {}, false));
        }
        Answer::Later
    }

    /// Those who wait for a job to be gone are told.
    pub(super) fn answer_bootout(&mut self, label: &Label) {
        let (told, waiting) = std::mem::take(&mut self.leaving).into_iter().partition(|(_, gone)| gone == label);
        self.leaving = waiting;
        let told: Vec<(u64, Label)> = told;
        for (number, _) in told {
            self.send(number, varlink::reply(&Nothing {}, false));
        }
    }

    fn decide(&mut self, label: &str, disabled: bool, verdict: Verdict) -> Result<Nothing, Failure> {
        if verdict == Verdict::IfLoaded && self.fleet.member(label).is_none() {
            return Err(Failure::NoSuchJob { label: label.to_owned() });
        }
        if let Some(why) = label_fault(label) {
            let why = format!("that is no label: {why}");
            return Err(Failure::Failed { why });
        }
        self.overrides.set(label, disabled).map_err(|error| Failure::Failed { why: error.to_string() })?;
        let (event, what) = if disabled { (Event::Disable, "disabled") } else { (Event::Enable, "enabled") };
        self.happened(Level::Info, Some(label), what, "");
        let actions = self.fleet.tell(label, event, clock::now());
        self.act(actions);
        Ok(Nothing {})
    }

    fn all_overrides(&self) -> Overrides {
        let rows = self.overrides.all();
        Overrides { overrides: rows.map(|(label, disabled)| Override { label: label.to_owned(), disabled }).collect() }
    }

    fn kickstart(&mut self, kickstart: &Kickstart, uid: u32) -> Result<Kickstarted, Failure> {
        let label = kickstart.label.as_str();
        let member = self.fleet.member(label).ok_or_else(|| Failure::NoSuchJob { label: label.to_owned() })?;
        match member.life.state() {
            _ if self.fleet.is_stopping() => return Err(Failure::ShuttingDown {}),
            State::Disabled => return Err(Failure::JobDisabled { label: label.to_owned() }),
            State::Finished => {
                let why =
                    format!("{label} ran once, and LaunchOnlyOnce allows no more; `wjob reload {label}` begins anew");
                return Err(Failure::Failed { why });
            }
            State::Leaving { .. } | State::Gone => return Err(Failure::NoSuchJob { label: label.to_owned() }),
            State::Idle | State::Waiting { .. } | State::Active { .. } => {}
        }
        if member.life.is_disabled() {
            return Err(Failure::JobDisabled { label: label.to_owned() });
        }
        let running = member.life.current().is_some() && !kickstart.kill;
        let before = member.life.current().map(|run| run.id);
        let event = Event::Kickstart { kill: kickstart.kill, uid };
        let actions = self.fleet.tell(label, event, clock::now());
        self.act(actions);
        // One that is being ended first has no new process yet.
        let current = self.fleet.member(label).and_then(|member| member.life.current()).map(|run| run.id);
        let ending = kickstart.kill && current == before;
        let pid = self.pid_of(label).filter(|_| !ending).map(i64::from);
        Ok(Kickstarted { pid, running })
    }

    fn kill(&mut self, kill: &Kill) -> Result<Nothing, Failure> {
        let label = kill.label.as_str();
        let member = self.fleet.member(label).ok_or_else(|| Failure::NoSuchJob { label: label.to_owned() })?;
        let signal = u8::try_from(kill.signal).ok().filter(|signal| (1..=64).contains(signal));
        let signal =
            signal.ok_or_else(|| Failure::Failed { why: format!("{} is no signal; expected 1 to 64", kill.signal) })?;
        let run = member.life.current().map(|run| (run.id, &run.state));
        let attempt = run.and_then(|(run, _)| self.runs.get(&run)).map(|running| &running.attempt);
        let attempt = attempt.filter(|attempt| attempt.pid().is_some());
        let attempt = attempt.ok_or_else(|| Failure::NotRunning { label: label.to_owned() })?;
        let starting = matches!(run.map(|(_, state)| state), Some(run::State::Preparing | run::State::Starting { .. }));
        match starting && ENDING.contains(&signal) {
            // Nothing hears a signal yet, and what was asked for is an end.
            true => attempt.end(),
            false => attempt.signal(signal).map_err(|why| Failure::Failed { why })?,
        }
        Ok(Nothing {})
    }

    fn blame(&self, label: &str) -> Result<Blame, Failure> {
        let member = self.fleet.member(label).ok_or_else(|| Failure::NoSuchJob { label: label.to_owned() })?;
        Ok(Blame { causes: member.life.reason().in_words() })
    }

    fn own_state(&self) -> Supervisor {
        let running = self.fleet.members().filter(|(_, member)| member.life.seen() == Other::Active).count();
        Supervisor {
            build: self.settings.build.clone(),
            domain: self.settings.domain(),
            pid: std::process::id().into(),
            since: self.since.to_string(),
            jobs: i64::try_from(self.fleet.members().len()).unwrap_or(i64::MAX),
            running: i64::try_from(running).unwrap_or(i64::MAX),
            stopping: self.fleet.is_stopping(),
            log_level: self.log.level().word().into(),
            state: self.settings.state.display().to_string(),
            configuration: self.settings.configuration.display().to_string(),
            folders: self.settings.folders(&self.configuration).iter().map(|path| path.display().to_string()).collect(),
            logger: self.logger.in_words(),
            cgroup: self.machine.cgroup.as_ref().ok().map(|delegated| delegated.folder.clone()),
            cgroup_lacking: self.machine.cgroup.as_ref().err().cloned(),
        }
    }

    /// Tells those who watch events; one that does not read is let go.
    pub(super) fn publish(&mut self, label: Option<&str>, what: &str, detail: &str) {
        if self.subscribers.is_empty() {
            return;
        }
        let now = clock::now();
        let happened = Happened {
            time: now.wall.to_string(),
            label: label.map(str::to_owned),
            what: what.to_owned(),
            detail: detail.to_owned(),
        };
        let bytes = varlink::reply(&happened, true);
        for number in self.subscribers.clone() {
            if let Some(connection) = self.clients.get(number) {
                connection.send_more(bytes.clone(), now.boot);
            }
        }
    }
}
