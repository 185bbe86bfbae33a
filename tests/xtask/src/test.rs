//! `cargo xtask test`: everything the tests need, then all tests, and at the end what was skipped and why.
//! Root can do what a user cannot, so a run by root is followed by one of the end-to-end tests as an ordinary user.

use crate::cargo;
use crate::newcomer;
use crate::python;
use crate::setup;
use crate::skipped::{SHOW, Skipped};
use crate::step::Steps;
use crate::unprivileged;

/// Builds and tests; `arguments` go to `cargo test`.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let again = unprivileged::is_root()?;
    let mut steps = Steps::new(if again { 7 } else { 6 });
    steps.step("looking for the WebAssembly target", setup::wasm_target)?;
    steps.step("building the guests", setup::guests)?;
    steps.step("building wjob and wjobd", binaries)?;
    steps.step("building and testing what `wjob new` writes", newcomer::crates)?;
    steps.step("fetching a Varlink client of others", python::varlink)?;
    let mut skipped = Skipped::default();
    let result = steps.step("testing", || test(arguments, &mut skipped));
    // Of a run that failed it is told as well.
    let result = result.and_then(|()| match again {
        true => steps
            .step("testing again as an ordinary user", || unprivileged::run(&for_the_binary(arguments), &mut skipped)),
        false => Ok(()),
    });
    eprint!("{}", skipped.in_words());
    result
}

/// Builds `wjob` and `wjobd`: the same selection of packages as the tests', so that cargo builds each dependency once.
pub fn binaries() -> anyhow::Result<()> {
    let mut arguments = vec!["build", "--bins"];
    arguments.extend(cargo::host_packages());
    cargo::run(&mut cargo::cargo(&arguments))
}

fn test(arguments: &[String], skipped: &mut Skipped) -> anyhow::Result<()> {
    let mut command = cargo::cargo(&["test"]);
    command.args(cargo::host_packages()).args(showing(arguments));
    // Examples of the documentation run wjob too; what is compiled for them is not to be kept in a person's own cache.
    command.env("XDG_CACHE_HOME", cargo::target().join("tmp/cache-of-examples"));
    let status = skipped.gather(&mut command)?;
    anyhow::ensure!(status.success(), "`{}` failed: {status}", cargo::command_line(&command));
    Ok(())
}

/// What cargo test is told, and that test programs are to show what passed tests said.
fn showing(arguments: &[String]) -> Vec<String> {
    let dashes = (!arguments.iter().any(|word| word == "--")).then(|| "--".to_owned());
    arguments.iter().cloned().chain(dashes).chain([SHOW.to_owned()]).collect()
}

/// What a test binary gets of cargo test's arguments: a leading filter, and all after `--`.
fn for_the_binary(arguments: &[String]) -> Vec<String> {
    let filter = arguments.first().filter(|word| !word.starts_with('-'));
    let behind = arguments.iter().skip_while(|word| *word != "--").skip(1);
    filter.into_iter().chain(behind).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::{for_the_binary, showing};

    #[test]
    fn test_programs_are_told_to_show_what_passed_tests_said() {
        for (given, expected) in
            [("", "-- --show-output"), ("stdio", "stdio -- --show-output"), ("-- --exact", "-- --exact --show-output")]
        {
            let given: Vec<String> = given.split_whitespace().map(String::from).collect();
            assert_eq!(showing(&given).join(" "), expected);
        }
    }

    #[test]
    fn a_test_binary_gets_the_filter_and_what_follows_the_dashes() {
        for (given, expected) in [
            ("", ""),
            ("stdio", "stdio"),
            ("--release", ""),
            ("stdio --release -- --nocapture", "stdio --nocapture"),
            ("-- --test-threads 1", "--test-threads 1"),
        ] {
            let given: Vec<String> = given.split_whitespace().map(String::from).collect();
            assert_eq!(for_the_binary(&given).join(" "), expected);
        }
    }
}
