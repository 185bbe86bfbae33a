//! The binary format, `bplist00`: a table of objects that refer to one another by number.
//! It has no positions, so faults carry the key path they were met under instead of a span.
//! Every length and offset is checked against the bytes at hand before it is used, and each unfolding of a
//! shared object is counted, because a few references between arrays unfold to any number of values.

use super::bounds::Budget;
use super::{Entry, Node, Value, dictionary, fault, scalar};
use crate::finding::Finding;

const HEADER: &[u8] = b"bplist00";
const TRAILER_LENGTH: usize = 32;

/// Reads the list whose bytes these are.
pub(super) fn read(bytes: &[u8]) -> Result<Node, Finding> {
    if !bytes.starts_with(HEADER) {
        let version = String::from_utf8_lossy(&bytes[..bytes.len().min(HEADER.len())]);
        return Err(malformed(format!("the header is {version:?}; expected \"bplist00\"")));
    }
    let trailer = Trailer::read(bytes)?;
    let objects = &bytes[..trailer.table];
    let offsets = &bytes[trailer.table..bytes.len() - TRAILER_LENGTH];
    let reference_size = trailer.reference_size;
    let budget = Budget::default();
    let mut reader = Reader { objects, offsets, offset_size: trailer.offset_size, reference_size, budget };
    reader.value(trailer.top)
}

fn malformed(message: impl Into<String>) -> Finding {
    fault("malformed-binary", None, message)
}

/// The fixed end of the file: where the table is and how wide its numbers are.
struct Trailer {
    offset_size: usize,
    reference_size: usize,
    top: u64,
    table: usize,
}

impl Trailer {
    fn read(bytes: &[u8]) -> Result<Self, Finding> {
        let body = bytes.len().checked_sub(TRAILER_LENGTH).filter(|body| *body > HEADER.len());
        let body =
            body.ok_or_else(|| malformed(format!("the file has {} bytes; too few for any list", bytes.len())))?;
        let trailer = &bytes[body..];
        let offset_size = width(trailer[6], "an offset")?;
        let reference_size = width(trailer[7], "a reference")?;
        let (count, top) = (number(&trailer[8..16]), number(&trailer[16..24]));
        if top >= count {
            return Err(malformed(format!("the root is object {top}; the list has only {count}")));
        }
        let table = number(&trailer[24..]);
        let table = checked_table(table, count, offset_size, body).ok_or_else(|| {
            let expected = "expected it between the header and the trailer, ending at the trailer";
            malformed(format!("the table of {count} objects stands at byte {table}; {expected}"))
        })?;
        Ok(Self { offset_size, reference_size, top, table })
    }
}

/// Where the table begins, if it ends exactly at `body`; anything between would be read by some only.
fn checked_table(table: u64, count: u64, offset_size: usize, body: usize) -> Option<usize> {
    let table = usize::try_from(table).ok().filter(|table| *table > HEADER.len())?;
    let length = usize::try_from(count).ok()?.checked_mul(offset_size)?;
    (table.checked_add(length)? == body).then_some(table)
}

fn width(size: u8, what: &str) -> Result<usize, Finding> {
    if (1..=8).contains(&size) {
        return Ok(size.into());
    }
    Err(malformed(format!("{what} has {size} bytes; expected 1 to 8")))
}

/// A big-endian unsigned number of at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// A fault met further in, with one more step in front of its key path.
fn under(step: &str, mut finding: Finding) -> Finding {
    let rest = finding.key_path;
    let dot = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
    finding.key_path = format!("{step}{dot}{rest}");
    finding
}

struct Reader<'b> {
    /// The header and all objects, so that offsets of the file are offsets here.
    objects: &'b [u8],
    offsets: &'b [u8],
    offset_size: usize,
    reference_size: usize,
    budget: Budget,
}

