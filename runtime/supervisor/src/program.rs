//! Finds a job's program file and opens it, once. It looks at eight bytes to tell what it is, and parses none.

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

/// Finds and opens a program.
///
/// # Errors
/// When there is none, or it is no program.
pub fn find(program: &ProgramFile) -> Result<Found, ProgramError> {
    let place = Place::of(program, None)?;
    let file = place.open()?;
    place.holds(file)
}

/// Where a program is.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its path on the host.
    pub path: String,
    root: Option<Root>,
}

impl Place {
    /// The place of a program, in another root if there is one. Nothing of the program itself is opened yet.
    ///
    /// # Errors
    /// When no folder has one of that name, or there is no such root.
    pub fn of(program: &ProgramFile, root: Option<&str>) -> Result<Self, ProgramError> {
        let unusable = |path: &str, error: rustix::io::Errno| {
            let why = format!("RootDirectory cannot be opened: {error}");
            ProgramError::Unusable { path: path.to_owned(), why }
        };
        let root = root.map(|path| Root::open(path).map_err(|error| unusable(path, error))).transpose()?;
        let path = match program {
            ProgramFile::Path(path) => path.clone(),
            ProgramFile::Name(name) => STANDARD_PATH
                .split(':')
                .map(|folder| format!("{}{folder}/{name}", root.as_ref().map_or("", Root::path)))
                .find(|path| is_file(path, root.as_ref()))
                .ok_or_else(|| ProgramError::NotInPath { name: name.clone() })?,
        };
        Ok(Self { path, root })
    }

    /// The same as the job sees it.
    pub fn seen(&self) -> &str {
        self.root.as_ref().and_then(|root| root.inside(&self.path)).unwrap_or(&self.path)
    }

    /// Opens it, whoever could have put it there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self) -> Result<File, ProgramError> {
        // A FIFO must not hang this process, and nothing is read through a magic link of /proc.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        // A native program may be executable and not readable; then it is not WebAssembly.
        let opened = open_on_host(self.root.as_ref(), &self.path, flags, Mode::empty());
        opened.map(File::from).map_err(|error| self.unusable(error.to_string()))
    }

    /// What a file that was opened here holds.
    ///
    /// # Errors
    /// When it is no program.
    pub fn holds(self, mut file: File) -> Result<Found, ProgramError> {
        let status = file.metadata().map_err(|error| self.unusable(error.to_string()))?;
        if !status.is_file() {
            return Err(self.unusable(format!("expected a file, found {}", in_words(&status))));
        }
        let mut head = [0; MAGIC_LENGTH];
        let length = file.read(&mut head).map_err(|error| self.unusable(error.to_string()))?;
        let kind = ProgramKind::of(&head[..length])
            .ok_or_else(|| ProgramError::NoProgram { path: self.path.clone(), found: describe(&head[..length]) })?;
        if !kind.is_wasm() && status.mode() & 0o111 == 0 {
            let mode = status.mode() & 0o777;
            return Err(self.unusable(format!("{} that nobody may execute (mode {mode:o})", kind.in_words())));
        }
        std::io::Seek::rewind(&mut file).map_err(|error| self.unusable(error.to_string()))?;
        let seen = self.seen().into();
        Ok(Found { path: self.path.into(), seen, kind, file })
    }

    fn unusable(&self, why: String) -> ProgramError {
        ProgramError::Unusable { path: self.path.clone(), why }
    }
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

    fn found_in(program: &ProgramFile, root: Option<&str>) -> Result<Found, ProgramError> {
        let place = Place::of(program, root)?;
        let file = place.open()?;
        place.holds(file)
    }

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
            let found = found_in(&program, Some(&name)).ok().map(|found| found.seen);
            assert_eq!(found, seen.map(PathBuf::from), "{program:?}");
        }
        let error = found_in(&path("/link"), Some("/no/such/root")).unwrap_err().to_string();
        assert!(error.contains("/no/such/root: RootDirectory cannot be opened"), "{error}");
    }
}
