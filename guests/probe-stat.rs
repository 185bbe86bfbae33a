//! `probe-stat PATH`: asks for a path's kind and size. It opens nothing.

use std::fs::{self, Metadata};

fn main() {
    let path = guests::argument(1, "PATH");
    let result = fs::metadata(path).map(|metadata| description(&metadata));
    guests::report("stat", guests::told(result));
}

fn description(metadata: &Metadata) -> String {
    if metadata.is_file() {
        format!("file, {} bytes", metadata.len())
    } else if metadata.is_dir() {
        "folder".to_owned()
    } else {
        "neither file nor folder".to_owned()
    }
}
