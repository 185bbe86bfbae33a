//! `cargo xtask bench idle`: ten thousand loaded jobs that wait for something, in wjobd and in its peers: how soon they
//! are loaded, what each costs, and whether anybody wakes while nothing is due. The kernel's own memory for what is
//! watched is not in it. Nothing is judged but wjobd's budget, and that in words only.

use std::thread;
use std::time::Duration;

use crate::dist;
use crate::loaded::{Contestant, JOBS, Loaded, all};
use crate::machine::Machine;
use crate::peer::Missing;
use crate::process::{Held, switches};
use crate::statistics::Times;
use crate::step::Steps;
use crate::temporary::Temporary;

/// How often jobs are loaded, for a median of the times.
const LOADS: usize = 3;
/// How long wake-ups are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// How long everybody is given at most to come to rest, and in which steps that is looked at.
const RESTS: usize = 10;
const REST: Duration = Duration::from_secs(1);

/// The budget of an idle job: most bytes, the aim for them, most seconds to load all jobs.
const BYTES: f64 = 10_000.0;
const AIM: f64 = 4_000.0;
const SECONDS: f64 = 2.0;

/// Processes that count together.
struct Group {
    name: &'static str,
    processes: usize,
    /// `None` = these processes let nobody look.
    held: Option<Held>,
    switches: u64,
}

/// A row of the table, as for [`JOBS`] jobs.
struct Row {
    name: &'static str,
    /// The jobs it was measured with.
    measured: usize,
    seconds: Option<f64>,
    /// Bytes a job: resident, and with its part of what is shared.
    bytes: Option<(f64, f64)>,
    switches: f64,
    descriptors: Option<f64>,
    processes: f64,
}

/// Parses `[--json] [--no-build]` and does it.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let (mut json, mut build) = (false, true);
    for word in arguments {
        match word.as_str() {
            "--json" => json = true,
            "--no-build" => build = false,
            other => anyhow::bail!("bench idle does not know {other:?}; see `cargo xtask help`"),
        }
    }
    if build {
        dist::build()?;
    }
    let (rows, missing) = measure_all()?;
    let machine = Machine::read();
    if json {
        println!("{}", object(&rows, &missing, &machine));
    } else {
        table(&rows, &missing, &machine);
    }
    Ok(())
}

/// Without wjobd there is nothing to compare; a peer that fails takes no part.
fn measure_all() -> anyhow::Result<(Vec<Row>, Vec<Missing>)> {
    let (contestants, mut missing) = all();
    let mut steps = Steps::new(contestants.len());
    let mut rows = Vec::new();
    for (turn, contestant) in contestants.iter().enumerate() {
        let what = format!("measuring {} with {} jobs", contestant.name, contestant.jobs);
        match steps.step(&what, || measure(contestant)) {
            Ok(found) => rows.extend(found),
            Err(error) if turn == 0 => return Err(error),
            Err(error) => missing.push(Missing { name: contestant.name, advice: format!("{error:#}") }),
        }
    }
    Ok((rows, missing))
}

/// With its jobs and with none: the difference is theirs.
fn measure(contestant: &Contestant) -> anyhow::Result<Vec<Row>> {
    let mut times = Times::new();
    for _ in 1..LOADS {
        let folder = Temporary::new("idle", 0o700)?;
        let loaded = contestant.begin(folder.path(), contestant.jobs)?;
        times.push(loaded.ready);
        loaded.end()?;
    }
    let (_, without) = sample(contestant, 0, Duration::ZERO)?;
    let (ready, with) = sample(contestant, contestant.jobs, WINDOW)?;
    times.push(ready);
    let seconds = times.percentile(50.0) / 1000.0;
    let rows = without.iter().zip(&with).enumerate();
    Ok(rows.map(|(at, (without, with))| row(without, with, contestant.jobs, (at == 0).then_some(seconds))).collect())
}

/// Begins with so many jobs, waits for rest, counts, and ends.
fn sample(contestant: &Contestant, jobs: usize, window: Duration) -> anyhow::Result<(Duration, Vec<Group>)> {
    let folder = Temporary::new("idle", 0o700)?;
    let loaded = contestant.begin(folder.path(), jobs)?;
    come_to_rest(&loaded);
    let groups = grouped(contestant, &loaded.processes());
    let before: Vec<u64> = groups.iter().map(|(_, processes)| switches(processes)).collect();
    thread::sleep(window);
    let counted = groups.iter().zip(before).map(|((name, processes), before)| {
        let switches = switches(processes).saturating_sub(before);
        Group { name, processes: processes.len(), held: Held::by(processes).ok(), switches }
    });
    let (ready, counted) = (loaded.ready, counted.collect());
    loaded.end()?;
    Ok((ready, counted))
}

/// Waits until nobody runs for a second; whoever never rests is counted all the same.
fn come_to_rest(loaded: &Loaded) {
    let mut last = None;
    for _ in 0..RESTS {
        thread::sleep(REST);
        let now = Some(switches(&loaded.processes()));
        if std::mem::replace(&mut last, now) == now {
            return;
        }
    }
}

/// The processes that make a row each.
fn grouped(contestant: &Contestant, processes: &[u32]) -> Vec<(&'static str, Vec<u32>)> {
    match (contestant.rest, processes.split_first()) {
        (Some(rest), Some((first, others))) => vec![(contestant.name, vec![*first]), (rest, others.to_vec())],
        _ => vec![(contestant.name, processes.to_vec())],
    }
}

