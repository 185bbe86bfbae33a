//! `wjob bootstrap [DOMAIN] PATH...`: loads job files, and folders of them. A file that is refused keeps no other from
//! being loaded. It reads none of them: the supervisor checks who could have changed a file, and then reads it itself.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use wjob_model::control::{Bootstrap, Loaded, Method};
use wjob_model::status::Status;

use crate::client::Client;
use crate::refusal::{self, Refusal};
use crate::target::{self, Domain};
use crate::{render, socket};

/// What `wjob bootstrap` is told.
#[derive(Debug, clap::Args)]
#[command(override_usage = "wjob bootstrap [DOMAIN] PATH...", after_help = target::HELP)]
pub(crate) struct Arguments {
    /// Job files, or folders of them; before them a domain, if it is not your own
    #[arg(value_name = "PATH", required = true, value_hint = clap::ValueHint::AnyPath)]
    words: Vec<OsString>,
}

/// Loads them.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (domain, paths) = order(&arguments.words)?;
    let mut client = socket::control(domain)?;
    Ok(refusal::each(paths, |path| load(&mut client, path)))
}

/// The domain, and what to load into it.
fn order(words: &[OsString]) -> Result<(Domain, &[OsString]), Refusal> {
    let (domain, paths) = target::leading_domain(words)?;
    let what = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    if domain.is_some() && paths.is_empty() {
        return Err(Refusal::usage(
            format!("nothing to load into {what}"),
            "expected job files or folders after the domain",
            "name them, as in `wjob bootstrap system /etc/wjob/jobs`; the domain itself begins with its wjobd",
        ));
    }
    if domain.is_none() && target::names_domain(&what) && !Path::new(&*what).exists() {
        return Err(Refusal::usage(
            format!("{what} is a job"),
            "expected a domain or a path first",
            "name the job file; `wjob kickstart` starts a job that is loaded",
        ));
    }
    Ok((domain.unwrap_or_else(target::own), paths))
}

fn load(client: &mut Client, path: &OsStr) -> anyhow::Result<()> {
    let name = path.to_string_lossy().into_owned();
    let path = absolute(path)?;
    let loaded: Loaded = client.call(Method::Bootstrap, &Bootstrap { path })?;
    if loaded.loaded.is_empty() && loaded.refused.is_empty() {
        render::complain(&format!("{name}: there was nothing to load: no job files, or none for this host"));
    }
    all_loaded(&name, &loaded)
}

/// The supervisor has another working directory.
fn absolute(path: &OsStr) -> Result<String, Refusal> {
    let refused = |why: String| {
        let what = format!("{} cannot be loaded", path.to_string_lossy());
        Refusal::new(Status::BadJobFile, what, why, "name a job file or a folder of them")
    };
    let absolute = std::path::absolute(path).map_err(|error| refused(error.to_string()))?;
    absolute.into_os_string().into_string().map_err(|_| refused("its path is not UTF-8".into()))
}

/// What was refused among several job files is an error as what was refused alone is.
///
/// # Errors
/// All that was refused, a line each.
pub(crate) fn all_loaded(what: &str, loaded: &Loaded) -> anyhow::Result<()> {
    let refused = loaded.refused.len();
    if refused == 0 {
        return Ok(());
    }
    let what = match refused {
        1 => format!("{what}: a job file was refused"),
        _ => format!("{what}: {refused} job files were refused"),
    };
    let advice = "`wjob check FILE` shows each error of a job file with its line";
    Err(Refusal::new(Status::BadJobFile, what, loaded.refused.join("\n"), advice).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_domain_may_come_first() {
        for (given, domain, count) in [
            (&["system", "a.plist", "b.plist"][..], Domain::System, 2),
            (&["gui/7", "/jobs"], Domain::User(7), 1),
            (&["a.plist"], target::own(), 1),
        ] {
            let given = words(given);
            let (found, paths) = order(&given).unwrap();
            assert_eq!((found, paths.len()), (domain, count), "{given:?}");
        }
        for given in [&["system"][..], &["user/7/"], &["system/a.b", "a.plist"], &["session/7", "a.plist"]] {
            assert_eq!(order(&words(given)).unwrap_err().status, Status::Usage, "{given:?}");
        }
    }

    #[test]
    fn paths_are_made_absolute() {
        let folder = std::env::current_dir().unwrap();
        assert_eq!(absolute(OsStr::new("/a/b.plist")).unwrap(), "/a/b.plist");
        assert_eq!(absolute(OsStr::new("b.plist")).unwrap(), folder.join("b.plist").to_str().unwrap());
        assert_eq!(absolute(OsStr::new("")).unwrap_err().status, Status::BadJobFile);
    }

    #[test]
    fn what_was_refused_is_told_line_by_line() {
        let loaded = Loaded { refused: vec!["one".into(), "two".into()], ..Loaded::default() };
        let error = all_loaded("/jobs", &loaded).unwrap_err().to_string();
        assert!(error.starts_with("/jobs: 2 job files were refused\none\ntwo\n"), "{error}");
        assert!(all_loaded("/jobs", &Loaded::default()).is_ok());
    }
}
