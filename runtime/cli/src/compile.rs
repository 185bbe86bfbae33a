//! `wjob compile`: fills the cache of compiled programs ahead, for job files or program files. It runs nothing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use wjob_model::job::ProgramFile;
use wjob_model::program::{MAGIC_LENGTH, ProgramKind};
use wjob_model::status::Status;
use wjob_supervisor::{RunError, compiled, find};

use crate::runtime::Runtime;
use crate::{job_file, render};

/// What `wjob compile` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Job files or programs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Compile even what is compiled already
    #[arg(long)]
    again: bool,
}

/// Compiles each; the status is that of the last one that failed.
pub(crate) fn run(arguments: Arguments, build: &str) -> anyhow::Result<ExitCode> {
    let runtime = Runtime::open(build)?;
    if let Err(why) = &runtime.cache {
        return Err(anyhow!("there is no place for compiled programs: {why}"));
    }
    let mut worst = 0;
    for file in &arguments.files {
        let status = one(&runtime, file, arguments.again)?;
        worst = if status == 0 { worst } else { status };
    }
    Ok(ExitCode::from(worst))
}

fn one(runtime: &Runtime, file: &Path, again: bool) -> anyhow::Result<u8> {
    let name = file.display();
    let program = match program(file)? {
        Ok(program) => program,
        Err(why) => {
            render::complain(&format!("{name}: {why}"));
            return Ok(Status::BadJobFile.code());
        }
    };
    match compile(runtime, &program, again) {
        Ok(Some(true)) => render::print(format!("{name}: compiled\n"))?,
        Ok(Some(false)) => render::print(format!("{name}: was compiled already\n"))?,
        Ok(None) => render::print(format!("{name}: a native program, nothing to compile\n"))?,
        Err(error) => {
            render::complain_lines(&[format!("{name}: {error}"), error.advice().to_owned()]);
            return Ok(error.status().code());
        }
    }
    Ok(0)
}

/// The program itself, or that of a job file.
fn program(file: &Path) -> anyhow::Result<Result<ProgramFile, String>> {
    let text = match job_file::read(file) {
        Ok(text) => text,
        Err(why) => return Ok(Err(why)),
    };
    if ProgramKind::of(&text[..text.len().min(MAGIC_LENGTH)]).is_some() {
        let path = std::path::absolute(file)?;
        return Ok(path
            .to_str()
            .map(|path| ProgramFile::Path(path.into()))
            .ok_or_else(|| "its path is not UTF-8".into()));
    }
    let loaded = job_file::load(file, &text)?;
    Ok(loaded.job.map(|job| job.program.file).ok_or_else(|| "a bad job file; `wjob check` says why".into()))
}

fn compile(runtime: &Runtime, program: &ProgramFile, again: bool) -> Result<Option<bool>, RunError> {
    let mut found = find(program)?;
    if !found.kind.is_wasm() {
        return Ok(None);
    }
    let (_, made) = compiled(runtime.tools(), &mut found, again)?;
    Ok(Some(made))
}
