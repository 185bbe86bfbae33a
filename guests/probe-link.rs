//! `probe-link FILE NAME`: gives a file a second name (a hard link). It makes no symbolic link.

use std::fs;

fn main() {
    let file = guests::argument(1, "FILE");
    let name = guests::argument(2, "NAME");
    let result = fs::hard_link(&file, &name).map(|()| format!("{file} is also {name}"));
    guests::report("link", guests::told(result));
}
