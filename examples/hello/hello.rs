//! The smallest job: greets whom its first argument names. It needs no grant.

fn main() {
    match std::env::args().nth(1) {
        Some(name) => println!("hello, {name}"),
        None => println!("hello"),
    }
}
