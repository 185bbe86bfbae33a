//! Calls of cargo, and what it says it built.
//! Every call works in the repository's own `target/`, because that is where the tests look.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

/// Packages that are built for WebAssembly; the native build and test leave them out.
pub const GUEST_PACKAGES: &[&str] = &[
    "guests",
    "accepts",
    "answers",
    "answers2",
    "asks",
    "echo",
    "finger",
    "handles",
    "hello",
    "hostile",
    "hostile3",
    "http-hello",
    "time-udp",
    "wordcount",
    "probe-run3",
];

/// A file that cargo built and that can be run.
pub struct Artefact {
    /// Name of its target: the binary's or the test's.
    pub name: String,
    /// Whether it is a test.
    pub is_test: bool,
    /// Where it lies.
    pub file: PathBuf,
}

/// The repository's folder.
pub fn root() -> PathBuf {
    let here =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.ancestors().nth(2).map_or(here.clone(), Path::to_path_buf)
}

/// The repository's build folder.
pub fn target() -> PathBuf {
    root().join("target")
}

/// A cargo command in the repository.
pub fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()).env("CARGO_TARGET_DIR", target());
    command
}

/// Arguments that select every package of the host: all but the guests.
pub fn host_packages() -> Vec<&'static str> {
    let mut selection = vec!["--workspace"];
    for package in GUEST_PACKAGES {
        selection.extend(["--exclude", package]);
    }
    selection
}

/// Runs a command to its end; a status other than 0 is an error that names the command line.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = command_line(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    anyhow::ensure!(status.success(), "`{line}` failed: {status}");
    Ok(())
}

/// The command line as a person would type it.
pub fn command_line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs cargo in the repository and collects the executables it built or found fresh.
pub fn artefacts(arguments: &[&str]) -> anyhow::Result<Vec<Artefact>> {
    artefacts_of(&mut cargo(arguments))
}

/// The same for a cargo command that is not quite the usual one.
pub fn artefacts_of(command: &mut Command) -> anyhow::Result<Vec<Artefact>> {
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let line = command_line(command);
    let output = command.output().with_context(|| format!("cannot start `{line}`"))?;
    anyhow::ensure!(output.status.success(), "`{line}` failed: {}", output.status);
    let messages = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    Ok(messages.lines().filter_map(artefact).collect())
}

/// The executable a line of cargo's messages tells of (cargo, "External tools", artifact messages); a guest that is
/// a library, since it exports something else than `main`, counts too.
fn artefact(line: &str) -> Option<Artefact> {
    let message: Value = serde_json::from_str(line).ok()?;
    let library = || {
        message["filenames"].as_array()?.iter().find_map(|file| file.as_str().filter(|file| file.ends_with(".wasm")))
    };
    let file = message["executable"].as_str().or_else(library)?;
    Some(Artefact {
        name: message["target"]["name"].as_str()?.to_owned(),
        is_test: message["profile"]["test"].as_bool()?,
        file: PathBuf::from(file),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{GUEST_PACKAGES, artefact, root};

    /// The values in quotes of a line of a manifest.
    fn quoted(line: &str) -> Vec<String> {
        line.split('"').skip(1).step_by(2).map(String::from).collect()
    }

    #[test]
    fn every_guest_and_every_example_is_built_for_webassembly() {
        let manifest = |folder: &str| {
            let file = root().join(folder).join("Cargo.toml");
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        };
        let workspace = manifest("");
        let members = workspace.lines().find(|line| line.starts_with("members = ")).expect("the members");
        let guests = quoted(members)
            .into_iter()
            .filter(|member| member.starts_with("guests") || member.starts_with("examples/"));
        let mut names: Vec<String> = guests
            .filter_map(|member| quoted(manifest(&member).lines().find(|line| line.starts_with("name = "))?).pop())
            .collect();
        let mut listed = GUEST_PACKAGES.to_vec();
        names.sort();
        listed.sort_unstable();
        assert_eq!(names, listed);
    }

    #[test]
    fn only_messages_with_an_executable_are_artefacts() {
        let built = r#"{"reason":"compiler-artifact","target":{"name":"end_to_end"},
            "profile":{"test":true},"executable":"/t/deps/end_to_end-1"}"#;
        let found = artefact(built).expect("an executable");
        assert_eq!((found.name.as_str(), found.is_test), ("end_to_end", true));
        let library = r#"{"reason":"compiler-artifact","target":{"name":"a"},
            "profile":{"test":false},"executable":null}"#;
        assert!(artefact(library).is_none());
        assert!(artefact("running 3 tests").is_none());
    }
}
