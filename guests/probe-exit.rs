//! `probe-exit N`: leaves with status N, 0 to 255. It prints nothing.

fn main() {
    guests::exit(guests::number(1, "N"));
}
