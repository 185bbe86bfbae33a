//! `probe-append FILE TEXT`: adds to the end of a file that exists. It never creates one.

use std::fs::File;
use std::io::{self, Write};

fn main() {
    let file = guests::argument(1, "FILE");
    let text = guests::argument(2, "TEXT");
    let result = append(&file, &text).map(|()| format!("{} bytes appended", text.len()));
    guests::report("append", guests::told(result));
}

fn append(file: &str, text: &str) -> io::Result<()> {
    let mut file = File::options().append(true).open(file)?;
    file.write_all(text.as_bytes())
}
