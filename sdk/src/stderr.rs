//! One line to standard error. Each is one write, so that the lines of a job that writes from several places stay whole
//! in its log; it never fails, because there is nowhere else to say so.

use std::io::{self, Write};

/// Writes a line. Line breaks inside it are written as `\n` and `\r`: text of a stranger must not look like a line of
/// its own.
pub(crate) fn line(text: &str) {
    let _ = io::stderr().lock().write_all(single(text).as_bytes());
}

/// The text as one line, its end included.
fn single(text: &str) -> String {
    let mut line = text.replace('\r', "\\r").replace('\n', "\\n");
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::single;

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(single("a\nb\r\n"), "a\\nb\\r\\n\n");
    }
}
