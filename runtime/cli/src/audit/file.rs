//! A job file before the model's judgement: the job that it means, what its program is, and the walls that this machine
//! can put up, each tried in a process of its own as for `wjob info`. The job is not started.

use std::path::Path;

use wjob_model::audit::{Standing, Subject, audit, names_root, user_like};
use wjob_model::control::Audited;
use wjob_model::job::Job;
use wjob_model::program::ProgramKind;
use wjob_model::wall::Wall;
use wjob_sandbox::machine;

use crate::target::caller;
use crate::{job_file, render, run};

/// Judges the job of a file; `None` = it has errors, which are told.
///
/// # Errors
/// When the current folder, which relative paths need, cannot be found.
pub(super) fn audited(file: &Path) -> anyhow::Result<Option<Audited>> {
    let name = file.to_string_lossy();
    let text = match job_file::read(file) {
        Ok(text) => text,
        Err(why) => {
            render::complain(&format!("{name}: {why}"));
            return Ok(None);
        }
    };
    let loaded = job_file::load(file, &text)?;
    run::complain(&name, &text, &loaded.findings);
    if loaded.job.is_none() {
        render::complain(&format!("{name} was refused for its errors; nothing was judged"));
    }
    Ok(loaded.job.as_ref().map(judge))
}

fn judge(job: &Job) -> Audited {
    let machine = machine::look();
    let root = names_root(job) || (job.user.is_none() && caller() == 0);
    let for_user = machine::for_user(&machine, user_like(root, caller()));
    let tried = machine::try_walls(&machine);
    let fallen = |wall: Wall| tried.iter().any(|(other, result)| *other == wall && result.is_err());
    let kind = kind(job);
    let standing = Standing::expected(job, kind, &for_user).without(fallen);
    let subject = Subject { job, kind, root, standing: &standing };
    audit(&subject).told(&subject)
}

/// What the program is, if it is there to be looked at.
fn kind(job: &Job) -> Option<ProgramKind> {
    match wjob_supervisor::find(&job.program.file) {
        Ok(found) => Some(found.kind),
        Err(why) => {
            render::complain(&format!("warning: {why}; it is judged as a native program"));
            None
        }
    }
}
