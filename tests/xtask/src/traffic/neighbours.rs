//! `cargo xtask bench neighbours`: what an attack costs a job beside it. While each attack of the corpus runs, guest or
//! native program, an HTTP job of the same supervisor is asked at an even pace; its p99 is compared with that beside a job
//! which does no harm and uses as much of the processor. Both have their turns in each round, in another order each time.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::attackers::{Attack, LABEL, LeftOut, Place, attacks};
use super::http_client::{self, Client};
use super::load;
use super::loopback;
use super::options::Options;
use super::ours::{self, Job};
use super::server::Server;
use crate::corpus;
use crate::dist;
use crate::machine::Machine;
use crate::process;
use crate::statistics::{Rounds, Times};
use crate::step::{Steps, advise};
use crate::temporary::{self, Temporary};
use crate::wjobd;

/// Counted rounds.
const ROUNDS: usize = 5;
/// Clients, each with one request at a time.
const CLIENTS: usize = 4;
/// How long a client rests between two requests: the processors must not be full without the attacker.
const REST: Duration = Duration::from_millis(2);
/// The share of requests that may take longer than what is compared, percent.
const PERCENT: f64 = 99.0;
/// The budget: the neighbour's p99 beside an attack, in terms of that beside a job that does no harm.
const MUST: f64 = 1.10;
const AIM: f64 = 1.05;
/// What the harmless job is told to compute when it is found out how much that is, in its own units.
const UNITS: u64 = 300;

/// The supervisor, its neighbour and the place of attackers.
struct Scene {
    home: PathBuf,
    server: Server,
    place: Place,
    address: SocketAddrV4,
    expected: Vec<u8>,
    time: Duration,
}

/// What one turn came to.
struct Turn {
    /// Milliseconds.
    p99: f64,
    errors: u64,
    fault: Option<String>,
    /// Processor time of whoever was in the attacker's place, milliseconds.
    spent: f64,
}

/// How much of the processor the harmless job takes.
#[derive(Clone, Copy)]
struct Rate {
    /// Milliseconds to start it.
    start: f64,
    /// Units a millisecond.
    units: f64,
}

impl Rate {
    /// What it must be told to spend so many milliseconds.
    fn units_for(self, spent: f64) -> u64 {
        ((spent - self.start).max(0.0) * self.units).round() as u64
    }
}

/// All turns of an attack and of the job in its place.
#[derive(Default)]
struct Row {
    name: String,
    attack: Rounds,
    benign: Rounds,
    errors: u64,
    fault: Option<String>,
    /// Milliseconds of the processor in a turn, at last.
    spent: f64,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        self.attack.ratio_to(&self.benign)
    }

    fn kept(&self) -> bool {
        self.errors == 0 && self.ratio().is_some_and(|ratio| ratio <= MUST)
    }
}

/// Reads the options and does it.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let (only, rest) = only(arguments)?;
    let options = Options::parse("neighbours", &rest, ROUNDS)?;
    if options.build {
        dist::build()?;
    }
    let (mut measured, left_out) = attacks(&corpus::table()?)?;
    measured.retain(|attack| only.is_empty() || only.contains(&attack.name));
    anyhow::ensure!(!measured.is_empty(), "none of these attacks can be measured: {}", only.join(", "));
    let folder = Temporary::new("bench", 0o755)?;
    let mut steps = Steps::new(measured.len() + 2);
    let mut scene = steps.step("starting the supervisor", || Scene::set(folder.path(), options.time))?;
    let rate = steps.step("finding out what the harmless job takes", || scene.rate())?;
    let mut rows = Vec::new();
    for attack in &measured {
        rows.push(steps.step(&attack.name, || scene.compare(attack, rate, options.rounds))?);
    }
    conclude(&rows, &left_out, &options)
}

/// Names behind `--attack`, and the other arguments.
fn only(arguments: &[String]) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let (mut only, mut rest) = (Vec::new(), Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--attack" => only.push(words.next().context("--attack wants the name of an attack")?.clone()),
            _ => rest.push(word.clone()),
        }
    }
    Ok((only, rest))
}

