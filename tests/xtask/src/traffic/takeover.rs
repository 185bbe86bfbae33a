//! `cargo xtask bench takeover`: three thousand requests a second while wjob replaces what serves them: a worker by
//! another (`wjob kickstart -k`), a component by a new one (`wjob reload`), the supervisor's program (`wjob upgrade`).
//! Nobody is compared with. What counts is that no request fails; how many there were says how much that means.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::http_client::{self, Client};
use super::load::{self, Load};
use super::loopback;
use super::options::Options;
use super::ours::{self, Job};
use super::server::Server;
use crate::cargo;
use crate::dist;
use crate::machine::Machine;
use crate::statistics::Rounds;
use crate::step::Steps;
use crate::temporary::{self, Temporary};
use crate::wjobd;

/// Counted rounds.
const ROUNDS: usize = 5;
/// Requests a second of all clients together.
const RATE: u32 = 3_000;
/// Clients, of which every other one keeps its connection.
const CLIENTS: u32 = 16;
/// Between the end of one replacement and the next.
const BETWEEN: Duration = Duration::from_millis(300);

const LABEL: &str = "bench.takeover";

/// What is done under load, over and over, and how that is called; the first is the same load and nothing done.
const SCENARIOS: [(&str, &[&str]); 4] = [
    ("nothing is replaced", &[]),
    ("wjob kickstart -k", &["kickstart", "-k", LABEL]),
    ("wjob reload LABEL", &["reload", LABEL]),
    ("wjob upgrade", &["upgrade"]),
];

/// wjob, and where its job is.
struct Site {
    address: SocketAddrV4,
    home: PathBuf,
    expected: Vec<u8>,
    server: Server,
}

/// What became of one scenario, in all rounds.
#[derive(Default)]
struct Row {
    scenario: &'static str,
    /// Requests a second that were answered.
    rates: Rounds,
    /// How often something was replaced.
    replaced: u64,
    /// Requests that were asked once more, since the connection that was kept had been closed.
    again: u64,
    /// Requests that failed.
    failed: u64,
    /// What was wrong with the first of them.
    fault: Option<String>,
}

/// Reads the options and does it.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::parse("takeover", arguments, ROUNDS)?;
    if options.build {
        dist::build()?;
    }
    let folder = Temporary::new("bench", 0o755)?;
    let mut steps = Steps::new(1 + options.rounds);
    let site = steps.step("starting wjob", || begin(folder.path()))?;
    let mut rows = SCENARIOS.map(|(scenario, _)| Row { scenario, ..Row::default() });
    for round in 1..=options.rounds {
        steps.step(&format!("round {round} of {}", options.rounds), || {
            rows.iter_mut().zip(SCENARIOS).try_for_each(|(row, (_, words))| row.add(&site, words, options.time))
        })?;
    }
    conclude(&rows, &options)
}

/// One wjobd with one job.
fn begin(folder: &Path) -> anyhow::Result<Site> {
    let program = ours::guest(folder, "http-hello")?;
    let [address] = loopback::free_some::<1>()?;
    let home = folder.join(ours::NAME);
    temporary::make_folder(&home)?;
    let job = Job { label: LABEL.into(), program: &program, address, keys: String::new() };
    let mut server = ours::start(&home, &[job])?;
    let mut expected = Vec::new();
    let answers = || {
        expected = http_client::body(address)?;
        Ok(())
    };
    server.wait_for(answers).map_err(ours::unusable)?;
    Ok(Site { address, home, expected, server })
}

/// A client's place in time. One that is late makes up for nothing.
struct Pace {
    interval: Duration,
    next: Instant,
}

impl Pace {
    fn new(interval: Duration) -> Self {
        Self { interval, next: Instant::now() }
    }

    /// Waits for the moment of the next request.
    fn wait(&mut self) {
        thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next = (self.next + self.interval).max(Instant::now());
    }
}

impl Row {
    /// One round.
    fn add(&mut self, site: &Site, words: &[&str], time: Duration) -> anyhow::Result<()> {
        let (again, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let (load, replaced) = thread::scope(|scope| {
            let replacing = scope.spawn(|| replace(site, words, &over));
            let load = load::run((0..CLIENTS).map(|number| client(site, number, &again)).collect(), time);
            over.store(true, Ordering::Relaxed);
            (load, replacing.join())
        });
        let replaced = replaced.unwrap_or_else(|_| Err(anyhow::anyhow!("what replaces has panicked")))?;
        site.server.come_to_rest();
        self.count(load, replaced, again.into_inner(), time);
        Ok(())
    }

    fn count(&mut self, load: Load, replaced: u64, again: u64, time: Duration) {
        self.rates.push(Some(load.done as f64 / time.as_secs_f64()));
        self.replaced += replaced;
        self.again += again;
        self.failed += load.errors;
        self.fault = self.fault.take().or(load.fault);
    }
}

/// One of the clients: each time it asks once, when its moment has come.
fn client<'a>(site: &'a Site, number: u32, again: &'a AtomicU64) -> impl FnMut() -> anyhow::Result<()> + Send + 'a {
    let mut client = Client::new(site.address, number.is_multiple_of(2), &site.expected);
    let mut pace = Pace::new(Duration::from_secs(1) / RATE * CLIENTS);
    move || {
        pace.wait();
        let asked_again = client.exchange_or_again()?;
        again.fetch_add(u64::from(asked_again), Ordering::Relaxed);
        Ok(())
    }
}

/// Gives a command until the load is over, and says how often.
fn replace(site: &Site, words: &[&str], over: &AtomicBool) -> anyhow::Result<u64> {
    let mut times = 0;
    while !words.is_empty() && !over.load(Ordering::Relaxed) {
        let mut command = Command::new(dist::folder().join("bin/wjob"));
        command.args(words).env("WJOB_SOCKET", wjobd::socket(&site.home));
        let line = cargo::command_line(&command);
        let output = command.output().with_context(|| format!("cannot start `{line}`"))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "`{line}` failed: {}", complaint.trim());
        times += 1;
        thread::sleep(BETWEEN);
    }
    Ok(times)
}

