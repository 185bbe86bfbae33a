//! One run of one job, performed: looks its names up, gets its code, makes its worker, and does what the run's state
//! machine wants done. It waits for nothing: whoever has the loop waits on its sources and says which woke it.

mod addresses;
mod basis;
mod ending;
mod group;
mod hand_over;
mod hearing;
mod preparation;
mod readback;
mod saved;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use wjob_model::job::Job;
use wjob_model::message::{Names, OwnFolder, StartFailure, ToWorker, Users};
use wjob_model::run::{Action, End, Event};
use wjob_model::wall::{Machine, WallPlan};

use crate::accounts::admitted;
use crate::cache::Cache;
use crate::compile::Compiling;
use crate::helper::Errand;
use crate::order::{Order, Reporter, Tools};
use crate::program::Found;
use crate::run_error::RunError;
use crate::spawn::{Identity, Worker};

use basis::{program, walls, wanted_names};

pub use saved::SavedAttempt;

/// What can wake an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A helper that prepares the run has answered or ended.
    Helper,
    /// It is its turn to have its program compiled.
    Turn,
    /// The worker speaks.
    Channel,
    /// The worker's process has ended.
    Process,
    /// Addresses asked for while the job runs.
    Addresses,
}

/// How far it is.
#[derive(Debug)]
enum Phase {
    /// Names are being looked up.
    Resolving(Errand, Instant),
    /// The code is to be compiled, when others are; whether that is to be done anew.
    Queued(bool),
    /// The code is being compiled.
    Compiling(Box<Compiling>),
    /// There is a worker.
    Working(Worker),
    /// Nothing is under way.
    Over,
}

/// A run under way.
#[derive(Debug)]
pub struct Attempt {
    order: Order,
    machine: Machine,
    /// What a worker is made from; `None` = it was made and runs, and no other is made.
    found: Option<Found>,
    plan: WallPlan,
    wanted: Vec<String>,
    names: Names,
    /// Whom the job admits besides its own user and root, if it names anybody.
    admitted: Option<Users>,
    own: Vec<OwnFolder>,
    /// Compiled programs of its user.
    cache: Option<Cache>,
    phase: Phase,
    /// Fresh addresses that were asked for, and when that has taken too long.
    addresses: Option<(Errand, Instant)>,
    asked: Option<Instant>,
    killed: bool,
    talking: bool,
    reports: usize,
    /// What its worker has said beside reports, and when it wished for fresh addresses last.
    words: usize,
    wished: Option<Instant>,
    renewed: bool,
    /// Whether what its program leaves may go on, and it may be ended while it has nothing to do.
    lingers: bool,
    error: Option<RunError>,
}

impl Attempt {
    /// Finds the program, plans the walls and begins to prepare.
    ///
    /// # Errors
    /// When there is no program, it admits somebody who is not there, or a required wall is missing.
    pub fn begin(order: Order, tools: Tools<'_>, own: Vec<OwnFolder>) -> Result<Self, RunError> {
        let admitted = admitted(&order.job).map_err(RunError::Failed)?;
        let found = program(&order)?;
        let account = order.person.as_ref().map(|person| person.account.as_ref());
        if account == Some(None) && !found.kind.is_wasm() {
            return Err(RunError::Failed(StartFailure::job(
                "UserName is missing",
                "a native job of the system domain runs as the account it names",
                "add UserName; for root write root",
            )));
        }
        let uid = order.person.as_ref().map_or(tools.machine.uid, |person| person.identity.uid);
        let machine = wjob_sandbox::machine::for_user(tools.machine, uid);
        let plan = walls(&order, &found, &machine)?;
        let wanted = wanted_names(&order.job);
        let name = account.flatten().map(|account| account.name.as_str()).unwrap_or_default();
        let cache = tools.cache.map(|cache| cache.of_user(machine.uid, name));
        Ok(Self {
            order,
            machine,
            found: Some(found),
            plan,
            wanted,
            names: Names::new(),
            admitted,
            own,
            cache,
            phase: Phase::Over,
            addresses: None,
            asked: None,
            killed: false,
            talking: true,
            reports: 0,
            words: 0,
            wished: None,
            renewed: false,
            lingers: true,
            error: None,
        })
    }

    /// The same in the foreground: nothing is left of it afterwards, and it goes on until somebody ends it.
    pub fn in_foreground(self) -> Self {
        Self { lingers: false, ..self }
    }

    /// The job.
    pub fn job(&self) -> &Arc<Job> {
        &self.order.job
    }

    fn identity(&self) -> Option<&Identity> {
        self.order.person.as_ref().map(|person| &person.identity)
    }

