//! Gets a program's compiled form: from the cache, or from a worker of the compile role that works on a sealed copy.
//! This process copies and hashes the bytes; it does not parse them.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, SealFlags};
use thiserror::Error;
use wjob_model::limit::Limit;
use wjob_model::message::{Compile, FromWorker, Role, StartFailure};
use wjob_model::program::ProgramKind;
use wjob_model::run::Exit;
use wjob_model::wall::{CompileBounds, Machine, compile_plan, compiling};

use crate::cache::{Cache, Hash};
use crate::helper::{Errand, Silence, wait};
use crate::order::Tools;
use crate::program::Found;
use crate::spawn::Identity;

/// Why there is no compiled form.
#[derive(Debug, Error)]
pub enum CompileError {
    /// The program is not valid, or its imports are unknown.
    #[error("{0}")]
    Program(StartFailure),
    /// Compiling it reached a limit.
    #[error("compiling {path} reached the limit {limit} of the compile role ({bound})")]
    Limit {
        /// The program.
        path: String,
        /// Which limit.
        limit: Limit,
        /// Its value, in words.
        bound: String,
    },
    /// The program is larger than any that is compiled.
    #[error("{path} has more than {} MiB", compiling::PROGRAM_BYTES >> 20)]
    TooLarge {
        /// The program.
        path: String,
    },
    /// The system refused, or the role failed.
    #[error("compiling {path}: {why}")]
    System {
        /// The program.
        path: String,
        /// Why.
        why: String,
    },
}

/// What a look for a compiled form comes to.
#[derive(Debug)]
pub enum Sought {
    /// It is there, for reading only.
    There(File),
    /// It is being made.
    Making(Box<Compiling>),
    /// It is to be made when others are done.
    Waiting,
}

/// The compiled form of a program, for reading only, and whether it had to be made. It waits.
///
/// # Errors
/// When it cannot be compiled within the limits of the role.
pub fn compiled(tools: Tools<'_>, found: &mut Found, anew: bool) -> Result<(File, bool), CompileError> {
    match seek(tools, tools.machine, found, anew, None)? {
        Sought::There(file) => Ok((file, false)),
        Sought::Making(compiling) => {
            let waited = wait(compiling.as_fd(), compiling.deadline);
            compiling.finish(tools.cache, waited).map(|file| (file, true))
        }
        Sought::Waiting => Err(CompileError::System {
            path: found.path.display().to_string(),
            why: "others are compiled, and this one does not wait".into(),
        }),
    }
}

/// Looks for the compiled form and, where there is none, begins to make it: as `identity`, if this process is to drop
/// its own.
///
/// # Errors
/// When the program is too large or the system refuses.
pub(crate) fn seek(
    tools: Tools<'_>,
    machine: &Machine,
    found: &mut Found,
    anew: bool,
    identity: Option<&Identity>,
) -> Result<Sought, CompileError> {
    let cache = tools.cache;
    let system = |path: &std::path::Path, error: io::Error| CompileError::System {
        path: path.display().to_string(),
        why: error.to_string(),
    };
    let status = found.file.metadata().map_err(|error| system(&found.path, error))?;
    if let Some(cache) = cache.filter(|_| !anew)
        && let Some(file) = cache.known_hash(&status).and_then(|hash| cache.get(&hash))
    {
        return Ok(Sought::There(file));
    }
    if status.len() > compiling::PROGRAM_BYTES {
        return Err(CompileError::TooLarge { path: found.path.display().to_string() });
    }
    if !tools.may_compile {
        return Ok(Sought::Waiting);
    }
    let (copy, hash) = sealed_copy(&mut found.file).map_err(|error| system(&found.path, error))?;
    if let Some(cache) = cache.filter(|_| !anew)
        && let Some(file) = cache.get(&hash)
    {
        cache.remember_hash(&status, &hash);
        return Ok(Sought::There(file));
    }
    let result = rustix::fs::memfd_create("wjob-compiled", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map_err(|error| system(&found.path, error.into()))?;
    let role = Role::Compile(Compile {
        component: found.kind == ProgramKind::Component,
        walls: compile_plan(machine, tools.compile),
    });
    let path = found.path.display().to_string();
    let errand = Errand::start(tools.image, role, &[copy.as_fd(), result.as_fd()], identity)
        .map_err(|silence| unanswered(path.clone(), tools.compile, silence))?;
    let deadline = Instant::now() + Duration::from_secs(tools.compile.seconds);
    let bounds = tools.compile;
    Ok(Sought::Making(Box::new(Compiling { errand, result: result.into(), hash, status, path, bounds, deadline })))
}

/// A compilation under way.
#[derive(Debug)]
pub struct Compiling {
    errand: Errand,
    result: File,
    hash: Hash,
    status: Metadata,
    path: String,
    bounds: CompileBounds,
    /// When it has taken too long.
    pub(crate) deadline: Instant,
}

impl Compiling {
    /// Takes what came of it and files it; `waited` says whether there is an answer to take.
    ///
    /// # Errors
    /// When it cannot be compiled within the limits of the role.
    pub(crate) fn finish(self, cache: Option<&Cache>, waited: Result<(), Silence>) -> Result<File, CompileError> {
        let Self { errand, mut result, hash, status, path, bounds, .. } = self;
        let system = |error: io::Error| CompileError::System { path: path.clone(), why: error.to_string() };
        match waited.and_then(|()| errand.answer()) {
            Ok(FromWorker::Compiled) => {}
            Ok(FromWorker::Failed(failure)) => return Err(CompileError::Program(failure)),
            Ok(_) => return Err(CompileError::System { path, why: "the compile role said something else".into() }),
            Err(silence) => return Err(unanswered(path, bounds, silence)),
        }
        rustix::fs::fcntl_add_seals(&result, SEALS).map_err(|error| system(error.into()))?;
        result.flush().and_then(|()| result.rewind()).map_err(system)?;
        let Some(cache) = cache else {
            return Ok(result);
        };
        let file = cache.file(&hash, &mut result).map_err(system)?;
        cache.remember_hash(&status, &hash);
        Ok(file)
    }
}

impl AsFd for Compiling {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.errand.as_fd()
    }
}

