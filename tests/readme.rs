//! The README does what it says: its commands are run, its job files are loaded, and what it shows as output comes out.
//! Nothing is installed or fetched, and no build is started: such commands are recognised, and only those of `cargo
//! xtask` are looked up. Whether the README says enough is for its readers.
//!
//! A fenced block of `sh` is a script. It begins in a folder with the repository's `examples` and `target` in it, in
//! which the files of the blocks before it stay; `wjob` is the one that was built. A block of `text` right after it
//! is its output, both streams in one, in which a line `...` stands for any lines; without one, every command must
//! succeed. A block of `xml` or `plist` with a name behind it is the file of that name; one of `sh` with a name behind
//! it is run by the test file of that name, and not here.

use std::fs;
use std::path::Path;

use wjob_model::finding::Severity;
use wjob_model::spec::{self, Context};

use crate::harness::{self, Running, Sandbox};

/// Beginnings of commands that fetch, install or build, and so are not run.
const NOT_RUN: &[&str] = &["cargo ", "git clone ", "sudo ", "rustup ", "pip ", "pipx ", "apt ", "apt-get ", "curl "];
/// What a shell says when it knows no such command.
const NOT_FOUND: i32 = 127;

/// A fenced block.
#[derive(Debug, PartialEq)]
pub struct Block {
    pub language: String,
    /// The file that it is, if it is one; or the name of the test that runs it.
    pub file: Option<String>,
    /// The line of the README it begins on.
    line: usize,
    pub text: String,
    /// Whether nothing but blank lines stands between it and the block before.
    pub follows: bool,
}

/// The fenced blocks of a text.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(Block, usize)> = None;
    let mut follows = false;
    for (index, line) in text.lines().enumerate() {
        let content = line.trim_start();
        open = match (open.take(), content.strip_prefix("```")) {
            (Some((block, _)), Some("")) => {
                blocks.push(block);
                follows = true;
                None
            }
            (Some((mut block, indent)), _) => {
                block.text += line.get(indent..).unwrap_or(content);
                block.text.push('\n');
                Some((block, indent))
            }
            (None, Some(words)) => Some((opened(words, index + 1, follows), line.len() - content.len())),
            (None, None) => {
                follows &= content.is_empty();
                None
            }
        };
    }
    assert!(open.is_none(), "a fenced block is not closed: {open:?}");
    blocks
}

fn opened(words: &str, line: usize, follows: bool) -> Block {
    let mut words = words.split_whitespace().map(String::from);
    let language = words.next().unwrap_or_default();
    Block { language, file: words.next(), line, text: String::new(), follows }
}

/// The commands of a block, those that span lines in one, without comments and prompts.
pub fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.strip_prefix("$ ").unwrap_or(line));
    lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#')).map(String::from).collect()
}

fn is_run(command: &str) -> bool {
    !NOT_RUN.iter().any(|start| command.starts_with(start))
}

/// Whether the lines are the expected ones; `...` stands for any number of any lines.
pub fn matches(expected: &[&str], lines: &[&str]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((&"...", rest)) => (0..=lines.len()).any(|skipped| matches(rest, &lines[skipped..])),
        Some((first, rest)) => lines.split_first().is_some_and(|(line, below)| line == first && matches(rest, below)),
    }
}

/// The lines of a text without the blanks around each, and without empty ones around the whole.
pub fn trimmed(text: &str) -> Vec<&str> {
    text.trim().lines().map(str::trim).collect()
}

/// A folder like a fresh clone after its build: examples to change and the built programs.
fn clone_of(root: &Path) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.link(&harness::text(&root.join("target")), "target");
    copy(&root.join("examples"), &sandbox.path("examples"));
    sandbox
}

/// Copies a folder and all in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let from = entry.expect("an entry").path();
        let to = to.join(from.file_name().unwrap_or_default());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a copied file");
        }
    }
}

/// Runs the commands of a block and compares what they print.
fn run(sandbox: &Sandbox, block: &Block, expected: Option<&Block>) {
    let run: Vec<String> = commands(&block.text).into_iter().filter(|command| is_run(command)).collect();
    if run.is_empty() {
        return;
    }
    let stops = if expected.is_some() { "" } else { "set -e\n" };
    let script = format!("exec 2>&1\n{stops}{}\n", run.join("\n"));
    let mut command = sandbox.command_at(Path::new("/bin/sh"), &["-c", &script]);
    let programs = harness::binary("wjob");
    let programs = programs.parent().expect("the folder of the built programs");
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    let ran = Running::start(command).end();
    let place = format!("README.md:{}", block.line);
    assert_ne!(ran.status, NOT_FOUND, "{place}: a command is not there\n{}", ran.described());
    match expected {
        None => assert_eq!(ran.status, 0, "{place}: a command fails\n{}", ran.described()),
        Some(expected) => {
            let same = matches(&trimmed(&expected.text), &trimmed(&ran.output()));
            assert!(same, "{place}: expected\n{}\n{}", expected.text, ran.described());
        }
    }
}

/// Writes the file that a block is.
fn write(sandbox: &Sandbox, block: &Block) {
    let Some(name) = &block.file else { return };
    if let Some(folder) = Path::new(name).parent() {
        sandbox.make_folder(&harness::text(folder));
    }
    sandbox.write(name, &block.text);
}

