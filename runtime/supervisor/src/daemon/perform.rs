//! The model's actions, performed. Each is a short deed; what follows from it comes back as the fleet's next actions.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::pipe::{PipeFlags, pipe_with};
use wjob_model::fleet::{Action, JobAction, Label, RunId};
use wjob_model::job::{Job, ProgramFile};
use wjob_model::launch::KeepAlive;
use wjob_model::message::{HandedSocket, StartFailure};
use wjob_model::noted::{KEPT_BYTES, that_fit};
use wjob_model::run::{self, End};

use super::log::Level;
use super::logger::Stream;
use super::record::Record;
use super::sockets::Sockets;
use super::sources::Watched;
use super::{Daemon, Running, clock};
use crate::attempt::Attempt;
use crate::cache::Cache;
use crate::environment::environment;
use crate::listen::Listener;
use crate::order::{Order, Person};
use crate::places::own_place;
use crate::watch::Want;

impl Daemon {
    /// Performs one action; what the model decides next.
    pub(super) fn perform(&mut self, action: Action) -> Vec<Action> {
        let Action::Job { label, action } = action else {
            self.exiting = true;
            return Vec::new();
        };
        match action {
            JobAction::Arm => self.arm(&label),
            JobAction::Disarm => {
                self.unwatch(&label, Watched::Demands);
                self.ignore_traffic(&label);
            }
            JobAction::Await => self.await_missing(&label),
            JobAction::Forget => self.unwatch(&label, Watched::Missing),
            JobAction::Start { run, causes } => return self.start(&label, run, causes.in_words()),
            JobAction::Worker { run, action } => return self.worker(run, action),
            JobAction::Ended { run, end } => {
                self.ended(&label, run, &end);
                return self.serve_again(&label);
            }
            JobAction::Replaced => self.loaded_anew(&label),
            JobAction::Gone => self.gone(&label),
        }
        Vec::new()
    }

    fn arm(&mut self, label: &Label) {
        let Some(job) = self.fleet.member(label).map(|member| member.job.clone()) else {
            return;
        };
        let launch = &job.launch;
        let changes = launch.watch_paths.iter().map(|path| (path.clone(), Want::Change));
        let queues = launch.queue_directories.iter().map(|path| (path.clone(), Want::Queue));
        let states = match &launch.keep_alive {
            KeepAlive::While(conditions) => conditions.path_state.as_slice(),
            _ => &[],
        };
        let states = states.iter().map(|(path, _)| (path.clone(), Want::Existence));
        let wanted: Vec<(String, Want)> = changes.chain(queues).chain(states).collect();
        self.watch(label, Watched::Demands, wanted);
        self.await_traffic(label);
    }

    /// What the job names and is not there.
    fn await_missing(&mut self, label: &Label) {
        let Some(job) = self.fleet.member(label).map(|member| member.job.clone()) else {
            return;
        };
        // Like a watched path: others may have put a link or a mount on the way.
        let missing = named_paths(&job).into_iter().filter(|path| !self.watcher.is_there(Path::new(path)));
        let mut wanted: Vec<(String, Want)> = missing.map(|path| (path, Want::Appearance)).collect();
        if job.user.is_some() || job.group.is_some() || !job.grants.users.is_empty() {
            wanted.extend(["/etc/passwd", "/etc/group"].map(|path| (path.to_owned(), Want::Change)));
        }
        self.watch(label, Watched::Missing, wanted);
    }

    fn watch(&mut self, label: &Label, kind: Watched, wanted: Vec<(String, Want)>) {
        if wanted.is_empty() {
            return;
        }
        self.next_token += 1;
        let token = self.next_token;
        self.tokens.insert((label.clone(), kind), token);
        self.watched.insert(token, (label.clone(), kind));
        for (path, want) in wanted {
            if let Err(error) = self.watcher.add(token, Path::new(&path), want) {
                self.say(Level::Error, Some(label), &format!("{path} cannot be watched: {error}"));
            }
        }
        self.look_at_paths = true;
    }

    /// By label and not by job: the job may be gone, and another have its place.
    fn unwatch(&mut self, label: &Label, kind: Watched) {
        if let Some(token) = self.tokens.remove(&(label.clone(), kind)) {
            self.watched.remove(&token);
            self.watcher.remove(token);
        }
    }

