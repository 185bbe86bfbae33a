//! The fuzz target `calendar`; its body is in the crate's library, where the tests run it too.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wjob_fuzz::calendar(bytes));
