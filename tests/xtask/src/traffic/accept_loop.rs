//! The physical limit: a thread for each connection that echoes and closes, with nothing between them and the kernel. It runs in a
//! process of its own, `xtask bench-peer accept-loop PORT`, as every other contestant does.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

/// How long it rests when accepting fails.
const PAUSE: Duration = Duration::from_millis(10);

/// Serves until it is ended.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [what, port] = arguments else {
        anyhow::bail!("bench-peer is started by the bench alone");
    };
    anyhow::ensure!(what == "accept-loop", "bench-peer does not know {what:?}");
    let port: u16 = port.parse().context("a port is a number")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("port {port}"))?;
    loop {
        match listener.accept() {
            // What is wrong with one connection is its client's to notice.
            Ok((connection, _)) => drop(thread::spawn(|| echo(connection))),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

fn echo(mut connection: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        match connection.read(&mut bytes)? {
            0 => return Ok(()),
            length => connection.write_all(&bytes[..length])?,
        }
    }
}
