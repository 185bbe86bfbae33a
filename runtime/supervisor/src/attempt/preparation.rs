//! From an order to a worker: names are looked up, the code is sought and compiled, the worker is made. What the worker
//! is handed stands in `hand_over`.

use std::fs::File;
use std::time::Instant;

use wjob_model::run::Event;
use wjob_model::wall::WorkerKind;

use super::{Attempt, Phase};
use crate::compile::{CompileError, Sought, seek};
use crate::helper::Silence;
use crate::order::{Reporter, Tools};
use crate::resolve::{self, ask, understood};
use crate::run_error::RunError;
use crate::spawn::{Standing, spawn};

impl Attempt {
    /// The first step; what it leads to.
    pub fn prepare(&mut self, tools: Tools<'_>, reporter: &mut dyn Reporter) -> Option<Event> {
        if self.wanted.is_empty() {
            return self.seek_code(tools, false, reporter);
        }
        match ask(tools.image, &self.machine, &self.wanted, self.identity()) {
            Ok(errand) => {
                self.phase = Phase::Resolving(errand, Instant::now() + resolve::WITHIN);
                None
            }
            Err(why) => {
                reporter.warn(&format!("names cannot be looked up: {why}"));
                self.seek_code(tools, false, reporter)
            }
        }
    }

    /// Whatever has taken too long is done without.
    pub(super) fn late(&mut self, tools: Tools<'_>, reporter: &mut dyn Reporter) -> Option<Event> {
        let now = Instant::now();
        if self.addresses.take_if(|(_, deadline)| *deadline <= now).is_some() {
            reporter.warn("names cannot be looked up again: it took too long");
        }
        self.phase_deadline()
            .is_some_and(|deadline| deadline <= now)
            .then(|| self.helped(Err(Silence::Late), tools, reporter))
            .flatten()
    }

    /// A helper is done, or too late.
    pub(super) fn helped(
        &mut self,
        waited: Result<(), Silence>,
        tools: Tools<'_>,
        reporter: &mut dyn Reporter,
    ) -> Option<Event> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Resolving(errand, _) => {
                match understood(&self.wanted, waited.and_then(|()| errand.answer())) {
                    Ok(names) => self.names = names,
                    Err(why) => reporter.warn(&format!("names cannot be looked up: {why}")),
                }
                self.seek_code(tools, false, reporter)
            }
            Phase::Compiling(compiling) => match compiling.finish(self.cache.as_ref(), waited) {
                Ok(code) => self.work(tools, Some(code)),
                Err(CompileError::Program(failure)) if self.renewable(&failure) => {
                    self.renew(&failure, tools, reporter)
                }
                Err(error) => self.fail(error.into()),
            },
            phase => {
                self.phase = phase;
                None
            }
        }
    }

    pub(super) fn seek_code(&mut self, tools: Tools<'_>, anew: bool, reporter: &mut dyn Reporter) -> Option<Event> {
        let Some(found) = &mut self.found else {
            return self.fail(RunError::System("its worker was made by an earlier supervisor".into()));
        };
        if !found.kind.is_wasm() {
            return self.work(tools, None);
        }
        let tools_of_user = Tools { cache: self.cache.as_ref(), ..tools };
        let identity = self.order.person.as_ref().map(|person| &person.identity);
        match seek(tools_of_user, &self.machine, found, anew, identity) {
            Ok(Sought::There(code)) => self.work(tools, Some(code)),
            Ok(Sought::Making(compiling)) => {
                reporter.compiling(&found.path);
                self.phase = Phase::Compiling(compiling);
                None
            }
            Ok(Sought::Waiting) => {
                self.phase = Phase::Queued(anew);
                None
            }
            Err(error) => self.fail(error.into()),
        }
    }

    /// Makes the worker and hands it everything.
    fn work(&mut self, tools: Tools<'_>, code: Option<File>) -> Option<Event> {
        let job = &self.order.job;
        let standing = Standing {
            nice: job.nice,
            background: job.launch.background,
            low_io: job.launch.low_io,
            identity: self.identity(),
            mounts: self.plan.mounts_by_leave(self.machine.uid),
            ..Standing::default()
        };
        let mut worker = match spawn(tools.image, &standing) {
            Ok(worker) => worker,
            Err(why) => return self.fail(RunError::System(why)),
        };
        if let Err(error) = self.take_in(&mut worker) {
            return self.fail(error);
        }
        // Two runs that read from one connection would have a part of it each.
        let sockets = &self.order.sockets;
        let listens = !sockets.is_empty() && sockets.iter().all(|(socket, _)| !socket.connected);
        let sent = self.hand_over(&worker, tools, code.as_ref());
        self.killed = false;
        self.talking = true;
        self.phase = Phase::Working(worker);
        match sent {
            Ok(()) => Some(Event::Prepared { native: self.plan.kind == WorkerKind::Native, listens }),
            Err(why) => self.fail(RunError::System(why)),
        }
    }
}
