//! `cargo xtask bench cold`: the time from connecting to the last of 64 echoed bytes, when nobody runs yet. wjob has a
//! job for each round, all of one program, compiled already, and each is touched once: so none has to be waited for
//! until it ends, and each round finds the same. Its peers have no process between two connections anyway.

use std::iter;
use std::net::SocketAddrV4;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::comparison::{Better, Comparison, Measure, Must};
use super::contest::{Contest, Entrant, Measured};
use super::options::Options;
use super::ours::{self, Job};
use super::server::Server;
use super::tcp_peer::{INETD_WASMTIME, Kit, THROUGH_INETD, TcpPeer};
use super::{echo, loopback};
use crate::dist;
use crate::step::Steps;
use crate::temporary::{self, Temporary};

/// Counted rounds: enough for a p10 and a p90.
const ROUNDS: usize = 40;
/// Rounds nobody counts; in the first one wjob compiles the program.
const WARM_UPS: usize = 3;

const SCENARIO: &str = "first byte of an idle job";

/// The budget of a first byte.
const MUSTS: &[Must] = &[Must { peer: INETD_WASMTIME, scenario: SCENARIO, ratio: 1.0, aim: 0.5 }];

/// Reads the options and does it.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::parse("cold", arguments, ROUNDS)?;
    if options.build {
        dist::build()?;
    }
    let folder = Temporary::new("bench", 0o755)?;
    let mut steps = Steps::new(2);
    let component = ours::guest(folder.path(), "echo")?;
    let addresses = loopback::free(WARM_UPS + options.rounds)?;
    let (wjobd, peers, missing) = steps.step("starting the contestants", || {
        let wjobd = begin(&folder.path().join(ours::NAME), &component, &addresses)?;
        let (peers, missing) = Kit::new(folder.path(), &component).start(THROUGH_INETD);
        Ok((wjobd, peers, missing))
    })?;
    let mut entrants = vec![entrant(ours::NAME, &wjobd, addresses.iter().copied())];
    entrants.extend(peers.iter().map(peer));
    let mut contest = Contest::new(vec![entrants]);
    // Rounds are too short to be a step each.
    steps.step("measuring", || {
        contest.warm_up(WARM_UPS);
        contest.rounds(options.rounds);
        Ok(())
    })?;
    Comparison {
        bench: "cold",
        measure: Measure { unit: "ms", digits: 2, better: Better::Lower },
        musts: MUSTS,
        rows: contest.into_rows(),
        missing,
        notes: vec!["from connecting to 64 echoed bytes; wjob: no worker yet, compiled, all walls up".into()],
        rounds: options.rounds,
    }
    .conclude(&options)
}

/// A wjobd with a job for each address, none of which runs.
fn begin(home: &Path, component: &Path, addresses: &[SocketAddrV4]) -> anyhow::Result<Server> {
    let job = |(number, address): (usize, &SocketAddrV4)| Job {
        label: format!("bench.echo.{number}"),
        program: component,
        address: *address,
        keys: ours::INETD.into(),
    };
    temporary::make_folder(home)?;
    let jobs: Vec<Job> = addresses.iter().enumerate().map(job).collect();
    let server = ours::start(home, &jobs)?;
    ours::ensure_idle(home)?;
    Ok(server)
}

fn peer(peer: &TcpPeer) -> Entrant<'_> {
    entrant(peer.name, &peer.server, iter::repeat(peer.address))
}

/// One that is asked at the next of its addresses each time.
fn entrant<'a>(
    name: &'static str,
    server: &'a Server,
    mut addresses: impl Iterator<Item = SocketAddrV4> + 'a,
) -> Entrant<'a> {
    let turn = move || {
        let elapsed = addresses.next().context("there is no job that was not touched").and_then(echo::exchange);
        server.come_to_rest();
        measured(elapsed)
    };
    Entrant { name, scenario: SCENARIO, turn: Box::new(turn) }
}

fn measured(elapsed: anyhow::Result<Duration>) -> Measured {
    match elapsed {
        Ok(elapsed) => Measured { value: Some(elapsed.as_secs_f64() * 1000.0), ..Measured::default() },
        Err(error) => Measured { value: None, errors: 1, fault: Some(format!("{error:#}")) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_fails_has_no_value() {
        let measured_time = measured(Ok(Duration::from_micros(1500)));
        assert_eq!((measured_time.value, measured_time.errors), (Some(1.5), 0));
        let failed = measured(Err(anyhow::anyhow!("refused")));
        assert_eq!((failed.value, failed.errors, failed.fault.as_deref()), (None, 1, Some("refused")));
    }
}
