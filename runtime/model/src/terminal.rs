//! Makes text safe for a terminal: text, CR, LF, TAB, BS and colours pass, everything else is shown escaped.
//! It works on a stream, in pieces, and is never used for files and pipes, whose bytes are not ours to change.

/// Longest colour sequence kept whole; anything longer is no colour anyone uses.
const LONGEST_COLOUR: usize = 32;

/// A filter with the memory one stream needs: a sequence or a character cut between two pieces.
#[derive(Debug, Default)]
pub struct Filter {
    held: Vec<u8>,
}

impl Filter {
    /// The safe form of the next piece of the stream.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut input = std::mem::take(&mut self.held);
        input.extend_from_slice(piece);
        let mut safe = Vec::with_capacity(input.len());
        let mut rest = &input[..];
        while let Some(first) = rest.first() {
            match next(rest) {
                Step::Pass(length) => {
                    safe.extend_from_slice(&rest[..length]);
                    rest = &rest[length..];
                }
                Step::Escape => {
                    safe.extend_from_slice(escape(*first).as_bytes());
                    rest = &rest[1..];
                }
                Step::Wait => break,
            }
        }
        self.held = rest.to_vec();
        safe
    }

    /// What was held back, escaped: the stream has ended.
    pub fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        held.iter().flat_map(|byte| escape(*byte).into_bytes()).collect()
    }
}

enum Step {
    Pass(usize),
    Escape,
    Wait,
}

fn next(rest: &[u8]) -> Step {
    match rest[0] {
        b'\r' | b'\n' | b'\t' | 0x08 | 0x20..=0x7e => Step::Pass(1),
        0x1b => colour(rest),
        0x80.. => character(rest),
        _ => Step::Escape,
    }
}

/// ESC `[` digits, `;` and `:` then `m`: select graphic rendition (ECMA-48 8.3.117).
fn colour(rest: &[u8]) -> Step {
    let body = rest.iter().skip(2).take_while(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')).count();
    match (rest.get(1), rest.get(2 + body)) {
        (None, _) => Step::Wait,
        (Some(b'['), _) if body > LONGEST_COLOUR => Step::Escape,
        (Some(b'['), None) => Step::Wait,
        (Some(b'['), Some(b'm')) => Step::Pass(3 + body),
        _ => Step::Escape,
    }
}

/// A whole UTF-8 character that is printable; C1 controls and direction overrides are not.
fn character(rest: &[u8]) -> Step {
    let length = match rest[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Step::Escape,
    };
    match std::str::from_utf8(&rest[..length.min(rest.len())]) {
        Ok(text) if text.chars().all(printable) => Step::Pass(length),
        Err(error) if error.error_len().is_none() && rest.len() < length => Step::Wait,
        _ => Step::Escape,
    }
}

pub(crate) fn printable(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

fn escape(byte: u8) -> String {
    format!("\\x{byte:02x}")
}

/// A whole text made safe for one line of a terminal: line ends and tabs are escaped too.
pub fn one_line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if printable(character) {
            safe.push(character);
        } else {
            safe.extend(character.escape_default());
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(input: &[u8]) -> Vec<u8> {
        let mut filter = Filter::default();
        let mut safe = filter.push(input);
        safe.extend(filter.finish());
        safe
    }

    #[test]
    fn what_passes_and_what_is_escaped() {
        for (input, expected) in [
            (&b"plain\r\n\t\x08"[..], &b"plain\r\n\t\x08"[..]),
            (b"\x1b[1;31mred\x1b[0m", b"\x1b[1;31mred\x1b[0m"),
            (b"\x1b]52;c;x\x07", b"\\x1b]52;c;x\\x07"),
            (b"\x1b[2J", b"\\x1b[2J"),
            (b"\x1bc", b"\\x1bc"),
            (b"\x9b31m", b"\\x9b31m"),
            ("\u{9b}31m".as_bytes(), b"\\xc2\\x9b31m"),
            ("gr\u{fc}n".as_bytes(), "gr\u{fc}n".as_bytes()),
            ("\u{202e}".as_bytes(), b"\\xe2\\x80\\xae"),
            (b"\xff\xfe", b"\\xff\\xfe"),
            (b"\xe2\x82", b"\\xe2\\x82"),
            (b"\x1b", b"\\x1b"),
        ] {
            assert_eq!(whole(input), expected, "{input:?}");
        }
    }

    #[test]
    fn cutting_the_stream_anywhere_changes_nothing() {
        let input = "a\u{fc}\x1b[38;5;1mx\x1b[0m\u{20ac}\x1b]0;t\x07\n".as_bytes();
        let expected = whole(input);
        for cut in 0..=input.len() {
            let mut filter = Filter::default();
            let mut safe = filter.push(&input[..cut]);
            safe.extend(filter.push(&input[cut..]));
            safe.extend(filter.finish());
            assert_eq!(safe, expected, "cut at {cut}");
        }
    }

    #[test]
    fn nothing_is_held_without_bound() {
        let mut filter = Filter::default();
        let mut input = b"\x1b[".to_vec();
        input.extend(vec![b'1'; 10_000]);
        filter.push(&input);
        assert!(filter.held.len() <= LONGEST_COLOUR + 4);
    }
}
