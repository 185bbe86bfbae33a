//! `probe-output BYTES`: writes exactly that many bytes to standard output: lines of 63 `x`, the last cut short.
//! It tells a refusal on standard error and success by status 0 alone.

use std::io::{self, Write};

/// The length of a line with its end.
const LINE: usize = 64;
/// The lines written at once.
const LINES: usize = 256;

fn main() {
    let wanted: u64 = guests::number(1, "BYTES");
    if let Err(error) = write(wanted) {
        guests::report_aside("output", Err(error.to_string()));
    }
}

fn write(wanted: u64) -> io::Result<()> {
    let block = block();
    let mut output = io::stdout().lock();
    let mut left = wanted;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        output.write_all(&block[..length])?;
        left -= length as u64;
    }
    output.flush()
}

fn block() -> Vec<u8> {
    let mut line = [b'x'; LINE];
    line[LINE - 1] = b'\n';
    line.repeat(LINES)
}
