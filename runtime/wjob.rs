//! `wjob`: everything a user types, and under the name `wjob-worker` the worker. Both are elsewhere; this file
//! only tells them apart.

use std::process::ExitCode;

/// This build, which supervisor and worker compare.
const BUILD: &str = env!("WJOB_BUILD");

fn main() -> ExitCode {
    wjob_cli::main(BUILD)
}
