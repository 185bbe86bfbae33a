//! The table of requirements beside this file, held against the sources: each requirement has one row, and each test
//! that a row names is there and is run. Whether a test shows what its row asks is for those who write and read the
//! row; here a row cannot name a test that was renamed or removed, and no requirement is forgotten.

use std::collections::BTreeMap;

use crate::structure::{rust_files, sources};

/// The table.
const TABLE: &str = include_str!("requirements.md");
/// What is said about attacks, and which tests show it.
const SECURITY: &str = include_str!("../SECURITY.md");
/// How many requirements there are.
const COUNT: usize = 135;
/// What a requirement may wait for.
const STEPS: [&str; 3] = ["step 3", "step 4", "a later step"];

/// A row of the table.
struct Row {
    number: &'static str,
    asked: &'static str,
    held: &'static str,
    note: &'static str,
}

impl Row {
    /// The tests it names: those that hold it, and those of its note.
    fn names(&self) -> Vec<&'static str> {
        let held = match read(self.held) {
            Some(Held::By(names)) => names,
            Some(Held::Excused) | None => Vec::new(),
        };
        let quoted = self.note.split('`').skip(1).step_by(2);
        held.into_iter().chain(quoted.filter(|name| name.contains("::"))).collect()
    }
}

/// The rows, in their order.
fn rows() -> Vec<Row> {
    TABLE.lines().filter(|line| line.starts_with("| S-")).map(row).collect()
}

fn row(line: &'static str) -> Row {
    let inside = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')).unwrap_or(line);
    let cells: Vec<&str> = inside.split('|').map(str::trim).collect();
    let [number, asked, held, note] = cells[..] else {
        panic!("{line}\nhas {} cells, expected 4", cells.len());
    };
    Row { number, asked, held, note }
}

/// What the third column says.
#[derive(Debug, PartialEq)]
enum Held<'a> {
    /// These tests hold the requirement.
    By(Vec<&'a str>),
    /// Nothing has to hold it, now or ever, and it says why.
    Excused,
}

/// Reads the third column; `None` = it is none of what it may be.
fn read(text: &str) -> Option<Held<'_>> {
    if let Some(reason) = text.strip_prefix("does not apply: ") {
        return (reason.split_whitespace().count() > 1).then_some(Held::Excused);
    }
    if let Some(rest) = text.strip_prefix("waits: ") {
        let rest = STEPS.iter().find_map(|step| rest.strip_prefix(step))?;
        let missing = rest.strip_prefix(" (")?.strip_suffix(')')?;
        return (!missing.trim().is_empty()).then_some(Held::Excused);
    }
    let names = text.split(", ").map(|name| name.strip_prefix('`')?.strip_suffix('`'));
    let names: Vec<&str> = names.collect::<Option<_>>()?;
    names.iter().all(|name| name.contains("::")).then_some(Held::By(names))
}

/// The module that a file is, as its tests are named by whoever runs them; `None` = no test is named by it.
fn module(file: &str) -> Option<String> {
    let inside = match file.strip_prefix("runtime/") {
        Some(of_crate) => of_crate.split_once("/src/")?.1,
        None => file.strip_prefix("tests/")?,
    };
    let path = inside.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let path = if ["lib", "main"].contains(&path) { "" } else { path };
    Some(path.replace('/', "::"))
}

/// The name of the function that a line of code begins.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// The tests of a file that are run without being asked for, those inside of its module `tests` under that name.
fn tests_of(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut attributes: Vec<&str> = Vec::new();
    for line in text.lines() {
        let content = line.trim_start();
        if content.starts_with("#[") {
            attributes.push(content);
            continue;
        }
        let is_test = attributes.iter().any(|attribute| attribute.ends_with("test]"));
        let is_ignored = attributes.iter().any(|attribute| attribute.starts_with("#[ignore"));
        if let Some(name) = function(content).filter(|_| is_test && !is_ignored) {
            let inner = if content == line { "" } else { "tests::" };
            names.push(format!("{inner}{name}"));
        }
        if !content.starts_with("//") {
            attributes.clear();
        }
    }
    names
}

