//! `cargo xtask hostile`: performs every attack of the table and prints which wall contained it. Each is a test, here or
//! in a crate, and what those found is what is printed: nothing is judged twice.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cargo;
use crate::corpus;
use crate::setup;
use crate::step::{Steps, advise};
use crate::verdicts::{Verdict, read};

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

/// Reads the options and does it; fails when an attack was not contained.
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
    let rows: Vec<(&Attack, Verdict)> = attacks.iter().map(|attack| (attack, of(attack, &verdicts))).collect();
    if options.json {
        rows.iter().for_each(|(attack, verdict)| println!("{}", object(attack, verdict)));
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

/// What came of an attack: of all tests that its name means.
fn of(attack: &Attack, verdicts: &BTreeMap<String, Vec<(String, Verdict)>>) -> Verdict {
    let all = verdicts.get(&attack.program).into_iter().flatten();
    let own: Vec<&Verdict> = all.filter(|(name, _)| means(&attack.test, name)).map(|(_, verdict)| verdict).collect();
    let failed = own.iter().find(|verdict| ***verdict == Verdict::Failed);
    let held = own.iter().find(|verdict| ***verdict == Verdict::Held);
    let any = failed.or(held).or(own.first());
    // A row whose test is gone claims what nobody shows.
    any.map_or(Verdict::Failed, |verdict| (*verdict).clone())
}

/// Whether a test's whole name has this one in it, between its separators.
fn means(test: &str, whole: &str) -> bool {
    format!("::{whole}::").contains(&format!("::{test}::"))
}

fn object(attack: &Attack, verdict: &Verdict) -> Value {
    let (contained, remark) = match verdict {
        Verdict::Held => (Some(true), None),
        Verdict::Failed => (Some(false), None),
        Verdict::NotTried(why) => (None, Some(why)),
    };
    json!({
        "attack": attack.name,
        "group": attack.group,
        "wall": attack.wall,
        "contained": contained,
        "remark": remark,
    })
}

fn table(rows: &[(&Attack, Verdict)]) {
    let width = |text: fn(&Attack) -> &str| rows.iter().map(|(attack, _)| text(attack).len()).max().unwrap_or(0);
    let (names, walls) = (width(|attack| attack.name.as_str()), width(|attack| attack.wall.as_str()));
    println!("{:>5}  {:<names$}  {:<walls$}  contained", "group", "attack", "wall");
    for (attack, verdict) in rows {
        let Attack { name, group, wall, .. } = attack;
        let words = match verdict {
            Verdict::Held => "yes".to_owned(),
            Verdict::Failed => "NO".to_owned(),
            Verdict::NotTried(why) => format!("not tried: {why}"),
        };
        println!("{group:>5}  {name:<names$}  {wall:<walls$}  {words}");
    }
}

fn conclude(rows: &[(&Attack, Verdict)]) -> anyhow::Result<()> {
    let count = |wanted: fn(&Verdict) -> bool| rows.iter().filter(|(_, verdict)| wanted(verdict)).count();
    let (held, failed) = (count(|verdict| *verdict == Verdict::Held), count(|verdict| *verdict == Verdict::Failed));
    eprintln!("{} attacks: {held} contained, {failed} not, {} not tried", rows.len(), rows.len() - held - failed);
    let first = rows.iter().find(|(_, verdict)| *verdict == Verdict::Failed);
    match first {
        None => Ok(()),
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
    fn a_failed_test_outweighs_the_others_and_names_are_whole() {
        let attacks = attacks(TABLE).expect("a table");
        let skipped = || Verdict::NotTried("only root".into());
        for (found, expected) in [
            (vec![("kernel::b::wasm", Verdict::Held), ("kernel::b::native", Verdict::Failed)], Verdict::Failed),
            (vec![("kernel::b::wasm", skipped()), ("kernel::b::native", Verdict::Held)], Verdict::Held),
            (vec![("kernel::b::wasm", skipped())], skipped()),
            (vec![("kernel::bb::wasm", Verdict::Held)], Verdict::Failed),
        ] {
            let found = found.into_iter().map(|(name, verdict)| (name.to_owned(), verdict)).collect();
            assert_eq!(of(&attacks[1], &BTreeMap::from([("bypasses".to_owned(), found)])), expected);
        }
        assert_eq!(object(&attacks[1], &Verdict::Held)["contained"], true);
        assert!(object(&attacks[1], &skipped())["contained"].is_null());
    }
}
