//! Copies standard input to standard output. It knows nothing of networks, wjob or WebAssembly: what makes a service of
//! it is its job file.

use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut piece = [0; 8192];
    loop {
        let length = input.read(&mut piece)?;
        if length == 0 {
            return Ok(());
        }
        output.write_all(&piece[..length])?;
        // Standard output waits for the end of a line otherwise, and a client may wait for less.
        output.flush()?;
    }
}
