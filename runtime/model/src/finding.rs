//! What is wrong with a job file, as data: one finding per fault, ready to be drawn or serialised.
//! It finds nothing itself and prints nothing; `wjob check` renders findings and the loader refuses on errors.

use serde::Serialize;

use crate::terminal::one_line;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something worth knowing; nothing is wrong.
    Note,
    /// Probably not what was meant; the job still loads.
    Warning,
    /// The job is refused.
    Error,
}

/// A stretch of the job file, in bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// One fault, or one remark, about a job file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// Fixed name of the kind of fault, for scripts: lower case, words joined by `-`.
    pub code: &'static str,
    /// Where in the property list, as in `Grants.Paths[0].Access`; empty for the file as a whole.
    pub key_path: String,
    /// Where in the text; binary property lists have no text and so no span.
    pub span: Option<Span>,
    /// One line: what was found and what was expected.
    pub message: String,
    /// One line: what to do about it (the nearest known key, the lines that would allow it).
    pub help: Option<String>,
}

impl Finding {
    /// A finding without position or help. Names and values of the file stand in messages, and what would end the
    /// line or command a terminal is written out.
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        let message = one_line(&message.into());
        Self { severity, code, key_path: String::new(), span: None, message, help: None }
    }

    /// The same finding, at a key path and a place in the text.
    pub fn at(mut self, key_path: impl Into<String>, span: Option<Span>) -> Self {
        self.key_path = key_path.into();
        self.span = span;
        self
    }

    /// The same finding, with advice.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Line and column, both from 1 and the column in characters, of a byte offset in `text`.
pub fn line_and_column(text: &[u8], offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_the_file_has_put_into_it() {
        let finding = Finding::new(Severity::Error, "test", "A\nB\t\u{1b}[2J is an array; expected a string");
        assert_eq!(finding.message, "A\\nB\\t\\u{1b}[2J is an array; expected a string");
    }

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        for (text, offset, expected) in [
            ("", 0, (1, 1)),
            ("abc", 2, (1, 3)),
            ("a\nbc", 3, (2, 2)),
            ("a\n\n", 3, (3, 1)),
            ("ä=b", 3, (1, 3)),
            ("abc", 99, (1, 4)),
        ] {
            assert_eq!(line_and_column(text.as_bytes(), offset), expected, "{text:?}");
        }
    }
}
