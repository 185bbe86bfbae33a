//! Room for attacks that take as much memory as a guest can have. They are tried one at a time, and only where the machine
//! has that much to spare: elsewhere they say that they were not. It asks the kernel and limits nothing.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a row says that needs it.
pub const NEED: &str = "room";
/// What must be free for four gibibytes and all that runs beside them, bytes.
const WANTED: u64 = 6 << 30;

static ONE: Mutex<()> = Mutex::new(());

/// The room, until it is dropped; without it, which is said, there is nothing to try.
pub fn take() -> Option<MutexGuard<'static, ()>> {
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let table = fs::read_to_string("/proc/meminfo").expect("what there is of memory");
    if available(&table).is_some_and(|bytes| bytes >= WANTED) {
        return Some(guard);
    }
    println!("skipped: {} GiB of memory must be available", WANTED >> 30);
    None
}

/// Bytes that can be had without taking them from anybody (proc_meminfo(5)).
fn available(table: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

#[test]
fn what_is_available_is_read() {
    assert_eq!(available("MemTotal:  9 kB\nMemAvailable:    6291456 kB\n"), Some(WANTED));
    assert_eq!(available("MemTotal:  9 kB\n"), None);
}
