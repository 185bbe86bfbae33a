//! One step of a job's life: what each event does in each state. The states themselves, and what is seen of them from
//! outside, are its parent's.

use super::*;

/// One step under way.
pub(super) struct Step<'a> {
    pub(super) life: &'a mut Life,
    pub(super) setting: &'a Setting<'a>,
    pub(super) actions: Vec<Action>,
}

impl Step<'_> {
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Begin => self.begin(),
            Event::Due => self.due(),
            Event::ClockSet => {
                self.life.schedule.clock_set(&self.setting.job.launch, self.setting.now, self.setting.zone);
                self.due();
            }
            Event::ZoneSet => {
                self.life.schedule.zone_set(&self.setting.job.launch, self.setting.now, self.setting.zone);
                self.due();
            }
            Event::Demand(cause) => self.want(Causes::of(cause)),
            Event::PathState(path, exists) => {
                self.life.facts.path(path, exists);
                self.keep();
            }
            Event::Queue(path, entries) => {
                self.life.facts.queue(path, entries);
                self.keep();
            }
            Event::Other(label, is) => {
                self.life.facts.other(label, is);
                self.keep();
            }
            Event::Appeared => self.appeared(),
            Event::Rebound => self.rebound(),
            Event::Kickstart { kill, uid } => self.kickstart(kill, Cause::Operator(uid)),
            Event::Run(id, event) => self.run(id, event),
            Event::HandOver => self.hand_over(),
            Event::Enable => self.enable(),
            Event::Disable => self.disable(),
            Event::Unload => self.unload(),
        }
    }

    fn begin(&mut self) {
        if self.life.disabled {
            self.life.state = State::Disabled;
            return;
        }
        self.arm();
        if let Some(cause) = keep::at_begin(&self.setting.job.launch) {
            self.want(Causes::of(cause));
        }
        self.keep();
    }

    /// Timers run and sources are watched from here on.
    fn arm(&mut self) {
        if !self.life.armed {
            self.life.armed = true;
            self.life.schedule = Schedule::armed(&self.setting.job.launch, self.setting.now, self.setting.zone);
            self.actions.push(Action::Arm);
        }
    }

    fn disarm(&mut self) {
        self.await_missing(false);
        if std::mem::take(&mut self.life.armed) {
            self.life.schedule = Schedule::default();
            self.life.facts = Facts::default();
            self.actions.push(Action::Disarm);
        }
    }

    fn await_missing(&mut self, wanted: bool) {
        if self.life.awaiting != wanted {
            self.life.awaiting = wanted;
            self.actions.push(if wanted { Action::Await } else { Action::Forget });
        }
    }

    fn due(&mut self) {
        let now = self.setting.now.boot;
        let late = |run: &&Run| run.deadline().is_some_and(|deadline| deadline <= now);
        let late: Vec<RunId> =
            self.life.current().into_iter().chain(self.life.draining()).filter(late).map(|run| run.id).collect();
        for id in late {
            self.run(id, run::Event::Deadline);
        }
        let mut causes = Causes::default();
        let due = self.life.schedule.due(&self.setting.job.launch, self.setting.now, self.setting.zone);
        due.into_iter().for_each(|cause| causes.add(cause));
        self.want(causes);
        if let State::Waiting { until, causes, .. } = &mut self.life.state
            && *until <= now
        {
            let causes = std::mem::take(causes);
            self.start(causes);
        }
    }

    /// Demands, however many: one run answers them. They start the job, wait for its time, or for the end of what runs.
    fn want(&mut self, wanted: Causes) {
        if wanted.is_empty() {
            return;
        }
        match &mut self.life.state {
            State::Idle => self.start_when_allowed(wanted),
            State::Waiting { causes, .. } => causes.join(wanted),
            State::Active { pending, .. } => pending.join(wanted),
            State::Finished | State::Disabled | State::Leaving { .. } | State::Gone => {}
        }
    }

    /// What holds now may want it; only a job that has nothing to do is asked.
    fn keep(&mut self) {
        if self.life.state == State::Idle && self.life.armed {
            self.want(keep::now(&self.setting.job.launch, &self.life.facts, self.life.demanded));
        }
    }

    fn start_when_allowed(&mut self, causes: Causes) {
        let until = self.life.throttle.earliest(self.setting.job.launch.throttle);
        if until <= self.setting.now.boot {
            return self.start(causes);
        }
        let hold = if self.life.throttle.backs_off() { Hold::BackOff } else { Hold::Throttle };
        self.life.state = State::Waiting { until, causes, hold };
    }

    fn start(&mut self, causes: Causes) {
        let life = &mut self.life;
        let now = self.setting.now.boot;
        life.starts = life.starts.wrapping_add(1);
        life.demanded |= causes.named().iter().any(Cause::is_demand);
        life.throttle.started(now);
        life.reason.clone_from(&causes);
        let id = RunId::from(self.setting.id) << 32 | RunId::from(life.starts);
        let terms = Terms::of(self.setting.job, false);
        let run = Run { id, began: now, causes: causes.clone(), state: run::State::Preparing, terms };
        life.state = State::Active { run, pending: Causes::default(), again: None };
        self.await_missing(false);
        self.actions.push(Action::Start { run: id, causes });
    }

    /// What was missing may be there: a misconfigured job is tried again as soon as its throttle allows.
    fn appeared(&mut self) {
        let earliest = self.life.throttle.earliest(self.setting.job.launch.throttle.max(1)).min(
            // However often it failed, somebody has just acted on it.
            self.setting.now.boot + Moment::from(self.setting.job.launch.throttle.max(1)) * 1000,
        );
        if let State::Waiting { until, hold: Hold::Misconfigured(_), .. } = &mut self.life.state {
            *until = (*until).min(earliest);
        }
        self.due();
    }

    /// Nobody new reaches a run that has the former listener: it sees its clients to the end, and the next one begins when
    /// it may. One that shuts its listeners down at once is held back by that as by any end.
    fn rebound(&mut self) {
        let State::Active { run, pending, .. } = &mut self.life.state else {
            return self.appeared();
        };
        pending.add(Cause::Rebound);
        let id = run.id;
        self.run(id, run::Event::Stop(StopReason::Replace));
    }

    fn kickstart(&mut self, kill: bool, cause: Cause) {
        let overlaps = self.life.draining.is_none();
        match &mut self.life.state {
            State::Idle => self.start(Causes::of(cause)),
            State::Waiting { causes, .. } => {
                let mut causes = std::mem::take(causes);
                causes.add(cause);
                self.start(causes);
            }
            // One that holds listeners loses no client when the new worker accepts while the old one ends.
            State::Active { run, .. } if kill && overlaps && run.terms.listens => self.drain(cause),
            State::Active { run, again, .. } if kill => {
                // One that serves while another drains sees its clients to the end, too; the next ones wait meanwhile.
                let reason = if run.terms.listens { StopReason::Replace } else { StopReason::Terminate };
                let id = run.id;
                *again = Some(cause);
                self.run(id, run::Event::Stop(reason));
            }
            State::Active { .. } | State::Finished | State::Disabled | State::Leaving { .. } | State::Gone => {}
        }
    }

    fn drain(&mut self, cause: Cause) {
        let State::Active { run, pending, .. } = std::mem::replace(&mut self.life.state, State::Idle) else {
            return;
        };
        // One that serves nobody yet need not wait for its successor.
        let early = run.is_starting().then_some(run.id);
        self.life.draining = Some(run);
        let mut causes = Causes::of(cause);
        causes.join(pending);
        self.start(causes);
        self.end_in_favour(early);
    }

    fn end_in_favour(&mut self, former: Option<RunId>) {
        if let Some(id) = former {
            self.run(id, run::Event::Stop(StopReason::Replace));
        }
    }

    /// Whoever served until now ends, since another does.
    fn relieve(&mut self) {
        let former = self.life.draining.as_ref().filter(|run| run.is_up()).map(|run| run.id);
        self.end_in_favour(former);
    }

    /// The life of another definition begins here, with what still runs of this one. Its runs are counted on, so that no
    /// two have one number.
    fn hand_over(&mut self) {
        if !self.life.serves() {
            return;
        }
        self.disarm();
        let old = std::mem::replace(self.life, Life::new(false));
        self.life.starts = old.starts;
        self.life.draining = old.draining;
        self.actions.push(Action::Replaced);
        let State::Active { run, .. } = old.state else {
            return;
        };
        let (id, is_starting, is_up) = (run.id, run.is_starting(), run.is_up());
        if self.life.draining.is_none() {
            self.life.draining = Some(run);
            return self.end_in_favour(is_starting.then_some(id));
        }
        // One draining is enough: this one ends before the next begins.
        self.life.state = State::Active { run, pending: Causes::default(), again: Some(Cause::Reload) };
        self.end_in_favour((is_starting || is_up).then_some(id));
    }

    /// What would keep it alive does so again; what starts it when it is loaded does not.
    fn enable(&mut self) {
        self.life.disabled = false;
        if self.life.state == State::Disabled {
            self.life.state = State::Idle;
            self.arm();
            self.keep();
        }
    }

    fn disable(&mut self) {
        self.life.disabled = true;
        // One that is never to run again stays so, whatever is allowed later.
        if matches!(self.life.state, State::Idle | State::Waiting { .. }) {
            self.life.state = State::Disabled;
            self.disarm();
        }
    }

    fn unload(&mut self) {
        self.disarm();
        self.life.state = match std::mem::replace(&mut self.life.state, State::Gone) {
            State::Active { run, .. } => State::Leaving { run: Some(run) },
            State::Leaving { run } => State::Leaving { run },
            State::Gone => return,
            _ => State::Leaving { run: None },
        };
        let runs: Vec<RunId> = self.life.current().into_iter().chain(self.life.draining()).map(|run| run.id).collect();
        for id in runs {
            self.run(id, run::Event::Stop(StopReason::Terminate));
        }
        self.go();
    }

    /// Gone, once no worker is left.
    fn go(&mut self) {
        if self.life.state == (State::Leaving { run: None }) && self.life.draining.is_none() {
            self.life.state = State::Gone;
            self.actions.push(Action::Gone);
        }
    }

    /// Steps the state machine of one of its runs.
    fn run(&mut self, id: RunId, event: run::Event) {
        let Some(run) = self.life.run_mut(id) else {
            return;
        };
        if let run::Event::Prepared { native, listens } = event {
            run.terms.native = native;
            run.terms.listens = listens;
        }
        let since = self.setting.now.boot.saturating_sub(run.began);
        let state = std::mem::replace(&mut run.state, run::State::Over);
        let (state, actions) = state.step(event, since, &run.terms);
        run.state = state;
        let is_up = run.is_up();
        for action in actions {
            match action {
                run::Action::Finish(end) => self.ended(id, end),
                action => self.actions.push(Action::Worker { run: id, action }),
            }
        }
        if is_up && self.life.current().is_some_and(|current| current.id == id) {
            self.relieve();
        }
    }

    fn ended(&mut self, id: RunId, end: End) {
        self.actions.push(Action::Ended { run: id, end: end.clone() });
        self.life.last = Some(Last::of(&end));
        if self.life.draining.as_ref().is_some_and(|run| run.id == id) {
            self.life.draining = None;
            return self.go();
        }
        match std::mem::replace(&mut self.life.state, State::Idle) {
            State::Active { run, pending, again } => self.after(run, pending, again, end),
            _ => {
                self.life.state = State::Leaving { run: None };
                self.go();
            }
        }
    }

    /// The current run is over: what is next?
    fn after(&mut self, run: Run, pending: Causes, again: Option<Cause>, end: End) {
        match &end {
            End::Failed(_) => self.life.throttle.not_started(self.setting.now.boot),
            // Only a job that may end when it has nothing to do can have done so, whatever its worker says.
            End::Ran(verdict) if Ended::was_idle(verdict) && self.setting.job.idle_exit().is_some() => {
                self.life.throttle.was_idle();
            }
            End::Ran(_) if again.is_some() => {}
            End::Ran(_) => self.life.throttle.ended(self.setting.now.boot, fails(&end)),
        }
        // The definition of that run may be another's by now, and this one has not run once.
        let replaced = again == Some(Cause::Reload);
        if self.setting.job.launch.only_once && matches!(end, End::Ran(_)) && !replaced {
            self.life.state = State::Finished;
            return self.disarm();
        }
        if self.life.disabled {
            self.life.state = State::Disabled;
            return self.disarm();
        }
        if let Some(cause) = again {
            let mut causes = Causes::of(cause);
            causes.join(pending);
            return self.start(causes);
        }
        match end {
            End::Failed(failure) => {
                let mut causes = run.causes;
                causes.join(pending);
                self.hold(causes, failure.fault, failure.to_string());
            }
            End::Ran(verdict) => {
                let launch = &self.setting.job.launch;
                let mut causes = pending;
                keep::after(launch, Ended::of(&verdict)).into_iter().for_each(|cause| causes.add(cause));
                causes.join(keep::now(launch, &self.life.facts, self.life.demanded));
                self.want(causes);
            }
        }
    }

    /// A demand is never lost: what could not be started is tried again, later and later.
    fn hold(&mut self, causes: Causes, fault: Fault, why: String) {
        let hold = if fault == Fault::Job { Hold::Misconfigured(why) } else { Hold::Failed(why) };
        let misconfigured = fault == Fault::Job;
        let until = self.life.throttle.earliest(self.setting.job.launch.throttle.max(1));
        self.life.state = State::Waiting { until, causes, hold };
        self.await_missing(misconfigured);
    }
}
