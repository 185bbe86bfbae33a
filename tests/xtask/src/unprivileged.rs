//! The tests that start processes once more, as a user without any right.
//! No account is made for it: the kernel knows users by number only, so a number nobody has is taken, nothing has to be
//! installed and nothing stays behind. Everything the tests need is copied to where that user can reach it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::cargo;
use crate::corpus;
use crate::setup;
use crate::skipped::{SHOW, Skipped};
use crate::step::advise;
use crate::temporary::{self, Temporary};

/// The test targets that start processes: what they show may depend on who starts them.
const TESTS: [&str; 2] = ["end_to_end", "bypasses"];

/// Where the search for a free number begins, downwards: the top of the range for people's accounts
/// (login.defs(5), UID_MAX 60000), whose numbers are handed out from its bottom.
const HIGHEST: u32 = 59_999;

/// Variables of the caller that a test may see; the rest could name root's own folders.
const KEPT: &[&str] = &["PATH", "TERM", "LANG", "CI", "RUST_BACKTRACE", "NO_COLOR"];

/// Whether this process is root's: /proc/self belongs to the effective user (proc(5)).
pub fn is_root() -> anyhow::Result<bool> {
    let owner = fs::metadata("/proc/self").context("cannot read /proc/self")?;
    Ok(owner.uid() == 0)
}

/// Runs the end-to-end tests as a user nobody is.
pub fn run(arguments: &[String], skipped: &mut Skipped) -> anyhow::Result<()> {
    let user = free_number()?;
    let folder = Temporary::new("test", 0o755)?;
    let home = fill(folder.path(), user)?;
    for test in TESTS {
        let mut command = command(test, arguments, folder.path(), &home, user);
        let status = skipped.gather(&mut command).map_err(|error| match error.downcast::<std::io::Error>() {
            Ok(error) => refused(user, &error),
            Err(error) => error,
        })?;
        anyhow::ensure!(status.success(), "the tests {test} failed as user {user}: {status}");
    }
    Ok(())
}

fn command(test: &str, arguments: &[String], folder: &Path, home: &Path, user: u32) -> Command {
    let mut command = Command::new(folder.join(test));
    command
        .args(arguments)
        .arg(SHOW)
        .current_dir(folder)
        .env_clear()
        .envs(KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))))
        .env("HOME", home)
        .env("WJOB_TEST_ROOT", folder)
        .uid(user)
        .gid(user);
    command
}

fn refused(user: u32, error: &std::io::Error) -> anyhow::Error {
    advise(
        "the tests could not be run as an ordinary user",
        &format!("becoming user {user} was refused: {error}"),
        "run `cargo xtask test` as an ordinary user, or where root may change its user (CAP_SETUID, CAP_SETGID)",
    )
}

/// A number that no account and no process has.
fn free_number() -> anyhow::Result<u32> {
    let mut taken = accounts();
    for entry in fs::read_dir("/proc").context("cannot list /proc")? {
        // A process may end while it is looked at; then it has no number any more.
        taken.extend(entry.and_then(|entry| entry.metadata()).map(|owner| owner.uid()));
    }
    (50_000..=HIGHEST)
        .rev()
        .find(|number| !taken.contains(number))
        .context("no user number between 50000 and 59999 is free")
}

fn accounts() -> Vec<u32> {
    let table = fs::read_to_string("/etc/passwd").unwrap_or_default();
    table.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok()).collect()
}

/// Copies what the tests need below `folder`, as it lies in the repository, and makes the user a home there.
fn fill(folder: &Path, user: u32) -> anyhow::Result<PathBuf> {
    for (test, binary) in test_binaries()? {
        temporary::copy(&binary, &folder.join(test))?;
    }
    let root = cargo::root();
    let mut needed = ["examples", "sdk", "target/python", "target/templates", "README.md", "SECURITY.md"]
        .map(PathBuf::from)
        .to_vec();
    needed.extend(["wjob", "wjobd"].map(|name| Path::new("target/debug").join(name)));
    needed.push(Path::new("target").join(corpus::NAME));
    for guest in components()? {
        needed.push(guest.strip_prefix(&root)?.to_path_buf());
    }
    for path in needed.iter().filter(|path| root.join(path).exists()) {
        if let Some(parent) = path.parent() {
            temporary::make_folder(&folder.join(parent))?;
        }
        temporary::copy(&root.join(path), &folder.join(path))?;
    }
    let home = folder.join("home");
    temporary::make_folder(&home)?;
    chown(&home, Some(user), Some(user)).map_err(|error| refused(user, &error))?;
    Ok(home)
}

fn components() -> anyhow::Result<Vec<PathBuf>> {
    let folder = setup::guest_folder();
    let entries = fs::read_dir(&folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    let paths = entries.into_iter().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|name| name == "wasm")).collect())
}

/// The end-to-end tests' executable, as the run before this one built it.
fn test_binaries() -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    let mut arguments = vec!["test", "--no-run"];
    arguments.extend(cargo::host_packages());
    let found = cargo::artefacts(&arguments)?;
    let binary = |test: &'static str| {
        let artefact = found.iter().find(|artefact| artefact.is_test && artefact.name == test);
        artefact
            .map(|artefact| (test, artefact.file.clone()))
            .with_context(|| format!("cargo built no test named {test}"))
    };
    TESTS.into_iter().map(binary).collect()
}