    fn start(&mut self, label: &Label, run: RunId, causes: Vec<String>) -> Vec<Action> {
        let Some(job) = self.fleet.member(label).map(|member| member.job.clone()) else {
            return Vec::new();
        };
        self.happened(Level::Info, Some(label), "started", &causes.join(", "));
        // Its worker serves them from here on.
        self.ignore_traffic(label);
        self.connect_for_a_run(label, &job);
        let event = self.begin_run(&job, run);
        let pid = self.runs.get(&run).and_then(|running| running.attempt.pid());
        self.logger.began(run, label, &causes, pid);
        self.begun(run, event)
    }

    /// What a run has come to that was just begun.
    pub(super) fn begun(&mut self, run: RunId, event: Result<Option<run::Event>, StartFailure>) -> Vec<Action> {
        self.after_attempt(run);
        let event = event.unwrap_or_else(|failure| Some(run::Event::Unprepared(failure)));
        event.map(|event| self.fleet.run(run, event, clock::now())).unwrap_or_default()
    }

    /// Begins to prepare a run of a job that is known to be `person`.
    pub(super) fn attempt(
        &mut self,
        job: &Arc<Job>,
        run: RunId,
        person: Option<Person>,
    ) -> Result<Option<run::Event>, StartFailure> {
        let stdio = self.stdio(job, run).map_err(|error| StartFailure::own("a pipe for its output", error))?;
        let order = Order {
            job: job.clone(),
            environment: environment(job, self.listeners_of(job), |name| std::env::var(name).ok()),
            native_environment: native_environment(person.as_ref()),
            stdio,
            person,
            owner: Some(self.reader.owner),
            sockets: self.sockets_of(job)?,
            causes: self.causes_of(job),
            best_effort: false,
            explain: job.launch.debug,
            learn: false,
            raw: false,
        };
        let tools = tools!(self);
        let own = self.own_folders();
        let mut attempt = Attempt::begin(order, tools, own).map_err(|error| error.as_failure())?;
        let mut record = Record::of(job);
        let event = attempt.prepare(tools, &mut record);
        self.runs.insert(run, Running { attempt, record, written: None });
        Ok(event)
    }

    fn listeners_of(&self, job: &Job) -> &[Listener] {
        self.sockets.get(job.label.as_str()).map(Sockets::listeners).unwrap_or_default()
    }

    /// One of each of its sockets for the worker.
    fn sockets_of(&self, job: &Job) -> Result<Vec<(HandedSocket, OwnedFd)>, StartFailure> {
        self.has_its_listeners(&job.label)?;
        let sockets = self.sockets.get(job.label.as_str());
        let handed_over = sockets.map(|sockets| sockets.handed_over()).transpose();
        Ok(handed_over.map_err(|error| StartFailure::own("its sockets", error))?.unwrap_or_default())
    }

    /// Why it is started.
    fn causes_of(&self, job: &Job) -> Vec<String> {
        let member = self.fleet.member(&Label::from(job.label.as_str()));
        member.map(|member| member.life.reason().in_words()).unwrap_or_default()
    }

    fn own_folders(&self) -> Vec<wjob_model::message::OwnFolder> {
        let mut own = self.cache.as_ref().map(Cache::folders).unwrap_or_default();
        let settings = &self.settings;
        let places =
            [&settings.state, &settings.cache, &settings.socket, &settings.log_socket(), &settings.configuration];
        let places = places.into_iter().cloned().chain(settings.folders(&self.configuration));
        own.extend(places.filter_map(|place| own_place(&place)));
        own
    }

    /// Where its output goes when it names no path: to the logger.
    fn stdio(&mut self, job: &Job, run: RunId) -> std::io::Result<[Option<OwnedFd>; 3]> {
        let mut captured = |path: &Option<String>, stream: Stream| -> std::io::Result<Option<OwnedFd>> {
            if path.is_some() {
                return Ok(None);
            }
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            self.logger.attach(run, &job.label, stream, read);
            Ok(Some(write))
        };
        Ok([None, captured(&job.standard_out, Stream::Out)?, captured(&job.standard_error, Stream::Error)?])
    }

    fn worker(&mut self, run: RunId, action: run::Action) -> Vec<Action> {
        if action == run::Action::LeaveBehind {
            self.leave_behind(run);
            return Vec::new();
        }
        self.before_attempt(run);
        let tools = tools!(self);
        let Some(running) = self.runs.get_mut(&run) else {
            // All that can be done to a run whose account is still looked up is to end it.
            return self.no_answer_wanted(run);
        };
        if matches!(action, run::Action::Send(wjob_model::message::ToWorker::Go)) {
            write_down(&self.orphans, running);
        }
        let event = running.attempt.perform(action, tools, &mut running.record);
        self.after_attempt(run);
        event.map(|event| self.fleet.run(run, event, clock::now())).unwrap_or_default()
    }

