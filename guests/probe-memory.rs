//! `probe-memory MIB`: takes memory in steps of 1 MiB, touches it and keeps it until the end.
//! A refusal is an answer here, never an abort; what was taken is given back before it is told.

use std::hint::black_box;

/// One step.
const MEBIBYTE: usize = 1024 * 1024;

fn main() {
    let wanted: usize = guests::number(1, "MIB");
    let taken = take(wanted);
    let result = if taken == wanted { Ok(format!("{taken} MiB")) } else { Err(format!("refused after {taken} MiB")) };
    guests::report("memory", result);
}

/// How many steps were granted.
fn take(wanted: usize) -> usize {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    while blocks.len() < wanted {
        let Some(block) = touched_block() else { break };
        if blocks.try_reserve(1).is_err() {
            break;
        }
        blocks.push(block);
    }
    black_box(&blocks).len()
}

/// One step of memory, every byte written.
fn touched_block() -> Option<Vec<u8>> {
    let mut block = Vec::new();
    block.try_reserve_exact(MEBIBYTE).ok()?;
    block.resize(MEBIBYTE, 1);
    Some(black_box(block))
}
