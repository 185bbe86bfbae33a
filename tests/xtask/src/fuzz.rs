//! `cargo xtask fuzz`: builds the targets of `tests/fuzz` and has libFuzzer try each of them for a bounded time.
//! It needs neither cargo-fuzz nor a nightly compiler: the pass of LLVM that marks what was reached is in the stable one
//! too, and without a sanitizer safe code still panics where it is wrong. What it keeps and finds is in target/fuzz.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, thread};

use anyhow::Context as _;

use crate::cargo::{self, Artefact};
use crate::dist::TARGET;
use crate::step::{Steps, advise};
use crate::temporary;

/// Seconds for each target when nothing is said.
const SECONDS: u64 = 60;
/// What makes rustc mark each branch and comparison for libFuzzer; cargo-fuzz, without a sanitizer, uses the same.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];
/// The bounds of one run of a target: seconds, megabytes, bytes of input.
const BOUNDS: &[&str] = &["-timeout=10", "-rss_limit_mb=512", "-max_len=16384"];
/// Job files beside the seeds of the targets that read them; the second is not part of the repository.
const JOB_FILES: &[&str] = &["tests/plists", "../shared/plists"];
/// What libFuzzer says before the name of the file that it found.
const WRITTEN: &str = "Test unit written to ";

/// What was asked for; no targets are all.
#[derive(Debug, PartialEq)]
struct Options {
    seconds: u64,
    targets: Vec<String>,
}

/// Builds and tries the targets; fails when one of them found something.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let options = options(arguments)?;
    let mut steps = Steps::new(2);
    let programs = steps.step("building the fuzz targets", || build(&options.targets))?;
    anyhow::ensure!(!programs.is_empty(), "cargo built no fuzz target");
    let heading = format!("fuzzing {} targets, each for {} s", programs.len(), options.seconds);
    steps.step(&heading, || try_all(&programs, options.seconds))
}

fn options(arguments: &[String]) -> anyhow::Result<Options> {
    let mut options = Options { seconds: SECONDS, targets: Vec::new() };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => options.seconds = seconds(words.next())?,
            target if !target.starts_with('-') => options.targets.push(target.to_owned()),
            other => anyhow::bail!("unknown option {other}; expected --seconds S and names of targets"),
        }
    }
    Ok(options)
}

fn seconds(word: Option<&String>) -> anyhow::Result<u64> {
    let word = word.context("--seconds needs a number, such as 60")?;
    // For libFuzzer 0 is no bound.
    let seconds = word.parse::<u64>().ok().filter(|seconds| (1..=1_000_000).contains(seconds));
    seconds.with_context(|| format!("--seconds is {word:?}; expected a number from 1 to 1000000"))
}

/// Where everything is that is built, kept and found.
fn folder() -> PathBuf {
    cargo::target().join("fuzz")
}

/// A folder of one target, made when it is missing.
fn folder_of(purpose: &str, target: &str) -> anyhow::Result<PathBuf> {
    let folder = folder().join(purpose).join(target);
    temporary::make_folder(&folder)?;
    Ok(folder)
}

fn build(targets: &[String]) -> anyhow::Result<Vec<Artefact>> {
    let mut arguments = vec!["build", "--package", "wjob-fuzz", "--features", "libfuzzer", "--profile", "fuzz"];
    // With a target the flags are not those of build scripts, which nothing could link.
    arguments.extend(["--target", TARGET]);
    arguments.extend(targets.iter().flat_map(|target| ["--bin", target.as_str()]));
    if targets.is_empty() {
        arguments.push("--bins");
    }
    let mut command = cargo::cargo(&arguments);
    command.env("CARGO_TARGET_DIR", folder()).env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"));
    cargo::artefacts_of(&mut command)
}

/// As many at a time as there are processors.
fn try_all(programs: &[Artefact], seconds: u64) -> anyhow::Result<()> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let mut faults = Vec::new();
    for group in programs.chunks(processors) {
        for (program, result) in group.iter().zip(try_group(group, seconds)) {
            match result {
                Ok(runs) => println!("{}: nothing found in {runs} runs", program.name),
                Err(fault) => faults.push(fault),
            }
        }
    }
    match faults.len() {
        0 => Ok(()),
        1 => Err(faults.remove(0)),
        count => {
            let faults: Vec<String> = faults.iter().map(|fault| format!("{fault:#}")).collect();
            Err(anyhow::anyhow!("{count} fuzz targets found something\n{}", faults.join("\n")))
        }
    }
}

