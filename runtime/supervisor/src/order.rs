//! What a run is asked to be, what it is done with, and who is told of it. It does nothing itself.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wjob_model::account::Account;
use wjob_model::denial::Denial;
use wjob_model::job::Job;
use wjob_model::learn::{Deed, MOST_DEEDS};
use wjob_model::message::{Evidence, HandedSocket, MOST_DENIALS};
use wjob_model::noted::Used;
use wjob_model::wall::{CompileBounds, Machine, WallPlan};

use crate::cache::Cache;
use crate::spawn::{Identity, Image, Usage};

/// What is asked of a run.
#[derive(Debug)]
pub struct Order {
    /// The job.
    pub job: Arc<Job>,
    /// Its whole environment, put together by the caller.
    pub environment: Vec<(String, String)>,
    /// What a native program is given besides, where that does not say otherwise.
    pub native_environment: Vec<(String, String)>,
    /// Where stdin, stdout and stderr go when the job names no path; `None` is /dev/null.
    pub stdio: [Option<OwnedFd>; 3],
    /// The sockets that are handed to it.
    pub sockets: Vec<(HandedSocket, OwnedFd)>,
    /// Why it runs, in words.
    pub causes: Vec<String>,
    /// Who it runs as; `None` keeps the supervisor's user.
    pub person: Option<Person>,
    /// Whose program files may be, besides root's; `None` = anybody's.
    pub owner: Option<u32>,
    /// Whether walls that this machine lacks are done without.
    pub best_effort: bool,
    /// Whether denials are looked for outside of every grant too.
    pub explain: bool,
    /// Whether every deed is told, for learning which grants it takes.
    pub learn: bool,
    /// Whether terminals get the job's bytes unfiltered.
    pub raw: bool,
}

impl Order {
    /// How often a worker may tell of grants: of what was denied, of each grant that was used, of deeds to be learned.
    pub fn most_reports(&self) -> usize {
        let grants = &self.job.grants;
        let used = grants.paths.len() + grants.connect.len() + grants.bind.len();
        MOST_DENIALS + used + if self.learn { MOST_DEEDS } else { 0 }
    }
}

/// Who a job is, and what it is told of that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// What the kernel is told.
    pub identity: Identity,
    /// The account; `None` = a user that was made up for a job that names none, as which no native program runs.
    pub account: Option<Account>,
}

/// Who is told what happens while a job runs.
pub trait Reporter {
    /// The program is being compiled, which takes a while.
    fn compiling(&mut self, path: &Path);
    /// Something was denied.
    fn denied(&mut self, denial: &Denial);
    /// A grant was used.
    fn grant_used(&mut self, _used: Used) {}
    /// Something was done that is to be learned.
    fn did(&mut self, _deed: &Deed) {}
    /// The walls stand; this is the evidence, and these do not stand.
    fn walls(&mut self, evidence: &[Evidence], plan: &WallPlan);
    /// Something the operator should know.
    fn warn(&mut self, text: &str);
    /// What the run used.
    fn used(&mut self, usage: Usage);
}

/// Tells nobody, where what came of a run is all that is asked.
#[derive(Debug)]
pub struct Silent;

impl Reporter for Silent {
    fn compiling(&mut self, _: &Path) {}
    fn denied(&mut self, _: &Denial) {}
    fn walls(&mut self, _: &[Evidence], _: &WallPlan) {}
    fn warn(&mut self, _: &str) {}
    fn used(&mut self, _: Usage) {}
}

/// What every run of a supervisor uses.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// The `wjob` file.
    pub image: &'a Image,
    /// What the kernel can do, for the run's user.
    pub machine: &'a Machine,
    /// Compiled programs.
    pub cache: Option<&'a Cache>,
    /// Whether a program may be compiled now, or must wait until others are.
    pub may_compile: bool,
    /// What a compilation may use.
    pub compile: CompileBounds,
}
