//! The resolve role: looks names up with the system's own resolver, behind walls that leave it resolver files
//! and port 53. It hands addresses back and connects to none of them.

use std::net::{IpAddr, ToSocketAddrs};

use wjob_model::message::{FromWorker, Names, Resolve, StartFailure};
use wjob_sandbox::confine;

use crate::role::{Started, report};

/// Most addresses kept of one name.
const MOST_ADDRESSES: usize = 64;

/// Performs the role.
pub(crate) fn perform(started: Started, resolve: &Resolve) -> u8 {
    if let Err(error) = confine(&resolve.walls, &[]) {
        report(&started.channel, StartFailure::wall("the resolve role", error));
        return 1;
    }
    let names: Names = resolve.names.iter().map(|name| (name.clone(), addresses(name))).collect();
    let _ = started.channel.send(&FromWorker::Resolved(names), &[]);
    0
}

fn addresses(name: &str) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = (name, 0)
        .to_socket_addrs()
        .map(|found| found.map(|address| address.ip().to_canonical()).collect())
        .unwrap_or_default();
    addresses.dedup();
    addresses.truncate(MOST_ADDRESSES);
    addresses
}
