//! `wjob bootout TARGET...` and `wjob bootout DOMAIN PATH...`: stops jobs and takes them out, and waits until they are
//! gone. A path stands for the job of that file, whose label is read here; the file itself stays.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use wjob_model::control::{Bootout, Method};
use wjob_model::status::Status;
use wjob_model::varlink::Nothing;

use crate::refusal::{self, Refusal};
use crate::target::{self, Domain, Target};
use crate::{job_file, socket};

/// What `wjob bootout` is told.
#[derive(Debug, clap::Args)]
#[command(override_usage = "wjob bootout [--no-wait] TARGET...\n       wjob bootout [--no-wait] DOMAIN PATH...",
    after_help = target::HELP)]
pub(crate) struct Arguments {
    /// Do not wait until the job is gone
    #[arg(long)]
    no_wait: bool,
    /// Jobs; or a domain and job files, each of which stands for its job
    #[arg(value_name = "TARGET", required = true)]
    target: Vec<OsString>,
}

/// Takes them out.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (domain, words) = target::leading_domain(&arguments.target)?;
    if let Some(domain) = domain.filter(|_| words.is_empty()) {
        return Err(whole(domain).into());
    }
    Ok(refusal::each(words, |word| {
        let (domain, label) = job(domain, word)?;
        let bootout = Bootout { label, wait: !arguments.no_wait };
        socket::control(domain)?.call::<Nothing>(Method::Bootout, &bootout)?;
        Ok(())
    }))
}

/// launchctl would take the whole domain down.
fn whole(domain: Domain) -> Refusal {
    Refusal::usage(
        format!("{domain} is a whole domain"),
        "expected a job, or job files after the domain",
        format!("name a job, as in {domain}/LABEL; a domain ends with its wjobd (SIGTERM)"),
    )
}

/// The job that a word stands for. A file's name ends as job files' do, or has a folder.
fn job(domain: Option<Domain>, word: &OsStr) -> Result<(Domain, String), Refusal> {
    let text = word.to_string_lossy();
    if domain.is_none() && target::names_domain(&text) {
        return Target::job(&text);
    }
    let domain = domain.unwrap_or_else(target::own);
    let is_file = text.contains('/') || text.to_ascii_lowercase().ends_with(".plist");
    match is_file {
        true => Ok((domain, label_of(domain, Path::new(word))?)),
        false if text.is_empty() => Target::job(&text),
        false => Ok((domain, text.into_owned())),
    }
}

fn label_of(domain: Domain, file: &Path) -> Result<String, Refusal> {
    let name = file.display();
    let refused = |why: String| {
        let advice = format!("name the job itself, as in {domain}/LABEL; `wjob list {domain}` lists them");
        Refusal::new(Status::BadJobFile, format!("{name} names no job"), why, advice)
    };
    let text = job_file::read(file).map_err(refused)?;
    let loaded = job_file::load(file, &text).map_err(|error| refused(format!("{error:#}")))?;
    let job = loaded.job.ok_or_else(|| refused(format!("it has errors, which `wjob check {name}` shows")))?;
    Ok(job.label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_jobs_or_files() {
        let own = target::own();
        for (domain, word, expected) in [
            (None, "a.b", Ok((own, "a.b"))),
            (None, "system/a.b", Ok((Domain::System, "a.b"))),
            (None, "gui/7/a/b", Ok((Domain::User(7), "a/b"))),
            (Some(Domain::System), "a.b", Ok((Domain::System, "a.b"))),
            (None, "user/x/a.b", Err(Status::Usage)),
            (None, "system", Err(Status::Usage)),
            (None, "", Err(Status::Usage)),
            (None, "no-such.plist", Err(Status::BadJobFile)),
            (None, "/no/such/file", Err(Status::BadJobFile)),
            (Some(Domain::System), "no/such/file", Err(Status::BadJobFile)),
            (None, "/dev/null", Err(Status::BadJobFile)),
        ] {
            let found = job(domain, OsStr::new(word)).map_err(|refusal| refusal.status);
            let expected = expected.map(|(domain, label)| (domain, label.to_owned()));
            assert_eq!(found, expected, "{word:?} after {domain:?}");
        }
    }
}