    fn ended(&mut self, label: &Label, run: RunId, end: &End) {
        self.before_attempt(run);
        let running = self.runs.remove(&run);
        self.compiling.remove(&run);
        self.queued.remove(&run);
        let (level, what, words) = in_words(end);
        let words = words + &self.blame_for_listeners(label);
        self.happened(level, Some(label), what, &words);
        let Some(running) = running else {
            self.logger.ended(run, label, &words, end, &Record::default());
            return;
        };
        self.end_session(running.written, running.attempt.job().abandon_process_group);
        self.logger.ended(run, label, &words, end, &running.record);
        if let Some(origin) = self.origins.get_mut(label) {
            origin.denials = that_fit(&running.record.denials, KEPT_BYTES).to_vec();
            origin.walls = running.record.walls;
        }
    }

    /// A worker that was written down is gone; one that was killed could not end what it had started.
    pub(super) fn end_session(&self, written: Option<u32>, abandons: bool) {
        if let Some(pid) = written {
            if !abandons {
                self.orphans.end_session_of(pid);
            }
            self.orphans.ended(pid);
        }
    }

    /// Another definition has the job's place.
    fn loaded_anew(&mut self, label: &Label) {
        let path = self.origins.get(label).map(|origin| origin.path.display().to_string());
        self.happened(Level::Info, Some(label), "loaded", &path.unwrap_or_default());
    }

    fn gone(&mut self, label: &Label) {
        // A successor has taken its place already, and everything that is known of the label is its own.
        if self.fleet.member(label).is_some() {
            return self.loaded_anew(label);
        }
        self.origins.remove(label);
        self.take_sockets_away(label);
        self.happened(Level::Info, Some(label), "unloaded", "");
        // Who waits for the job to be gone waits for what it left over, too.
        if !self.end_left_over(label) {
            self.answer_bootout(label);
        }
    }
}

/// What lives in a process table of its own ends with its init; the rest is written down before it begins.
fn write_down(orphans: &super::Orphans, running: &mut Running) {
    if let Some(pid) = running.attempt.pid().filter(|_| running.attempt.may_leave_processes())
        && orphans.begins(pid).is_ok()
    {
        running.written = Some(pid);
    }
}

/// Paths whose absence keeps a job from starting.
fn named_paths(job: &Job) -> Vec<String> {
    let program = match &job.program.file {
        ProgramFile::Path(path) => Some(path.clone()),
        ProgramFile::Name(_) => None,
    };
    let parent = |path: &String| PathBuf::from(path).parent().map(|folder| folder.display().to_string());
    let outputs = [&job.standard_out, &job.standard_error].into_iter().flatten().filter_map(parent);
    let grants = job.opened().into_iter().map(|grant| grant.host);
    let root = job.root_directory.as_deref().unwrap_or_default();
    let directory = job.working_directory.iter().map(|path| format!("{root}{path}"));
    let folders = [&job.standard_in, &job.root_directory].into_iter().flatten().cloned().chain(directory);
    program.into_iter().chain(folders).chain(grants).chain(outputs).collect()
}

/// What launchd sets for a job whose user it switched to, and a user's own job has anyway.
fn native_environment(person: Option<&Person>) -> Vec<(String, String)> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    match person.and_then(|person| person.account.as_ref()) {
        Some(account) => vec![
            pair("HOME", &account.home),
            pair("USER", &account.name),
            pair("LOGNAME", &account.name),
            pair("SHELL", &account.shell),
        ],
        None if person.is_some() => Vec::new(),
        None => ["HOME", "USER", "LOGNAME", "SHELL"]
            .iter()
            .filter_map(|name| Some((name.to_string(), std::env::var(name).ok()?)))
            .collect(),
    }
}

fn in_words(end: &End) -> (Level, &'static str, String) {
    match end {
        End::Failed(failure) => (Level::Error, "failed", format!("{failure}; {}", failure.advice)),
        End::Ran(verdict) => {
            let words = verdict.in_words().unwrap_or_else(|| format!("exit {}", verdict.status()));
            let level = if verdict.status() == 0 || verdict.stop.is_some() { Level::Info } else { Level::Warn };
            (level, "ended", words)
        }
    }
}