impl Scene {
    fn set(folder: &Path, time: Duration) -> anyhow::Result<Self> {
        let component = ours::guest(folder, "http-hello")?;
        let [address] = loopback::free_some::<1>()?;
        let home = folder.join(ours::NAME);
        temporary::make_folder(&home)?;
        let job = Job { label: "bench.neighbour".into(), program: &component, address, keys: String::new() };
        let mut server = ours::start(&home, &[job])?;
        let mut expected = Vec::new();
        let answered = server.wait_for(|| {
            expected = http_client::body(address)?;
            Ok(())
        });
        answered.map_err(ours::unusable)?;
        let place = Place::new(folder, &dist::folder().join(corpus::NAME))?;
        Ok(Self { home, server, place, address, expected, time })
    }

    /// What starting and computing take, each of several runs the median.
    fn rate(&mut self) -> anyhow::Result<Rate> {
        let mut median = |units: u64| -> anyhow::Result<f64> {
            let mut times = Rounds::default();
            for _ in 0..3 {
                let file = self.place.benign(units)?;
                times.push(Some(self.turn(&file)?.spent));
            }
            times.percentile(50.0).context("no run was measured")
        };
        let (start, whole) = (median(0)?, median(UNITS)?);
        anyhow::ensure!(whole > start, "the harmless job takes no time: {start} ms and {whole} ms");
        Ok(Rate { start, units: UNITS as f64 / (whole - start) })
    }

    /// All rounds of one attack. The first turn is not counted: it compiles, and says how much the attack takes.
    fn compare(&mut self, attack: &Attack, rate: Rate, rounds: usize) -> anyhow::Result<Row> {
        let mut row = Row { name: attack.name.clone(), ..Row::default() };
        row.spent = self.attacked(attack)?.spent;
        for round in 0..rounds {
            if round % 2 == 0 {
                self.attack_counts(attack, &mut row)?;
                self.benign_counts(rate, &mut row)?;
            } else {
                self.benign_counts(rate, &mut row)?;
                self.attack_counts(attack, &mut row)?;
            }
        }
        Ok(row)
    }

    fn attacked(&mut self, attack: &Attack) -> anyhow::Result<Turn> {
        self.place.furnish()?;
        let file = self.place.job(attack)?;
        self.turn(&file)
    }

    fn attack_counts(&mut self, attack: &Attack, row: &mut Row) -> anyhow::Result<()> {
        let turn = self.attacked(attack)?;
        row.attack.push(Some(turn.p99));
        row.errors += turn.errors;
        row.fault = row.fault.take().or(turn.fault);
        row.spent = turn.spent;
        Ok(())
    }

    fn benign_counts(&mut self, rate: Rate, row: &mut Row) -> anyhow::Result<()> {
        let file = self.place.benign(rate.units_for(row.spent))?;
        let turn = self.turn(&file)?;
        row.benign.push(Some(turn.p99));
        Ok(())
    }

    /// One in the attacker's place while the neighbour is asked.
    fn turn(&mut self, job: &Path) -> anyhow::Result<Turn> {
        let before = process::spent_by_children(self.server.process())?;
        self.wjob(&["bootstrap", &job.to_string_lossy()])?;
        let turn = self.asked();
        self.wjob(&["bootout", LABEL])?;
        let spent = process::spent_by_children(self.server.process())?.saturating_sub(before);
        self.server.come_to_rest();
        Ok(Turn { spent: spent.as_secs_f64() * 1000.0, ..turn })
    }

    /// Asks the neighbour for the time of a turn.
    fn asked(&self) -> Turn {
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); CLIENTS];
        let clients = times.iter_mut().map(|own| {
            let mut client = Client::new(self.address, false, &self.expected);
            move || -> anyhow::Result<()> {
                let begin = Instant::now();
                client.exchange()?;
                own.push(begin.elapsed());
                thread::sleep(REST);
                Ok(())
            }
        });
        let load = load::run(clients.collect(), self.time);
        let mut all = Times::new();
        times.into_iter().flatten().for_each(|time| all.push(time));
        Turn { p99: all.percentile(PERCENT), errors: load.errors, fault: load.fault, spent: 0.0 }
    }

    fn wjob(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(dist::folder().join("bin/wjob"));
        command.args(arguments).env("WJOB_SOCKET", wjobd::socket(&self.home)).stdin(Stdio::null());
        let output = command.output().context("cannot start wjob")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "`wjob {}` failed: {}", arguments.join(" "), complaint.trim());
        Ok(())
    }
}

