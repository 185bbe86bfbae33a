//! Lines of one among many who write to one place: each whole, and each with the writer's name before it.

/// Longest line that is waited for, bytes: a longer one is cut.
const LONGEST: usize = 4096;

/// A writer's name, and the line he has not ended.
#[derive(Debug)]
pub(crate) struct Label {
    prefix: String,
    line: Vec<u8>,
}

impl Label {
    /// A writer whose lines begin with `prefix`.
    pub fn new(prefix: String) -> Self {
        Self { prefix, line: Vec::new() }
    }

    /// What can be shown now that `bytes` were written.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut rest = piece;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(LONGEST - self.line.len()));
                self.line.extend_from_slice(now);
                rest = later;
                if self.line.ends_with(b"\n") || self.line.len() == LONGEST {
                    shown.extend(self.finish());
                }
            }
        }
        shown
    }

    /// Gives the writer another name; what is left of his line is shown under the old one.
    pub fn rename(&mut self, prefix: String) -> Vec<u8> {
        let rest = self.finish();
        self.prefix = prefix;
        rest
    }

    /// What is left of it, as a line.
    pub fn finish(&mut self) -> Vec<u8> {
        if self.line.is_empty() {
            return Vec::new();
        }
        if self.line.last() != Some(&b'\n') {
            self.line.push(b'\n');
        }
        let mut shown = self.prefix.clone().into_bytes();
        shown.append(&mut self.line);
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_named() {
        let mut label = Label::new("7: ".into());
        for (written, shown) in [("a", ""), ("b\nc", "7: ab\n"), ("\nd\n\n", "7: c\n7: d\n7: \n"), ("e", "")] {
            assert_eq!(label.push(written.as_bytes()), shown.as_bytes(), "{written:?}");
        }
        assert_eq!((label.finish(), label.finish()), (b"7: e\n".to_vec(), Vec::new()));
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let mut label = Label::new(String::new());
        let shown = label.push(&[b'x'; LONGEST * 2 + 10]);
        assert_eq!((shown.len(), label.line.len()), (2 * (LONGEST + 1), 10));
    }
}