fn try_group(group: &[Artefact], seconds: u64) -> Vec<anyhow::Result<u64>> {
    thread::scope(|scope| {
        let started: Vec<_> = group.iter().map(|program| scope.spawn(move || try_one(program, seconds))).collect();
        let panicked = |_| Err(anyhow::anyhow!("the thread that waits for a fuzz target panicked"));
        started.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    })
}

/// How often the target was run.
fn try_one(program: &Artefact, seconds: u64) -> anyhow::Result<u64> {
    let mut command = command(program, seconds)?;
    let output = command.output().with_context(|| format!("cannot start {}", program.file.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match statistic(&said, "number_of_executed_units").filter(|runs| *runs > 0) {
        Some(runs) if output.status.success() => Ok(runs),
        _ => Err(found(program, &output, &said)),
    }
}

fn command(program: &Artefact, seconds: u64) -> anyhow::Result<Command> {
    let name = &program.name;
    let (corpus, artifacts) = (folder_of("corpus", name)?, folder_of("artifacts", name)?);
    let mut command = Command::new(&program.file);
    command.current_dir(cargo::root()).env("TMPDIR", emptied(&folder_of("tmp", name)?)?);
    command.arg(corpus).args(seeds(name));
    command.args(BOUNDS).args(["-verbosity=0", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", artifacts.display()));
    let dictionary = cargo::root().join("tests/fuzz/dictionaries").join(format!("{name}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    Ok(command)
}

/// A folder without what a run before left when it was ended.
fn emptied(folder: &Path) -> anyhow::Result<&Path> {
    fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    temporary::make_folder(folder)?;
    Ok(folder)
}

/// The folders that a target begins with, those of them that are there.
fn seeds(name: &str) -> Vec<PathBuf> {
    let job_files = JOB_FILES.iter().filter(|_| name.starts_with("plist_")).map(|folder| cargo::root().join(folder));
    let own = cargo::root().join("tests/fuzz/seeds").join(name);
    std::iter::once(own).chain(job_files).filter(|folder| folder.is_dir()).collect()
}

/// One of libFuzzer's numbers: `stat::NAME: NUMBER`.
fn statistic(said: &str, name: &str) -> Option<u64> {
    let number = |line: &str| line.strip_prefix("stat::")?.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok();
    said.lines().find_map(number)
}

/// What a target found, and how it is seen again.
fn found(program: &Artefact, output: &Output, said: &str) -> anyhow::Error {
    let (name, program) = (&program.name, program.file.display());
    eprint!("{said}");
    let Some(file) = said.lines().find_map(|line| Some(line.split_once(WRITTEN)?.1)) else {
        let why = format!("it ended with {} and without an input that shows why", output.status);
        return advise(&format!("the fuzz target {name} could not be run"), &why, "see its messages above");
    };
    advise(
        &format!("the fuzz target {name} found something"),
        &format!("see its messages above; the input is in {file}"),
        &format!(
            "to see it again run `{program} {file}`; copy the file into tests/fuzz/seeds/{name}, so that `cargo test \
             --package wjob-fuzz` has it from now on, and repair what it shows"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let given = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(String::from).collect();
            options(&words).ok().map(|options| (options.seconds, options.targets.join(" ")))
        };
        for (text, expected) in [
            ("", Some((SECONDS, ""))),
            ("--seconds 10", Some((10, ""))),
            ("calendar --seconds 7 varlink", Some((7, "calendar varlink"))),
            ("--seconds", None),
            ("--seconds 0", None),
            ("--seconds many", None),
            ("--jobs 2", None),
        ] {
            assert_eq!(given(text), expected.map(|(seconds, targets)| (seconds, targets.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_found_by_their_whole_name() {
        let said = "INFO: x\nstat::number_of_executed_units: 35321\nstat::average_exec_per_sec:     3532\n";
        assert_eq!(statistic(said, "number_of_executed_units"), Some(35_321));
        assert_eq!(statistic(said, "average_exec_per_sec"), Some(3532));
        assert_eq!(statistic(said, "number_of_executed"), None);
    }

    #[test]
    fn every_target_begins_with_seeds_of_its_own() {
        let targets = fs::read_dir(cargo::root().join("tests/fuzz/fuzz_targets")).expect("the fuzz targets");
        for target in targets.map(|entry| entry.expect("a fuzz target").path()) {
            let name = target.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            assert!(!seeds(&name).is_empty(), "{name}");
        }
    }
}
