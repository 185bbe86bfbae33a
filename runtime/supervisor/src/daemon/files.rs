//! Job files: finds those of the domain's folders, reads each through the checks of `trust`, and has the model make a
//! job of it. It loads nothing; what it found is handed on with what is wrong with it.

use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wjob_model::account::Question;
use wjob_model::control::Failure;
use wjob_model::finding::{Finding, Severity, line_and_column};
use wjob_model::job::Job;
use wjob_model::plist;
use wjob_model::spec::{Context, load};

use crate::accounts::of_files;
use crate::trust::{Distrust, Fault, TrustedKind, open_trusted, open_trusted_folder};

/// Most job files of one folder.
const MOST_FILES: usize = 100_000;

/// Whose files count, and whose home `~` is.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The domain's owner: files are his or root's.
    pub owner: u32,
    /// The owner's home.
    pub home: String,
}

impl Reader {
    /// The job of a file.
    ///
    /// # Errors
    /// When others could have changed the file, it cannot be read, or it has errors.
    pub fn job(&self, path: &Path) -> Result<Arc<Job>, Failure> {
        let name = path.display().to_string();
        let file =
            open_trusted(path, self.owner, TrustedKind::JobFile).map_err(|distrust| unsafe_file(path, &distrust))?;
        let mut bytes = Vec::new();
        // One byte more than is taken, so that the model sees that it is too long.
        let most = u64::try_from(plist::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        file.take(most).read_to_end(&mut bytes).map_err(|error| Failure::Failed { why: format!("{name}: {error}") })?;
        self.meant(path, &bytes)
    }

    fn meant(&self, path: &Path, bytes: &[u8]) -> Result<Arc<Job>, Failure> {
        let folder = path.parent().unwrap_or(Path::new("/")).display().to_string();
        let read = |home: &str| load(bytes, &Context { folder: &folder, home, uid: self.owner });
        let mut loaded = read(&self.home);
        // `~` is the home of the job's user, whose name stands in the file.
        if let Some(user) = loaded.job.as_ref().and_then(|job| job.user.clone()) {
            let account = of_files(&Question { user, group: None }).account;
            // Loading waits for no name service: what is not known then is to be written out.
            loaded = read(account.as_ref().map(|account| account.home.as_str()).unwrap_or_default());
        }
        let errors = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let findings = errors.map(|finding| in_words(finding, bytes)).collect();
        let job = loaded.job.ok_or_else(|| Failure::BadJobFile { path: path.display().to_string(), findings })?;
        Ok(Arc::new(job))
    }
}

/// A finding with its place: line and column where the file has them, else the key.
fn in_words(finding: &Finding, bytes: &[u8]) -> String {
    let place = match finding.span {
        Some(span) => {
            let (line, column) = line_and_column(bytes, span.start);
            format!("line {line}, column {column}: ")
        }
        None if finding.key_path.is_empty() => String::new(),
        None => format!("{}: ", finding.key_path),
    };
    format!("{place}{}", finding.message)
}

/// That others could have changed something, as it is answered.
pub fn unsafe_file(path: &Path, distrust: &Distrust) -> Failure {
    Failure::UnsafeFile { path: path.display().to_string(), why: distrust.to_string() }
}

/// The job files of a folder, by name; those that begin with a dot are left alone, as in launchd. The folder is opened
/// under the rules of job files before anything of it is looked at, and the very folder that was checked is read.
///
/// # Errors
/// When the folder is there, and others could have put files into it or it cannot be read.
pub fn of_folder(folder: &Path, owner: u32) -> Result<Vec<PathBuf>, Failure> {
    let place = match open_trusted_folder(folder, owner) {
        Ok(place) => place,
        Err(distrust) if distrust.fault == Fault::Missing => return Ok(Vec::new()),
        Err(distrust) => return Err(unsafe_file(folder, &distrust)),
    };
    let entries = fs::read_dir(format!("/proc/self/fd/{}", place.as_raw_fd()))
        .map_err(|error| Failure::Failed { why: format!("{}: {error}", folder.display()) })?;
    let paths = entries.flatten().map(|entry| folder.join(entry.file_name()));
    let mut files: Vec<PathBuf> = paths.filter(|path| is_job_file(path)).collect();
    files.sort();
    files.truncate(MOST_FILES);
    Ok(files)
}

/// Whether a path is named as job files are.
pub fn is_job_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    !name.starts_with('.') && name.to_ascii_lowercase().ends_with(".plist")
}

/// What is said of a job that is not.
pub const NOT_FOR_HOST: &str = "not loaded: LimitLoadToHosts or LimitLoadFromHosts leaves this host out";

/// Whether the job is one for this host (LimitLoadToHosts and LimitLoadFromHosts; whole names, letter case aside).
pub fn is_for_host(job: &Job, host: &str) -> bool {
    let named = |hosts: &[String]| hosts.iter().any(|name| name.eq_ignore_ascii_case(host));
    job.launch.only_hosts.as_deref().is_none_or(named) && !named(&job.launch.not_hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> Reader {
        Reader { owner: rustix::process::geteuid().as_raw(), home: "/home/x".into() }
    }

    #[test]
    fn files_are_found_by_name_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.plist", "a.PLIST", ".hidden.plist", "note.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let owner = reader().owner;
        let found = of_folder(folder.path(), owner).unwrap();
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, ["a.PLIST", "b.plist"]);
        assert_eq!(of_folder(&folder.path().join("missing"), owner).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_folder_that_others_can_change_is_not_listed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::write(open.join("a.plist"), "").unwrap();
        for (mode, expected) in [(0o755, true), (0o1777, true), (0o777, false), (0o775, false)] {
            fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
            let found = of_folder(&open, reader().owner);
            let is_unsafe = matches!(&found, Err(Failure::UnsafeFile { why, .. }) if why.contains("write"));
            assert_eq!((found.is_ok(), is_unsafe), (expected, !expected), "{mode:o}: {found:?}");
        }
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(of_folder(&folder.path().join("file"), reader().owner).is_err());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.plist");
        fs::write(&path, "{ Label = a; Program = \"/bin/a\"; }").unwrap();
        assert_eq!(reader().job(&path).unwrap().label, "a");
        fs::write(&path, "{ Label = a; }").unwrap();
        assert!(matches!(reader().job(&path), Err(Failure::BadJobFile { findings, .. }) if findings.len() == 1));
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(reader().job(&path), Err(Failure::UnsafeFile { .. })));
        assert!(reader().job(&folder.path().join("missing.plist")).is_err());
    }

    #[test]
    fn hosts_are_whole_names() {
        let job = |keys: &str| {
            let text = format!("{{ Label = a; Program = \"/bin/a\"; {keys} }}");
            reader().meant(Path::new("/a.plist"), text.as_bytes()).unwrap()
        };
        for (keys, expected) in [
            ("", true),
            ("LimitLoadToHosts = (box);", true),
            ("LimitLoadToHosts = (BOX);", true),
            ("LimitLoadToHosts = (bo);", false),
            ("LimitLoadFromHosts = (box);", false),
            ("LimitLoadFromHosts = (other);", true),
        ] {
            assert_eq!(is_for_host(&job(keys), "box"), expected, "{keys}");
        }
    }
}
