//! The table of attacks, held against what it speaks of: every row is whole, every group and every advisory has rows,
//! what has a payload is in the corpus and has a test of its name, and what points to a test points to one that is there.
//! That those tests pass is shown by running them, as `cargo xtask hostile` does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::attacks::TESTED;
use super::table::{Row, rows};
use crate::harness::Sandbox;
use crate::requirements::tests;
use crate::structure::{rust_files, sources};

/// What the groups are about, from 1 on.
const GROUPS: [&str; 18] = [
    "advisories on the engine and its WASI",
    "paths",
    "what changes between being granted and being opened",
    "computing, waiting and blocking without an end",
    "memories, tables, handles, streams and tasks",
    "HTTP",
    "sizes: lists, types, names and programs",
    "standard output and the log",
    "sockets and names",
    "the end of the worker",
    "native code in the worker's place",
    "walls that do not stand",
    "compiled code",
    "job files",
    "the control socket",
    "failing, clocks and watches",
    "ends and successions",
    "neighbours",
];

/// What can contain an attack, and which ends it has then.
const WALLS: &[(&str, &str)] = &[
    ("wasi", "held"),
    ("engine", "trap"),
    ("limits", "limit:"),
    ("compiler", ""),
    ("reader", ""),
    ("trust", ""),
    ("cache", ""),
    ("control", ""),
    ("logger", ""),
    ("model", ""),
    ("supervisor", ""),
    ("mount", ""),
    ("landlock", ""),
    ("seccomp", ""),
];

/// What an attack may be granted or told of.
const NEEDS: &[&str] =
    &["ro", "rw", "granted", "granted-udp", "http", "bind", "tcp", "udp", "no-bind", "no-names", super::room::NEED];

/// Advisories of 2024 to 2026 on paths, sockets, HTTP and resources of the engine's WASI: each has its regression.
const ADVISORIES: &[&str] = &[
    "CVE-2024-51745",
    "CVE-2025-53901",
    "CVE-2026-34988",
    "GHSA-243v-98vx-264h",
    "GHSA-2hw9-mc66-jc2q",
    "GHSA-2r75-cxrj-cmph",
    "GHSA-32h6-97mm-8q3c",
    "GHSA-3p27-qvp9-27qf",
    "GHSA-4ch3-9j33-3pmj",
    "GHSA-5qpp-g3j2-8frx",
    "GHSA-6fr9-xmw9-5352",
    "GHSA-852m-cvvp-9p4w",
    "GHSA-96f6-r43r-8c24",
    "GHSA-c9gc-w9vx-w86p",
    "GHSA-gqmc-89g8-p25r",
    "GHSA-hmmr-87qq-258j",
    "GHSA-j2g9-4prp-pf6h",
    "GHSA-j366-h8gg-77pm",
    "GHSA-m9f7-9w4p-gv38",
    "GHSA-mr2v-56j5-cmfc",
    "GHSA-q554-3cjc-rx7p",
    "GHSA-vqjp-4c8c-hfgg",
    "GHSA-w36r-2hch-9xp9",
    "GHSA-w4qr-p94g-mjhv",
    "GHSA-x84v-gj2h-g759",
];

/// What a component of the corpus knows and no row of the table performs by itself.
const WITH_HELP: &[&str] = &["follow_a_folder_that_is_replaced", "read_through_what_is_swapped", "spend"];

/// The least number of attacks with a payload.
const LEAST: usize = 60;

/// What is wrong with a row by itself.
fn fault(row: &Row) -> Option<&'static str> {
    let wall = WALLS.iter().find(|(wall, _)| *wall == row.wall);
    let fits = |end: &String| wall.is_some_and(|(_, ends)| !ends.is_empty() && end.starts_with(ends));
    let faults = [
        (row.what.is_empty(), "does not say what it does"),
        (!(1..=GROUPS.len() as u64).contains(&row.group), "is of no group"),
        (wall.is_none(), "has a wall that nobody knows"),
        (row.payload.is_some() == row.test.is_some(), "has neither payload nor test, or both"),
        (!row.needs.iter().all(|need| NEEDS.contains(&need.as_str())), "needs what there is not"),
        (row.payload.is_some() && !row.ends.iter().any(fits), "has a wall that its ends do not show"),
        (row.test.is_some() && !row.ends.is_empty(), "says how another's test ends"),
        (row.script.is_some() && row.test.is_none(), "is a native program that no test runs"),
        (row.ends.iter().any(|end| !is_end(end)), "ends as nothing does"),
        (row.limits.iter().any(|(limit, _)| !is_limit(limit)), "has a limit that nobody knows"),
    ];
    faults.into_iter().find(|(wrong, _)| *wrong).map(|(_, what)| what)
}