/// A block that is a whole job file loads without an error and without a warning.
fn load(sandbox: &Sandbox, block: &Block) {
    if block.file.is_none() && !block.text.contains("<plist") {
        return;
    }
    let (folder, home) = (sandbox.name(""), sandbox.name("home"));
    let uid = rustix::process::geteuid().as_raw();
    let loaded = spec::load(block.text.as_bytes(), &Context { folder: &folder, home: &home, uid });
    let faults: Vec<_> = loaded.findings.iter().filter(|finding| finding.severity > Severity::Note).collect();
    assert!(faults.is_empty(), "README.md:{}: {faults:#?}", block.line);
}

pub fn readme() -> Option<String> {
    let file = harness::root().join("README.md");
    let text = fs::read_to_string(&file).ok();
    if text.is_none() {
        println!("skipped: {} is not there", file.display());
    }
    text
}

#[test]
fn the_readme_does_what_it_says() {
    let Some(text) = readme() else { return };
    let sandbox = clone_of(&harness::root());
    let blocks = blocks(&text);
    for (index, block) in blocks.iter().enumerate() {
        match block.language.as_str() {
            // What has a name is run by the test of that name.
            "sh" if block.file.is_none() => {
                let next = blocks.get(index + 1);
                run(&sandbox, block, next.filter(|next| next.follows && next.language == "text"));
            }
            "xml" | "plist" => {
                load(&sandbox, block);
                write(&sandbox, block);
            }
            _ => {}
        }
    }
}

/// What a reader looks for, as it begins a line.
const LOOKED_FOR: &[&str] = &[
    "## Two commands",
    "## A first job, from start to finish",
    "## Speed",
    "## The map",
    "## How to add",
    "- **a key**",
    "- **a verb**",
    "- **a grant**",
    "- **a test**",
];

#[test]
fn it_says_what_it_is_in_three_sentences_and_then_what_a_reader_looks_for() {
    let Some(text) = readme() else { return };
    let first = text.split("\n\n").nth(1).unwrap_or_default().replace('\n', " ");
    assert_eq!(first.split_inclusive(". ").count(), 3, "{first}");
    for part in LOOKED_FOR {
        assert!(text.lines().any(|line| line.starts_with(part)), "README.md has no {part}");
    }
    let two = blocks(&text).into_iter().find(|block| block.language == "sh").expect("a block");
    assert_eq!(commands(&two.text), ["cargo xtask demo", "cargo xtask test"]);
}

/// The text outside the blocks.
fn prose(text: &str) -> String {
    let mut inside = false;
    let outside = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    outside.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_place_that_the_readme_names_is_there() {
    let (Some(text), Some(root)) = (readme(), crate::structure::sources()) else { return };
    let prose = prose(&text);
    let quoted = prose.split('`').skip(1).step_by(2);
    let places = quoted.filter(|word| {
        let below = ["runtime/", "sdk/", "guests/", "examples/", "tests/"].iter().any(|top| word.starts_with(top));
        below && !word.contains([' ', '*', '\n'])
    });
    let places: Vec<&str> = places.collect();
    assert!(places.len() > 10, "the places were found: {places:?}");
    for place in places {
        assert!(root.join(place).exists(), "README.md names {place}, which is not there");
    }
}

#[test]
fn every_verb_of_xtask_that_the_readme_names_is_there() {
    let (Some(text), Some(root)) = (readme(), crate::structure::sources()) else { return };
    let verbs = fs::read_to_string(root.join("tests/xtask/src/main.rs")).expect("the verbs of xtask");
    for block in blocks(&text).iter().filter(|block| block.language == "sh") {
        let xtask = |command: &String| command.strip_prefix("cargo xtask ").map(String::from);
        for command in commands(&block.text).iter().filter_map(xtask) {
            let verb = command.split_whitespace().next().unwrap_or_default();
            assert!(verbs.contains(&format!("\"{verb}\" ")), "README.md:{}: there is no verb {verb}", block.line);
        }
    }
}

#[test]
fn blocks_are_found_with_their_names_and_neighbours() {
    let text = "Text\n```sh\nwjob keys\n```\n\n```text\n...\n```\nmore\n   ```xml job.plist\n     <a/>\n   ```\n";
    let found = blocks(text);
    let seen: Vec<_> = found
        .iter()
        .map(|it| (it.language.as_str(), it.file.as_deref(), it.line, it.text.as_str(), it.follows))
        .collect();
    assert_eq!(
        seen,
        [
            ("sh", None, 2, "wjob keys\n", false),
            ("text", None, 6, "...\n", true),
            ("xml", Some("job.plist"), 10, "  <a/>\n", false),
        ]
    );
}

#[test]
fn commands_are_joined_and_sorted_out() {
    let found = commands("# first\n$ wjob run \\\n  job.plist\n\ncargo xtask demo\n");
    assert_eq!(found, ["wjob run    job.plist", "cargo xtask demo"]);
    assert!(is_run(&found[0]) && !is_run(&found[1]));
}

#[test]
fn dots_stand_for_any_lines() {
    for (expected, lines, same) in [
        (&["a", "b"][..], &["a", "b"][..], true),
        (&["a"], &["a", "b"], false),
        (&["a", "..."], &["a"], true),
        (&["...", "c"], &["a", "b", "c"], true),
        (&["a", "...", "c"], &["a", "b"], false),
        (&["..."], &[], true),
        (&[], &[], true),
    ] {
        assert_eq!(matches(expected, lines), same, "{expected:?} {lines:?}");
    }
}

#[test]
fn the_table_of_who_may_what_is_the_one_that_is_enforced() {
    let security = fs::read_to_string(harness::root().join("SECURITY.md")).expect("SECURITY.md");
    let table = wjob_model::control::who::table();
    assert!(security.ends_with(&table), "SECURITY.md ends with another table than\n{table}");
}
