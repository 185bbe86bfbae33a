//! One run of one job, performed: looks its names up, gets its code, makes its worker, and does what the run's state
//! machine wants done. It waits for nothing: whoever has the loop waits on its sources and says which woke it.

mod saved;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wjob_model::grant::Host;
use wjob_model::job::Job;
use wjob_model::message::{
    Code, Evidence, Fault, FromWorker, Names, OwnFolder, Role, Run, Start, StartFailure, Stdio, ToWorker, Users,
    WORKER_BYTES,
};
use wjob_model::program::ProgramKind;
use wjob_model::run::{Action, End, Event};
use wjob_model::wall::{Machine, Wall, WallPlan, WallRefusal, WorkerKind, plan};
use wjob_sandbox::channel::Heard;
use wjob_sandbox::readback;

use crate::accounts::admitted;
use crate::cache::Cache;
use crate::compile::{Compiling, Sought, seek};
use crate::helper::{Errand, Silence};
use crate::order::{Order, Reporter, Tools};
use crate::program::{Found, Place};
use crate::resolve::{self, ask, understood};
use crate::run_error::RunError;
use crate::spawn::{Identity, Standing, Worker, spawn};
use crate::trust::{TrustedKind, open_trusted, open_trusted_below};

pub use saved::SavedAttempt;

/// Addresses are not asked for again sooner than this, whatever a worker says.
const FRESH: Duration = Duration::from_secs(50);
/// The signal nobody can refuse (signal(7)).
const SIGKILL: u8 = 9;

