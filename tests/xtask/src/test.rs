//! `cargo xtask test`: everything the tests need, then all tests.
//! Root can do what a user cannot, so a run by root is followed by one of the end-to-end tests as an ordinary user.

use crate::cargo;
use crate::newcomer;
use crate::python;
use crate::setup;
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
    steps.step("testing", || test(arguments))?;
    if again {
        steps.step("testing again as an ordinary user", || unprivileged::run(&for_the_binary(arguments)))?;
    }
    Ok(())
}

/// The same selection of packages as the tests', so that cargo builds each dependency once.
fn binaries() -> anyhow::Result<()> {
    let mut arguments = vec!["build", "--bins"];
    arguments.extend(cargo::host_packages());
    cargo::run(&mut cargo::cargo(&arguments))
}

fn test(arguments: &[String]) -> anyhow::Result<()> {
    let mut command = cargo::cargo(&["test"]);
    command.args(cargo::host_packages()).args(arguments);
    cargo::run(&mut command)
}

/// What a test binary gets of cargo test's arguments: a leading filter, and all after `--`.
fn for_the_binary(arguments: &[String]) -> Vec<String> {
    let filter = arguments.first().filter(|word| !word.starts_with('-'));
    let behind = arguments.iter().skip_while(|word| *word != "--").skip(1);
    filter.into_iter().chain(behind).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::for_the_binary;

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
