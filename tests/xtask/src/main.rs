//! `cargo xtask VERB`: what a contributor does with this repository, one file per verb.
//! It only starts other programs (cargo, the built binaries, the bench's peers) and holds no rule of wjob, so that it
//! builds in seconds in a fresh clone and everything it does can also be done by hand.

#![forbid(unsafe_code)]

mod bench;
mod cargo;
mod corpus;
mod demo;
mod dist;
mod fuzz;
mod hostile;
mod idle;
mod loaded;
mod machine;
mod minimal;
mod newcomer;
mod peer;
mod process;
mod python;
mod setup;
mod skipped;
mod statistics;
mod step;
mod temporary;
mod test;
mod traffic;
mod unprivileged;
mod verdicts;
mod wjobd;

use std::process::ExitCode;

/// The status of a verb that found no fault and could not look everywhere.
const NOT_ALL_TRIED: u8 = 2;

const HELP: &str = "\
cargo xtask VERB

  demo                          build everything and run the hello example
  test [ARGUMENTS]              build everything and run the tests; ARGUMENTS go to cargo test.
                                Run by root, the end-to-end tests run a second time as an ordinary user. It ends with
                                a list of what was skipped on this machine, and why
  hostile [--group N] [--json] [--no-build]
                                performs every attack of guests/hostile/attacks.json and prints which wall contained
                                it. Fails with status 1 when one was not contained, and with 2 when all that was tried
                                was, and a part could not be tried here
  minimal [--json] [--no-build] [TEST...]
                                runs the end-to-end tests, or these, under strace and prints how often each kind of
                                worker made each system call that its lists allow. Fails when a call is listed for a
                                kind that made it in no test; root sees more than others do
  dist                          release binaries in target/dist/bin, guests in target/dist/guests, the corpus of
                                attacks in target/dist/hostile
  fuzz [--seconds S] [TARGET...]
                                libFuzzer over the targets of tests/fuzz, all of them or these, each for S seconds
                                (60), as many at a time as there are processors. What it finds is in target/fuzz
  bench run [--rounds N] [--json] [--no-build] [--enforce]
                                `wjob run` beside wasmtime, bubblewrap and a native program, in one run
  bench idle [--json] [--no-build]
                                ten thousand loaded jobs that wait, in wjobd and its peers
  bench neighbours [--attack NAME]... [--rounds N] [--seconds S] [--json] [--no-build] [--enforce]
                                the p99 of an HTTP job while each attack runs beside it, guest or native, in terms of
                                that beside a job which does no harm and takes as much of the processor. Left out are
                                those that need a hostile server (which would compute beside them), those that take
                                4 GiB, and those that are tests alone, without a program to run as a job
  bench connections|http|cold [--rounds N] [--seconds S] [--json] [--no-build] [--enforce]
                                traffic to supervised jobs and to their peers: an echo for each connection, HTTP
                                requests, the first byte of a job that does not run yet. S is for how long each is
                                under load in a round (not for cold)
  bench takeover [--rounds N] [--seconds S] [--json] [--no-build] [--enforce]
                                3,000 HTTP requests a second while workers, components and the supervisor are replaced:
                                the rate reached, and the requests that failed, of which there must be none
                                --enforce, of a bench that has it, fails when a must is missed or not compared
  help                          this page

The wasm32-wasip2 target is added with rustup when it is missing.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<hostile::NotAllTried>() { ExitCode::from(NOT_ALL_TRIED) } else { ExitCode::FAILURE }
        }
    }
}

fn dispatch(arguments: &[String]) -> anyhow::Result<()> {
    let Some((verb, rest)) = arguments.split_first() else {
        return help();
    };
    match verb.as_str() {
        "demo" => demo::run(rest),
        "test" => test::run(rest),
        "hostile" => hostile::run(rest),
        "minimal" => minimal::run(rest),
        "dist" => dist::run(rest),
        "fuzz" => fuzz::run(rest),
        "bench" => bench::run(rest),
        // The bench starts itself with this word; it is nobody's verb.
        "bench-peer" => traffic::accept_loop::run(rest),
        "help" | "--help" | "-h" => help(),
        other => Err(step::advise(
            &format!("unknown verb {other:?}"),
            "the verbs are demo, test, hostile, minimal, dist, fuzz, bench and help",
            "see `cargo xtask help`",
        )),
    }
}

fn help() -> anyhow::Result<()> {
    println!("{HELP}");
    Ok(())
}