/// Counts of fewer jobs than [`JOBS`] are scaled: what they add, as often as it goes into them.
fn row(without: &Group, with: &Group, jobs: usize, seconds: Option<f64>) -> Row {
    let scale = JOBS as f64 / jobs as f64;
    let scaled = |without: usize, with: usize| without as f64 + (with as f64 - without as f64) * scale;
    let held = without.held.zip(with.held);
    let each = |without: u64, with: u64| (with as f64 - without as f64) / jobs as f64;
    Row {
        name: with.name,
        measured: jobs,
        seconds: seconds.map(|seconds| seconds * scale),
        bytes: held.map(|(without, with)| {
            (each(without.resident, with.resident), each(without.proportional, with.proportional))
        }),
        switches: with.switches as f64 * scale,
        descriptors: held.map(|(without, with)| scaled(without.descriptors, with.descriptors)),
        processes: scaled(without.processes, with.processes),
    }
}

fn table(rows: &[Row], missing: &[Missing], machine: &Machine) {
    println!(
        "{:<14}{:>14}{:>10}{:>11}{:>11}{:>14}{:>13}{:>11}",
        "", "measured with", "loaded s", "B/job RSS", "B/job PSS", "switches 10 s", "descriptors", "processes"
    );
    for row in rows {
        let number = |value: Option<f64>, digits: usize| value.map_or("-".into(), |value| format!("{value:.digits$}"));
        let (resident, proportional) = row.bytes.unzip();
        println!(
            "{:<14}{:>14}{:>10}{:>11}{:>11}{:>14.0}{:>13}{:>11.0}",
            row.name,
            row.measured,
            number(row.seconds, 2),
            number(resident, 0),
            number(proportional, 0),
            row.switches,
            number(row.descriptors, 0),
            row.processes
        );
    }
    for absent in missing {
        println!("{:<14}{}", absent.name, absent.advice);
    }
    rows.first().map(budget).into_iter().flatten().for_each(|line| println!("{line}"));
    println!("for {JOBS} jobs; what was measured with fewer is scaled; {}", machine.in_words());
}

/// wjobd's budget, line by line.
fn budget(row: &Row) -> Vec<String> {
    let word = |kept: bool| if kept { "kept" } else { "MISSED" };
    let bytes = row.bytes.map(|(_, bytes)| {
        let aim = if bytes <= AIM { "reached" } else { "not reached" };
        format!("budget: {bytes:.0} B a job, at most {BYTES:.0}: {}; the aim of {AIM:.0}: {aim}", word(bytes <= BYTES))
    });
    let seconds = row
        .seconds
        .map(|seconds| format!("budget: loaded in {seconds:.2} s, at most {SECONDS:.0}: {}", word(seconds <= SECONDS)));
    let wakes =
        format!("budget: {:.0} switches while nothing is due, none: {}", row.switches, word(row.switches == 0.0));
    bytes.into_iter().chain(seconds).chain([wakes]).collect()
}

fn object(rows: &[Row], missing: &[Missing], machine: &Machine) -> serde_json::Value {
    let row = |row: &Row| {
        let (resident, proportional) = row.bytes.unzip();
        serde_json::json!({
            "name": row.name,
            "measuredWith": row.measured,
            "loadedSeconds": row.seconds,
            "residentPerJob": resident,
            "proportionalPerJob": proportional,
            "switches": row.switches,
            "descriptors": row.descriptors,
            "processes": row.processes,
        })
    };
    let absent = |absent: &Missing| serde_json::json!({ "name": absent.name, "why": absent.advice });
    serde_json::json!({
        "jobs": JOBS,
        "windowSeconds": WINDOW.as_secs(),
        "results": rows.iter().map(row).collect::<Vec<_>>(),
        "missing": missing.iter().map(absent).collect::<Vec<_>>(),
        "budget": { "bytesPerJob": BYTES, "aimedBytesPerJob": AIM, "loadedSeconds": SECONDS, "switches": 0 },
        "machine": machine.object(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(processes: usize, resident: u64, descriptors: usize, switches: u64) -> Group {
        let held = Some(Held { resident, proportional: resident / 2, descriptors });
        Group { name: "x", processes, held, switches }
    }

    #[test]
    fn what_few_jobs_add_is_scaled_and_what_was_there_is_not() {
        let row = row(&group(1, 1_000, 7, 0), &group(201, 201_000, 1_407, 2), 200, Some(0.2));
        assert_eq!(row.bytes, Some((1_000.0, 500.0)));
        assert_eq!((row.processes, row.descriptors), (10_001.0, Some(70_007.0)));
        assert_eq!((row.switches, row.seconds.map(f64::round)), (100.0, Some(10.0)));
    }

    #[test]
    fn the_budget_is_kept_or_missed() {
        for (bytes, seconds, switches, expected) in [
            (3_999.0, 1.99, 0.0, ["kept; the aim of 4000: reached", "kept", "kept"]),
            (4_001.0, 2.01, 1.0, ["kept; the aim of 4000: not reached", "MISSED", "MISSED"]),
            (10_001.0, 0.5, 0.0, ["MISSED; the aim of 4000: not reached", "kept", "kept"]),
        ] {
            let mut row = row(&group(1, 0, 0, 0), &group(1, 0, 0, 0), JOBS, Some(seconds));
            row.bytes = Some((bytes, bytes));
            row.switches = switches;
            for (line, expected) in budget(&row).iter().zip(expected) {
                assert!(line.ends_with(expected), "{line}");
            }
        }
    }
}
