//! `probe-terminal`: writes what a hostile program would send to a terminal, and what an honest one would.
//! It does not look whether there is a terminal.

use std::io::{self, Write};

/// One line each: the clipboard, a colour, the bell, a tab and a backspace with CR LF, an 8-bit control byte.
const LINES: [&[u8]; 5] = [
    b"clipboard: \x1b]52;c;d2pvYg==\x07\n",
    b"colour: \x1b[31mred\x1b[0m\n",
    b"bell: \x07\n",
    b"layout: a\tb!\x08?\r\n",
    b"eight bit: \x9b31m\n",
];

fn main() {
    if let Err(error) = write() {
        guests::report_aside("terminal", Err(error.to_string()));
    }
}

fn write() -> io::Result<()> {
    let mut output = io::stdout().lock();
    for line in LINES {
        output.write_all(line)?;
    }
    output.flush()
}
