//! `cargo xtask bench run`: one hello, run by wjob and by its peers, in alternating rounds of one run.
//! Numbers of different runs or machines are not comparable, so it keeps none and judges by ratios only.

use anyhow::Context as _;

use crate::cargo;
use crate::dist;
use crate::idle;
use crate::machine::Machine;
use crate::peer::{self, Missing, Peer};
use crate::statistics::Times;
use crate::step::{Steps, advise};
use crate::temporary::Temporary;
use crate::traffic;

/// Rounds nobody counts: they fill the page cache and compile what is not compiled.
const WARM_UPS: usize = 3;

/// Counted rounds: a few seconds in all, and enough for a p10 and p90 of four rounds each side.
const ROUNDS: usize = 40;

/// Whom the ratios compare with.
const YARDSTICK: &str = "wasmtime";

struct Options {
    rounds: usize,
    json: bool,
    build: bool,
}

/// Parses `run [--rounds N] [--json] [--no-build]` and does it; the other benches are elsewhere.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    match arguments.split_first() {
        Some((what, rest)) if what == "run" => bench(&options(rest)?),
        Some((what, rest)) if what == "idle" => idle::run(rest),
        Some((what, rest)) => traffic::run(what, rest),
        None => Err(advise(
            "bench wants to know what to measure",
            "the benches are run, idle, connections, http, cold and neighbours",
            "`cargo xtask bench NAME [--json] [--no-build]`; see `cargo xtask help` for more options",
        )),
    }
}

fn options(arguments: &[String]) -> anyhow::Result<Options> {
    let mut options = Options { rounds: ROUNDS, json: false, build: true };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => options.json = true,
            "--no-build" => options.build = false,
            "--rounds" => options.rounds = rounds(words.next())?,
            other => anyhow::bail!("bench run does not know {other:?}; see `cargo xtask help`"),
        }
    }
    Ok(options)
}

fn rounds(word: Option<&String>) -> anyhow::Result<usize> {
    word.and_then(|word| word.parse().ok()).filter(|rounds| *rounds > 0).context("--rounds wants a number from 1")
}

fn bench(options: &Options) -> anyhow::Result<()> {
    if options.build {
        build()?;
    }
    let folder = Temporary::new("bench", 0o700)?;
    let (peers, missing) = peer::all(folder.path())?;
    for absent in &missing {
        eprintln!("not compared: {}: {}", absent.name, absent.advice);
    }
    let times = measure(&peers, options.rounds)?;
    let machine = Machine::read();
    if options.json {
        println!("{}", object(&peers, &times, &missing, &machine, options.rounds));
    } else {
        table(&peers, &times, &machine, options.rounds);
    }
    Ok(())
}

fn build() -> anyhow::Result<()> {
    dist::build()?;
    Steps::new(1).step("building the native program", || {
        cargo::run(&mut cargo::cargo(&["build", "--release", "--package", "hello"]))
    })
}

/// Every contestant once per round, each round beginning with another one.
fn measure(peers: &[Peer], rounds: usize) -> anyhow::Result<Vec<Times>> {
    let mut times: Vec<Times> = peers.iter().map(|_| Times::new()).collect();
    for round in 0..WARM_UPS + rounds {
        for turn in 0..peers.len() {
            let index = (round + turn) % peers.len();
            let elapsed = peers[index].time()?;
            if round >= WARM_UPS {
                times[index].push(elapsed);
            }
        }
    }
    Ok(times)
}

fn yardstick<'a>(peers: &[Peer], times: &'a [Times]) -> Option<&'a Times> {
    let index = peers.iter().position(|peer| peer.name == YARDSTICK)?;
    times.get(index)
}

fn table(peers: &[Peer], times: &[Times], machine: &Machine, rounds: usize) {
    println!("{:<16}{:>10}{:>9}{:>9}{:>13}", "", "median ms", "p10", "p90", "to wasmtime");
    let yardstick = yardstick(peers, times);
    for (peer, times) in peers.iter().zip(times) {
        let ratio = yardstick.map_or_else(|| "-".to_owned(), |other| format!("{:.2}x", times.ratio_to(other)));
        let [median, low, high] = [50.0, 10.0, 90.0].map(|percent| times.percentile(percent));
        println!("{:<16}{median:>10.2}{low:>9.2}{high:>9.2}{ratio:>13}", peer.name);
    }
    println!("{rounds} rounds; {}", machine.in_words());
}

fn object(peers: &[Peer], times: &[Times], missing: &[Missing], machine: &Machine, rounds: usize) -> serde_json::Value {
    let yardstick = yardstick(peers, times);
    let row = |(peer, times): (&Peer, &Times)| {
        serde_json::json!({
            "name": peer.name,
            "median": times.percentile(50.0),
            "p10": times.percentile(10.0),
            "p90": times.percentile(90.0),
            "ratio": yardstick.map(|other| times.ratio_to(other)),
        })
    };
    serde_json::json!({
        "rounds": rounds,
        "unit": "ms",
        "results": peers.iter().zip(times).map(row).collect::<Vec<_>>(),
        "missing": missing.iter().map(|absent| absent.name).collect::<Vec<_>>(),
        "machine": machine.object(),
    })
}
