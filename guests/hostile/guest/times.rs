//! Attacks by numbers that are too large: times, offsets, lengths and timeouts. What the host answers does not matter, as
//! long as it answers: none of them may end it, or make it wait where nothing was to be waited for.

use wasip2::clocks::monotonic_clock;
use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::types::{Advice, Descriptor, DescriptorFlags, NewTimestamp, OpenFlags, PathFlags};
use wasip2::io::poll::poll;

use super::paths::open;
use super::stage::{Stage, must};
use super::{Attack, Attempt};

/// The table.
pub const ATTACKS: &[Attack] = &[
    ("set_absurd_times", set_absurd_times),
    ("use_absurd_offsets", use_absurd_offsets),
    ("wait_for_no_time", wait_for_no_time),
    ("wait_beyond_all_time", wait_beyond_all_time),
];

/// How often a wait for nothing is tried.
const WAITS: usize = 100_000;

fn set_absurd_times(stage: &Stage) -> Attempt {
    let folder = stage.folder("rw");
    let file = must("reading", open(&folder, "file"));
    for seconds in [0, 1 << 33, 1 << 34, 1 << 35, 1 << 62, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        for nanoseconds in [0, 999_999_999, 1_000_000_000, u32::MAX] {
            let time = NewTimestamp::Timestamp(Datetime { seconds, nanoseconds });
            set_everywhere(&folder, &file, time);
        }
    }
    match file.stat() {
        Ok(_) => Err("every time was taken or refused, and the file can be looked at".into()),
        Err(code) => Ok(format!("the file cannot be looked at any more: {}", code.name())),
    }
}

/// Whether it is taken or refused, the host goes on.
fn set_everywhere(folder: &Descriptor, file: &Descriptor, time: NewTimestamp) {
    let _ = file.set_times(time, time);
    let _ = folder.set_times(time, NewTimestamp::NoChange);
    let _ = folder.set_times_at(PathFlags::SYMLINK_FOLLOW, "file", time, time);
    let _ = folder.set_times_at(PathFlags::empty(), "file", NewTimestamp::Now, time);
    let _ = folder.stat_at(PathFlags::empty(), "file");
}

fn use_absurd_offsets(stage: &Stage) -> Attempt {
    let folder = stage.folder("rw");
    let rights = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = must("opening", folder.open_at(PathFlags::empty(), "file", OpenFlags::empty(), rights));
    for number in [1 << 31, 1 << 32, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX - 1, u64::MAX] {
        let _ = file.read(number, 0);
        let _ = file.read(1, number);
        let _ = file.advise(number, number, Advice::WillNeed);
        let _ = file.advise(0, number, Advice::DontNeed);
        if number > i64::MAX as u64 {
            // A smaller one is a file with a hole, which a ReadWrite grant allows.
            let _ = file.write(b"x", number);
            let _ = file.set_size(number);
        }
        if let Ok(stream) = file.read_via_stream(number) {
            let _ = stream.blocking_read(1);
            let _ = stream.blocking_skip(number);
        }
    }
    match file.read(64, 0) {
        Ok((bytes, _)) => {
            Err(format!("every number was taken or refused, and the file holds {}", guests::show(&bytes)))
        }
        Err(code) => Ok(format!("the file cannot be read any more: {}", code.name())),
    }
}

fn wait_for_no_time(_: &Stage) -> Attempt {
    for _ in 0..WAITS {
        monotonic_clock::subscribe_duration(0).block();
        monotonic_clock::subscribe_instant(0).block();
    }
    let now = monotonic_clock::subscribe_duration(0);
    let ready = poll(&[&now, &now, &now]);
    Err(format!("{WAITS} waits for nothing, and {} of three are over", ready.len()))
}

/// The longest of all waits must not come out as one that is over.
fn wait_beyond_all_time(_: &Stage) -> Attempt {
    for number in [u64::MAX, u64::MAX - 1, i64::MAX as u64, i64::MAX as u64 + 1] {
        let waits = [monotonic_clock::subscribe_duration(number), monotonic_clock::subscribe_instant(number)];
        if waits.iter().any(|wait| wait.ready()) {
            return Ok(format!("a wait for {number} ns is over"));
        }
    }
    Err("none of the longest waits is over".into())
}
