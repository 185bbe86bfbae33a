//! `probe-times FILE`: sets a file's time of modification through a handle opened for reading only.
//! Opening it for writing would try another authority: the system checks the owner here, not the handle.

use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime};

/// Seconds since 1970: 2001-09-09 01:46:40 UTC.
const MOMENT: u64 = 1_000_000_000;

fn main() {
    let file = guests::argument(1, "FILE");
    let result = set_time(&file).map(|()| format!("modified at {MOMENT}"));
    guests::report("times", guests::told(result));
}

fn set_time(file: &str) -> io::Result<()> {
    let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(MOMENT);
    File::open(file)?.set_modified(moment)
}
