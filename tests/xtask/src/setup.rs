//! What every verb needs first: the WebAssembly target and the guests built for it.
//! It installs nothing but that target, and that only through rustup, which keeps it out of the system.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::cargo::{self, GUEST_PACKAGES};
use crate::corpus;
use crate::step::advise;

/// The target of every guest: components of WASI 0.2 on.
pub const WASM_TARGET: &str = "wasm32-wasip2";

/// Adds the WebAssembly target to the toolchain when it is missing.
pub fn wasm_target() -> anyhow::Result<()> {
    if library_is_there() {
        return Ok(());
    }
    let added = rustup(&["target", "add", WASM_TARGET]).status();
    match added {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(advise(
            &format!("the Rust target {WASM_TARGET} could not be added"),
            &format!("`rustup target add {WASM_TARGET}` ended with {status}"),
            "see its message above; it needs the network once",
        )),
        Err(error) => Err(advise(
            &format!("the Rust target {WASM_TARGET} is missing"),
            &format!("rustup, which could add it, cannot be started: {error}"),
            "install Rust with rustup (https://rustup.rs), or your distribution's package of that target",
        )),
    }
}

/// Whether the toolchain in use has the target's standard library, whoever installed it.
/// rustc names its folder whether or not it is there, so the folder is looked for.
fn library_is_there() -> bool {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler)
        .args(["--print", "target-libdir", "--target", WASM_TARGET])
        .current_dir(cargo::root())
        .stderr(Stdio::null())
        .output();
    output.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success() && PathBuf::from(folder).is_dir()
    })
}

fn rustup(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(arguments).current_dir(cargo::root());
    command
}

/// Arguments that build every guest and example into `target/wasm32-wasip2/guest/`.
pub fn guest_build() -> Vec<&'static str> {
    let mut arguments = vec!["build", "--profile", "guest", "--target", WASM_TARGET];
    for package in GUEST_PACKAGES {
        arguments.extend(["--package", package]);
    }
    arguments
}

/// Builds every guest and example, and lays the corpus of attacks out.
pub fn guests() -> anyhow::Result<()> {
    cargo::run(&mut cargo::cargo(&guest_build()))?;
    corpus::lay_out(&cargo::target().join(corpus::NAME))
}

/// Where [`guests`] leaves the components.
pub fn guest_folder() -> PathBuf {
    cargo::target().join(WASM_TARGET).join("guest")
}
