//! The ASCII (OpenStep, old-style) format: `{ key = value; }`, `( a, b )`, `"text"`, `word`, `<0fbd77>`, and
//! GNUstep's typed values `<*I5>`, `<*BY>`, `<*R0.5>`, `<*D2001-01-01 00:00:00 +0000>`.
//! Words stay strings, digits too: the format has no numbers, and a reader that guesses turns `010` into 10.
//! Shorthands known to one implementation only (`key;`, single quotes, short octal) are refused.

use super::bounds::Budget;
use super::{BYTE_ORDER_MARK, Entry, Node, Value, dictionary, fault, scalar, shown};
use crate::finding::{Finding, Span};

/// Reads the one value of the text.
pub(super) fn read(text: &str) -> Result<Node, Finding> {
    let at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let mut reader = Reader { text, at, budget: Budget::default() };
    reader.skip_blank()?;
    let root = reader.value()?;
    reader.skip_blank()?;
    if reader.peek().is_some() {
        return Err(reader.unexpected("the end of the file after the value"));
    }
    Ok(root)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    budget: Budget,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn since(&self, start: usize) -> Option<Span> {
        Some(Span { start, end: self.at })
    }

    /// Something else stands here than what was expected.
    fn unexpected(&self, expected: &str) -> Finding {
        let start = self.at;
        let (found, end) = match self.peek() {
            Some(next) => (format!("{next:?}"), start + next.len_utf8()),
            None => ("the end of the file".to_owned(), start),
        };
        let message = format!("found {found}; expected {expected}");
        fault("malformed-ascii", Some(Span { start, end }), message)
            .help("the file is read as an ASCII property list; one in XML begins with <?xml or <plist")
    }

    fn expect(&mut self, character: char, place: &str) -> Result<(), Finding> {
        self.skip_blank()?;
        if self.peek() != Some(character) {
            return Err(self.unexpected(&format!("{character:?} {place}")));
        }
        self.at += character.len_utf8();
        Ok(())
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) -> Result<(), Finding> {
        loop {
            let rest = self.rest().trim_ascii_start();
            self.at = self.text.len() - rest.len();
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.at += comment_length(rest).ok_or_else(|| self.unclosed(self.at, "comment"))?;
            } else {
                return Ok(());
            }
        }
    }

    fn unclosed(&self, start: usize, what: &str) -> Finding {
        let message = format!("found the end of the file; expected the end of the {what} begun here");
        fault("malformed-ascii", Some(Span { start, end: start + 1 }), message)
    }

    /// One value; the cursor stands on its first character.
    fn value(&mut self) -> Result<Node, Finding> {
        let start = self.at;
        self.budget.value(self.since(start))?;
        let value = match self.peek() {
            Some('{') => self.contained(Self::dictionary)?,
            Some('(') => self.contained(Self::array)?,
            Some('<') => self.bracketed()?,
            _ => Value::String(self.string("a value")?),
        };
        Ok(Node { value, span: self.since(start) })
    }

    fn contained(&mut self, read: fn(&mut Self) -> Result<Value, Finding>) -> Result<Value, Finding> {
        self.budget.enter(Some(Span { start: self.at, end: self.at + 1 }))?;
        self.at += 1;
        let value = read(self)?;
        self.budget.leave();
        Ok(value)
    }

    fn dictionary(&mut self) -> Result<Value, Finding> {
        let mut entries = Vec::new();
        loop {
            self.skip_blank()?;
            if self.peek() == Some('}') {
                self.at += 1;
                return dictionary(entries, self.text);
            }
            entries.push(self.entry()?);
        }
    }

    fn entry(&mut self) -> Result<Entry, Finding> {
        let start = self.at;
        let key = self.string("a key or '}'")?;
        let key_span = self.since(start);
        self.expect('=', "after the key")?;
        self.skip_blank()?;
        let value = self.value()?;
        self.expect(';', "after the value")?;
        Ok(Entry { key, key_span, value })
    }

    fn array(&mut self) -> Result<Value, Finding> {
        let mut items = Vec::new();
        loop {
            self.skip_blank()?;
            if self.peek() == Some(')') {
                self.at += 1;
                return Ok(Value::Array(items));
            }
            items.push(self.value()?);
            self.skip_blank()?;
            if self.peek() != Some(')') {
                self.expect(',', "or ')' after the item")?;
            }
        }
    }

    /// A string, in quotes or bare.
    fn string(&mut self, expected: &str) -> Result<String, Finding> {
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let rest = self.rest();
        let length = rest.find(|next| !is_bare(next)).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.unexpected(expected));
        }
        self.at += length;
        Ok(rest[..length].to_owned())
    }

    fn quoted(&mut self) -> Result<String, Finding> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return Err(self.unclosed(start, "string")),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(character) => text.push(character),
            }
        }
    }

    /// The character an escape stands for; the cursor is behind the backslash.
    fn escape(&mut self) -> Result<char, Finding> {
        let start = self.at - 1;
        let character = match self.bump() {
            Some(same @ ('"' | '\'' | '\\')) => Some(same),
            Some('n') => Some('\n'),
            Some('t') => Some('\t'),
            Some('r') => Some('\r'),
            Some('a') => Some('\u{7}'),
            Some('b') => Some('\u{8}'),
            Some('v') => Some('\u{b}'),
            Some('f') => Some('\u{c}'),
            Some('U') => self.utf16_escape(),
            Some('0'..='7') => self.octal_escape(),
            _ => None,
        };
        character.ok_or_else(|| self.bad_escape(start))
    }

    fn bad_escape(&self, start: usize) -> Finding {
        let found = shown(&self.text[start..self.at]);
        let expected = "expected \\\\, \\\", \\n, \\t, \\NNN (octal, below 200) or \\Uxxxx";
        fault("bad-escape", self.since(start), format!("unknown escape {found}; {expected}"))
    }

    /// `\Uxxxx`, or two of them that make a surrogate pair.
    fn utf16_escape(&mut self) -> Option<char> {
        let first = self.code_unit()?;
        if let Some(character) = char::from_u32(first.into()) {
            return Some(character);
        }
        self.rest().starts_with("\\U").then(|| self.at += 2)?;
        let units = [first, self.code_unit()?];
        char::decode_utf16(units).next()?.ok()
    }

    fn code_unit(&mut self) -> Option<u16> {
        let digits = self.rest().get(..4)?;
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        self.at += 4;
        hexadecimal.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
    }

    /// `\NNN`; above 177 implementations differ in the character set that is meant.
    fn octal_escape(&mut self) -> Option<char> {
        let start = self.at - 1;
        let digits = self.text.get(start..start + 3)?;
        let octal = digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let value = octal.then(|| u8::from_str_radix(digits, 8).ok()).flatten()?;
        self.at = start + 3;
        value.is_ascii().then_some(value.into())
    }

    /// Data or a typed value, between `<` and `>`.
    fn bracketed(&mut self) -> Result<Value, Finding> {
        let start = self.at;
        let length = self.rest().find('>').ok_or_else(|| self.unclosed(start, "data"))?;
        let inside = &self.rest()[1..length];
        self.at += length + 1;
        match inside.strip_prefix('*') {
            Some(typed) => typed_value(typed, self.since(start)),
            None => hexadecimal(inside, self.since(start)),
        }
    }
}

