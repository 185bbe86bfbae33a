//! The crates that `wjob new` writes, one of each template, built and tested as whoever wrote them would do it: the
//! tests of wjob need their components, and an ordinary user of those tests has no cargo.
//!
//! They are workspaces of their own. The versions of what they depend on are this repository's, so that nothing has to
//! be fetched, and what is built for them is kept in its build folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::cargo;
use crate::setup::WASM_TARGET;
use crate::temporary::{self, Temporary};

/// The templates; the crate of each is called `hello-` and its name.
const TEMPLATES: &[&str] = &["command", "connection", "http"];

/// What cargo adds to a crate.
const OF_CARGO: &[&str] = &["Cargo.lock", "target"];

/// Where the crates are.
pub fn folder() -> PathBuf {
    cargo::target().join("templates")
}

/// Writes, builds and tests one crate of each template.
pub fn crates() -> anyhow::Result<()> {
    temporary::make_folder(&folder())?;
    let made = Temporary::below(&folder(), "new", 0o755)?;
    for template in TEMPLATES {
        let name = format!("hello-{template}");
        let place = folder().join(&name);
        write(&name, template, &made.path().join(&name), &place)?;
        lock(&place)?;
        test(&place)?;
        component(&place)?;
    }
    Ok(())
}

/// Has wjob write the crate. One that is there already and is the same stays, so that cargo need not build it again.
fn write(name: &str, template: &str, made: &Path, place: &Path) -> anyhow::Result<()> {
    let mut wjob = Command::new(program());
    wjob.args(["new", name, "--template", template, "--sdk"]).arg(cargo::root().join("sdk")).arg("--path").arg(made);
    cargo::run(wjob.stdout(std::process::Stdio::null()))?;
    if place.is_dir() {
        if files(made)? == files(place)? {
            return Ok(());
        }
        fs::remove_dir_all(place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    fs::rename(made, place).with_context(|| format!("cannot make {}", place.display()))
}

/// The `wjob` that was just built.
fn program() -> PathBuf {
    cargo::target().join("debug/wjob")
}

/// What is in the files of a crate, but for what cargo has put there.
fn files(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(&inside).with_context(|| format!("cannot list {}", inside.display()))? {
            let entry = entry?;
            let path = entry.path();
            let name = path.strip_prefix(folder)?.to_path_buf();
            if OF_CARGO.iter().any(|of_cargo| name.as_path() == Path::new(of_cargo)) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                found.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

/// Gives the crate this repository's choice of versions; cargo leaves out what it does not need.
fn lock(place: &Path) -> anyhow::Result<()> {
    let (from, to) = (cargo::root().join("Cargo.lock"), place.join("Cargo.lock"));
    fs::copy(&from, &to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Runs its tests, one of which builds the component and runs it.
fn test(place: &Path) -> anyhow::Result<()> {
    let mut command = cargo::cargo(&["test", "--quiet"]);
    offline(command.current_dir(place));
    command.env("WJOB", program()).env("XDG_CACHE_HOME", cargo::target().join("tmp/cache-of-templates"));
    cargo::run(&mut command)
}

/// Puts the component where the job file of the crate has it: the build folder is another one here.
fn component(place: &Path) -> anyhow::Result<()> {
    let mut command = cargo::cargo(&["build", "--release", "--target", WASM_TARGET]);
    offline(command.current_dir(place));
    let built = cargo::artefacts_of(&mut command)?;
    let component =
        built.iter().map(|artefact| &artefact.file).find(|file| file.extension().is_some_and(|name| name == "wasm"));
    let component = component.with_context(|| format!("{} builds no component", place.display()))?;
    let folder = place.join("target").join(WASM_TARGET).join("release");
    temporary::make_folder(&folder)?;
    temporary::copy(component, &folder.join(component.file_name().unwrap_or_default()))
}

/// Everything was fetched for the repository itself.
fn offline(command: &mut Command) -> &mut Command {
    command.env("CARGO_NET_OFFLINE", "true")
}
