//! Bypass tests of the kernel wall: a process in a worker's place, behind a worker's walls, tries one attack by raw
//! calls, and its answer and what is seen from outside must agree that it was contained.
//!
//! This file is the command line of both sides; what is attacked stands in the tables under `bypasses/`. The guest
//! wall is not tried here: the payload is taken to have left it. Each attack is a process of its own, because walls
//! can never be taken down again and must be put up while there is one thread; so the harness is our own.

#[path = "bypasses/controls.rs"]
mod controls;
#[path = "bypasses/files.rs"]
mod files;
#[path = "bypasses/judge.rs"]
mod judge;
#[path = "bypasses/kernel.rs"]
mod kernel;
#[path = "bypasses/memory.rs"]
mod memory;
#[path = "bypasses/network.rs"]
mod network;
#[path = "bypasses/nodes.rs"]
mod nodes;
#[path = "bypasses/opening.rs"]
mod opening;
#[path = "bypasses/payload.rs"]
mod payload;
#[path = "bypasses/privileges.rs"]
mod privileges;
#[path = "bypasses/processes.rs"]
mod processes;
#[path = "bypasses/raw.rs"]
mod raw;
#[path = "bypasses/read_only.rs"]
mod read_only;
#[path = "bypasses/runner.rs"]
mod runner;
#[path = "bypasses/scene.rs"]
mod scene;
#[path = "bypasses/stage.rs"]
mod stage;
#[path = "bypasses/table.rs"]
mod table;
#[path = "bypasses/unix.rs"]
mod unix;

use std::process::ExitCode;

/// Hidden first arguments of the processes this one starts.
const ATTACK: &str = "--attack";
const NEIGHBOUR: &str = "--neighbour";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(ATTACK) => payload::perform(&arguments[1..]),
        Some(NEIGHBOUR) => stage::be_a_neighbour(),
        _ => runner::run(&runner::Wanted::of(&arguments)),
    }
}
