//! `probe-remove FILE`: removes a file. It does not remove folders.

use std::fs;

fn main() {
    let file = guests::argument(1, "FILE");
    let result = fs::remove_file(&file).map(|()| format!("{file} is gone"));
    guests::report("remove", guests::told(result));
}