/// The length of the comment the text begins with, if it ends.
fn comment_length(text: &str) -> Option<usize> {
    let body = text.get(2..)?;
    Some(body.find("*/")? + 4)
}

/// What a string without quotes may hold.
fn is_bare(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_$+/:.-".contains(character)
}

/// GNUstep's typed values: a letter for the type, then the value.
fn typed_value(typed: &str, span: Option<Span>) -> Result<Value, Finding> {
    if let Some(number) = typed.strip_prefix('I') {
        return scalar::integer(number, span).map(Value::Integer);
    }
    if let Some(number) = typed.strip_prefix('R') {
        return scalar::real(number, span).map(Value::Real);
    }
    if let Some(moment) = typed.strip_prefix('D') {
        return scalar::gnustep_date(moment, span).map(Value::Date);
    }
    match typed {
        "BY" => Ok(Value::Boolean(true)),
        "BN" => Ok(Value::Boolean(false)),
        _ => Err(bad_typed_value(typed, span)),
    }
}

fn bad_typed_value(typed: &str, span: Option<Span>) -> Finding {
    if typed.starts_with('B') {
        let message = format!("{} is not a boolean; expected BY or BN", shown(typed));
        return fault("bad-boolean", span, message);
    }
    let expected = "expected I, R, B or D and a value, as in <*I5>";
    let message = format!("unknown typed value {}; {expected}", shown(typed));
    fault("malformed-ascii", span, message)
}

/// Bytes in hexadecimal; white space may stand anywhere.
fn hexadecimal(text: &str, span: Option<Span>) -> Result<Value, Finding> {
    let digits: Option<Vec<u32>> = text
        .chars()
        .filter(|character| !character.is_ascii_whitespace())
        .map(|character| character.to_digit(16))
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2)).ok_or_else(|| {
        let expected = "expected pairs of hexadecimal digits, as in <0fbd77>";
        fault("bad-data", span, format!("{} is not data; {expected}", shown(text)))
    })?;
    let bytes = digits.chunks_exact(2).map(|pair| ((pair[0] << 4) | pair[1]) as u8);
    Ok(Value::Data(bytes.collect()))
}
