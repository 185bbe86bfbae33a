//! `probe-block FILE`: opens a file that never answers, as a FIFO without a writer, and reads to its end.
//! It has no deadline of its own: what ends it is what is tested.

use std::fs;

fn main() {
    let file = guests::argument(1, "FILE");
    let result = fs::read(file).map(|bytes| guests::show(&bytes));
    guests::report("block", guests::told(result));
}
