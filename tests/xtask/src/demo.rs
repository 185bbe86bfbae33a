//! `cargo xtask demo`: from a fresh clone to a job that runs, showing the command line that ran it.
//! It leaves out everything a second run would not need.

use std::process::Command;

use crate::cargo;
use crate::setup;
use crate::step::Steps;

const JOB: &str = "examples/hello/hello.plist";

/// Builds the guests and the binaries, then runs the hello example.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    anyhow::ensure!(arguments.is_empty(), "demo takes no arguments");
    let mut steps = Steps::new(4);
    steps.step("looking for the WebAssembly target", setup::wasm_target)?;
    steps.step("building the guests", setup::guests)?;
    steps.step("building wjob and wjobd", || cargo::run(&mut cargo::cargo(&["build", "--bins"])))?;
    steps.step("running the example", hello)
}

fn hello() -> anyhow::Result<()> {
    let mut command = Command::new("target/debug/wjob");
    command.args(["run", JOB]).current_dir(cargo::root());
    eprintln!("$ {}", cargo::command_line(&command));
    cargo::run(&mut command)
}
