//! What is loaded: the domain's folders at start and on SIGHUP, a file or folder by an operator, and one job's file
//! again. Everything of one load is read and bound before anything of it starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wjob_model::control::{Failure, Loaded};
use wjob_model::daemon::{Configuration, merge, read};
use wjob_model::fleet::{Event, Refusal};
use wjob_model::job::Job;

use super::files::{is_for_host, is_job_file, of_folder};
use super::log::Level;
use super::{Daemon, Origin, clock};

impl Daemon {
    /// Everything of the domain's folders.
    pub(super) fn load_everything(&mut self) {
        let left = self.orphans.end_all();
        if left > 0 {
            self.say(Level::Warn, None, &format!("{left} processes of an earlier supervisor were ended"));
        }
        let loaded = self.load_folders();
        let count = loaded.loaded.len();
        self.say(Level::Info, None, &format!("serving {}, {count} jobs loaded", self.settings.domain()));
    }

    /// Loads what the folders have and is not loaded; the first folder's label counts.
    fn load_folders(&mut self) -> Loaded {
        let mut loaded = Loaded::default();
        for folder in self.settings.folders(&self.configuration) {
            match of_folder(&folder) {
                Ok(files) => files.iter().for_each(|file| self.load_found(file, &mut loaded)),
                Err(why) => loaded.refused.push(why),
            }
        }
        self.begin();
        for why in &loaded.refused {
            self.happened(Level::Error, None, "refused", why);
        }
        loaded
    }

    fn load_found(&mut self, file: &Path, loaded: &mut Loaded) {
        match self.load_file(file) {
            Ok(Some(label)) => loaded.loaded.push(label),
            Ok(None) => {}
            // The same label in a later folder, or the same file at a reload.
            Err(Failure::AlreadyLoaded { label, path }) if Path::new(&path) == file || other_folder(&path, file) => {
                let text = format!("{}: {label} is loaded from {path}", file.display());
                self.say(Level::Debug, Some(&label), &text);
            }
            Err(failure) => loaded.refused.push(failure.to_string().replace('\n', "; ")),
        }
    }

    /// Reads and loads one file, which does not begin yet. `None` = it is not for this host.
    fn load_file(&mut self, file: &Path) -> Result<Option<String>, Failure> {
        let job = self.reader.job(file)?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if !is_for_host(&job, &host) {
            self.say(
                Level::Info,
                Some(&job.label),
                "not loaded: LimitLoadToHosts or LimitLoadFromHosts leaves this host out",
            );
            return Ok(None);
        }
        let disabled = self.is_disabled(&job);
        self.fleet.load(job.clone(), disabled).map_err(|refusal| self.refused(&job.label, refusal))?;
        let origin = Origin { path: file.to_owned(), walls: Vec::new() };
        self.origins.insert(job.label.as_str().into(), origin);
        let detail = file.display().to_string();
        self.happened(Level::Info, Some(&job.label), "loaded", &detail);
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
        if path.is_absolute() && path.is_dir() && !is_job_file(path) {
            return self.bootstrap_folder(path);
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
        let files = of_folder(folder).map_err(|why| Failure::Failed { why })?;
        let mut loaded = Loaded::default();
        for file in files {
            match self.load_file(&file) {
                Ok(label) => loaded.loaded.extend(label),
                Err(failure) => loaded.refused.push(failure.to_string().replace('\n', "; ")),
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
        let actions = self.fleet.reload(job, clock::now()).map_err(|refusal| self.refused(label, refusal))?;
        self.act(actions);
        Ok(Loaded { loaded: vec![label.to_owned()], ..Loaded::default() })
    }

    /// The configuration and the folders again: new files are loaded, those of jobs whose file is gone are taken out,
    /// and jobs whose file says something else are reloaded.
    pub(super) fn reload_everything(&mut self) -> Result<Loaded, Failure> {
        self.reload_options()?;
        let mut removed = Vec::new();
        let folders = self.settings.folders(&self.configuration);
        let of_folders = |path: &PathBuf| folders.iter().any(|folder| path.parent() == Some(folder));
        let known: Vec<(String, PathBuf)> = self
            .origins
            .iter()
            .filter(|(_, origin)| of_folders(&origin.path))
            .map(|(label, origin)| (label.to_string(), origin.path.clone()))
            .collect();
        let mut changed = Vec::new();
        for (label, path) in known {
            if !path.exists() || self.is_anothers(&label, &path) {
                let actions = self.fleet.tell(&label, Event::Unload, clock::now());
                self.act(actions);
                removed.push(label);
            } else if self.has_changed(&label, &path) && self.reload_job(&label).is_ok() {
                changed.push(label);
            }
        }
        let mut loaded = self.load_folders();
        loaded.loaded.extend(changed);
        loaded.removed = removed;
        Ok(loaded)
    }

    /// Whether the file is another job's by now.
    fn is_anothers(&self, label: &str, path: &Path) -> bool {
        self.reader.job(path).is_ok_and(|job| job.label != label)
    }

    fn has_changed(&self, label: &str, path: &Path) -> bool {
        let job: Option<Arc<Job>> = self.reader.job(path).ok();
        let member = self.fleet.member(label);
        job.zip(member).is_some_and(|(job, member)| *job != *member.job)
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
            Err(failure) => {
                self.happened(Level::Error, None, "reload refused", &failure.to_string().replace('\n', "; "))
            }
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

/// Whether two files lie in different folders.
fn other_folder(one: &str, other: &Path) -> bool {
    Path::new(one).parent() != other.parent()
}
