//! The shape of the repository: which crate may use which, what stays out of the model and out of `wjobd`, where code
//! may be unsafe, and what no file holds. It reads sources and built files as text and runs neither; whether the code
//! does what it should is every other test's. A rule that is only written down is broken within a year.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness;

/// Which crates of ours each crate may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sandbox", &["model"]),
    ("supervisor", &["model", "sandbox"]),
    ("worker", &["model", "sandbox"]),
    ("logger", &["model", "sandbox"]),
    ("cli", &["model", "sandbox", "supervisor", "worker", "logger"]),
];

/// Libraries, by how their names begin, and the one crate that may use them.
const OWNERS: &[(&str, &str)] = &[
    ("wasmtime", "worker"),
    ("cranelift", "worker"),
    ("wiggle", "worker"),
    ("rusqlite", "logger"),
    ("libsqlite3", "logger"),
    ("landlock", "sandbox"),
];

/// What the model has no use for: it knows no file, no network, no process, no clock and no thread.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::net::ToSocketAddrs",
    "std::os::unix",
    "std::process",
    "std::env",
    "std::thread",
    "std::{",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "tokio",
];

/// Where code may be unsafe: folders, ending in a slash, and files.
const UNCHECKED: &[&str] = &[
    "runtime/logger/src/start.rs",
    "runtime/sandbox/",
    "runtime/supervisor/src/daemon/notify.rs",
    "runtime/supervisor/src/spawn.rs",
    "runtime/worker/src/engine.rs",
    "runtime/worker/src/handed.rs",
    "runtime/worker/src/account.rs",
    "runtime/worker/src/native.rs",
    "runtime/worker/src/native/exec.rs",
    "runtime/worker/src/readiness.rs",
    "runtime/worker/src/serve/crowd.rs",
    "runtime/worker/src/start.rs",
    "runtime/worker/src/ticks.rs",
    "tests/harness/refusing.rs",
];
/// The keyword, in two parts so that this file does not have it.
const KEYWORD: &str = concat!("un", "safe");
/// How many lines above such a block its reason may begin.
const REASON_WITHIN: usize = 8;

/// What may lie at the top of the repository.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "build.rs",
    "examples",
    "guests",
    "runtime",
    "rustfmt.toml",
    "sdk",
    "tests",
];

/// Parts of names of registries' hosts, each in two parts so that this file does not have them.
const HOSTS: &[&str] = &[
    concat!("static.", "crates"),
    concat!("index.", "crates"),
    concat!("crates.io", "-"),
    concat!("registry.", "npmjs"),
    concat!("python", "hosted"),
    concat!("proxy.", "golang"),
];
/// The name every lock file gives the index of crates, which is no host.
const LOCKED: &str = concat!("rust-lang/crates.io", "-index");
/// A folder that exists on one machine only.
const MACHINE: &str = concat!("/wo", "rk/");

/// The repository; `None`, with a word, in a copy that holds no sources.
pub fn sources() -> Option<PathBuf> {
    let root = harness::root();
    if root.join("Cargo.toml").is_file() {
        return Some(root);
    }
    println!("skipped: {} holds no sources", root.display());
    None
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file that git knows or would add, relative to the root; without git every file but hidden and built ones.
fn files(root: &Path) -> Vec<String> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").arg("-C").arg(root).args(arguments).output();
    let mut files: Vec<String> = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(String::from).collect()
        }
        _ => walk(root, ""),
    };
    // A file that was removed and not yet committed is still listed.
    files.retain(|file| root.join(file).is_file());
    files.sort();
    assert!(files.iter().any(|file| file == "Cargo.toml"), "the repository was listed");
    files
}

fn walk(root: &Path, below: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(below)).expect("a folder of the repository") {
        let entry = entry.expect("an entry of the repository");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        match is_folder {
            true if name == "target" || name.starts_with('.') => {}
            true => found.extend(walk(root, &path)),
            false => found.push(path),
        }
    }
    found
}

/// The Rust files among them, with their text.
pub fn rust_files(root: &Path) -> Vec<(String, String)> {
    let files = files(root).into_iter().filter(|file| file.ends_with(".rs"));
    files.map(|file| (file.clone(), read(&root.join(file)))).collect()
}

