//! The compile role: program bytes in, compiled code out, behind walls with no grant at all and limits of its own.
//! It runs nothing; what it makes is authenticated and filed by the supervisor.

use std::fs::File;
use std::io::{Read, Write};

use wjob_model::message::{Compile, FromWorker, StartFailure};
use wjob_sandbox::confine;

use crate::engine::engine;
use crate::role::{Started, report, wall};

/// Performs the role; its exit status says whether it succeeded.
pub(crate) fn perform(started: Started, compile: &Compile) -> u8 {
    let channel = started.channel;
    match result(started.descriptors, compile) {
        Ok(()) => {
            let _ = channel.send(&FromWorker::Compiled, &[]);
            0
        }
        Err(failure) => {
            report(&channel, failure);
            1
        }
    }
}

fn result(descriptors: Vec<std::os::fd::OwnedFd>, compile: &Compile) -> Result<(), StartFailure> {
    let mut files = descriptors.into_iter().map(File::from);
    let (Some(mut program), Some(mut output)) = (files.next(), files.next()) else {
        return Err(StartFailure::own("the compile role", "descriptors are missing"));
    };
    let engine = engine(None)?;
    confine(&compile.walls, &[]).map_err(|error| of_the_role(wall(&error)))?;
    let mut bytes = Vec::new();
    program.read_to_end(&mut bytes).map_err(|error| StartFailure::own("reading the program", error))?;
    let compiled =
        if compile.component { engine.precompile_component(&bytes) } else { engine.precompile_module(&bytes) };
    let compiled = compiled.map_err(|error| invalid(compile.component, &error))?;
    output.write_all(&compiled).map_err(|error| StartFailure::own("writing compiled code", error))
}

/// The walls are the role's own, whatever those of the job are.
fn of_the_role(failure: StartFailure) -> StartFailure {
    StartFailure { what: format!("the compile role: {}", failure.what), ..failure }
}

fn invalid(component: bool, error: &wasmtime::Error) -> StartFailure {
    let what = if component { "the program is no valid component" } else { "the program is no valid module" };
    StartFailure::job(what, crate::role::bounded(format!("{error:#}")), "build it again, or see `wjob check`")
}
