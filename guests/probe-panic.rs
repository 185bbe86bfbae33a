//! `probe-panic`: panics, which says so on standard error and, in WebAssembly, ends in a trap.

fn main() {
    panic!("probe-panic panics on purpose");
}
