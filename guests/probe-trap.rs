//! `probe-trap`: executes the instruction that always traps. It prints nothing.

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    guests::only_a_guest("probe-trap");
}

#[cfg(target_arch = "wasm32")]
fn main() {
    core::arch::wasm32::unreachable()
}
