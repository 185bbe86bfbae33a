//! Finds a job's program file and opens it, once. It looks at eight bytes to tell what it is, and parses none.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use thiserror::Error;
use wjob_model::job::{ProgramFile, STANDARD_PATH};
use wjob_model::program::{MAGIC_LENGTH, ProgramKind};

/// A program file, open.
#[derive(Debug)]
pub struct Found {
    /// Where it was found.
    pub path: PathBuf,
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
    match program {
        ProgramFile::Path(path) => open(Path::new(path)),
        ProgramFile::Name(name) => STANDARD_PATH
            .split(':')
            .map(|folder| Path::new(folder).join(name))
            .find(|path| path.is_file())
            .map_or_else(|| Err(ProgramError::NotInPath { name: name.clone() }), |path| open(&path)),
    }
}

fn open(path: &Path) -> Result<Found, ProgramError> {
    let unusable = |why: String| ProgramError::Unusable { path: path.display().to_string(), why };
    // A FIFO must not hang this process, and nothing is read through a magic link of /proc.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let descriptor = match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        Ok(descriptor) => descriptor,
        // A native program may be executable and not readable; then it is not WebAssembly.
        Err(error) => return Err(unusable(error.to_string())),
    };
    let mut file = File::from(descriptor);
    let status = file.metadata().map_err(|error| unusable(error.to_string()))?;
    if !status.is_file() {
        return Err(unusable(format!("expected a file, found {}", in_words(&status))));
    }
    let mut head = [0; MAGIC_LENGTH];
    let length = file.read(&mut head).map_err(|error| unusable(error.to_string()))?;
    let kind = ProgramKind::of(&head[..length]).ok_or_else(|| ProgramError::NoProgram {
        path: path.display().to_string(),
        found: describe(&head[..length]),
    })?;
    if !kind.is_wasm() && status.mode() & 0o111 == 0 {
        return Err(unusable(format!(
            "{} that nobody may execute (mode {:o})",
            kind.in_words(),
            status.mode() & 0o777
        )));
    }
    std::io::Seek::rewind(&mut file).map_err(|error| unusable(error.to_string()))?;
    Ok(Found { path: path.to_owned(), kind, file })
}

fn in_words(status: &std::fs::Metadata) -> &'static str {
    let kind = status.file_type();
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
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
}
