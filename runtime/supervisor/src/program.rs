//! Finds a job's program file and opens it, once. It looks at eight bytes to tell what it is, and parses none. A daemon's
//! are found by `trusted`, which looks at nothing that others could have put there.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use thiserror::Error;
use wjob_model::job::{ProgramFile, STANDARD_PATH};
use wjob_model::program::{MAGIC_LENGTH, ProgramKind};
use wjob_sandbox::root::{Root, open_on_host};

use crate::trust::in_words;

mod trusted;

pub(crate) use trusted::{Untrusted, find_trusted};

/// A program file, open.
#[derive(Debug)]
pub struct Found {
    /// Where it was found, on the host.
    pub path: PathBuf,
    /// The same as the job sees it: another path only in another root.
    pub seen: PathBuf,
    /// What it is.
    pub kind: ProgramKind,
    /// The file, for reading, at its beginning.
    pub file: File,
}

/// Why there is no program.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// A bare name that no folder of the standard path has.
    #[error("no program {name:?} in {STANDARD_PATH}")]
    NotInPath {
        /// The name.
        name: String,
    },
    /// The file cannot be opened.
    #[error("program {path}: {why}")]
    Unusable {
        /// Its path.
        path: String,
        /// Why.
        why: String,
    },
    /// The file is no program.
    #[error("program {path}: expected a WebAssembly component or module, an ELF file or a script, found {found}")]
    NoProgram {
        /// Its path.
        path: String,
        /// What its first bytes say.
        found: String,
    },
}

/// Finds and opens a program, whoever could have put it there.
///
/// # Errors
/// When there is none, or it is no program.
pub fn find(program: &ProgramFile) -> Result<Found, ProgramError> {
    find_in(program, None)
}

/// The same, in another root if there is one.
///
/// # Errors
/// When there is none, or it is no program, or there is no such root.
pub(crate) fn find_in(program: &ProgramFile, root: Option<&str>) -> Result<Found, ProgramError> {
    let root = root.map(|path| Root::open(path).map_err(|error| no_root(path, error))).transpose()?;
    let path = place(program, root.as_ref())?;
    // A FIFO must not hang this process, and nothing is read through a magic link of /proc.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    // A native program may be executable and not readable; then it is not WebAssembly.
    let file = open_on_host(root.as_ref(), &path, flags, Mode::empty()).map_err(|error| unusable(&path, error))?;
    let seen = root.as_ref().and_then(|root| root.inside(&path)).unwrap_or(&path);
    holds(&path, seen, file.into())
}

/// Its path on the host. Nothing of the program itself is opened yet.
fn place(program: &ProgramFile, root: Option<&Root>) -> Result<String, ProgramError> {
    match program {
        ProgramFile::Path(path) => Ok(path.clone()),
        ProgramFile::Name(name) => candidates(name, root.map(Root::path))
            .find(|path| is_file(path, root))
            .ok_or_else(|| ProgramError::NotInPath { name: name.clone() }),
    }
}

/// Where a bare name may be, on the host.
fn candidates(name: &str, root: Option<&str>) -> impl Iterator<Item = String> {
    STANDARD_PATH.split(':').map(move |folder| format!("{}{folder}/{name}", root.unwrap_or_default()))
}

/// What a file that was opened holds.
fn holds(path: &str, seen: &str, mut file: File) -> Result<Found, ProgramError> {
    let failed = |error: std::io::Error| unusable(path, error);
    let status = file.metadata().map_err(failed)?;
    if !status.is_file() {
        return Err(unusable(path, format!("expected a file, found {}", in_words(&status))));
    }
    let mut head = [0; MAGIC_LENGTH];
    let length = file.read(&mut head).map_err(failed)?;
    let kind = ProgramKind::of(&head[..length])
        .ok_or_else(|| ProgramError::NoProgram { path: path.to_owned(), found: describe(&head[..length]) })?;
    if !kind.is_wasm() && status.mode() & 0o111 == 0 {
        let mode = status.mode() & 0o777;
        return Err(unusable(path, format!("{} that nobody may execute (mode {mode:o})", kind.in_words())));
    }
    std::io::Seek::rewind(&mut file).map_err(failed)?;
    Ok(Found { path: path.into(), seen: seen.into(), kind, file })
}

fn unusable(path: &str, why: impl std::fmt::Display) -> ProgramError {
    ProgramError::Unusable { path: path.to_owned(), why: why.to_string() }
}

fn no_root(path: &str, why: impl std::fmt::Display) -> ProgramError {
    unusable(path, format!("RootDirectory cannot be opened: {why}"))
}

fn is_file(path: &str, root: Option<&Root>) -> bool {
    let place = open_on_host(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    place.is_ok_and(|place| File::from(place).metadata().is_ok_and(|status| status.is_file()))
}

fn describe(head: &[u8]) -> String {
    match head {
        [] => "an empty file".into(),
        [0, b'a', b's', b'm', ..] => "WebAssembly of a version nobody knows".into(),
        _ => format!("a file that begins with \"{}\"", head.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        for (content, expected) in [
            (&b""[..], "an empty file"),
            (b"hello wo", "begins with \"hello wo\""),
            (b"\0asm\x07\0\0\0", "version nobody knows"),
            (b"#!/bin/sh", "nobody may execute"),
        ] {
            std::fs::write(&file, content).unwrap();
            let error = find(&ProgramFile::Path(file.display().to_string())).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = find(&ProgramFile::Path(folder.path().display().to_string())).unwrap_err().to_string();
        assert!(error.contains("found a directory"), "{error}");
        assert!(find(&ProgramFile::Name("no-such-program".into())).is_err());
        assert_eq!(find(&ProgramFile::Name("sh".into())).unwrap().kind, ProgramKind::Elf);
    }

    #[test]
    fn in_another_root_a_program_is_found_inside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("usr/bin")).unwrap();
        std::fs::write(root.join("usr/bin/tool"), b"\0asm\x01\0\0\0").unwrap();
        std::os::unix::fs::symlink("/usr/bin/tool", root.join("link")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", root.join("out")).unwrap();
        let name = root.display().to_string();
        let path = |inside: &str| ProgramFile::Path(format!("{name}{inside}"));
        for (program, seen) in [
            (path("/usr/bin/tool"), Some("/usr/bin/tool")),
            (path("/link"), Some("/link")),
            (ProgramFile::Name("tool".into()), Some("/usr/bin/tool")),
            (path("/out"), None),
            (ProgramFile::Name("sh".into()), None),
        ] {
            let found = find_in(&program, Some(&name)).ok().map(|found| found.seen);
            assert_eq!(found, seen.map(PathBuf::from), "{program:?}");
        }
        let error = find_in(&path("/link"), Some("/no/such/root")).unwrap_err().to_string();
        assert!(error.contains("/no/such/root: RootDirectory cannot be opened"), "{error}");
    }
}