impl<'b> Reader<'b> {
    fn value(&mut self, reference: u64) -> Result<Node, Finding> {
        self.budget.value(None)?;
        let at = self.locate(reference)?;
        let marker = self.objects[at];
        let value = match marker >> 4 {
            0x0 => simple(marker)?,
            0x1 => Value::Integer(self.integer(at)?),
            0x2 => Value::Real(self.real(at)?),
            0x3 => Value::Date(self.date(at)?),
            0x4 => Value::Data(self.data(at)?.to_vec()),
            0x5 | 0x6 => Value::String(self.string(at)?),
            0x8 => Value::Uid(self.uid(at)?),
            0xa => self.array(at)?,
            0xd => self.dictionary(at)?,
            _ => return Err(unsupported(marker)),
        };
        Ok(Node { value, span: None })
    }

    /// The offset of an object's marker.
    fn locate(&self, reference: u64) -> Result<usize, Finding> {
        let count = self.offsets.len() / self.offset_size;
        let index = usize::try_from(reference).ok().filter(|index| *index < count);
        let index =
            index.ok_or_else(|| malformed(format!("a reference to object {reference}; the list has only {count}")))?;
        let start = index * self.offset_size;
        let offset = number(&self.offsets[start..start + self.offset_size]);
        let at = usize::try_from(offset).ok();
        at.filter(|at| (HEADER.len()..self.objects.len()).contains(at))
            .ok_or_else(|| malformed(format!("object {index} is said to be at byte {offset}, among no objects")))
    }

    /// Bytes of an object, if all of them are there.
    fn take(&self, at: usize, length: usize) -> Result<&'b [u8], Finding> {
        let end = at.checked_add(length);
        end.and_then(|end| self.objects.get(at..end))
            .ok_or_else(|| malformed(format!("an object of {length} bytes at byte {at} ends behind all objects")))
    }

    /// The count in a marker, or behind it, and where what is counted begins.
    fn count(&self, at: usize) -> Result<(usize, usize), Finding> {
        let short = self.objects[at] & 0x0f;
        if short != 0x0f {
            return Ok((short.into(), at + 1));
        }
        let marker = self.take(at + 1, 1)?[0];
        if !(0x10..=0x13).contains(&marker) {
            return Err(malformed(format!("a length marked 0x{marker:02x}; expected an integer")));
        }
        let size = 1_usize << (marker & 0x0f);
        let count = number(self.take(at + 2, size)?);
        let count =
            usize::try_from(count).map_err(|_| malformed(format!("a length of {count}; more than the file holds")))?;
        Ok((count, at + 2 + size))
    }

    /// Integers of 1, 2 and 4 bytes are unsigned, longer ones signed.
    fn integer(&self, at: usize) -> Result<i128, Finding> {
        let exponent = self.objects[at] & 0x0f;
        if exponent > 4 {
            return Err(unsupported(self.objects[at]));
        }
        let bytes = self.take(at + 1, 1_usize << exponent)?;
        match bytes.len() {
            16 => {
                let (high, low) = bytes.split_at(8);
                let value = (i128::from(number(high) as i64) << 64) | i128::from(number(low));
                scalar::in_range(value, None)
            }
            8 => Ok((number(bytes) as i64).into()),
            _ => Ok(number(bytes).into()),
        }
    }

    fn real(&self, at: usize) -> Result<f64, Finding> {
        match self.objects[at] {
            0x22 => Ok(f32::from_bits(number(self.take(at + 1, 4)?) as u32).into()),
            0x23 => Ok(f64::from_bits(number(self.take(at + 1, 8)?))),
            marker => Err(unsupported(marker)),
        }
    }

    fn date(&self, at: usize) -> Result<String, Finding> {
        match self.objects[at] {
            0x33 => scalar::binary_date(f64::from_bits(number(self.take(at + 1, 8)?))),
            marker => Err(unsupported(marker)),
        }
    }

    fn uid(&self, at: usize) -> Result<u64, Finding> {
        let marker = self.objects[at];
        let length = usize::from(marker & 0x0f) + 1;
        if length > 8 {
            return Err(unsupported(marker));
        }
        Ok(number(self.take(at + 1, length)?))
    }

    fn data(&mut self, at: usize) -> Result<&'b [u8], Finding> {
        let (length, start) = self.count(at)?;
        let bytes = self.take(start, length)?;
        self.budget.bytes(length)?;
        Ok(bytes)
    }

    fn string(&mut self, at: usize) -> Result<String, Finding> {
        if self.objects[at] >> 4 == 0x5 {
            return ascii(self.data(at)?);
        }
        let (units, start) = self.count(at)?;
        let bytes = self.take(start, units.saturating_mul(2))?;
        self.budget.bytes(bytes.len())?;
        utf16(bytes)
    }

    fn array(&mut self, at: usize) -> Result<Value, Finding> {
        self.budget.enter(None)?;
        let (count, start) = self.count(at)?;
        let references = self.take(start, count.saturating_mul(self.reference_size))?;
        let mut items = Vec::new();
        for reference in references.chunks_exact(self.reference_size) {
            let step = format!("[{}]", items.len());
            let item = self.value(number(reference));
            items.push(item.map_err(|finding| under(&step, finding))?);
        }
        self.budget.leave();
        Ok(Value::Array(items))
    }

    fn dictionary(&mut self, at: usize) -> Result<Value, Finding> {
        self.budget.enter(None)?;
        let (count, start) = self.count(at)?;
        let half = count.saturating_mul(self.reference_size);
        let (keys, values) = self.take(start, half.saturating_mul(2))?.split_at(half);
        let keys = keys.chunks_exact(self.reference_size);
        let mut entries = Vec::new();
        for (key, value) in keys.zip(values.chunks_exact(self.reference_size)) {
            entries.push(self.entry(number(key), number(value))?);
        }
        self.budget.leave();
        dictionary(entries, "")
    }

    fn entry(&mut self, key: u64, value: u64) -> Result<Entry, Finding> {
        let key = self.key(key)?;
        let value = self.value(value).map_err(|finding| under(&key, finding))?;
        Ok(Entry { key, key_span: None, value })
    }

    fn key(&mut self, reference: u64) -> Result<String, Finding> {
        let at = self.locate(reference)?;
        let marker = self.objects[at];
        if !matches!(marker >> 4, 0x5 | 0x6) {
            let message = format!("a key marked 0x{marker:02x}; expected a string");
            return Err(fault("key-not-string", None, message));
        }
        self.string(at)
    }
}

