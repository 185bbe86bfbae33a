//! `wjob upgrade`: the supervisor executes the program that is installed in its place now, in its own process. Workers
//! stay the children of that process, sockets stay open, and clients keep their connections and get their answers.
//!
//! The new program is asked first whether it can go on with what this one has, which it is shown (`asked`); one that
//! cannot changes nothing. What goes over is told in a sealed file (`state`), and taken up by the other side (`resume`).
//! Two things do not go over: what is under way for runs that have no worker yet, which begin anew, and the logger, which
//! ends in order before (`Daemon::rest_logger`); the pipes wait for the next one.
//!
//! Until the moment of executing everybody is served as ever, and what goes over is what there is then. The program was
//! shown an earlier state, and is not asked again: what it has said is that it reads this form, of which every state is.

mod asked;
#[cfg(test)]
mod form;
mod resume;
mod state;
mod words;

use std::ffi::{CString, OsString};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wjob_model::control::Failure;
use wjob_model::fleet::{Run, RunId};
use wjob_model::handover::{FORM, Question, Version};
use wjob_model::job::Job;
use wjob_model::run;
use wjob_sandbox::channel::Heard;
use wjob_sandbox::handover::{self, Kept};

use super::log::Level;
use super::settings::Settings;
use super::{Daemon, Wakes, clock};
use crate::helper::Silence;
use crate::spawn::{Image, Standing, Worker, spawn};

use words::{ASK, RESUME};

pub use asked::tell_version;
pub use resume::Resumed;
pub use state::read_state;
pub use words::{Begun, begun};

/// The name it is asked under.
const NAME: &std::ffi::CStr = c"wjobd";
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest answer, bytes.
const MOST_BYTES: usize = 16 << 10;

/// A program that is to take over.
#[derive(Debug)]
pub(super) struct Upgrade {
    /// Who wants it, and waits.
    client: u64,
    /// Its file, and the `wjob` file that belongs to it.
    program: Image,
    workers: Image,
    stage: Stage,
}

/// How far it is.
#[derive(Debug)]
enum Stage {
    /// Whether it can is asked of a child that runs it, which has until then to answer.
    Asked { asked: Worker, deadline: Instant },
    /// It can, and is executed when the logger is gone.
    Awaited,
}

impl Upgrade {
    fn ask(daemon: &Daemon, client: u64) -> Result<Self, String> {
        let settings = &daemon.settings;
        let program = Image::open(&settings.program, &settings.build)?;
        // Beside the file itself, wherever the links of its name lead.
        let place = fs::read_link(format!("/proc/self/fd/{}", program.program().as_raw_fd()));
        let place = place.map_err(|error| format!("{}: {error}", settings.program.display()))?;
        let workers = Settings::worker_beside(&daemon.configuration, &place);
        let workers = Image::open(&workers, &settings.build)?;
        let words = std::iter::once(ASK).chain(settings.arguments.iter().map(String::as_str));
        let arguments = words.map(string).collect::<Result<Vec<CString>, String>>()?;
        let standing = Standing { name: Some(NAME), arguments: &arguments, ..Standing::default() };
        let (state, _) = daemon.packed(client, &workers)?;
        let asked = spawn(&program, &standing)?;
        asked.hand(&Question, &[state.as_fd(), workers.program()])?;
        let stage = Stage::Asked { asked, deadline: Instant::now() + PATIENCE };
        Ok(Self { client, program, workers, stage })
    }

    /// When it has taken too long to answer, while it is asked. Afterwards the logger is waited for, which has its own.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Asked { deadline, .. } => Some(deadline),
            Stage::Awaited => None,
        }
    }

    /// The child that is asked, as long as it is.
    fn asked(&mut self) -> Option<&mut Worker> {
        match &mut self.stage {
            Stage::Asked { asked, .. } => Some(asked),
            Stage::Awaited => None,
        }
    }
}

