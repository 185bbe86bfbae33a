//! `cargo xtask hostile`: performs every attack of the table and prints which wall contained it. Each is a test, here or
//! in a crate, and what those found is what is printed: nothing is judged twice. What became of all tests of an attack is
//! put together in `found`.

mod found;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cargo;
use crate::corpus;
use crate::setup;
use crate::step::{Steps, advise};
use crate::verdicts::{Verdict, read};
use found::Found;

/// The test program of the attacks that have a payload, and the module of their tests.
const OWN: (&str, &str) = ("end_to_end", "hostile::attacks");

#[derive(Default)]
struct Options {
    json: bool,
    build: bool,
    group: Option<u64>,
}

/// One attack and the test that performs it.
struct Attack {
    name: String,
    group: u64,
    wall: String,
    program: String,
    test: String,
}

/// What is tried was contained, and not all was tried.
#[derive(Debug)]
pub struct NotAllTried(usize);

impl fmt::Display for NotAllTried {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} attacks were not tried here, or only in part\n  why: each says what is missing\n  \
             do:  run it as root as well as as a user, on a machine that has what is missing",
            self.0
        )
    }
}

impl std::error::Error for NotAllTried {}

/// Reads the options and does it; fails when an attack was not contained, and otherwise with [`NotAllTried`] when a part of
/// one could not be tried.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let options = options(arguments)?;
    let mut attacks = attacks(&corpus::table()?)?;
    attacks.retain(|attack| options.group.is_none_or(|group| attack.group == group));
    anyhow::ensure!(!attacks.is_empty(), "no attack is of that group; the groups are 1 to 18");
    let mut steps = Steps::new(if options.build { 5 } else { 2 });
    if options.build {
        steps.step("looking for the WebAssembly target", setup::wasm_target)?;
        steps.step("building the guests", setup::guests)?;
        steps.step("building wjob and wjobd", binaries)?;
    }
    let programs = steps.step("building the tests", programs)?;
    let verdicts = steps.step("attacking", || verdicts(&attacks, &programs))?;
    let rows: Vec<(&Attack, Found)> = attacks.iter().map(|attack| (attack, found::of(attack, &verdicts))).collect();
    if options.json {
        rows.iter().for_each(|(attack, found)| println!("{}", object(attack, found)));
    } else {
        table(&rows);
    }
    conclude(&rows)
}

fn options(arguments: &[String]) -> anyhow::Result<Options> {
    let mut options = Options { build: true, ..Options::default() };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => options.json = true,
            "--no-build" => options.build = false,
            "--group" => {
                let group = words.next().and_then(|word| word.parse().ok());
                options.group = Some(group.context("--group wants a number from 1 to 18")?);
            }
            other => anyhow::bail!("hostile does not know {other:?}; see `cargo xtask help`"),
        }
    }
    Ok(options)
}

/// The attacks of the table's text.
fn attacks(text: &str) -> anyhow::Result<Vec<Attack>> {
    let table: Value = serde_json::from_str(text).context("the table of attacks")?;
    let rows = table.as_array().context("the table of attacks is no list")?;
    rows.iter().map(attack).collect()
}

fn attack(row: &Value) -> anyhow::Result<Attack> {
    let text = |field: &str| row[field].as_str().map(ToOwned::to_owned);
    let name = text("name").with_context(|| format!("an attack without a name: {row}"))?;
    let (program, test) = match text("test") {
        None => (OWN.0.to_owned(), format!("{}::{name}", OWN.1)),
        Some(test) => {
            let (program, test) = test.split_once(' ').with_context(|| format!("{name} has no test program"))?;
            (program.to_owned(), test.to_owned())
        }
    };
    let group = row["group"].as_u64().with_context(|| format!("{name} has no group"))?;
    let wall = text("wall").with_context(|| format!("{name} has no wall"))?;
    Ok(Attack { wall: limited(&wall, row), name, group, program, test })
}

/// A wall of limits with the limit.
fn limited(wall: &str, row: &Value) -> String {
    let mut ends = row["ends"].as_array().into_iter().flatten().filter_map(Value::as_str);
    match ends.find_map(|end| end.strip_prefix("limit:")) {
        Some(limit) if wall == "limits" => format!("{wall} ({limit})"),
        _ => wall.to_owned(),
    }
}

fn binaries() -> anyhow::Result<()> {
    let mut arguments = vec!["build", "--bins"];
    arguments.extend(cargo::host_packages());
    cargo::run(&mut cargo::cargo(&arguments))
}

/// The test programs by name, with underscores as libraries have them.
fn programs() -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut arguments = vec!["test", "--no-run"];
    arguments.extend(cargo::host_packages());
    let built = cargo::artefacts(&arguments)?.into_iter().filter(|artefact| artefact.is_test);
    Ok(built.map(|artefact| (artefact.name.replace('-', "_"), artefact.file)).collect())
}

/// The folder a test program is run in, which is its package's.
fn folder(program: &str) -> PathBuf {
    match program.strip_prefix("wjob_") {
        Some(name) => cargo::root().join("runtime").join(name),
        None if program == "bypasses" => cargo::root().join("runtime/sandbox"),
        None => cargo::root(),
    }
}

/// What came of each test, by its program.
fn verdicts(
    attacks: &[Attack],
    programs: &BTreeMap<String, PathBuf>,
) -> anyhow::Result<BTreeMap<String, Vec<(String, Verdict)>>> {
    let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for attack in attacks {
        wanted.entry(&attack.program).or_default().push(&attack.test);
    }
    let run = |(program, tests): (&str, Vec<&str>)| -> anyhow::Result<(String, Vec<(String, Verdict)>)> {
        let file = programs.get(program).with_context(|| format!("cargo built no test program {program}"))?;
        let mut command = Command::new(file);
        // Names are parts of a path for the filter; which lines are meant is looked at afterwards.
        command.args(tests).args(["--show-output", "--color", "never"]).current_dir(folder(program));
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output().with_context(|| format!("cannot start the tests {program}"))?;
        Ok((program.to_owned(), read(&String::from_utf8_lossy(&output.stdout))))
    };
    wanted.into_iter().map(run).collect()
}

