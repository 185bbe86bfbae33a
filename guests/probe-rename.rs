//! `probe-rename FROM TO`: renames a file or a folder. It does not fall back to copying.

use std::fs;

fn main() {
    let from = guests::argument(1, "FROM");
    let to = guests::argument(2, "TO");
    let result = fs::rename(&from, &to).map(|()| format!("{from} is now {to}"));
    guests::report("rename", guests::told(result));
}
