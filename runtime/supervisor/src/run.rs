//! The loop with one job in it: prepares a run, then waits, lets the model decide and performs what it decided.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use thiserror::Error;
use wjob_model::denial::Denial;
use wjob_model::grant::Host;
use wjob_model::job::Job;
use wjob_model::message::{
    Code, Evidence, Fault, FromWorker, MOST_DENIALS, Names, OwnFolder, Role, Run, Start, StartFailure, Stdio, ToWorker,
    WORKER_BYTES,
};
use wjob_model::outcome::{StopReason, Verdict};
use wjob_model::program::ProgramKind;
use wjob_model::run::{Action, End, Event, START_DEADLINE, State, Terms};
use wjob_model::status::Status;
use wjob_model::wall::{Machine, WallPlan, WallRefusal, WorkerKind, plan};
use wjob_sandbox::readback;

use crate::cache::Cache;
use crate::compile::{CompileError, compiled};
use crate::helper::Errand;
use crate::program::{Found, ProgramError, find};
use crate::resolve::{ask, resolve, understood};
use crate::signals::Signals;
use crate::spawn::{Image, Usage, Worker, spawn};

/// What is asked of a run.
#[derive(Debug)]
pub struct Request<'a> {
    /// The job.
    pub job: &'a Job,
    /// Its whole environment, put together by the caller.
    pub environment: Vec<(String, String)>,
    /// Where stdin, stdout and stderr go when the job names no path.
    pub stdio: [BorrowedFd<'a>; 3],
    /// Whether walls that this machine lacks are done without.
    pub best_effort: bool,
    /// Whether denials are looked for and reported.
    pub explain: bool,
    /// Whether terminals get the job's bytes unfiltered.
    pub raw: bool,
}

/// Who is told what happens while a job runs.
pub trait Reporter {
    /// The program is being compiled, which takes a while.
    fn compiling(&mut self, path: &std::path::Path);
    /// Something was denied.
    fn denied(&mut self, denial: &Denial);
    /// The walls stand; this is the evidence, and these do not stand.
    fn walls(&mut self, evidence: &[Evidence], plan: &WallPlan);
    /// Something the operator should know.
    fn warn(&mut self, text: &str);
    /// What the run used.
    fn used(&mut self, usage: Usage);
}

/// Addresses are not asked for again sooner than this, whatever a worker says.
const FRESH: Duration = Duration::from_secs(50);

/// The signal nobody can refuse (signal(7)).
const SIGKILL: u8 = 9;

/// Why a job did not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// There is no program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// It cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A wall is required and not to be had.
    #[error(transparent)]
    Refused(#[from] WallRefusal),
    /// The worker could not begin.
    #[error("{0}")]
    Failed(StartFailure),
    /// The system refused something the supervisor needs.
    #[error("{0}")]
    System(String),
}

impl RunError {
    /// The exit status that says so.
    pub fn status(&self) -> Status {
        match self {
            Self::Program(_)
            | Self::Compile(CompileError::Program(_) | CompileError::Limit { .. } | CompileError::TooLarge { .. }) => {
                Status::Misconfigured
            }
            Self::Compile(CompileError::Interrupted(StopReason::Interrupt)) => Status::Interrupted,
            Self::Compile(CompileError::Interrupted(_)) => Status::Terminated,
            Self::Compile(CompileError::System { .. }) | Self::System(_) => Status::System,
            Self::Refused(WallRefusal::NoneForWasm | WallRefusal::RootForNative) => Status::Misconfigured,
            Self::Refused(_) => Status::NotPermitted,
            Self::Failed(failure) => match failure.fault {
                Fault::Job => Status::Misconfigured,
                Fault::Wall | Fault::Namespaces => Status::NotPermitted,
                Fault::Stale | Fault::Own => Status::Internal,
            },
        }
    }

    /// What to do about it, in one line.
    pub fn advice(&self) -> &str {
        match self {
            Self::Failed(failure) | Self::Compile(CompileError::Program(failure)) => &failure.advice,
            Self::Refused(WallRefusal::NoneForWasm) => "remove the key Isolation, or name a native program",
            Self::Refused(WallRefusal::RootForNative) => "give the grant another GuestPath",
            Self::Refused(WallRefusal::Limit { .. }) => "remove the limit, or run the job where it can be held",
            Self::Refused(WallRefusal::Required { .. }) => {
                "`wjob info` lists the walls; `--best-effort` runs without those that are missing"
            }
            Self::Program(_) => "correct Program or ProgramArguments",
            Self::Compile(_) => "`wjob compile` shows how far it comes; a smaller program helps",
            Self::System(_) => "the message names the call that failed",
        }
    }
}

