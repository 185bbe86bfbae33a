//! Makes lines of the bytes a stream brings, in whatever pieces they come, and shows bytes as text. It holds no more
//! than one piece of a line, however long the line is.

/// Longest piece of a line that is kept as one, bytes.
pub(crate) const LONGEST: usize = 16 << 10;

/// The memory one stream needs: the line that is not yet whole.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    held: Vec<u8>,
}

impl Assembler {
    /// Takes what came and gives each line on, without its end, and whether it goes on in the next one.
    pub fn push(&mut self, mut input: &[u8], mut give: impl FnMut(&[u8], bool)) {
        while !input.is_empty() {
            let room = LONGEST.saturating_sub(self.held.len());
            // One byte more than fits: a line of just that length is whole.
            let near = &input[..input.len().min(room + 1)];
            if let Some(end) = near.iter().position(|byte| *byte == b'\n') {
                self.whole(&input[..end], &mut give);
                input = &input[end + 1..];
            } else if near.len() <= room {
                self.held.extend_from_slice(near);
                return;
            } else {
                self.held.extend_from_slice(&input[..room]);
                input = &input[room..];
                self.cut(&mut give);
            }
        }
    }

    /// Gives on what was held back: the stream has ended.
    pub fn finish(&mut self, mut give: impl FnMut(&[u8], bool)) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            give(&held, false);
        }
    }

    /// Gives on what was held back, as a piece that goes on: whoever reads the stream next has the rest.
    pub fn hand_on(&mut self, mut give: impl FnMut(&[u8], bool)) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            give(&held, true);
        }
    }

    fn whole(&mut self, end: &[u8], give: &mut impl FnMut(&[u8], bool)) {
        if self.held.is_empty() {
            give(end, false);
            return;
        }
        self.held.extend_from_slice(end);
        give(&self.held, false);
        self.held.clear();
    }

    fn cut(&mut self, give: &mut impl FnMut(&[u8], bool)) {
        let at = boundary(&self.held);
        give(&self.held[..at], true);
        self.held.drain(..at);
    }
}

/// The end of a piece, or the start of the character that is cut short there.
fn boundary(piece: &[u8]) -> usize {
    // A character has at most four bytes, so one that is cut short has at most three.
    let mut starts = piece.len().saturating_sub(3)..piece.len();
    starts.find(|start| cut_short(&piece[*start..])).unwrap_or(piece.len())
}

fn cut_short(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

/// Bytes as text: what is not UTF-8 is escaped, as in `\xff`.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut assembler = Assembler::default();
        let mut found = Vec::new();
        for piece in pieces {
            assembler.push(piece, |text, continued| found.push((text.to_vec(), continued)));
        }
        assembler.finish(|text, continued| found.push((text.to_vec(), continued)));
        found
    }

    fn lengths(pieces: &[&[u8]]) -> Vec<(usize, bool)> {
        lines(pieces).iter().map(|(text, continued)| (text.len(), *continued)).collect()
    }

    #[test]
    fn lines_are_made_of_any_pieces() {
        for (pieces, expected) in [
            (&[&b"one\ntwo\n"[..]][..], &["one", "two"][..]),
            (&[b"o", b"ne\ntw", b"o", b"\n"], &["one", "two"]),
            (&[b"no end"], &["no end"]),
            (&[b"\n\n"], &["", ""]),
            (&[b"cr\r\n"], &["cr\r"]),
            (&[b""], &[]),
        ] {
            let found: Vec<String> = lines(pieces).iter().map(|(text, _)| shown(text)).collect();
            assert_eq!(found, expected, "{pieces:?}");
        }
    }

    #[test]
    fn long_lines_are_cut_and_a_line_that_just_fits_is_not() {
        let fits = [vec![b'x'; LONGEST], b"\n".to_vec()].concat();
        let longer = [vec![b'x'; LONGEST + 1], b"\n".to_vec()].concat();
        let long = vec![b'x'; 3 * LONGEST];
        for (input, expected) in [
            (&fits, &[(LONGEST, false)][..]),
            (&longer, &[(LONGEST, true), (1, false)]),
            (&long, &[(LONGEST, true), (LONGEST, true), (LONGEST, false)]),
        ] {
            assert_eq!(lengths(&[input]), expected);
            let (one, other) = input.split_at(LONGEST);
            assert_eq!(lengths(&[one, other]), expected, "in two pieces");
        }
    }

    #[test]
    fn a_cut_halves_no_character() {
        let line = [vec![b'x'; LONGEST - 1], "\u{20ac}uro\n".as_bytes().to_vec()].concat();
        let found = lines(&[&line]);
        assert_eq!((found[0].0.len(), found[0].1), (LONGEST - 1, true));
        assert_eq!(found[1], ("\u{20ac}uro".as_bytes().to_vec(), false));
    }

    #[test]
    fn nothing_is_held_without_bound() {
        let mut assembler = Assembler::default();
        let mut given = 0;
        for _ in 0..100 {
            assembler.push(&[0xe2; 1000], |text, _| given += text.len());
            assert!(assembler.held.len() <= LONGEST);
        }
        assembler.finish(|text, _| given += text.len());
        assert_eq!(given, 100_000);
    }

    #[test]
    fn what_is_no_text_is_escaped() {
        for (bytes, expected) in [
            (&b"plain"[..], "plain"),
            (b"\xff\xfe", "\\xff\\xfe"),
            (b"a\xe2\x82z", "a\\xe2\\x82z"),
            (b"\x1b[m", "\x1b[m"),
        ] {
            assert_eq!(shown(bytes), expected, "{bytes:?}");
        }
    }
}