fn conclude(rows: &[Row], options: &Options) -> anyhow::Result<()> {
    let machine = Machine::read();
    if options.json {
        println!("{}", object(rows, &machine, options.rounds));
    } else {
        println!("{}{}\n{} rounds; {}", table(rows), notes(options.time), options.rounds, machine.in_words());
    }
    let missed = missed(rows);
    anyhow::ensure!(!options.enforce || missed.is_empty(), "not what it must be: {}", missed.join("; "));
    Ok(())
}

/// What must not be: a request that failed, and a replacement that was asked for and never happened.
fn missed(rows: &[Row]) -> Vec<String> {
    let failed = rows.iter().filter(|row| row.failed > 0).map(|row| {
        let fault = row.fault.as_deref().unwrap_or_default();
        format!("{} requests failed with {}, the first: {fault}", row.failed, row.scenario)
    });
    let idle = rows.iter().skip(1).filter(|row| row.replaced == 0);
    failed.chain(idle.map(|row| format!("{} was never done", row.scenario))).collect()
}

fn table(rows: &[Row]) -> String {
    let mut text = line("requests/s", ["median", "p10", "p90", "times", "asked again", "failed"]);
    for row in rows {
        let [median, low, high] = [50.0, 10.0, 90.0]
            .map(|percent| row.rates.percentile(percent).map_or_else(|| "-".to_owned(), |value| format!("{value:.0}")));
        let [times, again, failed] = [row.replaced, row.again, row.failed].map(|count| count.to_string());
        text += &line(row.scenario, [&median, &low, &high, &times, &again, &failed]);
    }
    missed(rows).into_iter().fold(text, |text, line| text + &line + "\n")
}

/// Columns, with an end of line.
fn line(name: &str, [median, low, high, times, again, failed]: [&str; 6]) -> String {
    format!("{name:<24}{median:>10}{low:>10}{high:>10}{times:>8}{again:>14}{failed:>8}\n")
}

fn notes(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!(
        "asked: {RATE} requests/s of {CLIENTS} clients, half of which keep their connections, for {seconds} s a round; \
         must: 0 failed. Asked again is what was sent on a connection that the server was closing (RFC 9112, 9.3.1)"
    )
}

fn object(rows: &[Row], machine: &Machine, rounds: usize) -> serde_json::Value {
    let result = |row: &Row| {
        serde_json::json!({
            "scenario": row.scenario,
            "median": row.rates.percentile(50.0),
            "p10": row.rates.percentile(10.0),
            "p90": row.rates.percentile(90.0),
            "replaced": row.replaced,
            "again": row.again,
            "failed": row.failed,
            "fault": row.fault,
        })
    };
    serde_json::json!({
        "bench": "takeover",
        "rounds": rounds,
        "unit": "requests/s",
        "asked": RATE,
        "kept": missed(rows).is_empty(),
        "results": rows.iter().map(result).collect::<Vec<_>>(),
        "machine": machine.object(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(replaced: u64, errors: u64) -> [Row; 2] {
        ["nothing", "a verb"].map(|scenario| {
            let mut row = Row { scenario, ..Row::default() };
            let fault = (errors > 0).then(|| "refused".to_owned());
            row.count(Load { done: 6_000, errors, fault }, replaced, 1, Duration::from_secs(2));
            row
        })
    }

    #[test]
    fn a_request_that_failed_and_a_verb_that_was_never_given_are_missed() {
        assert!(missed(&rows(3, 0)).is_empty());
        assert_eq!(missed(&rows(0, 0)), ["a verb was never done"]);
        let failed = missed(&rows(3, 2));
        assert_eq!(failed[1], "2 requests failed with a verb, the first: refused");
    }

    #[test]
    fn the_table_has_a_line_for_each_scenario_and_says_what_was_missed() {
        let table = table(&rows(3, 2));
        let words: Vec<String> =
            table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            words[..3],
            [
                "requests/s median p10 p90 times asked again failed",
                "nothing 3000 3000 3000 3 1 2",
                "a verb 3000 3000 3000 3 1 2",
            ]
        );
        assert_eq!(words.len(), 5);
    }

    #[test]
    fn who_is_late_makes_up_for_nothing() {
        let interval = Duration::from_millis(1);
        let began = Instant::now();
        let mut pace = Pace { interval, next: began };
        for _ in 0..10 {
            let before = Instant::now();
            pace.wait();
            assert!(pace.next >= before, "a request that is due already would follow");
        }
        assert!(pace.next >= began + 10 * interval);
    }
}
