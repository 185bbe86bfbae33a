//! Attacks by time, memory and stack: computing, waiting and growing without an end. None of them asks the host for
//! anything it does not grant everybody.

use std::hint::black_box;

use wasip2::clocks::monotonic_clock;
use wasip2::io::streams::StreamError;
use wasip2::random::{insecure, random};

use super::stage::Stage;
use super::{Attack, Attempt};

/// The table.
pub const ATTACKS: &[Attack] = &[
    ("compute_for_ever", compute_for_ever),
    ("call_for_ever", call_for_ever),
    ("sleep_for_ever", sleep_for_ever),
    ("poll_for_ever", poll_for_ever),
    ("recurse_for_ever", recurse_for_ever),
    ("grow_for_ever", grow_for_ever),
    ("draw_too_many_random_bytes", draw_too_many_random_bytes),
    ("draw_too_many_insecure_bytes", draw_too_many_insecure_bytes),
    ("draw_random_bytes_for_ever", draw_random_bytes_for_ever),
    ("read_more_than_there_is", read_more_than_there_is),
    ("spend", spend),
];

const MEBIBYTE: usize = 1 << 20;
/// 2^40.
const TOO_MANY: u64 = 1 << 40;

fn compute_for_ever(_: &Stage) -> Attempt {
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Never long away from the host, and never done.
fn call_for_ever(_: &Stage) -> Attempt {
    loop {
        black_box(monotonic_clock::now());
    }
}

fn sleep_for_ever(_: &Stage) -> Attempt {
    monotonic_clock::subscribe_duration(u64::MAX).block();
    Ok("the longest sleep is over".into())
}

/// Each wait is over at once.
fn poll_for_ever(_: &Stage) -> Attempt {
    loop {
        monotonic_clock::subscribe_duration(1).block();
    }
}

fn recurse_for_ever(_: &Stage) -> Attempt {
    Ok(format!("{} calls deep", deeper(1)))
}

#[allow(unconditional_recursion, reason = "that is the attack")]
fn deeper(depth: u64) -> u64 {
    let room = black_box([depth; 8]);
    // What is added afterwards keeps it from becoming a loop.
    deeper(black_box(depth + 1)) + black_box(room)[7]
}

fn grow_for_ever(_: &Stage) -> Attempt {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; MEBIBYTE]));
    }
}

fn draw_too_many_random_bytes(_: &Stage) -> Attempt {
    Ok(format!("{} bytes", random::get_random_bytes(TOO_MANY).len()))
}

fn draw_too_many_insecure_bytes(_: &Stage) -> Attempt {
    Ok(format!("{} bytes", insecure::get_insecure_random_bytes(u64::MAX).len()))
}

/// As many at once as the host gives (1 MiB), over and over.
fn draw_random_bytes_for_ever(_: &Stage) -> Attempt {
    loop {
        black_box(random::get_random_bytes(MEBIBYTE as u64));
    }
}

fn read_more_than_there_is(_: &Stage) -> Attempt {
    let input = wasip2::cli::stdin::get_stdin();
    match (input.blocking_read(u64::MAX), input.blocking_skip(u64::MAX)) {
        (Ok(bytes), _) if !bytes.is_empty() => Ok(format!("{} bytes came", bytes.len())),
        (_, Ok(skipped)) if skipped > 0 => Ok(format!("{skipped} bytes were skipped")),
        (Err(StreamError::Closed), _) => Err("the input is at its end".into()),
        _ => Err("nothing came".into()),
    }
}

/// No attack: what stands in the place of one in a comparison. It computes as much as it is told and then waits.
fn spend(stage: &Stage) -> Attempt {
    let mut left: u64 = stage.text("units").parse().unwrap_or_default();
    left = left.saturating_mul(1_000_000);
    while left > 0 {
        left = black_box(left - 1);
    }
    super::say("spent");
    sleep_for_ever(stage)
}