/// The names of all that a manifest depends on, for use, tests or building. What a workspace only offers is left out.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            let (table, name) = header.rsplit_once("dependencies").unwrap_or(("", "."));
            inside = header.ends_with("dependencies") && table != "workspace.";
            if table != "workspace." {
                names.extend(name.strip_prefix('.').filter(|name| !name.is_empty()));
            }
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            names.extend(line.split(['.', ' ', '=']).next());
        }
    }
    names
}

#[test]
fn manifests_are_scanned_rightly() {
    let manifest = "[workspace.dependencies]\nno = \"1\"\n[package]\nname = \"x\"\n[dependencies]\n# why\none = \"1\"\n\
                    two.workspace = true\n\n[dependencies.three]\nversion = \"1\"\n[target.'cfg(unix)'.dependencies]\n\
                    four = { path = \"x\" }\n[dev-dependencies]\nfive= \"1\"\n[lints]\nworkspace = true\n";
    assert_eq!(dependencies(manifest), ["one", "two", "three", "four", "five"]);
}

/// The crates of the runtime: name and manifest.
fn crates(root: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(root.join("runtime")).expect("runtime/");
    let folders = entries.map(|entry| entry.expect("an entry of runtime/").path());
    let manifests = folders.filter(|folder| folder.join("Cargo.toml").is_file()).map(|folder| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, read(&folder.join("Cargo.toml")))
    });
    manifests.collect()
}

#[test]
fn crates_use_only_the_crates_that_arrows_lead_to() {
    let Some(root) = sources() else { return };
    let crates = crates(&root);
    assert!(crates.len() >= 5, "the crates of runtime/ were found");
    for (name, manifest) in &crates {
        let arrows = ARROWS.iter().find(|(from, _)| from == name);
        let (_, allowed) = arrows.unwrap_or_else(|| panic!("runtime/{name} is not in the table of arrows"));
        for used in dependencies(manifest).iter().filter_map(|used| used.strip_prefix("wjob-")) {
            assert!(allowed.contains(&used), "{name} may not use {used}; it may use {allowed:?}");
        }
    }
}

#[test]
fn libraries_with_an_owner_are_used_by_nobody_else() {
    let Some(root) = sources() else { return };
    let mut manifests = crates(&root);
    manifests.push(("the root package".into(), read(&root.join("Cargo.toml"))));
    for (name, manifest) in &manifests {
        for used in dependencies(manifest) {
            if let Some((_, owner)) = OWNERS.iter().find(|(library, _)| used.starts_with(library)) {
                assert_eq!(owner, name, "{name} uses {used}, which is {owner}'s alone");
            }
        }
    }
}

#[test]
fn the_supervisor_program_uses_neither_cli_nor_worker() {
    let Some(root) = sources() else { return };
    let text = read(&root.join("runtime/wjobd.rs"));
    for name in ["wjob_cli", "wjob_worker", "wjob_logger"] {
        assert!(!text.contains(name), "runtime/wjobd.rs uses {name}");
    }
}

/// A file without comments and without the tests at its end.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines().map(without_comment);
    lines.collect::<Vec<_>>().join("\n")
}

fn without_comment(line: &str) -> &str {
    match line.trim_start().starts_with("//") {
        true => "",
        false => line.split(" // ").next().unwrap_or(line),
    }
}

#[test]
fn the_model_knows_no_file_network_process_clock_or_thread() {
    let Some(root) = sources() else { return };
    let test = |file: &str| file.ends_with("/tests.rs") || file.contains("/tests/") || file.contains("/simulation/");
    let model = |file: &str| file.starts_with("runtime/model/src/") && !test(file);
    let files: Vec<_> = rust_files(&root).into_iter().filter(|(file, _)| model(file)).collect();
    assert!(files.len() > 10, "the model's sources were found");
    for (file, text) in files {
        let code = code(&text);
        for word in IMPURE {
            assert!(!code.contains(word), "{file} has {word}");
        }
    }
}

/// Whether a line of code has the keyword, as a word of its own.
fn has_keyword(line: &str) -> bool {
    let between = |letter: char| !letter.is_alphanumeric() && letter != '_';
    without_comment(line).split(between).any(|word| word == KEYWORD)
}

