//! Attacks by a server that the guest may talk to, on the host that reads its answers for the guest: heads and bodies
//! without an end, cut short, or slower than anybody waits. The guest only asks; that the host neither fails nor fills up
//! is what is tried.

use wasip2::clocks::monotonic_clock;
use wasip2::http::types::Fields;
use wasip2::io::streams::StreamError;

use super::requests::{answered, request, send};
use super::stage::Stage;
use super::{Attack, Attempt};

/// The table.
pub const ATTACKS: &[Attack] = &[
    ("read_a_head_without_end", |stage| drained(stage, "/endless-head")),
    ("read_a_body_without_end", |stage| drained(stage, "/endless-body")),
    ("read_trailers_without_end", |stage| drained(stage, "/endless-trailers")),
    ("read_promises_without_end", |stage| drained(stage, "/endless-continue")),
    ("read_a_chunk_of_all_memory", |stage| drained(stage, "/huge-chunk")),
    ("read_what_is_no_answer", |stage| drained(stage, "/no-http")),
    ("read_a_slow_head", |stage| drained(stage, "/slow-head")),
    ("read_a_slow_body", |stage| drained(stage, "/slow-body")),
    ("wait_for_no_answer", |stage| drained(stage, "/nothing")),
    ("read_a_body_that_is_cut_short", read_a_body_that_is_cut_short),
    ("leave_a_body_unread", leave_a_body_unread),
];

/// How long a body that nobody reads is left alone, nanoseconds.
const LEFT_ALONE: u64 = 1_000_000_000;
/// How much the server says it will send, and does not.
const SAID: usize = 1000;

/// Reads to the end: how much came, and whether the end was one that the server had said.
fn read(stage: &Stage, path: &str) -> Result<usize, String> {
    let pending = send(request(stage, path, Fields::new()))?;
    let answer = answered(&pending)?;
    let body = answer.consume().map_err(|()| "the answer has no body")?;
    let stream = body.stream().map_err(|()| "the body has no stream")?;
    let mut length = 0;
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(piece) => length += piece.len(),
            Err(StreamError::Closed) => return Ok(length),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// An answer that never ends must not come to an end.
fn drained(stage: &Stage, path: &str) -> Attempt {
    match read(stage, path) {
        Ok(length) => Ok(format!("it ended well after {length} bytes")),
        Err(why) => Err(why),
    }
}

fn read_a_body_that_is_cut_short(stage: &Stage) -> Attempt {
    match read(stage, "/cut-short") {
        Ok(length) if length < SAID => Ok(format!("{length} of {SAID} bytes counted as all of it")),
        Ok(length) => Err(format!("{length} bytes came")),
        Err(why) => Err(why),
    }
}

/// The server sends as fast as it can; what the guest does not read is not the host's to keep.
fn leave_a_body_unread(stage: &Stage) -> Attempt {
    let pending = send(request(stage, "/endless-body", Fields::new()))?;
    let answer = answered(&pending)?;
    let body = answer.consume().map_err(|()| "the answer has no body")?;
    let _stream = body.stream().map_err(|()| "the body has no stream")?;
    monotonic_clock::subscribe_duration(LEFT_ALONE).block();
    Err("it was left alone, and nothing happened".into())
}
