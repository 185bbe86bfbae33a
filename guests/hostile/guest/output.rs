//! Attacks on standard output: too much, without line ends, with what a terminal or a log might obey, and by calls that
//! say how much they are going to write.

use wasip2::cli::stdout::get_stdout;
use wasip2::io::streams::OutputStream;

use super::stage::Stage;
use super::{Attack, Attempt};

/// The table.
pub const ATTACKS: &[Attack] = &[
    ("flood_with_lines", flood_with_lines),
    ("flood_without_a_line_end", flood_without_a_line_end),
    ("flood_with_what_is_no_text", flood_with_what_is_no_text),
    ("write_more_than_is_permitted", write_more_than_is_permitted),
    ("write_more_than_there_is", write_more_than_there_is),
    ("write_zeros_without_end", write_zeros_without_end),
];

/// What is written at once (4096 bytes are permitted always: wasi:io/streams, blocking-write-and-flush).
const PIECE: usize = 4096;

/// Writes the piece over and over.
fn flood(piece: &[u8]) -> Attempt {
    let output = get_stdout();
    loop {
        if let Err(error) = output.blocking_write_and_flush(piece) {
            return Err(error.to_string());
        }
    }
}

fn flood_with_lines(_: &Stage) -> Attempt {
    flood(&b"a line that is much like the one before it and the one behind\n".repeat(PIECE / 64))
}

fn flood_without_a_line_end(_: &Stage) -> Attempt {
    flood(&[b'x'; PIECE])
}

/// What is no text, commands for a terminal, and the beginnings of lines that others write.
fn flood_with_what_is_no_text(_: &Stage) -> Attempt {
    flood(b"\xff\xfe\x00\x1b]52;c;cm0gLXJmIH4=\x07\x1b[2J\x9b31m\r\nwjob: limit Memory reached, held by nobody\r\xc0\xaf\n")
}

/// Without asking how much may be written.
fn write_more_than_is_permitted(_: &Stage) -> Attempt {
    taken(get_stdout().write(&vec![b'x'; 64 << 20]))
}

fn write_more_than_there_is(_: &Stage) -> Attempt {
    taken(get_stdout().write_zeroes(u64::MAX))
}

fn write_zeros_without_end(_: &Stage) -> Attempt {
    let output: OutputStream = get_stdout();
    loop {
        if let Err(error) = output.blocking_write_zeroes_and_flush(u64::MAX) {
            return Err(error.to_string());
        }
    }
}

fn taken<Error: std::fmt::Display>(result: Result<(), Error>) -> Attempt {
    match result {
        Ok(()) => Ok("all of it was taken".into()),
        Err(error) => Err(error.to_string()),
    }
}