#[test]
fn code_is_unsafe_in_few_places() {
    let Some(root) = sources() else { return };
    for (file, text) in rust_files(&root) {
        let listed = UNCHECKED.iter().any(|place| file == *place || (place.ends_with('/') && file.starts_with(place)));
        let line = text.lines().position(has_keyword).map(|line| line + 1);
        assert!(listed || line.is_none(), "{file}:{} is {KEYWORD}, and the file is not listed", line.unwrap_or(0));
    }
    for place in UNCHECKED {
        assert!(root.join(place).exists(), "{place} is listed, but is not there");
    }
}

#[test]
fn every_unsafe_block_has_its_reason_above_it() {
    let Some(root) = sources() else { return };
    let block = format!("{KEYWORD} {{");
    let mut blocks = 0;
    for (file, text) in rust_files(&root) {
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| without_comment(line).contains(&block)) {
            blocks += 1;
            let above = &lines[index.saturating_sub(REASON_WITHIN)..=index];
            let said = above.iter().any(|line| line.contains("// SAFETY: "));
            assert!(said, "{file}:{}: `{}` has no // SAFETY: above it", index + 1, line.trim());
        }
    }
    assert!(blocks > 5, "the blocks were found");
}

#[test]
fn every_file_of_code_opens_with_what_it_is_for() {
    let Some(root) = sources() else { return };
    for (file, text) in rust_files(&root) {
        assert!(text.starts_with("//! "), "{file} does not begin with //! and what it is for");
    }
}

#[test]
fn the_top_of_the_repository_holds_only_what_belongs_there() {
    let Some(root) = sources() else { return };
    for file in files(&root) {
        let top = file.split('/').next().unwrap_or(&file);
        assert!(TOP.contains(&top), "{top} does not belong at the top of the repository");
    }
}

/// Whether a text names a path that begins with the folder, and does not merely have it in the middle of one.
fn names_machine(text: &str) -> bool {
    text.match_indices(MACHINE).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "/._-~}*".contains(letter))
    })
}

#[test]
fn no_file_names_a_registry_or_the_machine_it_was_written_on() {
    let Some(root) = sources() else { return };
    for file in files(&root) {
        // What is no text is none of ours: there is nothing else to find such a name in.
        let Ok(text) = fs::read_to_string(root.join(&file)) else { continue };
        let text = text.replace(LOCKED, "");
        for host in HOSTS {
            assert!(!text.contains(host), "{file} has {host}");
        }
        let line = text.lines().position(names_machine).map_or(0, |line| line + 1);
        assert!(line == 0, "{file}:{line} has a path that begins with {MACHINE}");
    }
}

/// What a change must pass, in this order; the last one is every test.
const CI: &[&str] = &[
    "cargo fmt --all --check",
    "cargo clippy --workspace --all-targets -- -D warnings",
    "env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps",
    "cargo xtask test",
];

#[test]
fn one_script_checks_format_lints_documentation_and_tests() {
    let Some(root) = sources() else { return };
    let script = root.join(".ci/run");
    let mode = fs::metadata(&script).expect(".ci/run").permissions().mode();
    assert_ne!(mode & 0o100, 0, ".ci/run cannot be executed");
    let text = read(&script);
    assert!(text.contains("\nset -euo pipefail\n"), "a step that fails does not end .ci/run");
    let places: Vec<_> = CI.iter().map(|command| text.find(command)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "expected {CI:?} in\n{text}");
}

/// Whether a file has this text anywhere. Symbols are part of every build that is not stripped.
fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn the_supervisor_program_holds_no_engine_and_no_database() {
    let supervisor = fs::read(harness::binary("wjobd")).expect("wjobd was built");
    let everything = fs::read(harness::binary("wjob")).expect("wjob was built");
    // A mangled symbol gives each name after its length.
    for symbol in ["8wasmtime", "17cranelift_codegen", "sqlite3_open"] {
        assert!(!holds(&supervisor, symbol), "wjobd holds {symbol}");
    }
    // Where they are to be found they are found, so the search itself works.
    for symbol in ["8wasmtime", "17cranelift_codegen"] {
        assert!(holds(&everything, symbol), "wjob does not hold {symbol}: were the symbols stripped?");
    }
    assert!(holds(&supervisor, "15wjob_supervisor"), "wjobd does not hold itself: were the symbols stripped?");
}
