//! What the domain's folders have: of each label the first file, read and checked, and what is wrong with the others.
//! It loads nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wjob_model::control::Failure;
use wjob_model::job::Job;

use super::files::{NOT_FOR_HOST, Reader, is_for_host, of_folder};
use super::log::Level;

/// The folders' files.
#[derive(Debug, Default)]
pub struct Scan {
    /// The jobs that are to be loaded, by label, with their files.
    pub jobs: BTreeMap<String, (PathBuf, Arc<Job>)>,
    /// Files and folders that say nothing at the moment: a job that was loaded from one stays as it is.
    unreadable: Vec<PathBuf>,
    /// What is wrong, in words.
    pub refused: Vec<String>,
    /// Files that are passed over for a good reason: label, how much that matters, and the reason.
    pub passed_over: Vec<(String, Level, String)>,
}

impl Scan {
    /// Reads the folders in their order.
    pub fn of(folders: &[PathBuf], reader: &Reader, host: &str) -> Self {
        let mut scan = Self::default();
        for folder in folders {
            match of_folder(folder, reader.owner) {
                Ok(files) => files.iter().for_each(|file| scan.file(file, reader, host)),
                Err(failure) => {
                    scan.unreadable.push(folder.clone());
                    scan.refused.push(in_one_line(&failure));
                }
            }
        }
        scan
    }

    /// Whether nothing is known of what a file would say now.
    pub fn knows_nothing_of(&self, file: &Path) -> bool {
        self.unreadable.iter().any(|place| place == file || Some(place.as_path()) == file.parent())
    }

    fn file(&mut self, file: &Path, reader: &Reader, host: &str) {
        match reader.job(file) {
            Ok(job) if is_for_host(&job, host) => self.job(file, job),
            Ok(job) => {
                self.passed_over.push((job.label.clone(), Level::Info, NOT_FOR_HOST.into()));
            }
            Err(failure) => {
                self.unreadable.push(file.to_owned());
                self.refused.push(in_one_line(&failure));
            }
        }
    }

    fn job(&mut self, file: &Path, job: Arc<Job>) {
        match self.jobs.get(&job.label) {
            None => {
                self.jobs.insert(job.label.clone(), (file.to_owned(), job));
            }
            // Nobody can want that the names of files decide.
            Some((first, _)) if first.parent() == file.parent() => {
                let path = first.display().to_string();
                self.refused.push(format!(
                    "{}: {}",
                    file.display(),
                    Failure::AlreadyLoaded { label: job.label.clone(), path }
                ));
            }
            Some((first, _)) => {
                let why = format!("{}: {} counts before it", file.display(), first.display());
                self.passed_over.push((job.label.clone(), Level::Debug, why));
            }
        }
    }
}

/// A failure as one line of the log.
pub fn in_one_line(failure: &Failure) -> String {
    failure.to_string().replace('\n', "; ")
}