fn is_end(end: &str) -> bool {
    ["held", "trap"].contains(&end) || end.strip_prefix("limit:").is_some_and(is_limit)
}

fn is_limit(key: &str) -> bool {
    wjob_model::limit::LIMITS.iter().any(|row| row.key == key)
}

#[test]
fn every_row_is_whole_and_stands_once() {
    let rows = rows();
    let wrong: Vec<String> = rows.iter().filter_map(|row| Some(format!("{} {}", row.name, fault(row)?))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names.len(), rows.len(), "a name stands twice");
}

#[test]
fn every_group_has_attacks_and_there_are_many_with_a_payload() {
    let rows = rows();
    for (index, about) in GROUPS.iter().enumerate() {
        assert!(rows.iter().any(|row| row.group == index as u64 + 1), "no attack is of group {}: {about}", index + 1);
    }
    let payloads = rows.iter().filter(|row| row.payload.is_some()).count();
    assert!(payloads >= LEAST, "{payloads} attacks have a payload");
}

#[test]
fn every_advisory_has_its_regression() {
    let rows = rows();
    let named: BTreeSet<&str> = rows.iter().filter_map(|row| row.advisory.as_deref()).collect();
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ADVISORIES);
}

#[test]
fn every_payload_has_a_test_of_its_name() {
    let rows = rows();
    let mut payloads: Vec<&str> =
        rows.iter().filter(|row| row.payload.is_some()).map(|row| row.name.as_str()).collect();
    payloads.sort_unstable();
    assert_eq!(payloads, TESTED);
}

#[test]
fn every_payload_is_in_the_corpus_and_the_table_lies_beside_it() {
    let rows = rows();
    let programs: BTreeSet<&str> = rows.iter().filter_map(|row| row.payload.as_deref()).collect();
    for name in &programs {
        super::program(name);
    }
    let table = fs::read_to_string(super::corpus().join("attacks.json")).expect("the table beside the programs");
    assert!(table == include_str!("../../guests/hostile/attacks.json"), "the corpus has another table");
    let entries = fs::read_dir(super::corpus()).expect("the corpus").flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".wasm").map(String::from));
    let unused: Vec<String> = names.filter(|name| !programs.contains(name.as_str())).collect();
    assert!(unused.is_empty(), "no attack runs {unused:?}");
}

#[test]
fn the_component_knows_what_the_table_names_and_nothing_else() {
    let sandbox = Sandbox::new();
    let listed = sandbox.wjob(&["run", &super::program("hostile"), "--list"]);
    let output = listed.exits(0).output().into_owned();
    let known: BTreeSet<&str> = output.lines().collect();
    let rows = rows();
    let named = rows.iter().filter(|row| row.payload.as_deref() == Some("hostile")).map(|row| row.name.as_str());
    let expected: BTreeSet<&str> = named.chain(WITH_HELP.iter().copied()).collect();
    assert_eq!(known, expected);
    sandbox.wjob(&["run", &super::program("hostile"), "no_such_attack"]).exits(2);
}

/// The folder of a test program's sources.
fn folder(program: &str) -> Option<&'static str> {
    Some(match program {
        "end_to_end" => "tests/",
        "wjob_model" => "runtime/model/",
        "wjob_sandbox" => "runtime/sandbox/",
        "wjob_supervisor" => "runtime/supervisor/",
        "wjob_worker" => "runtime/worker/",
        "wjob_logger" => "runtime/logger/",
        _ => return None,
    })
}

/// In how many files a test stands, of these files with the tests in them.
fn places(files: &[(String, String)], all: &BTreeMap<String, Vec<&str>>, program: &str, name: &str) -> usize {
    if program == "bypasses" {
        let (file, function) = name.split_once("::").unwrap_or(("", name));
        let file = format!("runtime/sandbox/tests/bypasses/{file}.rs");
        let found = files.iter().filter(|(path, _)| *path == file);
        return found.filter(|(_, text)| text.contains(&format!("fn {function}("))).count();
    }
    let Some(folder) = folder(program) else { return 0 };
    let last = |path: &str| path.rsplit("::").next() == Some(name);
    let found = all.iter().filter(|(path, _)| last(path)).flat_map(|(_, files)| files);
    found.filter(|file| file.starts_with(folder)).count()
}

#[test]
fn every_test_that_a_row_points_to_is_there_once() {
    let Some(root) = sources() else { return };
    let files = rust_files(&root);
    let all = tests(&files);
    let mut wrong = Vec::new();
    for row in rows() {
        let Some(test) = &row.test else { continue };
        let (program, name) = test.split_once(' ').unwrap_or_default();
        let found = places(&files, &all, program, name);
        if found != 1 {
            wrong.push(format!("{}: {test} is in {found} files, expected one", row.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