fn simple(marker: u8) -> Result<Value, Finding> {
    match marker {
        0x08 => Ok(Value::Boolean(false)),
        0x09 => Ok(Value::Boolean(true)),
        _ => Err(unsupported(marker)),
    }
}

/// A marker of nothing a property list may hold.
fn unsupported(marker: u8) -> Finding {
    let found = match marker {
        0x00 => "a null".to_owned(),
        0x0f => "a fill byte".to_owned(),
        0xc0..=0xcf => "a set".to_owned(),
        _ => format!("an object marked 0x{marker:02x}"),
    };
    let expected = "expected a dictionary, array, string, number, boolean, date or data";
    fault("unsupported-value", None, format!("found {found}; {expected}"))
}

/// A string said to be ASCII; other bytes are read as Latin-1, Mac Roman or UTF-8, depending on the reader.
fn ascii(bytes: &[u8]) -> Result<String, Finding> {
    if let Some(byte) = bytes.iter().find(|byte| !byte.is_ascii()) {
        let message = format!("byte 0x{byte:02x} in an ASCII string; expected bytes below 0x80");
        return Err(fault("bad-string", None, message));
    }
    Ok(bytes.iter().copied().map(char::from).collect())
}

fn utf16(bytes: &[u8]) -> Result<String, Finding> {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).collect::<Result<_, _>>().map_err(|error| {
        let unit = error.unpaired_surrogate();
        let message = format!("0x{unit:04x} in a UTF-16 string; expected surrogates in pairs");
        fault("bad-string", None, message)
    })
}
