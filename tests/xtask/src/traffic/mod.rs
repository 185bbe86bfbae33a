//! `cargo xtask bench connections|http|cold|takeover|neighbours`: what becomes of traffic, in wjob and in its peers, in one run.
//! Everything stays on loopback. One machine generates the load and serves it, so only the ratios mean something.

pub mod accept_loop;
mod attackers;
mod c_echo;
mod cold;
mod comparison;
mod connections;
mod contest;
mod echo;
mod http;
mod http_client;
mod http_response;
mod load;
mod loopback;
mod neighbours;
pub mod options;
mod ours;
mod server;
mod takeover;
mod tcp_peer;

use crate::step::advise;

/// The benches of this folder, by name.
pub fn run(bench: &str, arguments: &[String]) -> anyhow::Result<()> {
    match bench {
        "connections" => connections::run(arguments),
        "http" => http::run(arguments),
        "cold" => cold::run(arguments),
        "takeover" => takeover::run(arguments),
        "neighbours" => neighbours::run(arguments),
        other => Err(advise(
            &format!("there is no bench {other:?}"),
            "the benches are run, idle, connections, http, cold, takeover and neighbours",
            "see `cargo xtask help`",
        )),
    }
}
