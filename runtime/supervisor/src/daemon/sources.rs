//! What woke the loop, made into events.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use wjob_model::control::Pair;
use wjob_model::fleet::{Cause, Event, Label, RunId};
use wjob_model::run;

use super::log::Level;
use super::{Daemon, Wakes, adopted, clock};
use crate::attempt::Source;
use crate::watch::{Seen, What};

/// What a job has paths watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Watched {
    /// They start it, or keep it alive.
    Demands,
    /// They are missing, and it cannot start without them.
    Missing,
}

/// The token under which the file of the machine's time zone is watched.
pub(super) const ZONE: u64 = u64::MAX;

impl Daemon {
    /// Something can be read, or its other end is gone.
    pub(super) fn woken(&mut self, name: Wakes, gone: bool) {
        match name {
            Wakes::Signals => self.signalled(),
            Wakes::BootTimer => {
                self.boot_timer.woke();
                self.due();
            }
            Wakes::WallTimer => self.wall_clock(),
            Wakes::Watcher => self.paths_seen(),
            Wakes::Listener => self.accept(),
            Wakes::Client(number) => self.client(number, gone),
            Wakes::Run(run, source) => self.run_woken(run, Some(source)),
            Wakes::Asking(run) => self.answered(run, Ok(())),
            Wakes::Output(run, stream) => self.drop_output(run, stream),
            Wakes::Traffic(number) => self.traffic(number),
            Wakes::Logger => self.logger_said(),
            Wakes::LoggerGone => self.logger_gone(),
            Wakes::LeftOver(worker) => self.left_over_ended(worker),
            Wakes::Successor => self.successor_said(),
        }
    }

    fn signalled(&mut self) {
        while let Some(signal) = self.signals.next() {
            match signal {
                libc::SIGHUP => self.reload_configuration(),
                libc::SIGUSR1 => self.dump(),
                libc::SIGCHLD => adopted::reap(),
                _ => self.shut_down(),
            }
        }
    }

    /// An orderly shutdown; asked a second time, everything is killed.
    pub(super) fn shut_down(&mut self) {
        let now = clock::now();
        let again = self.fleet.is_stopping();
        self.manager.say("STOPPING=1");
        self.happened(Level::Info, None, "stopping", if again { "asked again: now" } else { "all jobs are stopped" });
        self.give_up_upgrade();
        let within = u64::try_from(self.configuration.shutdown_timeout.as_millis()).unwrap_or(u64::MAX);
        let actions = self.fleet.shut_down(now.boot.saturating_add(within), now);
        self.act(actions);
    }

    fn wall_clock(&mut self) {
        if self.wall_timer.woke() {
            self.clock_was_set();
        }
        self.due();
    }

    pub(super) fn clock_was_set(&mut self) {
        self.say(Level::Info, None, "the wall clock was set");
        let actions = self.fleet.clock_set(clock::now());
        self.act(actions);
    }

    /// Calendar times follow the machine's time zone.
    pub(super) fn zone_may_be_another(&mut self) {
        let zone = clock::zone();
        if zone != *self.fleet.zone() {
            let name = zone.iana_name().unwrap_or("of TZ").to_owned();
            self.say(Level::Info, None, &format!("the time zone is {name} now"));
            let actions = self.fleet.zone_set(zone, clock::now());
            self.act(actions);
        }
    }

    /// Everything whose moment has come.
    fn due(&mut self) {
        let now = clock::now();
        let late: Vec<RunId> = self
            .runs
            .iter()
            .filter(|(_, running)| running.attempt.deadline().is_some_and(|deadline| deadline <= Instant::now()))
            .map(|(run, _)| *run)
            .collect();
        for run in late {
            self.run_woken(run, None);
        }
        self.questions_due();
        self.upgrade_due();
        for number in self.clients.sweep(now.boot) {
            self.client_left(number);
        }
        self.logger_due();
        self.bindings_due(now.boot);
        self.connections_due(now.boot);
        if self.look_again_at.is_some_and(|moment| moment <= now.boot)
            && let Some(why) = self.watcher.shortage()
        {
            self.look_again_at = None;
            self.say(Level::Warn, None, &format!("a path is not watched in full: {why}"));
            self.paths_seen();
        }
        let actions = self.fleet.due(now);
        self.act(actions);
    }

