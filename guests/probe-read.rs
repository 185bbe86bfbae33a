//! `probe-read FILE`: reads a file. It tries nothing but opening it for reading.

use std::fs;

fn main() {
    let file = guests::argument(1, "FILE");
    let result = fs::read(file).map(|bytes| guests::show(&bytes));
    guests::report("read", guests::told(result));
}