fn object(attack: &Attack, found: &Found) -> Value {
    json!({
        "attack": attack.name,
        "group": attack.group,
        "wall": found.wall(&attack.wall),
        "observed": found.is_observed(),
        "how": found.how(),
        "expected": attack.wall,
        "contained": found.contained(),
        "tried": found.untried.is_empty(),
        "untried": found.untried,
        "documented": found.documented,
    })
}

fn table(rows: &[(&Attack, Found)]) {
    let walls: Vec<String> =
        rows.iter().map(|(attack, found)| found.wall(&attack.wall).unwrap_or_else(|| "-".into())).collect();
    let names = rows.iter().map(|(attack, _)| attack.name.len()).max().unwrap_or(0);
    let width = walls.iter().map(String::len).max().unwrap_or(0);
    println!("{:>5}  {:<names$}  {:<width$}  contained", "group", "attack", "wall");
    for ((attack, found), wall) in rows.iter().zip(&walls) {
        println!("{:>5}  {:<names$}  {wall:<width$}  {}", attack.group, attack.name, found.in_words());
    }
    println!("A wall is the one that was met; where a test tells only that it passed, the one that it is about.");
}

fn conclude(rows: &[(&Attack, Found)]) -> anyhow::Result<()> {
    let count = |wanted: fn(&Found) -> bool| rows.iter().filter(|(_, found)| wanted(found)).count();
    let held = count(|found| found.contained() == Some(true));
    let (failed, untried) = (count(|found| found.failed), count(|found| !found.untried.is_empty()));
    let (all, documented) = (rows.len(), count(|found| !found.documented.is_empty()));
    eprintln!(
        "{all} attacks: {held} contained, {failed} not, {documented} not everywhere as documented; {untried} not tried or \
         in part"
    );
    match rows.iter().find(|(_, found)| found.failed) {
        None if untried == 0 => Ok(()),
        None => Err(NotAllTried(untried).into()),
        Some((attack, _)) => Err(advise(
            &format!("{failed} attacks were not contained, or their tests failed"),
            &format!("the first is {}, the test {} of {}", attack.name, attack.test, attack.program),
            &format!("`cargo xtask test {} -- --nocapture` shows what it found", attack.test),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"[
        {"name": "a", "group": 2, "what": "x", "payload": "p", "ends": ["limit:Memory", "trap"], "wall": "limits"},
        {"name": "b", "group": 11, "what": "x", "test": "bypasses kernel::b", "wall": "seccomp"}]"#;

    #[test]
    fn an_attack_is_a_test_of_its_own_or_anothers() {
        let all = attacks(TABLE).expect("a table");
        let words = |attack: &Attack| {
            let Attack { name, group, wall, program, test } = attack;
            format!("{name} {group} {wall} {program} {test}")
        };
        let told: Vec<String> = all.iter().map(words).collect();
        assert_eq!(told, ["a 2 limits (Memory) end_to_end hostile::attacks::a", "b 11 seccomp bypasses kernel::b"]);
        assert!(attacks("[{}]").is_err() && attacks("{}").is_err());
    }

    #[test]
    fn what_was_met_is_told_and_what_was_expected_beside_it() {
        let attacks = attacks(TABLE).expect("a table");
        let told = |verdict| {
            let verdicts = vec![("kernel::b::wasm".to_owned(), verdict)];
            object(&attacks[1], &found::of(&attacks[1], &BTreeMap::from([("bypasses".to_owned(), verdicts)])))
        };
        let met = told(Verdict::Held(Some("kernel:EPERM: behind it".into())));
        assert_eq!((&met["wall"], &met["expected"]), (&json!("kernel:EPERM"), &json!("seccomp")), "{met}");
        assert_eq!((&met["observed"], &met["contained"]), (&json!(true), &json!(true)), "{met}");
        let silent = told(Verdict::Held(None));
        assert_eq!((&silent["wall"], &silent["observed"]), (&json!("seccomp"), &json!(false)), "{silent}");
        let skipped = told(Verdict::NotTried("only root".into()));
        assert!(skipped["contained"].is_null() && skipped["wall"].is_null(), "{skipped}");
        assert_eq!((&skipped["tried"], &skipped["untried"][0]), (&json!(false), &json!("kernel::b::wasm: only root")));
    }

    #[test]
    fn what_was_not_tried_is_no_success() {
        let attacks = attacks(TABLE).expect("a table");
        let conclusion = |verdicts: Vec<Verdict>| {
            let verdicts = verdicts.into_iter().map(|verdict| ("kernel::b::wasm".to_owned(), verdict)).collect();
            let found = found::of(&attacks[1], &BTreeMap::from([("bypasses".to_owned(), verdicts)]));
            conclude(&[(&attacks[1], found)])
        };
        let skipped = || Verdict::NotTried("only root".into());
        assert!(conclusion(vec![Verdict::Held(None)]).is_ok());
        let partly = conclusion(vec![Verdict::Held(None), skipped()]).expect_err("a part was not tried");
        assert!(partly.is::<NotAllTried>(), "{partly}");
        let failed = conclusion(vec![skipped(), Verdict::Failed]).expect_err("one failed");
        assert!(!failed.is::<NotAllTried>(), "{failed}");
    }
}
