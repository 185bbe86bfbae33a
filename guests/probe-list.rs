//! `probe-list DIR`: lists the names in a folder, sorted. It opens none of them.

use std::fs;
use std::io;

fn main() {
    let folder = guests::argument(1, "DIR");
    let result = names(&folder).map(|names| format!("{} names: {}", names.len(), names.join(" ")));
    guests::report("list", guests::told(result));
}

fn names(folder: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
