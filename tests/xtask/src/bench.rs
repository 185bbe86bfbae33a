//! `cargo xtask bench run`: one hello, run by wjob and by its peers, in alternating rounds of one run.
//! Numbers of different runs or machines are not comparable, so it keeps none and judges by ratios only.

use crate::cargo;
use crate::dist;
use crate::idle;
use crate::machine::Machine;
use crate::peer::{self, Missing, Peer};
use crate::statistics::Times;
use crate::step::{Steps, advise};
use crate::temporary::Temporary;
use crate::traffic;
use crate::traffic::options::Options;

/// Rounds nobody counts: they fill the page cache and compile what is not compiled.
const WARM_UPS: usize = 3;

/// Counted rounds: a few seconds in all, and enough for a p10 and p90 of four rounds each side.
const ROUNDS: usize = 40;

/// Whom the ratios compare with.
const YARDSTICK: &str = "wasmtime";

/// What the design asks of wjob's time in terms of the yardstick's: at most this, and this is aimed at.
const MUST: f64 = 1.2;
const AIM: f64 = 0.8;

/// Parses `run [--rounds N] [--json] [--no-build] [--enforce]` and does it; the other benches are elsewhere.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    match arguments.split_first() {
        Some((what, rest)) if what == "run" => bench(&Options::without_time("run", rest, ROUNDS)?),
        Some((what, rest)) if what == "idle" => idle::run(rest),
        Some((what, rest)) => traffic::run(what, rest),
        None => Err(advise(
            "bench wants to know what to measure",
            "the benches are run, idle, connections, http, cold, takeover and neighbours",
            "`cargo xtask bench NAME [--json] [--no-build]`; see `cargo xtask help` for more options",
        )),
    }
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
    let ratio = ours(&peers, &times);
    let kept = ratio.is_some_and(|ratio| ratio <= MUST);
    anyhow::ensure!(!options.enforce || kept, "not what it must be: {}", verdict(ratio));
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

/// wjob's time in terms of the yardstick's; `None` = that one is not here.
fn ours(peers: &[Peer], times: &[Times]) -> Option<f64> {
    let ours = peers.iter().position(|peer| peer.name == "wjob").and_then(|index| times.get(index))?;
    yardstick(peers, times).map(|other| ours.ratio_to(other))
}

/// The must and the aim, and what became of them.
fn verdict(ratio: Option<f64>) -> String {
    let words = |bound: f64, reached: &str, not: &str| match ratio {
        Some(ratio) if ratio <= bound => format!("at most {bound:?}x: {reached}"),
        Some(_) => format!("at most {bound:?}x: {not}"),
        None => format!("at most {bound:?}x: not compared"),
    };
    format!("must {}; aim {}", words(MUST, "kept", "missed"), words(AIM, "reached", "not reached"))
}

fn table(peers: &[Peer], times: &[Times], machine: &Machine, rounds: usize) {
    println!("{:<16}{:>10}{:>9}{:>9}{:>13}", "", "median ms", "p10", "p90", "to wasmtime");
    let yardstick = yardstick(peers, times);
    for (peer, times) in peers.iter().zip(times) {
        let ratio = yardstick.map_or_else(|| "-".to_owned(), |other| format!("{:.2}x", times.ratio_to(other)));
        let [median, low, high] = [50.0, 10.0, 90.0].map(|percent| times.percentile(percent));
        println!("{:<16}{median:>10.2}{low:>9.2}{high:>9.2}{ratio:>13}", peer.name);
    }
    println!("wjob to wasmtime: {}", verdict(ours(peers, times)));
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
    let ours = ours(peers, times);
    serde_json::json!({
        "rounds": rounds,
        "unit": "ms",
        "must": MUST,
        "kept": ours.map(|ratio| ratio <= MUST),
        "aim": AIM,
        "reached": ours.map(|ratio| ratio <= AIM),
        "results": peers.iter().zip(times).map(row).collect::<Vec<_>>(),
        "missing": missing.iter().map(|absent| absent.name).collect::<Vec<_>>(),
        "machine": machine.object(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Options, ROUNDS, verdict};

    fn parsed(line: &str) -> anyhow::Result<Options> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        Options::without_time("run", &words, ROUNDS)
    }

    #[test]
    fn options_are_read_and_what_is_wrong_is_refused() {
        let options = parsed("--rounds 7 --json --no-build --enforce").expect("options");
        assert_eq!((options.rounds, options.json, options.build, options.enforce), (7, true, false, true));
        for line in ["--rounds", "--rounds 0", "--rounds x", "--seconds 1", "7"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_ratio_is_judged_by_its_must_and_its_aim() {
        for (ratio, expected) in [
            (Some(0.8), "must at most 1.2x: kept; aim at most 0.8x: reached"),
            (Some(1.2), "must at most 1.2x: kept; aim at most 0.8x: not reached"),
            (Some(1.21), "must at most 1.2x: missed; aim at most 0.8x: not reached"),
            (None, "must at most 1.2x: not compared; aim at most 0.8x: not compared"),
        ] {
            assert_eq!(verdict(ratio), expected);
        }
    }
}