/// All tests by their names, with the files they are in.
pub fn tests(files: &[(String, String)]) -> BTreeMap<String, Vec<&str>> {
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (file, text) in files {
        let Some(module) = module(file) else { continue };
        for name in tests_of(text) {
            let whole = if module.is_empty() { name } else { format!("{module}::{name}") };
            found.entry(whole).or_default().push(file);
        }
    }
    found
}

#[test]
fn every_requirement_has_its_row_in_order() {
    let rows = rows();
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row.number, format!("S-{:03}", index + 1), "{}", row.asked);
        assert!(!row.asked.is_empty(), "{} does not say what it asks", row.number);
    }
    assert_eq!(rows.len(), COUNT);
}

#[test]
fn every_row_says_what_holds_it_or_why_nothing_does() {
    let open: Vec<String> = rows()
        .iter()
        .filter(|row| read(row.held).is_none())
        .map(|row| format!("{} ({}): {}", row.number, row.asked, row.held))
        .collect();
    assert!(
        open.is_empty(),
        "expected `TEST`, `TEST` or `waits: STEP (what is missing)` or `does not apply: a reason`:\n{}",
        open.join("\n")
    );
}

#[test]
fn every_test_that_a_row_names_is_there_once() {
    let Some(root) = sources() else { return };
    let files = rust_files(&root);
    let tests = tests(&files);
    let mut wrong = Vec::new();
    for row in rows() {
        for name in row.names() {
            let found = tests.get(name).map_or(&[][..], Vec::as_slice);
            if found.len() != 1 {
                wrong.push(format!("{}: {name} is in {found:?}, expected one file", row.number));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_that_is_to_show_what_an_attack_comes_to_is_there_once() {
    let Some(root) = sources() else { return };
    let files = rust_files(&root);
    let tests = tests(&files);
    let quoted = SECURITY.split('`').skip(1).step_by(2);
    let names: Vec<&str> = quoted.filter(|name| name.contains("::")).collect();
    assert!(names.len() > 40, "{} names were found", names.len());
    let wrong: Vec<&&str> =
        names.iter().filter(|name| tests.get(**name).is_none_or(|files| files.len() != 1)).collect();
    assert!(wrong.is_empty(), "SECURITY.md names these, which are not there or not once: {wrong:#?}");
}

#[test]
fn tests_are_found_under_their_names() {
    for (file, text, expected) in [
        ("runtime/model/src/fleet/tests.rs", "#[test]\nfn a() {\n}\n\nfn helper() {}\n", "fleet::tests::a"),
        ("runtime/model/src/run.rs", "#[cfg(test)]\nmod tests {\n    #[test]\n    fn b() {}\n}\n", "run::tests::b"),
        ("runtime/cli/src/lib.rs", "mod tests {\n    #[test]\n    fn c() {}\n}\n", "tests::c"),
        ("runtime/cli/src/watch/mod.rs", "    #[tokio::test]\n    async fn d() {}\n", "watch::tests::d"),
        ("tests/daemon/robust/parts.rs", "#[test]\n/// Why.\nfn e() {}\n", "daemon::robust::parts::e"),
        ("tests/daemon/mod.rs", "#[test]\n#[ignore = \"others start it\"]\nfn f() {}\n", ""),
        ("tests/limits.rs", "#[test]\nconst A: u8 = 1;\nfn g() {}\n", ""),
        ("runtime/sandbox/tests/walls.rs", "#[test]\nfn h() {}\n", ""),
    ] {
        let files = [(file.to_owned(), text.to_owned())];
        let found: Vec<String> = tests(&files).into_keys().collect();
        assert_eq!(found.join(" "), expected, "{file}");
    }
}

#[test]
fn the_third_column_is_read_rightly() {
    for (text, expected) in [
        ("`a::b`", Some(Held::By(vec!["a::b"]))),
        ("`a::b`, `c::tests::d`", Some(Held::By(vec!["a::b", "c::tests::d"]))),
        ("waits: step 3 (sockets)", Some(Held::Excused)),
        ("waits: a later step (sessions, and what they see)", Some(Held::Excused)),
        ("does not apply: macOS only", Some(Held::Excused)),
        ("waits: step 3", None),
        ("waits: step 3 ()", None),
        ("waits: somebody (sockets)", None),
        ("does not apply: ", None),
        ("does not apply: no", None),
        ("missing: a test", None),
        ("`b`", None),
        ("`a::b` and more", None),
        ("", None),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}
