//! `hostile NAME [KEY=VALUE]...`: performs one attack of the corpus by calls of WASI 0.2, past the standard library, and
//! tells in one line what came of it: `got THROUGH` and status 0, or `held` and status 3. `hostile --list` names all.
//! The values say where things are, those it is granted and those it must not reach (`guest/stage.rs`). What must become
//! of each attack is in `attacks.json`, and judged by whoever runs it: this component only tries.

#[cfg(target_arch = "wasm32")]
mod guest;

#[cfg(target_arch = "wasm32")]
fn main() {
    guest::main();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    guests::only_a_guest("hostile");
}