    /// The worker's process, once there is one.
    pub fn pid(&self) -> Option<u32> {
        match &self.phase {
            Phase::Working(worker) => Some(worker.pid),
            _ => None,
        }
    }

    /// Why the run could not begin, for those who tell failures apart.
    pub fn take_error(&mut self) -> Option<RunError> {
        self.error.take()
    }

    /// What can wake it now.
    pub fn sources(&self) -> Vec<(Source, BorrowedFd<'_>)> {
        let mut sources = match &self.phase {
            Phase::Resolving(errand, _) => vec![(Source::Helper, errand.as_fd())],
            Phase::Compiling(compiling) => vec![(Source::Helper, compiling.as_fd())],
            Phase::Working(worker) if self.talking => {
                vec![(Source::Channel, worker.channel.as_fd()), (Source::Process, worker.pidfd.as_fd())]
            }
            Phase::Working(worker) => vec![(Source::Process, worker.pidfd.as_fd())],
            Phase::Queued(_) | Phase::Over => Vec::new(),
        };
        sources.extend(self.addresses.iter().map(|(errand, _)| (Source::Addresses, errand.as_fd())));
        sources
    }

    /// Whether its program is being compiled.
    pub fn is_compiling(&self) -> bool {
        matches!(self.phase, Phase::Compiling(_))
    }

    /// Whether its program is to be compiled when others are: [`Source::Turn`] says that it may.
    pub fn waits_its_turn(&self) -> bool {
        matches!(self.phase, Phase::Queued(_))
    }

    /// When a helper has taken too long.
    pub fn deadline(&self) -> Option<Instant> {
        let addresses = self.addresses.as_ref().map(|(_, deadline)| *deadline);
        self.phase_deadline().into_iter().chain(addresses).min()
    }

    fn phase_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Resolving(_, deadline) => Some(*deadline),
            Phase::Compiling(compiling) => Some(compiling.deadline),
            Phase::Queued(_) | Phase::Working(_) | Phase::Over => None,
        }
    }

    /// A source woke it, or `None` its deadline did.
    pub fn woken(&mut self, source: Option<Source>, tools: Tools<'_>, reporter: &mut dyn Reporter) -> Option<Event> {
        match source {
            None => self.late(tools, reporter),
            Some(Source::Helper) => self.helped(Ok(()), tools, reporter),
            Some(Source::Turn) => match self.phase {
                Phase::Queued(anew) => self.seek_code(tools, anew, reporter),
                _ => None,
            },
            Some(Source::Channel) => self.said(tools, reporter),
            // What it said before it ended is heard before its end is.
            Some(Source::Process) => self.said(tools, reporter).or_else(|| self.gone(reporter)),
            Some(Source::Addresses) => {
                self.looked_up(reporter);
                None
            }
        }
    }

    /// There will be no worker, or no more.
    fn fail(&mut self, error: RunError) -> Option<Event> {
        self.phase = Phase::Over;
        let failure = error.as_failure();
        self.error = Some(error);
        Some(Event::Unprepared(failure))
    }

    /// Does what the state machine wants done; what follows from it at once. `Finish` is the caller's to act on.
    pub fn perform(&mut self, action: Action, tools: Tools<'_>, reporter: &mut dyn Reporter) -> Option<Event> {
        match action {
            Action::ReadWalls(told) => self.read_walls(told, reporter).map(Event::WallsRead),
            Action::Send(message) => {
                if message == ToWorker::Go {
                    // From here on it runs what others wrote, at whose word no other worker is made.
                    self.found = None;
                }
                self.send(&message);
                None
            }
            Action::Kill => self.kill(),
            Action::Report(denial) => {
                reporter.denied(&denial);
                None
            }
            Action::Note(used) => {
                reporter.grant_used(used);
                None
            }
            Action::Learn(deed) => {
                reporter.did(&deed);
                None
            }
            Action::LookUp => {
                self.look_up(tools);
                None
            }
            // Whoever has the loop takes the worker, or acts on the end.
            Action::LeaveBehind | Action::Finish(_) => None,
        }
    }

    /// A worker that is gone says so by its pidfd; one that does not read cannot be spoken to any more.
    fn send(&self, message: &ToWorker) {
        if let Phase::Working(worker) = &self.phase
            && worker.channel.offer(message).is_err()
        {
            worker.kill();
        }
    }
}

/// How an end is told to those who know failures apart: what the preparation ran into, or the worker's own words.
pub fn outcome(attempt: &mut Attempt, end: End) -> Result<wjob_model::outcome::Verdict, RunError> {
    match end {
        End::Ran(verdict) => Ok(verdict),
        End::Failed(failure) => Err(attempt.take_error().unwrap_or(RunError::Failed(failure))),
    }
}
