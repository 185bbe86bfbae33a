//! The component of the crate under test, built by the cargo that runs the test. Cargo says itself where it lies, so
//! that target folders, names and workspaces of any kind are cargo's affair.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::Error;
use super::process::Process;

/// What guests are built for.
const TARGET: &str = "wasm32-wasip2";
/// How long a build may take, that of all dependencies included.
const PATIENCE: Duration = Duration::from_secs(1200);
/// For somebody who has no cargo.
const ADVICE: &str = "run the test by `cargo test`";

/// Builds it, and tells where it is.
pub(super) fn build() -> Result<PathBuf, Error> {
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let manifest = folder.join("Cargo.toml");
    let mut command = Command::new(variable("CARGO")?);
    command
        .args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics", "--manifest-path"])
        .arg(&manifest)
        .current_dir(&folder);
    let exit = Process::start(command, ADVICE)?.end("the build of the component", PATIENCE)?;
    if !exit.success() {
        return Err(Error::Build { log: exit.log });
    }
    only(components(&exit.output, &manifest))
}

fn variable(variable: &'static str) -> Result<String, Error> {
    env::var(variable).map_err(|_| Error::NotCargo { variable })
}

/// The components of this manifest among what cargo says it built or found fresh.
fn components(messages: &str, manifest: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if message["reason"] == "compiler-artifact"
            && message["manifest_path"].as_str().map(Path::new) == Some(manifest)
        {
            let files = message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
            found.extend(files.filter(|file| file.ends_with(".wasm")).map(PathBuf::from));
        }
    }
    found
}

fn only(mut files: Vec<PathBuf>) -> Result<PathBuf, Error> {
    let last = files.pop().ok_or(Error::NoComponent)?;
    if files.is_empty() {
        return Ok(last);
    }
    files.push(last);
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    Err(Error::SeveralComponents { files: files.join(", ") })
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{components, only};
    use crate::harness::Error;

    const MESSAGES: &str = r#"
{"reason":"compiler-artifact","manifest_path":"/a/dep/Cargo.toml","filenames":["/t/release/dep.wasm"]}
{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","filenames":["/t/release/a.wasm","/t/release/liba.rlib"]}
{"reason":"build-script-executed","manifest_path":"/a/Cargo.toml"}
not a message
{"reason":"build-finished","success":true}
"#;

    #[test]
    fn only_components_of_the_crate_itself_count() {
        assert_eq!(components(MESSAGES, Path::new("/a/Cargo.toml")), [PathBuf::from("/t/release/a.wasm")]);
        assert!(components(MESSAGES, Path::new("/b/Cargo.toml")).is_empty());
    }

    #[test]
    fn there_has_to_be_one() {
        let files = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(only(files(&["/a.wasm"])).expect("one"), Path::new("/a.wasm"));
        assert!(matches!(only(files(&[])), Err(Error::NoComponent)));
        let error = only(files(&["/a.wasm", "/b.wasm"])).expect_err("two");
        assert!(error.to_string().ends_with(": /a.wasm, /b.wasm"), "{error}");
    }
}
