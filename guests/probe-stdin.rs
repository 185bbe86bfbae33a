//! `probe-stdin`: copies standard input to standard output byte for byte, and adds nothing.

use std::io::{self, Write};

fn main() {
    if let Err(error) = copy() {
        guests::report_aside("stdin", Err(error.to_string()));
    }
}

fn copy() -> io::Result<()> {
    let mut output = io::stdout().lock();
    io::copy(&mut io::stdin().lock(), &mut output)?;
    output.flush()
}
