//! `probe-handles N FILE`: opens one file N times for reading and keeps every handle. It reads nothing.

use std::fs::File;

fn main() {
    let wanted: usize = guests::number(1, "N");
    let file = guests::argument(2, "FILE");
    guests::report("handles", open(&file, wanted));
}

fn open(file: &str, wanted: usize) -> Result<String, String> {
    let mut handles = Vec::new();
    while handles.len() < wanted {
        match File::open(file) {
            Ok(handle) => handles.push(handle),
            Err(error) => return Err(format!("refused after {}: {error}", handles.len())),
        }
    }
    Ok(format!("{} open", handles.len()))
}
