//! `probe-write FILE TEXT`: creates a file or overwrites it. It does not read it back.

use std::fs;

fn main() {
    let file = guests::argument(1, "FILE");
    let text = guests::argument(2, "TEXT");
    let result = fs::write(file, &text).map(|()| format!("{} bytes written", text.len()));
    guests::report("write", guests::told(result));
}
