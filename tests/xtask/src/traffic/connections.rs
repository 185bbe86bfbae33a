//! `cargo xtask bench connections`: a connection for each echo of 64 bytes, with few clients and with many, for a fixed
//! time. Each connection is a fresh instance at wjob and a fresh process at its peers.

use std::iter;
use std::net::SocketAddrV4;
use std::time::Duration;

use super::comparison::{Better, Comparison, Measure, Must};
use super::contest::{Contest, Entrant, Measured};
use super::load::{self, Load};
use super::options::Options;
use super::ours::{self, Job};
use super::server::Server;
use super::tcp_peer::{ACCEPT_LOOP, ALL, INETD, INETD_BWRAP, INETD_WASMTIME, Kit, TcpPeer};
use super::{echo, loopback};
use crate::dist;
use crate::peer::Missing;
use crate::step::Steps;
use crate::temporary::{self, Temporary};

/// Counted rounds.
const ROUNDS: usize = 5;
/// Rounds nobody counts.
const WARM_UPS: usize = 1;

const FEW: &str = "2 clients";
const MANY: &str = "16 clients";
/// How many clients there are, and what that is called.
const CLIENTS: [(&str, usize); 2] = [(FEW, 2), (MANY, 16)];

/// The budget of a connection.
const MUSTS: &[Must] = &[
    Must { peer: INETD, scenario: FEW, ratio: 3.0, aim: 5.0 },
    Must { peer: INETD_BWRAP, scenario: FEW, ratio: 15.0, aim: 25.0 },
    Must { peer: INETD_WASMTIME, scenario: FEW, ratio: 20.0, aim: 40.0 },
    Must { peer: ACCEPT_LOOP, scenario: MANY, ratio: 0.5, aim: 0.75 },
];

/// Reads the options and does it.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::parse("connections", arguments, ROUNDS)?;
    if options.build {
        dist::build()?;
    }
    let folder = Temporary::new("bench", 0o755)?;
    let mut steps = Steps::new(1 + WARM_UPS + options.rounds);
    let (contestants, missing) = steps.step("starting the contestants", || contestants(&folder))?;
    let scenario = |(scenario, clients)| -> Vec<Entrant> {
        contestants.iter().map(|contestant| entrant(contestant, scenario, clients, options.time)).collect()
    };
    let mut contest = Contest::new(CLIENTS.into_iter().map(scenario).collect());
    contest.run(&mut steps, WARM_UPS, options.rounds)?;
    Comparison {
        bench: "connections",
        measure: Measure { unit: "connections/s", digits: 0, better: Better::Higher },
        musts: MUSTS,
        rows: contest.into_rows(),
        missing,
        notes: vec![note(options.time)],
        rounds: options.rounds,
    }
    .conclude(&options)
}

/// wjob, then its peers.
fn contestants(folder: &Temporary) -> anyhow::Result<(Vec<TcpPeer>, Vec<Missing>)> {
    let component = ours::guest(folder.path(), "echo")?;
    let [address] = loopback::free_some::<1>()?;
    let job = Job { label: "bench.echo".into(), program: &component, address, keys: ours::INETD.into() };
    let home = folder.path().join(ours::NAME);
    temporary::make_folder(&home)?;
    let mut server = ours::start(&home, &[job])?;
    answers(&mut server, address)?;
    let (peers, missing) = Kit::new(folder.path(), &component).start(ALL);
    let ours = TcpPeer { name: ours::NAME, address, server };
    Ok((iter::once(ours).chain(peers).collect(), missing))
}

/// The first echo, before which the component is compiled.
fn answers(server: &mut Server, address: SocketAddrV4) -> anyhow::Result<()> {
    server.wait_for(|| echo::exchange(address).map(|_| ())).map_err(ours::unusable)
}

fn entrant<'a>(contestant: &'a TcpPeer, scenario: &'static str, clients: usize, time: Duration) -> Entrant<'a> {
    let turn = move || {
        let load = load(contestant, clients, time);
        contestant.server.come_to_rest();
        Measured::rate(load, time.as_secs_f64())
    };
    Entrant { name: contestant.name, scenario, turn: Box::new(turn) }
}

fn load(contestant: &TcpPeer, clients: usize, time: Duration) -> Load {
    let address = contestant.address;
    load::run((0..clients).map(|_| move || echo::exchange(address).map(|_| ())).collect(), time)
}

fn note(time: Duration) -> String {
    format!(
        "{} s a turn; 64 bytes there and back on each connection, every byte compared; wjob: a fresh instance each, \
         all walls up, up to {} at once; the accept loop: a thread for each",
        time.as_secs_f64(),
        ours::INSTANCES
    )
}