/// What a child that was asked says, which is there, or its end.
fn answer(asked: &mut Worker) -> Result<Version, String> {
    match asked.channel.hear(MOST_BYTES) {
        Ok(Heard::Message(version)) => Ok(version),
        Ok(Heard::Nothing) => Err(Silence::Nonsense.to_string()),
        Ok(Heard::End) => {
            asked.end_soon();
            Err(Silence::Gone(asked.reap().0).to_string())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn string(word: impl Into<Vec<u8>>) -> Result<CString, String> {
    CString::new(word).map_err(|error| error.to_string())
}

impl Daemon {
    /// Asks the program that is installed now; when it has answered, and the logger is gone, it is executed, and answers
    /// the client.
    pub(super) fn upgrade(&mut self, client: u64) -> Result<(), Failure> {
        if self.fleet.is_stopping() {
            return Err(Failure::ShuttingDown {});
        }
        let failed = |why: String| Failure::Failed { why };
        if self.upgrade.is_some() {
            return Err(failed("another upgrade is under way".into()));
        }
        let mut upgrade = Upgrade::ask(self, client).map_err(failed)?;
        if let Some(asked) = upgrade.asked() {
            let waited = self.poller.add(asked.channel.as_fd(), Wakes::Successor);
            waited.map_err(|error| failed(error.to_string()))?;
        }
        self.upgrade = Some(upgrade);
        Ok(())
    }

    /// It has answered, or ended.
    pub(super) fn successor_said(&mut self) {
        if let Some(answer) = self.upgrade.as_mut().and_then(Upgrade::asked).map(answer) {
            self.answered_by_successor(answer);
        }
    }

    /// It may have taken too long.
    pub(super) fn upgrade_due(&mut self) {
        let deadline = self.upgrade.as_ref().and_then(Upgrade::deadline);
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.answered_by_successor(Err(Silence::Late.to_string()));
        }
    }

    /// Lets it take over as soon as there is no logger, or says why not.
    fn answered_by_successor(&mut self, answer: Result<Version, String>) {
        let Some(mut upgrade) = self.upgrade.take() else {
            return;
        };
        self.end_question(&mut upgrade);
        let name = self.settings.program.display();
        let fits = answer.map_err(|why| format!("{name} does not say which wjobd it is: {why}"));
        match fits.and_then(|version| version.fits(&self.settings.build)) {
            Ok(()) => {
                self.upgrade = Some(upgrade);
                self.rest_logger();
            }
            Err(why) => self.not_replaced(upgrade.client, &Failure::Failed { why }),
        }
    }

    /// The child that was asked, if it still is, ends.
    fn end_question(&mut self, upgrade: &mut Upgrade) {
        if let Some(asked) = upgrade.asked() {
            self.poller.remove(&asked.channel);
            upgrade.stage = Stage::Awaited;
        }
    }

    /// The logger that was told to end is gone: the program that waits for that is executed. Without one, since all jobs
    /// are to end, another logger begins and keeps how they do.
    pub(super) fn logger_is_away(&mut self) {
        match self.upgrade.take_if(|upgrade| matches!(upgrade.stage, Stage::Awaited)) {
            Some(upgrade) => self.give_way(upgrade),
            None => self.logger_due(),
        }
    }

    /// All jobs are to end, and whoever waits for another program is told that it does not come.
    pub(super) fn give_up_upgrade(&mut self) {
        if let Some(mut upgrade) = self.upgrade.take() {
            self.end_question(&mut upgrade);
            self.not_replaced(upgrade.client, &Failure::ShuttingDown {});
        }
    }

    /// Says why the program is not executed.
    fn not_replaced(&mut self, client: u64, failure: &Failure) {
        self.say(Level::Error, None, &format!("not replaced: {failure}"));
        self.send(client, failure.reply());
        self.busy.insert(client);
    }

    /// Executes the program. It comes back only when that could not be done, and everything goes on.
    fn give_way(&mut self, upgrade: Upgrade) {
        let Upgrade { client, program, workers, .. } = upgrade;
        let time = clock::monotonic_micros();
        self.manager.say(&format!("RELOADING=1\nMONOTONIC_USEC={time}"));
        self.end_preparations();
        self.hand_on_log();
        let why = self.execute(client, &program, &workers);
        self.begin_unprepared();
        self.manager.say("READY=1");
        let why = format!("{}: {why}", self.settings.program.display());
        self.not_replaced(client, &Failure::Failed { why });
    }

    /// What goes over, sealed, and the descriptors that stay open for it.
    fn packed(&self, client: u64, workers: &Image) -> Result<(OwnedFd, Kept), String> {
        let mut kept = Kept::default();
        let state = self.saved(client, workers, &mut kept);
        let file = handover::pack(FORM, &state).map_err(|error| error.to_string())?;
        Ok((file, kept))
    }

    fn execute(&self, client: u64, program: &Image, workers: &Image) -> String {
        let (file, mut kept) = match self.packed(client, workers) {
            Ok(packed) => packed,
            Err(why) => return why,
        };
        let number = kept.keep(&file).to_string();
        match (self.arguments(number), environment()) {
            (Ok(arguments), Ok(environment)) => {
                handover::execute(program.program(), &arguments, &environment, &kept).to_string()
            }
            (Err(why), _) | (_, Err(why)) => why,
        }
    }

    fn arguments(&self, descriptor: String) -> Result<Vec<CString>, String> {
        let Settings { program, arguments, .. } = &self.settings;
        let name = string(program.clone().into_os_string().into_vec())?;
        let words = [RESUME.to_owned(), descriptor].into_iter().chain(arguments.iter().cloned()).map(string);
        std::iter::once(Ok(name)).chain(words).collect()
    }

    /// Ends what is under way for runs without a worker.
    fn end_preparations(&mut self) {
        for asking in std::mem::take(&mut self.asking).into_values() {
            self.poller.remove(asking.as_fd());
        }
        let prepared = self.runs.iter().filter(|(_, running)| !running.attempt.is_working());
        let prepared: Vec<RunId> = prepared.map(|(run, _)| *run).collect();
        for run in prepared {
            self.before_attempt(run);
            self.runs.remove(&run);
            self.compiling.remove(&run);
            self.queued.remove(&run);
        }
    }

    /// Begins to prepare every run for which nothing is under way: whoever had begun that is no more.
    fn begin_unprepared(&mut self) {
        for (run, job) in self.unprepared() {
            self.connect_for_a_run(&job.label.as_str().into(), &job);
            let event = self.begin_run(&job, run);
            let pid = self.runs.get(&run).and_then(|running| running.attempt.pid());
            self.logger.has_process(run, pid);
            let actions = self.begun(run, event);
            self.act(actions);
        }
    }

    fn unprepared(&self) -> Vec<(RunId, Arc<Job>)> {
        let waits = |run: &&Run| run.state == run::State::Preparing && !self.runs.contains_key(&run.id);
        let all = self.fleet.members().flat_map(|(_, member)| {
            let runs = member.life.current().into_iter().chain(member.life.draining());
            runs.filter(waits).map(move |run| (run.id, member.job.clone()))
        });
        all.collect()
    }
}

/// This process's own environment, as it is.
fn environment() -> Result<Vec<CString>, String> {
    let pair =
        |(name, value): (OsString, OsString)| string([name.into_vec(), b"=".to_vec(), value.into_vec()].concat());
    std::env::vars_os().map(pair).collect()
}
