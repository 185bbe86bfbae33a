//! The bodies of the fuzz targets: what must hold of any bytes that a file, a client, a worker, a cache or a program
//! before this one could give us. Each panics where it does not hold. libFuzzer calls them through `fuzz_targets`, and
//! the tests here run them over the seeds, so that whatever was found once is tested ever after without libFuzzer.
//! They start no process and write into folders of their own only.

#![forbid(unsafe_code)]

mod cache_entry;
mod calendar;
mod handover_state;
mod messages;
mod plists;
#[cfg(test)]
mod tests;
mod varlink;

pub use cache_entry::cache_entry;
pub use calendar::calendar;
pub use handover_state::handover_state;
pub use messages::messages;
pub use plists::{plist_ascii, plist_binary, plist_xml};
pub use varlink::varlink;

/// What a target does with its bytes.
pub type Body = fn(&[u8]);

/// The targets by their names, which are those of their files and of the folders of their seeds.
pub const TARGETS: &[(&str, Body)] = &[
    ("cache_entry", cache_entry),
    ("calendar", calendar),
    ("handover_state", handover_state),
    ("messages", messages),
    ("plist_ascii", plist_ascii),
    ("plist_binary", plist_binary),
    ("plist_xml", plist_xml),
    ("varlink", varlink),
];
