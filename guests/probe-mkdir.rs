//! `probe-mkdir DIR`: makes a folder. It does not make the folders above it.

use std::fs;

fn main() {
    let folder = guests::argument(1, "DIR");
    let result = fs::create_dir(&folder).map(|()| format!("{folder} made"));
    guests::report("mkdir", guests::told(result));
}
