//! Property lists: XML, binary (`bplist00`) and ASCII (OpenStep) text read into one tree with positions.
//! It knows nothing of job files, opens nothing and converts nothing between types: an ASCII list holds
//! strings only, so `port = 80;` reads as the string `80`, and whoever wants a number converts it.
//! It is our own reader because the bounds must hold while reading (a binary list of 181 bytes can unfold
//! to 10^9 values), because faults need positions, and because whatever two readers could take for two
//! different lists (duplicate keys, entities, stray text) has to be refused rather than guessed.

mod ascii;
mod binary;
mod bounds;
mod scalar;
#[cfg(test)]
pub(crate) mod tests;
mod xml;

use std::collections::BTreeMap;

use crate::finding::{Finding, Severity, Span, line_and_column};

pub use bounds::{MAX_BYTES, MAX_DEPTH, MAX_VALUES};

/// The three encodings of a property list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apple's XML vocabulary with `<plist>` at the top.
    Xml,
    /// `bplist00`.
    Binary,
    /// The old-style text format of OpenStep, with GNUstep's typed values.
    Ascii,
}

/// A whole property list.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// How it was encoded.
    pub format: Format,
    /// The outermost value.
    pub root: Node,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Its element (XML) or token (ASCII); binary lists have no text and so no span.
    pub span: Option<Span>,
}

/// One value of a property list.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Keys and values in the order they stand; no key twice.
    Dictionary(Vec<Entry>),
    /// Values in order.
    Array(Vec<Node>),
    /// Text.
    String(String),
    /// A whole number from -2^63 to 2^64-1.
    Integer(i128),
    /// A floating-point number; infinities and NaN included.
    Real(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A moment in UTC as `YYYY-MM-DDTHH:MM:SSZ`.
    Date(String),
    /// Bytes.
    Data(Vec<u8>),
    /// A reference between objects of a keyed archive; binary lists only.
    Uid(u64),
}

/// One key of a dictionary with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The key's text (XML: between the tags, or the element if it is empty; ASCII: with its quotes).
    pub key_span: Option<Span>,
    /// What it is set to.
    pub value: Node,
}

impl Value {
    /// The type in plain words, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Dictionary(_) => "dictionary",
            Self::Array(_) => "array",
            Self::String(_) => "string",
            Self::Integer(_) => "integer",
            Self::Real(_) => "real",
            Self::Boolean(_) => "boolean",
            Self::Date(_) => "date",
            Self::Data(_) => "data",
            Self::Uid(_) => "uid",
        }
    }
}

impl Node {
    /// Where the value at a key path is, as in `Grants.Paths[0]`; the innermost part that is there.
    pub fn span_of(&self, key_path: &str) -> Option<Span> {
        let mut node = self;
        for name in key_path.split(['.', '[']).map(|name| name.trim_end_matches(']')).filter(|name| !name.is_empty()) {
            let inner = match &node.value {
                Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => node.get(name),
            };
            let Some(inner) = inner else {
                break;
            };
            node = inner;
        }
        // The whole file is no place.
        if std::ptr::eq(node, self) { None } else { node.span }
    }

    /// The entries, if this is a dictionary.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Dictionary(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, if this is an array.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of exactly this key, if this is a dictionary that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let entry = self.entries()?.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }
}

/// Reads a property list, whichever of the three formats it is in.
///
/// # Errors
/// The first fault, with [`Severity::Error`] and a fixed code:
/// - bounds: `too-large`, `too-many-values`, `too-deep`;
/// - any format: `empty`, `wrong-encoding`, `duplicate-key`, `integer-out-of-range`, `bad-integer`,
///   `bad-real`, `bad-boolean`, `bad-date`, `bad-data`;
/// - XML: `malformed-xml`, `internal-subset`, `entity`, `namespace`, `unknown-attribute`,
///   `unknown-element`, `missing-plist`, `empty-plist`, `several-values`, `stray-text`, `mixed-content`,
///   `key-without-value`, `value-without-key`;
/// - ASCII: `malformed-ascii`, `bad-escape`;
/// - binary: `malformed-binary`, `unsupported-value`, `bad-string`, `key-not-string`.
pub fn read(bytes: &[u8]) -> Result<Document, Finding> {
    bounds::check_size(bytes.len())?;
    if bytes.starts_with(b"bplist") {
        let root = binary::read(bytes)?;
        return Ok(Document { format: Format::Binary, root });
    }
    let text = decode(bytes)?;
    let content = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii_start();
    if content.is_empty() {
        return Err(fault("empty", None, "the file is empty; expected a property list"));
    }
    if looks_like_xml(content) {
        let root = xml::read(text)?;
        return Ok(Document { format: Format::Xml, root });
    }
    let root = ascii::read(text)?;
    Ok(Document { format: Format::Ascii, root })
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The bytes as text; every other encoding is named and refused, since readers differ in which they know.
fn decode(bytes: &[u8]) -> Result<&str, Finding> {
    if let Some(encoding) = foreign_encoding(bytes) {
        let message = format!("the file is in {encoding}; expected UTF-8");
        return Err(fault("wrong-encoding", None, message).help("convert it to UTF-8"));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        let message = format!("byte 0x{:02x} is not UTF-8 here; expected UTF-8", bytes[start]);
        let span = Span { start, end: start + 1 };
        fault("wrong-encoding", Some(span), message).help("convert the file to UTF-8")
    })
}

/// The name of a Unicode encoding with wider units, told by its byte order mark or by the zero bytes
/// that ASCII characters have in it.
fn foreign_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0, 0, 0, _, ..] | [_, 0, 0, 0, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => Some("UTF-16"),
        _ => None,
    }
}

/// Whether text is meant as XML: a `<` opens hexadecimal data or a typed value in the ASCII format.
fn looks_like_xml(content: &str) -> bool {
    let Some(after) = content.strip_prefix('<') else {
        return false;
    };
    let inside = after.split('>').next().unwrap_or(after);
    let data = |byte: u8| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace();
    !(inside.starts_with('*') || inside.bytes().all(data))
}

/// An error at a place in the text.
fn fault(code: &'static str, span: Option<Span>, message: impl Into<String>) -> Finding {
    Finding::new(Severity::Error, code, message).at("", span)
}

/// Untrusted text for a message: quoted, escaped and cut to a length a line can bear.
fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A dictionary of these entries; `text` is what their spans count in.
fn dictionary(entries: Vec<Entry>, text: &str) -> Result<Value, Finding> {
    if let Some((first, second)) = repeated(&entries) {
        return Err(duplicate_key(first, second, text));
    }
    Ok(Value::Dictionary(entries))
}

/// The first entry whose key stands before already, after the one it repeats.
fn repeated(entries: &[Entry]) -> Option<(&Entry, &Entry)> {
    let mut seen: BTreeMap<&str, &Entry> = BTreeMap::new();
    entries.iter().find_map(|entry| Some((seen.insert(entry.key.as_str(), entry)?, entry)))
}

fn duplicate_key(first: &Entry, second: &Entry, text: &str) -> Finding {
    let line = |span: Span| line_and_column(text.as_bytes(), span.start).0;
    let lines = match (first.key_span, second.key_span) {
        (Some(first), Some(second)) => {
            format!(", on line {} and on line {}", line(first), line(second))
        }
        _ => String::new(),
    };
    let key = shown(&second.key);
    let message = format!("the key {key} stands twice in one dictionary{lines}; expected it once");
    fault("duplicate-key", second.key_span, message)
        .help("remove one of the two: readers differ in which of them counts")
}
