//! `handles`: is handed one connection at a time and does what its first line says: `peer` tells who is at the other
//! end, through which socket and as which connection, `echo` sends everything back, `shout` sends it back in capitals by
//! the connection's other face, `log` writes one line to standard error in two halves with a line of the client between
//! them, `record` writes one by each of the crates for that, and `trap`, `spin`, `grow` and `sleep` come to no good end;
//! `count` tells how many connections the instance has had, and `keep` keeps one although it has served it. It holds no
//! authority and tries none.

#[path = "../line.rs"]
mod line;

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};

use wjob_sdk::{Connection, Error, copy};

use line::line;

/// How much memory is taken at once.
const MEBIBYTE: usize = 1 << 20;

/// Connections so far.
static COUNT: AtomicU32 = AtomicU32::new(0);

wjob_sdk::connection_handler!(handle);

async fn handle(mut connection: Connection) -> Result<(), Error> {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    let word = line(&mut connection).await?;
    match word.as_str() {
        "peer" => {
            let told = format!("{} through {} as {}\n", connection.peer(), connection.socket(), connection.number());
            connection.write_all(told.as_bytes()).await?;
        }
        "echo" => {
            let (mut reader, mut writer) = connection.split();
            copy(&mut reader, &mut writer).await?;
            return writer.finish().await;
        }
        "shout" => {
            return shout(connection).map_err(|error| {
                eprintln!("shout: {error}");
                Error::Other
            });
        }
        "record" => record(),
        "log" => {
            eprint!("the first half, ");
            connection.write_all(b"half\n").await?;
            line(&mut connection).await?;
            eprintln!("the second half");
        }
        "count" => connection.write_all(format!("{count}\n").as_bytes()).await?,
        "keep" => {
            std::mem::forget(connection);
            return Ok(());
        }
        "trap" => panic!("handles traps on purpose"),
        "spin" => spin(),
        "grow" => grow(),
        "sleep" => sleep().await,
        _ => connection.write_all(b"unknown\n").await?,
    }
    connection.finish().await
}

/// Reads and writes as the standard library does.
fn shout(connection: Connection) -> io::Result<()> {
    let mut connection = connection.blocking();
    let mut text = String::new();
    connection.read_to_string(&mut text)?;
    connection.write_all(text.to_uppercase().as_bytes())?;
    connection.finish()
}

/// Writes to the job's log as libraries do that know nothing of wjob.
fn record() {
    wjob_sdk::logging::init();
    log::info!("a record of log");
    log::debug!("nobody asked for this one");
    tracing::warn!(attempts = 3, "an event of tracing");
}

/// Computes for ever, without calling the host.
fn spin() -> ! {
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Takes memory for ever, until that is refused, which ends a program of the standard library.
fn grow() -> ! {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1_u8; MEBIBYTE]);
        black_box(&kept);
    }
}

/// Waits in the host for longer than any client does.
#[cfg(target_arch = "wasm32")]
async fn sleep() {
    const HOUR: u64 = 3_600_000_000_000;
    wasip3::clocks::monotonic_clock::wait_for(HOUR).await;
}

#[cfg(not(target_arch = "wasm32"))]
async fn sleep() {
    std::future::pending().await
}
