//! `probe-truncate FILE`: empties a file that exists. It never creates one.

use std::fs::File;

fn main() {
    let file = guests::argument(1, "FILE");
    let result = File::options().write(true).truncate(true).open(file);
    guests::report("truncate", guests::told(result.map(|_| "0 bytes left".to_owned())));
}
