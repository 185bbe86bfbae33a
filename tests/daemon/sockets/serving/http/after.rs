//! Work that goes on after an answer: it has its time, counted from the answer's last byte, and no more; what is cut off
//! then is in the log. Time has to pass here. A busy machine may take more of it than there was, and so each is tried
//! until it has come about.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::super::{Client, PATIENCE, cut_off, served};
use super::answers;
use super::client::{piece, upload};
use crate::harness::Supervisor;

/// IdleTime of these jobs.
const IDLE: Duration = Duration::from_secs(1);

/// Tries until this is in the job's log.
#[track_caller]
fn tried_until_logged(supervisor: &Supervisor, label: &str, line: &str, attempt: impl Fn()) {
    let start = Instant::now();
    loop {
        attempt();
        let log = supervisor.wjob(&["log", label]);
        if log.exits(0).output().contains(line) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{label}: {line:?} is not in\n{}", log.described());
    }
}

/// Has a body of pieces sent back for longer than IdleTime, and takes the answer to its end. Whoever is cut off before
/// has needed more time than there was.
fn takes_a_long_answer(mut client: Client) -> std::io::Result<()> {
    let mut heard = vec![0_u8];
    client.0.write_all(upload("/after").as_bytes())?;
    client.0.read_exact(&mut heard)?;
    let start = Instant::now();
    while start.elapsed() <= IDLE {
        client.0.write_all(piece("more").as_bytes())?;
        thread::sleep(IDLE / 20);
    }
    client.0.write_all(piece("").as_bytes())?;
    while !heard.ends_with(b"\r\n0\r\n\r\n") {
        let mut more = [0; 1024];
        match client.0.read(&mut more)? {
            0 => return Ok(()),
            length => heard.extend_from_slice(&more[..length]),
        }
    }
    Ok(())
}

#[test]
fn work_after_an_answer_is_done_however_long_the_answer_was_on_its_way() {
    let (supervisor, jobs) = served(&answers().limit("IdleTime", IDLE.as_secs()));
    for (label, place) in &jobs {
        tried_until_logged(&supervisor, label, "the work after the answer is done", || {
            // Whether it has come about is in the log.
            let _ = takes_a_long_answer(place.connect());
        });
    }
}

#[test]
fn work_after_an_answer_that_never_ends_is_cut_off_and_the_log_says_so() {
    const REQUEST: &str = "GET /forever HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for (limit, reason) in [("IdleTime", "it took longer than IdleTime"), ("RunTime", "limit RunTime reached")] {
        let (supervisor, jobs) = served(&answers().limit(limit, 1));
        for (label, place) in &jobs {
            let line = format!("its work after the answer is cut off: {reason}");
            tried_until_logged(&supervisor, label, &line, || {
                let mut client = place.connect();
                client.say(REQUEST);
                cut_off(client);
            });
        }
    }
}
