//! Gets a program's compiled form: from the cache, or from a worker of the compile role that works on a sealed copy.
//! This process copies and hashes the bytes; it does not parse them.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use thiserror::Error;
use wjob_model::limit::Limit;
use wjob_model::message::{Compile, FromWorker, Role, StartFailure};
use wjob_model::program::ProgramKind;
use wjob_model::run::Exit;
use wjob_model::wall::{Machine, compile_plan, compiling};

use crate::cache::{Cache, Hash};
use crate::helper::{Silence, errand};
use crate::program::Found;
use crate::signals::Signals;
use crate::spawn::Image;

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
    /// Somebody asked wjob to stop.
    #[error("interrupted while compiling")]
    Interrupted(wjob_model::outcome::StopReason),
    /// The system refused, or the role failed.
    #[error("compiling {path}: {why}")]
    System {
        /// The program.
        path: String,
        /// Why.
        why: String,
    },
}

/// The compiled form of a program, for reading only, and whether it had to be made.
///
/// # Errors
/// When it cannot be compiled within the limits of the role.
pub fn compiled(
    image: &Image,
    machine: &Machine,
    cache: Option<&Cache>,
    found: &mut Found,
    anew: bool,
    signals: Option<&Signals>,
) -> Result<(File, bool), CompileError> {
    let system = |path: &std::path::Path, error: io::Error| CompileError::System {
        path: path.display().to_string(),
        why: error.to_string(),
    };
    let status = found.file.metadata().map_err(|error| system(&found.path, error))?;
    if let Some(cache) = cache.filter(|_| !anew)
        && let Some(file) = cache.known_hash(&status).and_then(|hash| cache.get(&hash))
    {
        return Ok((file, false));
    }
    if status.len() > compiling::PROGRAM_BYTES {
        return Err(CompileError::TooLarge { path: found.path.display().to_string() });
    }
    let (copy, hash) = sealed_copy(&mut found.file).map_err(|error| system(&found.path, error))?;
    if let Some(cache) = cache.filter(|_| !anew)
        && let Some(file) = cache.get(&hash)
    {
        cache.remember_hash(&status, &hash);
        return Ok((file, false));
    }
    let mut made = compile(image, machine, found, &copy, signals)?;
    let Some(cache) = cache else {
        return Ok((made, true));
    };
    let file = cache.file(&hash, &mut made).map_err(|error| system(&found.path, error))?;
    cache.remember_hash(&status, &hash);
    Ok((file, true))
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

fn compile(
    image: &Image,
    machine: &Machine,
    found: &Found,
    copy: &File,
    signals: Option<&Signals>,
) -> Result<File, CompileError> {
    let path = || found.path.display().to_string();
    let result = rustix::fs::memfd_create("wjob-compiled", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map_err(|error| CompileError::System { path: path(), why: error.to_string() })?;
    let role = Role::Compile(Compile { component: found.kind == ProgramKind::Component, walls: compile_plan(machine) });
    let descriptors = [copy.as_fd(), result.as_fd()];
    let within = Duration::from_secs(compiling::RUN_SECONDS);
    match errand(image, role, &descriptors, within, signals) {
        Ok(FromWorker::Compiled) => {
            let mut file = File::from(result);
            rustix::fs::fcntl_add_seals(&file, SEALS)
                .map_err(|error| CompileError::System { path: path(), why: error.to_string() })?;
            file.flush()
                .and_then(|()| file.rewind())
                .map_err(|error| CompileError::System { path: path(), why: error.to_string() })?;
            Ok(file)
        }
        Ok(FromWorker::Failed(failure)) => Err(CompileError::Program(failure)),
        Ok(_) => Err(CompileError::System { path: path(), why: "the compile role said something else".into() }),
        Err(silence) => Err(unanswered(path(), silence)),
    }
}

/// A compile role that ends without a word has usually met one of its limits.
fn unanswered(path: String, silence: Silence) -> CompileError {
    let limit = |limit, bound| CompileError::Limit { path: path.clone(), limit, bound };
    match silence {
        Silence::Late => limit(Limit::RunTime, format!("{} s", compiling::RUN_SECONDS)),
        Silence::Gone(Exit::Signal(24 | 9)) => limit(Limit::CpuTime, format!("{} s", compiling::CPU_SECONDS)),
        // The allocator aborts when RLIMIT_DATA is reached.
        Silence::Gone(Exit::Signal(6)) => limit(Limit::Memory, format!("{} MiB", compiling::MEMORY_BYTES >> 20)),
        Silence::Gone(Exit::Signal(25)) => limit(Limit::OutputSize, format!("{} MiB", compiling::OUTPUT_BYTES >> 20)),
        Silence::Interrupted(reason) => CompileError::Interrupted(reason),
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
            let words = unanswered("x.wasm".into(), silence).to_string();
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
