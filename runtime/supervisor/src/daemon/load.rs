//! What is loaded: the domain's folders at start and on SIGHUP, a file or folder by an operator, and one job's file
//! again. Everything of one load is read and bound before anything of it starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wjob_model::control::{Failure, Loaded};
use wjob_model::daemon::{Configuration, merge, read};
use wjob_model::fleet::{Event, Label, Refusal};
use wjob_model::job::Job;

use super::files::{NOT_FOR_HOST, is_for_host, is_job_file, of_folder, unsafe_file};
use super::log::Level;
use super::scan::{Scan, in_one_line};
use super::{Daemon, Origin, clock};
use crate::trust::{Fault, open_trusted_folder};

/// How long the jobs of a supervisor that was killed may take to leave their sockets: their workers are killed with it,
/// and then one process after the other.
const PATIENCE: Duration = Duration::from_secs(2);

impl Daemon {
    /// Everything of the domain's folders.
    pub(super) fn load_everything(&mut self) {
        let left = self.orphans.end_all();
        if left > 0 {
            self.say(Level::Warn, None, &format!("{left} processes of an earlier supervisor were ended"));
        }
        self.patience = self.lock.was_left().then(|| Instant::now() + PATIENCE);
        let loaded = self.follow_folders();
        self.patience = None;
        let count = loaded.loaded.len();
        self.say(Level::Info, None, &format!("serving {}, {count} jobs loaded", self.settings.domain()));
    }

    /// Makes what is loaded from the folders what the folders have: new files are loaded, jobs that have none any more
    /// are taken out, and where the first file of a label says something else, that takes the old one's place.
    fn follow_folders(&mut self) -> Loaded {
        let folders = self.settings.folders(&self.configuration);
        let mut scan = Scan::of(&folders, &self.reader, &host());
        for (label, level, why) in std::mem::take(&mut scan.passed_over) {
            self.say(level, Some(&label), &why);
        }
        let mut loaded = Loaded { refused: std::mem::take(&mut scan.refused), ..Loaded::default() };
        let known: Vec<(Label, PathBuf)> = self
            .origins
            .iter()
            .filter(|(_, origin)| {
                origin.found || origin.path.parent().is_some_and(|of| folders.iter().any(|f| f == of))
            })
            .map(|(label, origin)| (label.clone(), origin.path.clone()))
            .collect();
        for (label, path) in known {
            match scan.jobs.remove(&*label) {
                Some((file, job)) => self.follow_file(&label, &file, job, &mut loaded),
                None if scan.knows_nothing_of(&path) => {}
                None => {
                    let actions = self.fleet.tell(&label, Event::Unload, clock::now());
                    self.act(actions);
                    loaded.removed.push(label.to_string());
                }
            }
        }
        for (label, (file, job)) in scan.jobs {
            match self.load_job(&file, job, true) {
                Ok(()) => loaded.loaded.push(label),
                // An operator loaded another file.
                Err(Failure::AlreadyLoaded { path, .. }) => {
                    self.say(Level::Info, Some(&label), &format!("{}: it is loaded from {path}", file.display()));
                }
                Err(failure) => loaded.refused.push(in_one_line(&failure)),
            }
        }
        self.begin();
        for why in &loaded.refused {
            self.happened(Level::Error, None, "refused", why);
        }
        loaded
    }

    /// What a label's file says now, if that is something else than before or another file.
    fn follow_file(&mut self, label: &Label, file: &Path, job: Arc<Job>, loaded: &mut Loaded) {
        let path = self.origins.get(label).map(|origin| origin.path.as_path());
        if path == Some(file) && self.fleet.member(label).is_some_and(|member| *member.job == *job) {
            return;
        }
        match self.replace(label, file, job) {
            Ok(()) => loaded.loaded.push(label.to_string()),
            Err(failure) => loaded.refused.push(in_one_line(&failure)),
        }
    }

    /// Loads a job, which does not begin yet.
    fn load_job(&mut self, file: &Path, job: Arc<Job>, found: bool) -> Result<(), Failure> {
        let disabled = self.is_disabled(&job);
        self.fleet.admits(&job.label).map_err(|refusal| self.refused(&job.label, refusal))?;
        self.bind_sockets(&job)?;
        self.fleet.load(job.clone(), disabled).map_err(|refusal| self.refused(&job.label, refusal))?;
        let origin = Origin { path: file.to_owned(), found, ..Origin::default() };
        self.origins.insert(job.label.as_str().into(), origin);
        let detail = file.display().to_string();
        self.happened(Level::Info, Some(&job.label), "loaded", &detail);
        Ok(())
    }

    /// Puts a job in the place of the one that is loaded under its label.
    fn replace(&mut self, label: &str, file: &Path, job: Arc<Job>) -> Result<(), Failure> {
        let disabled = self.is_disabled(&job);
        self.fleet.may_reload(label).map_err(|refusal| self.refused(label, refusal))?;
        self.bind_sockets(&job)?;
        let actions = self.fleet.reload(job, disabled, clock::now()).map_err(|refusal| self.refused(label, refusal))?;
        if let Some(origin) = self.origins.get_mut(label) {
            origin.path = file.to_owned();
        }
        self.act(actions);
        Ok(())
    }

