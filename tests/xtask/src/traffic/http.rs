//! `cargo xtask bench http`: a hello by HTTP from one component, in wjob and in `wasmtime serve`, with a fresh instance
//! for each request and with instances that are used again, on connections that are kept and on one for each request.

use std::net::SocketAddrV4;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::comparison::{Better, Comparison, Measure, Must};
use super::contest::{Contest, Entrant, Measured};
use super::http_client::{self, Client};
use super::options::Options;
use super::ours::{self, Job};
use super::server::Server;
use super::{load, loopback};
use crate::dist;
use crate::peer::{self, Missing};
use crate::step::Steps;
use crate::temporary::{self, Temporary};

/// Counted rounds.
const ROUNDS: usize = 5;
/// Rounds nobody counts.
const WARM_UPS: usize = 1;
/// Clients, each with one request at a time.
const CLIENTS: usize = 16;
/// Requests for which an instance is used again, which is what `wasmtime serve` does unless it is told otherwise.
const REUSE: usize = 128;

const PEER: &str = "wasmtime serve";

/// How often an instance is used, whether connections are kept, and what that is called.
const SCENARIOS: [(&str, usize, bool); 4] =
    [(FRESH_KEPT, 1, true), (FRESH_EACH, 1, false), (REUSED_KEPT, REUSE, true), (REUSED_EACH, REUSE, false)];
const FRESH_KEPT: &str = "fresh instance, keep-alive";
const FRESH_EACH: &str = "fresh instance, a connection each";
const REUSED_KEPT: &str = "128 requests an instance, keep-alive";
const REUSED_EACH: &str = "128 requests an instance, a connection each";

/// The budget of a request.
const MUSTS: &[Must] = &[must(FRESH_KEPT), must(FRESH_EACH), must(REUSED_KEPT), must(REUSED_EACH)];

const fn must(scenario: &'static str) -> Must {
    Must { peer: PEER, scenario, ratio: 0.9, aim: 1.3 }
}

/// Somebody who serves with instances used once at one address, and [`REUSE`] times at another.
struct Site {
    name: &'static str,
    once: SocketAddrV4,
    reused: SocketAddrV4,
    servers: Vec<Server>,
}

impl Site {
    fn address(&self, uses: usize) -> SocketAddrV4 {
        if uses == 1 { self.once } else { self.reused }
    }
}

/// Reads the options and does it.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::parse("http", arguments, ROUNDS)?;
    if options.build {
        dist::build()?;
    }
    let folder = Temporary::new("bench", 0o755)?;
    let mut steps = Steps::new(1 + WARM_UPS + options.rounds);
    let (sites, expected, missing) = steps.step("starting the contestants", || sites(&folder))?;
    let scenario = |(scenario, uses, keeps)| -> Vec<Entrant> {
        sites.iter().map(|site| entrant((site, uses, keeps), scenario, &expected, options.time)).collect()
    };
    let mut contest = Contest::new(SCENARIOS.into_iter().map(scenario).collect());
    contest.run(&mut steps, WARM_UPS, options.rounds)?;
    Comparison {
        bench: "http",
        measure: Measure { unit: "requests/s", digits: 0, better: Better::Higher },
        musts: MUSTS,
        rows: contest.into_rows(),
        missing,
        notes: notes(options.time),
        rounds: options.rounds,
    }
    .conclude(&options)
}

/// Those who serve, and the body that every answer must have: the first one of wjob.
fn sites(folder: &Temporary) -> anyhow::Result<(Vec<Site>, Vec<u8>, Vec<Missing>)> {
    let component = ours::guest(folder.path(), "http-hello")?;
    let (wjob, expected) = wjob(folder.path(), &component)?;
    match wasmtime(folder.path(), &component, &expected) {
        Ok(wasmtime) => Ok((vec![wjob, wasmtime], expected, Vec::new())),
        Err(advice) => Ok((vec![wjob], expected, vec![Missing { name: PEER, advice }])),
    }
}

/// One wjobd with a job for each way to use instances.
fn wjob(folder: &Path, component: &Path) -> anyhow::Result<(Site, Vec<u8>)> {
    let [once, reused] = loopback::free_some::<2>()?;
    let job = |address, uses: usize| Job {
        label: format!("bench.http.{uses}"),
        program: component,
        address,
        keys: format!("<key>InstanceReuse</key> <integer>{uses}</integer>\n"),
    };
    let home = folder.join(ours::NAME);
    temporary::make_folder(&home)?;
    let mut server = ours::start(&home, &[job(once, 1), job(reused, REUSE)])?;
    let mut expected = Vec::new();
    for address in [once, reused] {
        server
            .wait_for(|| {
                expected = http_client::body(address)?;
                Ok(())
            })
            .map_err(ours::unusable)?;
    }
    Ok((Site { name: ours::NAME, once, reused, servers: vec![server] }, expected))
}

/// Two of them, since how often an instance is used is an option of the process.
fn wasmtime(folder: &Path, component: &Path, expected: &[u8]) -> Result<Site, String> {
    let program = peer::wasmtime_program()?;
    let serve = |uses| serve(&program, folder, component, expected, uses);
    let ((once, first), (reused, second)) = (serve(1)?, serve(REUSE)?);
    Ok(Site { name: PEER, once, reused, servers: vec![first, second] })
}

fn serve(
    program: &Path,
    folder: &Path,
    component: &Path,
    expected: &[u8],
    uses: usize,
) -> Result<(SocketAddrV4, Server), String> {
    let failed = |error: anyhow::Error| format!("it does not run here: {error:#}");
    let [address] = loopback::free_some::<1>().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(["serve", "-Scli", "--max-instance-concurrent-reuse-count", "1"]);
    command.arg("--max-instance-reuse-count").arg(uses.to_string());
    command.arg("--addr").arg(address.to_string()).arg(component).env("HOME", folder);
    let mut server = Server::start(&mut command, &folder.join(format!("serve-{uses}.log"))).map_err(failed)?;
    server
        .wait_for(|| {
            let body = http_client::body(address)?;
            anyhow::ensure!(body == expected, "its answer is another one than wjob's");
            Ok(())
        })
        .map_err(failed)?;
    Ok((address, server))
}

/// A site, how often it uses an instance, and whether connections are kept.
type Way<'a> = (&'a Site, usize, bool);

fn entrant<'a>(
    (site, uses, keeps): Way<'a>,
    scenario: &'static str,
    expected: &'a [u8],
    time: Duration,
) -> Entrant<'a> {
    let turn = move || {
        let client = || {
            let mut client = Client::new(site.address(uses), keeps, expected);
            move || client.exchange()
        };
        let load = load::run((0..CLIENTS).map(|_| client()).collect(), time);
        site.servers.iter().for_each(Server::come_to_rest);
        Measured::rate(load, time.as_secs_f64())
    };
    Entrant { name: site.name, scenario, turn: Box::new(turn) }
}

fn notes(time: Duration) -> Vec<String> {
    let instances = ours::INSTANCES;
    vec![
        format!(
            "equal for both: the component, {CLIENTS} clients, {} s a turn, requests an instance (1 or {REUSE}), one \
             request at a time in an instance; status and every byte of each body compared",
            time.as_secs_f64()
        ),
        format!(
            "not equal: wjob is supervised, has all walls up and serves at most {instances} requests at once; \
             `wasmtime serve` has no wall and its own defaults, and its engine is of its own release, not wjob's"
        ),
    ]
}