/// Runs a job to its end.
///
/// # Errors
/// When it could not be started.
pub fn run(
    image: &Image,
    machine: &Machine,
    cache: Option<&Cache>,
    request: &Request<'_>,
    reporter: &mut dyn Reporter,
) -> Result<Verdict, RunError> {
    let signals = Signals::block().map_err(|error| RunError::System(error.to_string()))?;
    let mut found = find(&request.job.program.file)?;
    let program = found.path.to_string_lossy().into_owned();
    let plan = plan(request.job, &program, found.kind.is_wasm(), machine, request.best_effort)?;
    let wanted = wanted_names(request.job);
    let names = resolve(image, machine, &wanted).unwrap_or_else(|why| {
        reporter.warn(&format!("names cannot be looked up: {why}"));
        Names::new()
    });
    let mut supervision = Supervision {
        image,
        machine,
        request,
        plan,
        wanted,
        names,
        lookup: None,
        asked: None,
        killed: false,
        own: cache.map(Cache::folders).unwrap_or_default(),
        signals,
        reporter,
    };
    match supervision.once(cache, &mut found, false) {
        Err(RunError::Failed(failure)) if failure.fault == Fault::Stale => supervision.once(cache, &mut found, true),
        Err(RunError::Failed(failure)) if failure.fault == Fault::Namespaces => {
            // Looking could not tell, trying did: what needs no view of its own runs without one, and says so.
            let machine = Machine { namespaces: Err(failure.why), ..machine.clone() };
            supervision.plan =
                wjob_model::wall::plan(request.job, &program, found.kind.is_wasm(), &machine, request.best_effort)?;
            supervision.once(cache, &mut found, false)
        }
        result => result,
    }
}

