//! `probe-environment NAME`: reads one environment variable. It lists no others.

use std::env;

fn main() {
    let name = guests::argument(1, "NAME");
    let result = match env::var_os(&name) {
        Some(value) => Ok(value.to_string_lossy().into_owned()),
        None => Err(format!("{name} is not set")),
    };
    guests::report("environment", result);
}
