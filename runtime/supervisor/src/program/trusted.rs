//! Finds a program that is run for somebody: every folder and link on the way to each place where it may be is checked
//! before anything there is looked at, so that root is led nowhere by others. It judges nothing itself; that is `trust`'s.

use std::path::Path;

use wjob_model::job::ProgramFile;
use wjob_sandbox::root::path_inside;

use super::{Found, ProgramError, candidates, holds, no_root, unusable};
use crate::trust::{Distrust, Fault, TrustedKind, open_trusted, open_trusted_below, open_trusted_folder};

/// Why there is no program that is trusted.
#[derive(Debug)]
pub(crate) enum Untrusted {
    /// There is none, or it is no program.
    Program(ProgramError),
    /// Others could have put it there or could change it.
    Distrust {
        /// Its path on the host.
        path: String,
        /// Why.
        why: Box<Distrust>,
    },
}

impl From<ProgramError> for Untrusted {
    fn from(error: ProgramError) -> Self {
        Self::Program(error)
    }
}

/// Finds and opens a program, in another root if there is one, if nobody but root and `owner` can have put it there or
/// can change it. Of a bare name the first one counts that is trusted.
///
/// # Errors
/// When there is none, or it is no program, or others could have put it there.
pub(crate) fn find_trusted(program: &ProgramFile, root: Option<&str>, owner: u32) -> Result<Found, Untrusted> {
    if let Some(root) = root {
        check_root(root, owner)?;
    }
    match program {
        ProgramFile::Path(path) => at(path, root, owner),
        ProgramFile::Name(name) => of_name(name, root, owner),
    }
}

fn check_root(root: &str, owner: u32) -> Result<(), Untrusted> {
    match open_trusted_folder(Path::new(root), owner) {
        Ok(_) => Ok(()),
        Err(distrust) if matches!(distrust.fault, Fault::Owner | Fault::Writable) => Err(distrusted(root, distrust)),
        Err(distrust) => Err(no_root(root, distrust).into()),
    }
}

/// A folder that others can change has no programs; it does not keep those of the next one from being found.
fn of_name(name: &str, root: Option<&str>, owner: u32) -> Result<Found, Untrusted> {
    let mut first = None;
    for path in candidates(name, root) {
        match at(&path, root, owner) {
            Err(Untrusted::Distrust { why, .. }) if matches!(why.fault, Fault::Missing | Fault::Kind) => {}
            Err(untrusted @ Untrusted::Distrust { .. }) => {
                first.get_or_insert(untrusted);
            }
            found => return found,
        }
    }
    Err(first.unwrap_or_else(|| ProgramError::NotInPath { name: name.to_owned() }.into()))
}

fn at(path: &str, root: Option<&str>, owner: u32) -> Result<Found, Untrusted> {
    let (seen, file) = match root {
        None => (path, open_trusted(Path::new(path), owner, TrustedKind::Program)),
        Some(root) => {
            let inside = path_inside(root, path).ok_or_else(|| unusable(path, "it does not lie in RootDirectory"))?;
            (inside, open_trusted_below(Path::new(root), Path::new(inside), owner))
        }
    };
    let file = file.map_err(|distrust| distrusted(path, distrust))?;
    Ok(holds(path, seen, file)?)
}

fn distrusted(path: &str, why: Distrust) -> Untrusted {
    Untrusted::Distrust { path: path.to_owned(), why: Box::new(why) }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::*;

    const COMPONENT: &[u8] = b"\0asm\x01\0\0\0";

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// A root with two folders of programs, of which `first` is the one that is looked at first.
    fn root() -> (tempfile::TempDir, String) {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join("root");
        for folder in ["", "usr", "usr/bin", "bin"] {
            fs::create_dir(root.join(folder)).unwrap();
            mode(&root.join(folder), 0o755);
        }
        for program in ["usr/bin/both", "bin/both", "usr/bin/first"] {
            fs::write(root.join(program), COMPONENT).unwrap();
            mode(&root.join(program), 0o755);
        }
        symlink("/bin/sh", root.join("usr/bin/out")).unwrap();
        fs::create_dir(root.join("usr/bin/folder")).unwrap();
        let name = root.display().to_string();
        (top, name)
    }

    /// The program's path as its job sees it, or what is wrong.
    fn seen(program: &ProgramFile, root: Option<&str>) -> Result<PathBuf, String> {
        let owner = rustix::process::geteuid().as_raw();
        find_trusted(program, root, owner).map(|found| found.seen).map_err(|untrusted| match untrusted {
            Untrusted::Program(error) => error.to_string(),
            Untrusted::Distrust { path, why } => format!("{path} is not trusted: {why}"),
        })
    }

    fn named(name: &str) -> ProgramFile {
        ProgramFile::Name(name.into())
    }

    #[test]
    fn in_another_root_a_program_is_found_inside() {
        let (_top, root) = root();
        let path = |inside: &str| ProgramFile::Path(format!("{root}{inside}"));
        for (program, expected) in [
            (path("/usr/bin/first"), Ok("/usr/bin/first")),
            (named("first"), Ok("/usr/bin/first")),
            (named("both"), Ok("/usr/bin/both")),
            (named("folder"), Err("no program \"folder\"")),
            (named("out"), Err("no program \"out\"")),
            (path("/usr/bin/out"), Err("No such file")),
            (ProgramFile::Path("/bin/sh".into()), Err("does not lie in RootDirectory")),
        ] {
            match (seen(&program, Some(&root)), expected) {
                (Err(why), Err(part)) => assert!(why.contains(part), "{program:?}: {why}"),
                (found, expected) => assert_eq!(found, expected.map(PathBuf::from).map_err(str::to_owned)),
            }
        }
        let why = seen(&named("first"), Some("/no/such/root")).unwrap_err();
        assert!(why.contains("/no/such/root: RootDirectory cannot be opened"), "{why}");
    }

    #[test]
    fn what_others_can_change_is_no_program_and_hides_none() {
        let (_top, root) = root();
        mode(&Path::new(&root).join("usr/bin"), 0o777);
        assert_eq!(seen(&named("both"), Some(&root)), Ok(PathBuf::from("/bin/both")));
        let why = seen(&named("first"), Some(&root)).unwrap_err();
        assert!(why.contains("usr/bin: mode 777 lets everybody write"), "{why}");
        mode(Path::new(&root), 0o777);
        let why = seen(&named("both"), Some(&root)).unwrap_err();
        assert!(why.starts_with(&format!("{root} is not trusted: {root}: mode 777")), "{why}");
    }

    #[test]
    fn without_a_root_the_machines_own_are_found() {
        assert!(seen(&named("sh"), None).is_ok());
        assert!(seen(&named("no-such-program"), None).unwrap_err().contains("no program"));
    }
}