/// The names in Connect.
fn wanted_names(job: &Job) -> Vec<String> {
    let hosts = job.grants.connect.iter().map(|endpoint| &endpoint.host);
    let mut names: Vec<String> = hosts
        .filter_map(|host| match host {
            Host::Name(name) => Some(name.clone()),
            Host::Address(_) => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

struct Supervision<'a> {
    image: &'a Image,
    machine: &'a Machine,
    request: &'a Request<'a>,
    plan: WallPlan,
    wanted: Vec<String>,
    own: Vec<OwnFolder>,
    names: Names,
    /// A look-up under way while the job runs.
    lookup: Option<Errand>,
    /// When the last one began.
    asked: Option<Instant>,
    /// Whether this worker was killed once already.
    killed: bool,
    signals: Signals,
    reporter: &'a mut dyn Reporter,
}

impl Supervision<'_> {
    /// One worker from start to end.
    fn once(&mut self, cache: Option<&Cache>, found: &mut Found, anew: bool) -> Result<Verdict, RunError> {
        let code = self.code(cache, found, anew)?;
        self.killed = false;
        let worker = spawn(self.image, self.request.job.nice).map_err(RunError::System)?;
        self.start(&worker, found, code.as_ref())?;
        match self.supervise(worker) {
            End::Ran(verdict) => Ok(verdict),
            End::Failed(failure) => Err(RunError::Failed(failure)),
        }
    }

    fn code(&mut self, cache: Option<&Cache>, found: &mut Found, anew: bool) -> Result<Option<File>, RunError> {
        if !found.kind.is_wasm() {
            return Ok(None);
        }
        if !anew && let Some(cache) = cache {
            // The usual case says nothing: the compiled form is there.
            let known = found.file.metadata().ok().and_then(|status| cache.known_hash(&status));
            if let Some(file) = known.and_then(|hash| cache.get(&hash)) {
                return Ok(Some(file));
            }
        }
        self.reporter.compiling(&found.path);
        match compiled(self.image, self.machine, cache, found, anew, Some(&self.signals)) {
            Ok((file, _)) => Ok(Some(file)),
            Err(error) => Err(error.into()),
        }
    }

    fn start(&self, worker: &Worker, found: &Found, code: Option<&File>) -> Result<(), RunError> {
        let job = self.request.job;
        let paths = [&job.standard_in, &job.standard_out, &job.standard_error];
        let stdio = paths.map(|path| path.as_ref().map_or(Stdio::Inherited, |path| Stdio::Path(path.clone())));
        let inherited = self.request.stdio.iter().zip(&stdio).filter(|(_, stdio)| **stdio == Stdio::Inherited);
        let descriptors: Vec<BorrowedFd<'_>> =
            code.map(AsFd::as_fd).into_iter().chain(inherited.map(|(descriptor, _)| *descriptor)).collect();
        let run = Run {
            code: match found.kind {
                ProgramKind::Component => Code::Component,
                ProgramKind::Module => Code::Module,
                ProgramKind::Elf | ProgramKind::Script => Code::Native(found.path.display().to_string()),
            },
            arguments: job.program.arguments.clone(),
            globbing: job.program.globbing,
            environment: self.request.environment.clone(),
            working_directory: job.working_directory.clone(),
            umask: job.umask,
            stdio,
            paths: job.grants.paths.clone(),
            own: self.own.clone(),
            walls: self.plan.clone(),
            limits: job.limits.clone(),
            connect: job.grants.connect.clone(),
            bind: job.grants.bind.clone(),
            names: self.names.clone(),
            config: job.config.clone(),
            explain: self.request.explain,
            raw: self.request.raw,
            wait_for_debugger: job.wait_for_debugger,
        };
        let start = Start { build: self.image.build.clone(), role: Role::Run(Box::new(run)) };
        worker.channel.send(&start, &descriptors).map_err(|error| RunError::System(error.to_string()))
    }

    /// Event in, the model decides, actions out.
    fn supervise(&mut self, mut worker: Worker) -> End {
        let terms = self.terms();
        let began = Instant::now();
        let mut state = State::Starting { until: START_DEADLINE };
        let mut inputs = Inputs { denials: 0, talking: true };
        loop {
            let deadline =
                state.deadline().map(|moment| began + Duration::from_millis(moment.min(u64::from(u32::MAX))));
            let mut events = match inputs.wait(&worker, &self.signals, self.lookup.as_ref(), deadline) {
                Woken::Signal(reason) => vec![Event::Stop(reason)],
                Woken::Message => inputs.said(&worker).map(Event::Said).into_iter().collect(),
                Woken::Gone => {
                    let (exit, usage) = worker.reap();
                    self.reporter.used(usage);
                    vec![Event::Gone(exit)]
                }
                Woken::Deadline => vec![Event::Deadline],
                Woken::Lookup => {
                    self.looked_up(&worker);
                    Vec::new()
                }
                Woken::Nothing => Vec::new(),
            };
            while let Some(event) = events.pop() {
                let now = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let (next, actions) = state.step(event, now, &terms);
                state = next;
                for action in actions {
                    match self.perform(action, &worker) {
                        Done::Nothing => {}
                        Done::Event(event) => events.push(event),
                        Done::Finished(end) => return end,
                    }
                }
            }
        }
    }

    fn terms(&self) -> Terms {
        let job = self.request.job;
        let seconds = |seconds: u64| seconds.saturating_mul(1000);
        Terms {
            run_time: job.limits.run_time.map(seconds),
            exit_timeout: (job.exit_timeout > 0).then(|| seconds(job.exit_timeout.into())),
            native: self.plan.kind == WorkerKind::Native,
            memory: job.limits.memory.is_some(),
        }
    }

    fn perform(&mut self, action: Action, worker: &Worker) -> Done {
        match action {
            Action::ReadWalls(told) => Done::Event(Event::WallsRead(self.read_walls(worker, told))),
            Action::Send(message) => {
                // A worker that is gone says so by its pidfd; one that does not read cannot be spoken to any more.
                if worker.channel.offer(&message).is_err() {
                    worker.kill();
                }
                Done::Nothing
            }
            Action::Kill => {
                self.kill(worker);
                Done::Nothing
            }
            Action::Report(denial) => {
                self.reporter.denied(&denial);
                Done::Nothing
            }
            Action::LookUp => {
                let lately = self.asked.is_some_and(|asked| asked.elapsed() < FRESH);
                if self.lookup.is_none() && !lately && !self.wanted.is_empty() {
                    self.asked = Some(Instant::now());
                    self.lookup = ask(self.image, self.machine, &self.wanted).ok();
                }
                Done::Nothing
            }
            Action::Finish(end) => Done::Finished(end),
        }
    }

    /// Fresh addresses have come, or will not; the old ones stay in force then.
    fn looked_up(&mut self, worker: &Worker) {
        let Some(errand) = self.lookup.take() else {
            return;
        };
        match understood(&self.wanted, errand.answer()) {
            Ok(names) => {
                self.names.clone_from(&names);
                // One that does not take them keeps the old ones.
                let _ = worker.channel.offer(&ToWorker::Names(names));
            }
            Err(why) => self.reporter.warn(&format!("names cannot be looked up again: {why}")),
        }
    }

    /// A program without a process table of its own is ended by its worker, which knows its process group; the
    /// worker's own death would leave the rest of the group.
    fn kill(&mut self, worker: &Worker) {
        let unwalled = self.plan.kind == WorkerKind::Native && !self.plan.processes;
        let again = std::mem::replace(&mut self.killed, true);
        if !unwalled || again || worker.channel.offer(&ToWorker::Stop { signal: SIGKILL }).is_err() {
            worker.kill();
        }
    }

    /// What the worker says of its walls, and what /proc does.
    fn read_walls(&mut self, worker: &Worker, told: Vec<Evidence>) -> Vec<Evidence> {
        let mut evidence = told;
        let walled = self.inner(worker.pid);
        evidence.extend(readback::read(walled, self.machine.uid, &self.plan));
        self.reporter.walls(&evidence, &self.plan);
        evidence
    }

    /// The process the walls are around: for a native job the init of its process table, the worker's only child.
    fn inner(&self, pid: u32) -> u32 {
        if !self.plan.processes {
            return pid;
        }
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
            .ok()
            .and_then(|children| children.split_whitespace().next()?.parse().ok())
            .unwrap_or(pid)
    }
}

enum Done {
    Nothing,
    Event(Event),
    Finished(End),
}

/// What can wake the loop.
struct Inputs {
    denials: usize,
    talking: bool,
}

impl Inputs {
    /// Waits. What a worker said is read before its end is, so that nothing said is lost.
    fn wait(&self, worker: &Worker, signals: &Signals, lookup: Option<&Errand>, deadline: Option<Instant>) -> Woken {
        let mut waiting = vec![
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(worker.pidfd.as_fd(), PollFlags::IN),
        ];
        if self.talking {
            waiting.push(PollFd::from_borrowed_fd(worker.channel.as_fd(), PollFlags::IN));
        }
        if let Some(lookup) = lookup {
            waiting.push(PollFd::from_borrowed_fd(lookup.as_fd(), PollFlags::IN));
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // A millisecond more, so that the moment has come when it is looked at.
        let timeout = left.and_then(|left| Timespec::try_from(left + Duration::from_millis(1)).ok());
        if !matches!(poll(&mut waiting, timeout.as_ref()), Ok(1..)) {
            let due = deadline.is_some_and(|deadline| deadline <= Instant::now());
            return if due { Woken::Deadline } else { Woken::Nothing };
        }
        if let Some(reason) = signals.next() {
            return Woken::Signal(reason);
        }
        // However much a worker has to say, the moment has come.
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Woken::Deadline;
        }
        let spoke = self.talking && ready(&waiting[2]);
        let answered = lookup.is_some() && waiting.last().is_some_and(ready);
        match (spoke, ready(&waiting[1]), answered) {
            (true, ..) => Woken::Message,
            (false, true, _) => Woken::Gone,
            (false, false, true) => Woken::Lookup,
            (false, false, false) => Woken::Nothing,
        }
    }

    /// The next message; a worker that breaks the rules is not listened to any more.
    fn said(&mut self, worker: &Worker) -> Option<FromWorker> {
        match worker.channel.receive::<FromWorker>(WORKER_BYTES) {
            Ok(Some(FromWorker::Denied(_))) if self.denials >= MOST_DENIALS => None,
            Ok(Some(said)) => {
                self.denials += usize::from(matches!(said, FromWorker::Denied(_)));
                Some(said)
            }
            Ok(None) => {
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
}

fn ready(waiting: &PollFd<'_>) -> bool {
    !waiting.revents().is_empty()
}

enum Woken {
    Signal(StopReason),
    Message,
    Gone,
    Lookup,
    Deadline,
    Nothing,
}