    /// Paths changed, came or went: the jobs that asked for them are told.
    pub(super) fn paths_seen(&mut self) {
        let seen = self.watcher.read();
        for why in self.watcher.newly_unseen() {
            self.say(Level::Warn, None, &format!("a path is not looked at: {why}"));
        }
        for Seen { token, path, what } in seen {
            if token == ZONE {
                self.zone_may_be_another();
                continue;
            }
            let Some((label, kind)) = self.watched.get(&token).cloned() else {
                continue;
            };
            let path = path.to_string_lossy().into_owned();
            let event = match what {
                _ if kind == Watched::Missing => Event::Appeared,
                What::Changed => Event::Demand(Cause::Path(path)),
                What::Exists(exists) => Event::PathState(path, exists),
                What::Queue { entries } => Event::Queue(path, entries),
            };
            let actions = self.fleet.tell(&label, event, clock::now());
            self.act(actions);
        }
    }

    /// Which of a job's paths are not seen, and why, as `print` says it.
    pub(super) fn unseen_in_words(&self, label: &Label) -> Vec<Pair> {
        let kinds = [Watched::Demands, Watched::Missing];
        let tokens = kinds.into_iter().filter_map(|kind| self.tokens.get(&(label.clone(), kind)));
        let why = tokens.flat_map(|token| self.watcher.unseen(*token));
        why.map(|value| Pair { name: "not looked at".into(), value }).collect()
    }

    /// A run's helper or worker has something to say, or has ended, or took too long.
    fn run_woken(&mut self, run: RunId, source: Option<Source>) {
        if source == Some(Source::Process) {
            // What a job did to its folders before it ended counts before its end does.
            self.paths_seen();
        }
        self.before_attempt(run);
        let tools = tools!(self);
        let Some(running) = self.runs.get_mut(&run) else {
            return;
        };
        let event = running.attempt.woken(source, tools, &mut running.record);
        if let Some(run::Event::Prepared { .. }) = event {
            self.logger.has_process(run, running.attempt.pid());
        }
        self.after_attempt(run);
        if let Some(event) = event {
            self.run_event(run, event);
        }
    }

    /// The model learns of it and decides.
    fn run_event(&mut self, run: RunId, event: run::Event) {
        let actions = self.fleet.run(run, event, clock::now());
        self.act(actions);
    }

    /// Waits no more for what the run has now: what it does next may close it.
    pub(super) fn before_attempt(&mut self, run: RunId) {
        if let Some(running) = self.runs.get(&run) {
            for (_, descriptor) in running.attempt.sources() {
                self.poller.remove(descriptor);
            }
        }
    }

    /// Says what the run wants said, and waits for what can wake it now.
    pub(super) fn after_attempt(&mut self, run: RunId) {
        let Some(running) = self.runs.get_mut(&run) else {
            return;
        };
        keep_in(&mut self.compiling, run, running.attempt.is_compiling());
        keep_in(&mut self.queued, run, running.attempt.waits_its_turn());
        let said = running.record.take_said();
        let label = running.attempt.job().label.clone();
        for (source, descriptor) in running.attempt.sources() {
            // One that cannot be waited for would hang its job; there is nothing to be done but to say so.
            if let Err(error) = self.poller.add(descriptor.as_fd(), Wakes::Run(run, source)) {
                self.log.say(Level::Error, Some(&label), false, &format!("its worker cannot be waited for: {error}"));
            }
        }
        for (level, text) in said {
            self.say(level, Some(&label), &text);
        }
    }

    /// Lets programs be compiled that waited for others.
    pub(super) fn next_compilations(&mut self) {
        while self.compiling.len() < self.most_compiling
            && let Some(run) = self.queued.pop_first()
        {
            self.run_woken(run, Some(Source::Turn));
        }
    }

    /// Every job and run as it stands, for whoever wonders what the supervisor is doing.
    fn dump(&mut self) {
        let now = clock::now();
        let mut lines = vec![format!(
            "state: {} jobs, {} runs, {} clients, next moment {:?}",
            self.fleet.members().len(),
            self.runs.len(),
            self.clients.all().count(),
            self.fleet.deadline().0.map(|moment| format!("in {} ms", moment.saturating_sub(now.boot))),
        )];
        for (label, member) in self.fleet.members() {
            let row = super::describe::row(member, None, now);
            lines.push(format!("state: {label}: {} ({}), {} runs", row.state, row.why, row.runs));
        }
        for (run, running) in &self.runs {
            let pid = running.attempt.pid();
            lines.push(format!("state: run {run:x} of {}: worker {pid:?}", running.attempt.job().label));
        }
        for left in &self.left_over {
            lines.push(format!("state: left over of {}: worker {}", left.job.label, left.worker.pid));
        }
        for line in lines {
            self.log.say(Level::Info, None, true, &line);
        }
    }
}

fn keep_in(runs: &mut BTreeSet<RunId>, run: RunId, is_in: bool) {
    if is_in {
        runs.insert(run);
    } else {
        runs.remove(&run);
    }
}
