//! `probe-args ...`: prints its arguments, the program's name first, one a line, then its environment,
//! sorted, as NAME=VALUE, one a line. It judges nothing.

use std::env;
use std::io::{self, Write};

fn main() {
    if let Err(error) = print() {
        guests::report_aside("args", Err(error.to_string()));
    }
}

fn print() -> io::Result<()> {
    let mut output = io::stdout().lock();
    for argument in env::args_os() {
        writeln!(output, "{}", argument.to_string_lossy())?;
    }
    let mut variables: Vec<_> = env::vars_os().collect();
    variables.sort();
    for (name, value) in variables {
        writeln!(output, "{}={}", name.to_string_lossy(), value.to_string_lossy())?;
    }
    output.flush()
}