/// Signals that end a guest: SIGINT and SIGTERM.
const ENDING: [u8; 2] = [2, 15];

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
    /// What a worker is made from; `None` = it was made by an earlier supervisor, and no other is made.
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
            renewed: false,
            lingers: true,
            error: None,
        })
    }

    /// The same in the foreground: nothing is left of it afterwards, and it goes on until somebody ends it.
    pub fn in_foreground(self) -> Self {
        Self { lingers: false, ..self }
    }

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

    /// The process an operator would look for: a native job's program once it runs, else the worker.
    pub fn program_pid(&self) -> Option<u32> {
        let worker = self.pid()?;
        if self.plan.kind != WorkerKind::Native {
            return Some(worker);
        }
        Some(self.inner(worker).and_then(first_child).unwrap_or(worker))
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

    /// Whatever has taken too long is done without.
    fn late(&mut self, tools: Tools<'_>, reporter: &mut dyn Reporter) -> Option<Event> {
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
    fn helped(&mut self, waited: Result<(), Silence>, tools: Tools<'_>, reporter: &mut dyn Reporter) -> Option<Event> {
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
                Err(error) => self.fail(error.into()),
            },
            phase => {
                self.phase = phase;
                None
            }
        }
    }

    fn seek_code(&mut self, tools: Tools<'_>, anew: bool, reporter: &mut dyn Reporter) -> Option<Event> {
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
            ..Standing::default()
        };
        let worker = match spawn(tools.image, &standing) {
            Ok(worker) => worker,
            Err(why) => return self.fail(RunError::System(why)),
        };
        let sent = self.hand_over(&worker, tools, code.as_ref());
        self.killed = false;
        self.talking = true;
        self.phase = Phase::Working(worker);
        match sent {
            Ok(()) => Some(Event::Prepared {
                native: self.plan.kind == WorkerKind::Native,
                listens: !self.order.sockets.is_empty(),
            }),
            Err(why) => self.fail(RunError::System(why)),
        }
    }

    fn hand_over(&self, worker: &Worker, tools: Tools<'_>, code: Option<&File>) -> Result<(), String> {
        let found = self.found.as_ref().ok_or("there is no program")?;
        let job = &self.order.job;
        let paths = [&job.standard_in, &job.standard_out, &job.standard_error];
        let stdio: [Stdio; 3] = std::array::from_fn(|at| match (paths[at], &self.order.stdio[at]) {
            (Some(path), _) => Stdio::Path(path.clone()),
            (None, Some(_)) => Stdio::Inherited,
            (None, None) => Stdio::Null,
        });
        let inherited = self.order.stdio.iter().zip(&stdio).filter(|(_, stdio)| **stdio == Stdio::Inherited);
        let inherited = inherited.filter_map(|(descriptor, _)| descriptor.as_ref()).map(AsFd::as_fd);
        let sockets = self.order.sockets.iter().map(|(_, socket)| socket.as_fd());
        let descriptors: Vec<BorrowedFd<'_>> =
            code.map(AsFd::as_fd).into_iter().chain(inherited).chain(sockets).collect();
        let mut environment = self.order.environment.clone();
        if !found.kind.is_wasm() {
            let more = self.order.native_environment.iter();
            let more = more.filter(|(name, _)| self.order.environment.iter().all(|(other, _)| other != name));
            environment.extend(more.cloned());
        }
        let run = Run {
            code: match found.kind {
                ProgramKind::Component => Code::Component,
                ProgramKind::Module => Code::Module,
                ProgramKind::Elf | ProgramKind::Script => Code::Native(found.seen.display().to_string()),
            },
            arguments: job.program.arguments.clone(),
            globbing: job.program.globbing,
            environment,
            working_directory: job.working_directory.clone(),
            umask: job.umask,
            stdio,
            sockets: self.order.sockets.iter().map(|(socket, _)| socket.clone()).collect(),
            inetd_wait: job.inetd_wait,
            users: self.admitted(),
            instance_reuse: job.instance_reuse,
            causes: self.order.causes.clone(),
            paths: job.opened(),
            own: self.own.clone(),
            walls: self.plan.clone(),
            limits: job.limits.clone(),
            connect: job.grants.connect.clone(),
            bind: job.grants.bind.clone(),
            names: self.names.clone(),
            config: job.config.clone(),
            explain: self.order.explain,
            learn: self.order.learn,
            raw: self.order.raw,
            wait_for_debugger: job.wait_for_debugger,
            abandon: self.lingers && job.abandon_process_group,
            transactions: job.launch.transactions,
            exit_timeout: job.exit_timeout,
            idle_timeout: self.idle_timeout(found.kind),
            root: job.root_directory.clone(),
        };
        let start = Start { build: tools.image.build.clone(), role: Role::Run(Box::new(run)) };
        worker.channel.send(&start, &descriptors).map_err(|error| error.to_string())
    }

    /// Who is accepted. In a user namespace every user but the job's own reads as nobody, and the access lists of the
    /// sockets hold it alone.
    fn admitted(&self) -> Option<Users> {
        let mut users = self.admitted.clone().filter(|_| !self.plan.user_namespace)?;
        users.users.push(self.machine.uid);
        Some(users)
    }

    /// A native program that is handed its sockets once and counts no work decides by itself when it has none.
    fn idle_timeout(&self, kind: ProgramKind) -> Option<u32> {
        let job = &self.order.job;
        let counted = !self.order.sockets.is_empty() && (kind.is_wasm() || job.inetd_wait == Some(false));
        job.launch.idle_exit(counted).filter(|_| self.lingers)
    }

    /// There will be no worker, or no more.
    fn fail(&mut self, error: RunError) -> Option<Event> {
        self.phase = Phase::Over;
        let failure = error.as_failure();
        self.error = Some(error);
        Some(Event::Unprepared(failure))
    }

    /// The next message; a worker that breaks the rules is not listened to any more.
    fn said(&mut self, tools: Tools<'_>, reporter: &mut dyn Reporter) -> Option<Event> {
        let Phase::Working(worker) = &self.phase else {
            return None;
        };
        match worker.channel.hear::<FromWorker>(WORKER_BYTES) {
            // One of ours stops there; listening to another could take for ever.
            Ok(Heard::Message(said)) if said.is_report() && self.reports >= self.order.most_reports() => {
                self.talking = false;
                worker.kill();
                None
            }
            Ok(Heard::Message(FromWorker::Failed(failure))) if self.renewable(&failure) => {
                self.renew(&failure, tools, reporter)
            }
            Ok(Heard::Message(said)) => {
                self.reports += usize::from(said.is_report());
                Some(Event::Said(said))
            }
            Ok(Heard::Nothing) => None,
            Ok(Heard::End) => {
                self.talking = false;
                None
            }
            Err(_) => {
                self.talking = false;
                worker.kill();
                None
            }
        }
    }

    /// Code of another build is compiled again, and a kernel that gives no namespaces after all is planned for.
    fn renewable(&self, failure: &StartFailure) -> bool {
        !self.renewed && self.found.is_some() && matches!(failure.fault, Fault::Stale | Fault::Namespaces)
    }

    /// Once more from the plan on; the state machine still waits for the worker's walls.
    fn renew(&mut self, failure: &StartFailure, tools: Tools<'_>, reporter: &mut dyn Reporter) -> Option<Event> {
        self.renewed = true;
        self.phase = Phase::Over;
        if let Some(found) = self.found.as_ref().filter(|_| failure.fault == Fault::Namespaces) {
            // Looking could not tell, trying did: what needs no view of its own runs without one, and says so.
            self.machine.namespaces = Err(failure.why.clone());
            match walls(&self.order, found, &self.machine) {
                Ok(plan) => self.plan = plan,
                Err(refusal) => return self.fail(refusal.into()),
            }
        }
        self.seek_code(tools, failure.fault == Fault::Stale, reporter).or(Some(Event::Renewing))
    }

    fn gone(&mut self, reporter: &mut dyn Reporter) -> Option<Event> {
        let Phase::Working(worker) = &mut self.phase else {
            return None;
        };
        let (exit, usage) = worker.reap();
        reporter.used(usage);
        self.phase = Phase::Over;
        self.addresses = None;
        Some(Event::Gone(exit))
    }

    /// Does what the state machine wants done; what follows from it at once. `Finish` is the caller's to act on.
    pub fn perform(&mut self, action: Action, tools: Tools<'_>, reporter: &mut dyn Reporter) -> Option<Event> {
        match action {
            Action::ReadWalls(told) => self.read_walls(told, reporter).map(Event::WallsRead),
            Action::Send(message) => {
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

    /// Hands the worker over, which stays for what its program left running; the run has none any more.
    pub fn leave_behind(&mut self) -> Option<Worker> {
        self.addresses = None;
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Working(worker) => Some(worker),
            _ => None,
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

    /// Gives the program a signal that an operator wants it to have.
    ///
    /// # Errors
    /// When it is WebAssembly, which knows no signals but those that end it.
    pub fn signal(&self, signal: u8) -> Result<(), String> {
        let native = self.plan.kind == WorkerKind::Native;
        match &self.phase {
            Phase::Working(worker) if signal == SIGKILL && !native => worker.kill(),
            _ if native || ENDING.contains(&signal) => self.send(&ToWorker::Stop { signal }),
            _ => return Err("a WebAssembly program hears only the signals INT, TERM and KILL".into()),
        }
        Ok(())
    }

    /// Ends a worker that cannot hear yet.
    pub fn end(&self) {
        if let Phase::Working(worker) = &self.phase {
            worker.kill();
        }
    }

    /// Whether processes of the run could outlive its worker: they have no process table of their own.
    pub fn may_leave_processes(&self) -> bool {
        self.plan.kind == WorkerKind::Native && !self.plan.processes
    }

    fn look_up(&mut self, tools: Tools<'_>) {
        let lately = self.asked.is_some_and(|asked| asked.elapsed() < FRESH);
        if self.addresses.is_none() && !lately && !self.wanted.is_empty() {
            self.asked = Some(Instant::now());
            let asked = ask(tools.image, &self.machine, &self.wanted, self.identity()).ok();
            self.addresses = asked.map(|errand| (errand, Instant::now() + resolve::WITHIN));
        }
    }

    /// Fresh addresses have come, or will not; the old ones stay in force then.
    fn looked_up(&mut self, reporter: &mut dyn Reporter) {
        let Some((errand, _)) = self.addresses.take() else {
            return;
        };
        match understood(&self.wanted, errand.answer()) {
            Ok(names) => {
                self.names.clone_from(&names);
                if let Phase::Working(worker) = &self.phase {
                    // One that does not take them keeps the old ones.
                    let _ = worker.channel.offer(&ToWorker::Names(names));
                }
            }
            Err(why) => reporter.warn(&format!("names cannot be looked up again: {why}")),
        }
    }

    /// A program without a process table of its own is ended by its worker, which knows its process group; the
    /// worker's own death would leave the rest of the group.
    fn kill(&mut self) -> Option<Event> {
        let unwalled = self.plan.kind == WorkerKind::Native && !self.plan.processes;
        let again = std::mem::replace(&mut self.killed, true);
        match &self.phase {
            Phase::Working(worker) => {
                if !unwalled || again || worker.channel.offer(&ToWorker::Stop { signal: SIGKILL }).is_err() {
                    worker.kill();
                }
                None
            }
            Phase::Over => None,
            // Dropping a helper ends it.
            Phase::Resolving(..) | Phase::Queued(_) | Phase::Compiling(_) => {
                self.fail(RunError::System("it was stopped".into()))
            }
        }
    }

    /// What the worker says of its walls, and what /proc does.
    fn read_walls(&self, told: Vec<Evidence>, reporter: &mut dyn Reporter) -> Option<Vec<Evidence>> {
        let pid = self.pid()?;
        if is_hidden(pid) {
            let found = "/proc does not show the worker (hidepid); mount it with gid= of a group of this user, or without hidepid";
            return Some(vec![Evidence { wall: Wall::User, found: found.into(), stands: false }]);
        }
        let inner = self.inner(pid)?;
        let mut evidence = told;
        evidence.extend(readback::read(inner, self.machine.uid, &self.plan));
        if !Path::new(&format!("/proc/{inner}")).exists() {
            // What is not there any more has no walls to read; its end is about to be told.
            return None;
        }
        reporter.walls(&evidence, &self.plan);
        Some(evidence)
    }

    /// The process the walls are around: for a native job the init of its process table, the worker's only child,
    /// which is not there any more when somebody ended it before it could begin.
    fn inner(&self, pid: u32) -> Option<u32> {
        if self.plan.processes { first_child(pid) } else { Some(pid) }
    }
}

/// Whether a child of this process, which was not waited for, is not shown by /proc (proc(5), hidepid).
fn is_hidden(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}/status")).exists()
}

/// The first child of a process with one thread (proc_pid_children(5)).
fn first_child(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// How an end is told to those who know failures apart: what the preparation ran into, or the worker's own words.
pub fn outcome(attempt: &mut Attempt, end: End) -> Result<wjob_model::outcome::Verdict, RunError> {
    match end {
        End::Ran(verdict) => Ok(verdict),
        End::Failed(failure) => Err(attempt.take_error().unwrap_or(RunError::Failed(failure))),
    }
}

/// The program, opened. Its file is held to the same rules as the job file: who can change it decides what runs.
fn program(order: &Order) -> Result<Found, RunError> {
    let root = order.job.root_directory.as_deref();
    let place = Place::of(&order.job.program.file, root)?;
    let file = match (order.owner, root) {
        (None, _) => return Ok(place.open().and_then(|file| place.holds(file))?),
        (Some(owner), Some(root)) => open_trusted_below(Path::new(root), Path::new(place.seen()), owner),
        (Some(owner), None) => open_trusted(Path::new(&place.path), owner, TrustedKind::Program),
    };
    let advice = "correct its owner and mode, or those of the folder named";
    let file = file.map_err(|distrust| StartFailure::job(format!("program {}", place.path), distrust, advice));
    Ok(place.holds(file.map_err(RunError::Failed)?)?)
}

fn walls(order: &Order, found: &Found, machine: &Machine) -> Result<WallPlan, WallRefusal> {
    plan(&order.job, &found.seen.to_string_lossy(), found.kind.is_wasm(), machine, order.best_effort)
}

/// The names in Connect.
fn wanted_names(job: &Job) -> Vec<String> {
    let hosts = job.grants.connect.iter().map(|endpoint| &endpoint.host);
    let mut names: Vec<String> = hosts
        .filter_map(|host| match host {
            Host::Name(name) => Some(name.clone()),
            Host::Address(_) | Host::Path(_) => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}