/// A copy that can no longer change, and its hash: what is compiled is what was hashed.
fn sealed_copy(program: &mut File) -> io::Result<(File, Hash)> {
    let copy = rustix::fs::memfd_create("wjob-program", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut copy = File::from(copy);
    program.rewind()?;
    let mut limited = program.take(compiling::PROGRAM_BYTES);
    io::copy(&mut limited, &mut copy)?;
    rustix::fs::fcntl_add_seals(&copy, SEALS)?;
    copy.rewind()?;
    let hash = blake3::Hasher::new().update_reader(&mut copy)?.finalize();
    copy.rewind()?;
    Ok((copy, *hash.as_bytes()))
}

const SEALS: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// A compile role that ends without a word has usually met one of its limits.
fn unanswered(path: String, bounds: CompileBounds, silence: Silence) -> CompileError {
    let limit = |limit, bound| CompileError::Limit { path: path.clone(), limit, bound };
    match silence {
        Silence::Late => limit(Limit::RunTime, format!("{} s", bounds.seconds)),
        Silence::Gone(Exit::Signal(24 | 9)) => limit(Limit::CpuTime, format!("{} s", bounds.cpu_seconds())),
        // The allocator aborts when RLIMIT_DATA is reached.
        Silence::Gone(Exit::Signal(6)) => limit(Limit::Memory, format!("{} MiB", bounds.memory >> 20)),
        Silence::Gone(Exit::Signal(25)) => limit(Limit::OutputSize, format!("{} MiB", compiling::OUTPUT_BYTES >> 20)),
        other => CompileError::System { path, why: format!("the compile role: {other}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_without_a_word_names_the_limit_that_is_its_cause() {
        for (silence, expected) in [
            (Silence::Late, "limit RunTime"),
            (Silence::Gone(Exit::Signal(24)), "limit CPUTime"),
            (Silence::Gone(Exit::Signal(6)), "limit Memory"),
            (Silence::Gone(Exit::Signal(25)), "limit OutputSize"),
            (Silence::Gone(Exit::Signal(11)), "SIGSEGV"),
            (Silence::Nonsense, "no message of this build"),
        ] {
            let words = unanswered("x.wasm".into(), CompileBounds::default(), silence).to_string();
            assert!(words.contains(expected) && words.contains("x.wasm"), "{words}");
        }
    }

    #[test]
    fn a_sealed_copy_is_the_file_and_cannot_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, "code").unwrap();
        let (mut copy, hash) = sealed_copy(&mut File::open(path).unwrap()).unwrap();
        assert_eq!(hash, *blake3::hash(b"code").as_bytes());
        assert!(copy.write_all(b"evil").is_err());
        assert!(copy.set_len(0).is_err());
        assert_eq!(io::read_to_string(copy).unwrap(), "code");
    }
}
