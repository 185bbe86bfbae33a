//! Copies standard input to standard output. It knows nothing of networks, wjob or WebAssembly: what makes a service of
//! it is its job file.

use std::io;

fn main() -> io::Result<()> {
    io::copy(&mut io::stdin(), &mut io::stdout())?;
    Ok(())
}
