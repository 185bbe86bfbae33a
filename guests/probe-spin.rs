//! `probe-spin`: computes for ever without calling the host. Only a limit or a signal ends it.

use std::hint::black_box;

fn main() {
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}
