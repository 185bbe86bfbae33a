//! Whose a job's sockets are: in whose folders they may be, whose they become, and who else may connect. Nothing is bound
//! here.

use std::path::PathBuf;

use wjob_model::job::Job;
use wjob_model::message::{StartFailure, Users};

use crate::accounts::admitted;
use crate::places::answering_places;

/// Whose sockets they are.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Whose folders they may be in, besides root's.
    pub domain: u32,
    /// The job's user and group; `None` while they are not known.
    pub job: Option<(u32, u32)>,
    /// Who else may connect to those that have a path, if the job names anybody.
    pub admitted: Option<Users>,
    /// The folder in which those are made that have no place of their own.
    pub runtime: PathBuf,
    /// Sockets at which supervisors answer, and folders of such, by device and inode: no job is connected to these.
    pub supervisors: Vec<(u64, u64)>,
}

impl Owner {
    /// Those of a job of one's own, in the foreground.
    ///
    /// # Errors
    /// When it names somebody who is not there.
    pub fn own(job: &Job) -> Result<Self, StartFailure> {
        let places = answering_places(|name| std::env::var(name).ok());
        let there = places.into_iter().filter(|place| place.missing.is_empty());
        let supervisors = there.map(|place| (place.device, place.inode)).collect();
        Ok(Self { admitted: admitted(job)?, supervisors, ..Self::caller() })
    }

    /// Those of a job of one's own that names nobody.
    pub(crate) fn caller() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
        let runtime = runtime.unwrap_or_else(std::env::temp_dir);
        Self { domain: uid, job: Some((uid, gid)), admitted: None, runtime, supervisors: Vec::new() }
    }
}