    /// Reads and loads an operator's file, which does not begin yet. `None` = it is not for this host.
    fn load_file(&mut self, file: &Path) -> Result<Option<String>, Failure> {
        let job = self.reader.job(file)?;
        if !is_for_host(&job, &host()) {
            self.say(Level::Info, Some(&job.label), NOT_FOR_HOST);
            return Ok(None);
        }
        self.load_job(file, job.clone(), false)?;
        Ok(Some(job.label.clone()))
    }

    fn refused(&self, label: &str, refusal: Refusal) -> Failure {
        match refusal {
            Refusal::ShuttingDown => Failure::ShuttingDown {},
            Refusal::Loaded | Refusal::Leaving => {
                let path = self.origins.get(label).map(|origin| origin.path.display().to_string());
                Failure::AlreadyLoaded { label: label.to_owned(), path: path.unwrap_or_default() }
            }
        }
    }

    fn is_disabled(&self, job: &Job) -> bool {
        self.overrides.get(&job.label).unwrap_or(job.launch.disabled)
    }

    fn begin(&mut self) {
        let actions = self.fleet.begin(clock::now());
        self.act(actions);
    }

    /// An operator's file or folder. A disabled job is refused, as launchctl does.
    pub(super) fn bootstrap(&mut self, path: &Path) -> Result<Loaded, Failure> {
        if self.fleet.is_stopping() {
            return Err(Failure::ShuttingDown {});
        }
        if path.is_absolute() && !is_job_file(path) {
            match open_trusted_folder(path, self.reader.owner) {
                Ok(_) => return self.bootstrap_folder(path),
                // It is no folder; what else is wrong with it is said of it as of a file.
                Err(distrust) if matches!(distrust.fault, Fault::Kind | Fault::Missing) => {}
                Err(distrust) => return Err(unsafe_file(path, &distrust)),
            }
        }
        let job = self.reader.job(path)?;
        if self.is_disabled(&job) {
            return Err(Failure::JobDisabled { label: job.label.clone() });
        }
        let loaded = self.load_file(path)?;
        self.begin();
        Ok(Loaded { loaded: loaded.into_iter().collect(), ..Loaded::default() })
    }

    fn bootstrap_folder(&mut self, folder: &Path) -> Result<Loaded, Failure> {
        let files = of_folder(folder, self.reader.owner)?;
        let mut loaded = Loaded::default();
        for file in files {
            match self.load_file(&file) {
                Ok(label) => loaded.loaded.extend(label),
                Err(failure) => loaded.refused.push(in_one_line(&failure)),
            }
        }
        self.begin();
        Ok(loaded)
    }

    /// One job's file again: what it says now takes the old one's place.
    pub(super) fn reload_job(&mut self, label: &str) -> Result<Loaded, Failure> {
        let path = self.origins.get(label).map(|origin| origin.path.clone());
        let path = path.ok_or_else(|| Failure::NoSuchJob { label: label.to_owned() })?;
        let job = self.reader.job(&path)?;
        if job.label != label {
            let why = format!("{} is the file of {} now", path.display(), job.label);
            return Err(Failure::Failed { why });
        }
        self.replace(label, &path, job)?;
        Ok(Loaded { loaded: vec![label.to_owned()], ..Loaded::default() })
    }

    /// The configuration, the time zone and the folders again.
    pub(super) fn reload_everything(&mut self) -> Result<Loaded, Failure> {
        self.reload_options()?;
        self.zone_may_be_another();
        Ok(self.follow_folders())
    }

    /// SIGHUP.
    pub(super) fn reload_configuration(&mut self) {
        if self.fleet.is_stopping() {
            return self.say(Level::Info, None, "nothing is read again: all jobs are being stopped");
        }
        let time = clock::monotonic_micros();
        self.manager.say(&format!("RELOADING=1\nMONOTONIC_USEC={time}"));
        match self.reload_everything() {
            Ok(loaded) => {
                let (new, gone) = (loaded.loaded.len(), loaded.removed.len());
                self.happened(Level::Info, None, "reloaded", &format!("{new} jobs loaded, {gone} taken out"));
            }
            Err(failure) => self.happened(Level::Error, None, "reload refused", &in_one_line(&failure)),
        }
        self.manager.say("READY=1");
    }

    /// Reads the configuration again; one with an error changes nothing.
    fn reload_options(&mut self) -> Result<(), Failure> {
        let failed = |why: String| Failure::Failed { why };
        let (name, text) = self.settings.configuration_text().map_err(failed)?;
        let file = match text {
            Some(text) => read(&name, &text).map_err(|error| failed(error.to_string()))?,
            None => Default::default(),
        };
        let read: Configuration =
            merge(file, self.settings.flags.clone()).map_err(|error| failed(error.to_string()))?;
        let (configuration, held) = self.configuration.reload(read);
        for option in held {
            self.say(Level::Warn, None, &format!("{option} has changed and takes a restart of wjobd"));
        }
        self.log.set_level(configuration.log_level);
        self.logger.set_bounds(&configuration);
        self.configuration = configuration;
        Ok(())
    }
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
