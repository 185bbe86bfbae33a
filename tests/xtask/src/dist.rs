//! `cargo xtask dist`: the release binaries and the guests, laid out as they would be installed.
//! It packs and signs nothing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::cargo;
use crate::corpus;
use crate::setup;
use crate::step::Steps;
use crate::temporary;

/// The folder of everything made here.
pub fn folder() -> PathBuf {
    cargo::target().join("dist")
}

/// Builds, lays out, and prints every file made.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    anyhow::ensure!(arguments.is_empty(), "dist takes no arguments");
    for file in build()? {
        println!("{}", file.display());
    }
    Ok(())
}

/// Builds and lays out; gives the files made.
pub fn build() -> anyhow::Result<Vec<PathBuf>> {
    let mut steps = Steps::new(3);
    steps.step("looking for the WebAssembly target", setup::wasm_target)?;
    let mut files = steps.step("building the guests", || {
        let files = lay_out("guests", &setup::guest_build(), ".wasm")?;
        corpus::lay_out(&folder().join(corpus::NAME))?;
        Ok(files)
    })?;
    let flags = linking();
    let mut build = vec!["build", "--release", "--bins"];
    if let Some(flags) = &flags {
        build.extend(["--target", TARGET, "--config", flags]);
    } else {
        eprintln!("without a static C library (libc.a) the binaries are linked dynamically and start slower");
    }
    files.extend(steps.step("building wjob and wjobd", || lay_out("bin", &build, ""))?);
    Ok(files)
}

/// The only platform there is so far.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Linking without the dynamic loader, still at a random address, and with packed relocations: a job's start is two
/// starts of `wjob`, and half of each was spent on loading libraries and on relocating. `None` where the system has
/// no static C library.
fn linking() -> Option<String> {
    let output = Command::new("cc").arg("-print-file-name=libc.a").output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    PathBuf::from(path.trim()).is_absolute().then(|| {
        format!("target.{TARGET}.rustflags=['-Ctarget-feature=+crt-static', '-Clink-arg=-Wl,-z,pack-relative-relocs']")
    })
}

/// The name that a package has: cargo writes those of libraries with underscores.
fn called(target: &str) -> String {
    target.replace('_', "-")
}

/// Builds, and copies what was built into an emptied folder of target/dist, so that nothing old lies there.
fn lay_out(name: &str, build: &[&str], suffix: &str) -> anyhow::Result<Vec<PathBuf>> {
    let artefacts = cargo::artefacts(build)?;
    let folder = folder().join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    temporary::make_folder(&folder)?;
    let mut files = Vec::new();
    for artefact in artefacts {
        let file = folder.join(format!("{}{suffix}", called(&artefact.name)));
        temporary::copy(&artefact.file, &file)?;
        files.push(file);
    }
    Ok(files)
}