fn conclude(rows: &[Row], left_out: &[LeftOut], options: &Options) -> anyhow::Result<()> {
    let machine = Machine::read();
    if options.json {
        let results: Vec<Value> = rows.iter().map(object).collect();
        let left_out: Vec<Value> =
            left_out.iter().map(|attack| json!({ "attack": attack.name, "why": attack.why })).collect();
        let whole = json!({ "bench": "neighbours", "unit": "ms", "rounds": options.rounds, "must": MUST, "aim": AIM,
            "results": results, "leftOut": left_out, "machine": machine.object() });
        println!("{whole}");
    } else {
        print(rows, left_out, options, &machine);
    }
    let missed: Vec<&str> = rows.iter().filter(|row| !row.kept()).map(|row| row.name.as_str()).collect();
    if options.enforce && !missed.is_empty() {
        return Err(advise(
            &format!("a neighbour pays more than {MUST}x for {} attacks, or was not answered", missed.len()),
            &missed.join(", "),
            "run these alone with --attack and more --rounds: another load on the machine shows too",
        ));
    }
    Ok(())
}

fn object(row: &Row) -> Value {
    json!({
        "attack": row.name,
        "p99Attack": row.attack.percentile(50.0),
        "p99Benign": row.benign.percentile(50.0),
        "ratio": row.ratio(),
        "errors": row.errors,
        "fault": row.fault,
        "spentMs": row.spent,
        "kept": row.kept(),
    })
}

fn print(rows: &[Row], left_out: &[LeftOut], options: &Options, machine: &Machine) {
    println!(
        "{:<40}{:>11}{:>11}{:>8}{:>8}{:>10}",
        "p99 of the neighbour, ms", "attack", "harmless", "ratio", "errors", "CPU ms"
    );
    for row in rows {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        let (attack, benign) = (number(row.attack.percentile(50.0)), number(row.benign.percentile(50.0)));
        let (ratio, verdict) = (number(row.ratio()), if row.kept() { "" } else { "  missed" });
        println!("{:<40}{attack:>11}{benign:>11}{ratio:>8}{:>8}{:>10.0}{verdict}", row.name, row.errors, row.spent);
    }
    let seconds = options.time.as_secs_f64();
    println!(
        "must: at most {MUST}x, no error; aim: {AIM}x. {} rounds, {seconds} s a turn, {CLIENTS} clients",
        options.rounds
    );
    for (why, names) in by_reason(left_out) {
        println!("{} not measured ({why}): {}", names.len(), names.join(", "));
    }
    println!("{}", machine.in_words());
}

/// The names of what is left out, by the reason.
fn by_reason(left_out: &[LeftOut]) -> BTreeMap<&str, Vec<&str>> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for attack in left_out {
        reasons.entry(attack.why).or_default().push(&attack.name);
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_of_the_arguments() {
        let words: Vec<String> = ["--attack", "a", "--rounds", "3", "--attack", "b"].map(String::from).to_vec();
        let (names, rest) = only(&words).expect("options");
        assert_eq!((names, rest), (vec!["a".into(), "b".into()], vec!["--rounds".into(), "3".into()]));
        assert!(only(&["--attack".to_owned()]).is_err());
    }

    #[test]
    fn what_is_left_out_is_told_by_its_reason() {
        let attack = |name: &str, why| LeftOut { name: name.into(), why };
        let all = [attack("a", "x"), attack("b", "y"), attack("c", "x")];
        assert_eq!(by_reason(&all), BTreeMap::from([("x", vec!["a", "c"]), ("y", vec!["b"])]));
    }

    #[test]
    fn a_row_is_kept_by_its_ratio_and_without_errors() {
        let row = |attack: f64, errors| {
            let mut row = Row { errors, ..Row::default() };
            row.attack.push(Some(attack));
            row.benign.push(Some(1.0));
            row
        };
        for (attack, errors, expected) in [(1.0, 0, true), (1.09, 0, true), (1.2, 0, false), (1.0, 1, false)] {
            assert_eq!(row(attack, errors).kept(), expected, "{attack} {errors}");
        }
        assert!(!Row::default().kept());
    }

    #[test]
    fn the_harmless_job_spends_what_is_left_after_its_start() {
        let rate = Rate { start: 10.0, units: 2.0 };
        for (spent, units) in [(0.0, 0), (10.0, 0), (20.0, 20)] {
            assert_eq!(rate.units_for(spent), units, "{spent}");
        }
    }
}
