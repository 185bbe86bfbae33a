//! `probe-cwd [NAME]`: tells the current folder and, with a name, reads `./NAME` from it.
//! It changes no folder and looks nowhere else.

use std::env;
use std::fs;

fn main() {
    let name = guests::optional_argument(1);
    guests::report("cwd", attempt(name.as_deref()));
}

fn attempt(name: Option<&str>) -> Result<String, String> {
    let folder = guests::told(env::current_dir())?.display().to_string();
    let Some(name) = name else {
        return Ok(folder);
    };
    match fs::read(format!("./{name}")) {
        Ok(bytes) => Ok(format!("{folder}: ./{name}: {}", guests::show(&bytes))),
        Err(error) => Err(format!("{folder}: ./{name}: {error}")),
    }
}
