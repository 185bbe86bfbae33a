//! The job file as written: the tree checked against the registry, every key in its proper spelling and every
//! value of its kind. It says nothing about what the values mean together.

use crate::finding::{Finding, Severity, Span};
use crate::keys::{self, Available, Class, Key, Kind, Match};
use crate::plist::{Document, Entry, Format, Node, Value};

use super::scalar::{self, LONGEST_PATH};

/// Most bytes of a name that a file chooses freely, with those it stands in: the longest path and the keys before it.
/// Every value carries its key path, so that one long name around thousands of values would be kept thousands of times.
const LONGEST_KEY_PATH: usize = LONGEST_PATH + 256;

/// A job file as written.
#[derive(Clone, Debug)]
pub struct RawJob {
    root: RawValue,
    /// The known keys it has at the top.
    pub keys: Vec<&'static Key>,
}

impl RawJob {
    /// The value of a key of the job file itself.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.root.get(name)
    }

    /// Where the job file's dictionary begins: the place of what is missing in it.
    pub fn start(&self) -> Option<Span> {
        self.root.span.map(|span| Span { start: span.start, end: span.start + 1 })
    }

    /// Whether the file is a dictionary, so that a key can be missing in it.
    pub fn is_dictionary(&self) -> bool {
        matches!(self.root.data, RawData::Dictionary(_))
    }
}

/// A value that was checked.
#[derive(Clone, Debug)]
pub struct RawValue {
    /// Where in the property list.
    pub path: String,
    /// Where in the text.
    pub span: Option<Span>,
    /// What it is.
    pub data: RawData,
}

/// A checked value's data.
#[derive(Clone, Debug)]
pub enum RawData {
    /// Text without NUL.
    Text(String),
    /// A number within its key's bounds.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// Values in order.
    Array(Vec<RawValue>),
    /// Known keys in the registry's spelling, or free names.
    Dictionary(Vec<RawEntry>),
    /// Not looked at, because nothing acts on it.
    Ignored,
    /// Refused with a finding; kept so that it does not count as missing.
    Invalid,
}

/// A key and its checked value.
#[derive(Clone, Debug)]
pub struct RawEntry {
    /// The key.
    pub name: String,
    /// Its value.
    pub value: RawValue,
}

impl RawValue {
    /// The text, if it is some.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            RawData::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn integer(&self) -> Option<i64> {
        match self.data {
            RawData::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// Whether it is true, if it is either.
    pub fn boolean(&self) -> Option<bool> {
        match self.data {
            RawData::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// The items of an array; none of anything else.
    pub fn items(&self) -> &[RawValue] {
        match &self.data {
            RawData::Array(items) => items,
            _ => &[],
        }
    }

    /// The entries of a dictionary; none of anything else.
    pub fn entries(&self) -> &[RawEntry] {
        match &self.data {
            RawData::Dictionary(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a dictionary's key.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        let entry = self.entries().iter().find(|entry| entry.name == name)?;
        Some(&entry.value)
    }

    /// The dictionary itself, or the items of an array of them.
    pub fn one_or_many(&self) -> &[RawValue] {
        match &self.data {
            RawData::Array(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// A finding about this value.
    pub fn finding(&self, severity: Severity, code: &'static str, message: impl Into<String>) -> Finding {
        Finding::new(severity, code, message).at(self.path.clone(), self.span)
    }
}

/// The items of a key that may be missing.
pub fn items(value: Option<&RawValue>) -> &[RawValue] {
    match value {
        Some(value) => value.items(),
        None => &[],
    }
}

/// The entries of a key that may be missing.
pub fn entries(value: Option<&RawValue>) -> &[RawEntry] {
    match value {
        Some(value) => value.entries(),
        None => &[],
    }
}

/// The text of a key of the job file itself.
pub fn text<'a>(job: &'a RawJob, key: &str) -> Option<&'a str> {
    job.get(key)?.text()
}

/// Whether a key of the job file itself is given and true.
pub fn truth(job: &RawJob, key: &str) -> bool {
    job.get(key).and_then(RawValue::boolean).unwrap_or(false)
}

/// The number of a key of the job file itself.
pub fn number<T: TryFrom<i64>>(job: &RawJob, key: &str) -> Option<T> {
    T::try_from(job.get(key)?.integer()?).ok()
}

/// Checks a document against the registry.
pub fn read(document: &Document, findings: &mut Vec<Finding>) -> RawJob {
    let mut reader = Reader { ascii: document.format == Format::Ascii, findings, keys: Vec::new() };
    let data = match &document.root.value {
        Value::Dictionary(entries) => reader.dictionary("", entries, ""),
        other => {
            let message = format!("a job file is a dictionary; found {}", scalar::with_article(other));
            reader.error("wrong-type", "", document.root.span, message, None);
            RawData::Invalid
        }
    };
    RawJob { root: RawValue { path: String::new(), span: document.root.span, data }, keys: reader.keys }
}

struct Reader<'a> {
    /// ASCII lists know only strings, so numbers and booleans are read from them.
    ascii: bool,
    findings: &'a mut Vec<Finding>,
    keys: Vec<&'static Key>,
}

impl Reader<'_> {
    fn error(&mut self, code: &'static str, path: &str, span: Option<Span>, message: String, help: Option<String>) {
        let finding = Finding { help, ..Finding::new(Severity::Error, code, message) };
        self.findings.push(finding.at(path, span));
    }

    fn value(&mut self, kind: &Kind, node: &Node, path: String) -> RawValue {
        let data = self.data(kind, node, &path);
        RawValue { path, span: node.span, data }
    }

    fn data(&mut self, kind: &Kind, node: &Node, path: &str) -> RawData {
        match (kind, &node.value) {
            (Kind::Anything, _) => RawData::Ignored,
            (Kind::AnyOf(kinds), value) => match kinds.iter().find(|kind| scalar::fits(kind, value, self.ascii)) {
                Some(kind) => self.data(kind, node, path),
                None => self.wrong_type(kind, node, path),
            },
            (Kind::Array(each), Value::Array(items)) => RawData::Array(
                (0..).zip(items).map(|(at, item)| self.value(each, item, format!("{path}[{at}]"))).collect(),
            ),
            (Kind::Dictionary(parent), Value::Dictionary(entries)) => self.dictionary(parent, entries, path),
            (Kind::Map(each), Value::Dictionary(entries)) => self.map(each, entries, path),
            (Kind::Settings, Value::Dictionary(entries)) => self.map(&scalar::SETTING, entries, path),
            _ => match scalar::read(kind, &node.value, self.ascii) {
                Ok(data) => data,
                Err(scalar::Fault::Type) => self.wrong_type(kind, node, path),
                Err(scalar::Fault::Value { code, found }) => {
                    let message = format!("{path} is {found}; expected {}", kind.words());
                    self.error(code, path, node.span, message, None);
                    RawData::Invalid
                }
            },
        }
    }

    fn wrong_type(&mut self, kind: &Kind, node: &Node, path: &str) -> RawData {
        let found = scalar::with_article(&node.value);
        let message = format!("{path} is {found}; expected {}", kind.words());
        let help = scalar::correction(kind, &node.value).map(|text| format!("write {text}"));
        self.error("wrong-type", path, node.span, message, help);
        RawData::Invalid
    }

    /// A dictionary with free names.
    fn map(&mut self, each: &Kind, entries: &[Entry], path: &str) -> RawData {
        let mut known = Vec::new();
        for entry in entries {
            if path.len() + entry.key.len() > LONGEST_KEY_PATH {
                self.too_long(entry, path);
                continue;
            }
            let path = join(path, &entry.key);
            if entry.key.contains('\0') {
                let message = format!("the name {:?} has a NUL character", entry.key);
                self.error("nul-character", &path, entry.key_span, message, None);
            }
            let value = self.value(each, &entry.value, path);
            known.push(RawEntry { name: entry.key.clone(), value });
        }
        RawData::Dictionary(known)
    }

    fn too_long(&mut self, entry: &Entry, path: &str) {
        let length = path.len() + entry.key.len();
        let message = format!("a name has {length} bytes with those it stands in; expected at most {LONGEST_KEY_PATH}");
        self.error("out-of-range", path, entry.key_span, message, None);
    }

    /// A dictionary with fixed keys.
    fn dictionary(&mut self, parent: &str, entries: &[Entry], path: &str) -> RawData {
        let mut known: Vec<RawEntry> = Vec::new();
        for entry in entries {
            let Some(key) = self.known_key(parent, entry, path) else {
                continue;
            };
            if known.iter().any(|other| other.name == key.name()) {
                self.duplicate(key, entry, path);
                continue;
            }
            self.remark(key, entry, path);
            let value = self.value(&key.kind, &entry.value, join(path, key.name()));
            known.push(RawEntry { name: key.name().into(), value });
            if parent.is_empty() {
                self.keys.push(key);
            }
        }
        RawData::Dictionary(known)
    }

    fn known_key(&mut self, parent: &str, entry: &Entry, path: &str) -> Option<&'static Key> {
        match keys::look_up(parent, &entry.key) {
            Match::Exact(key) | Match::OtherCase(key) => Some(key),
            Match::OwnOtherCase(key) => {
                let message = format!("unknown key {}; wjob's own keys match exactly", entry.key);
                let help = Some(format!("write {}", key.name()));
                self.error("key-case", &join(path, &entry.key), entry.key_span, message, help);
                None
            }
            Match::Unknown => {
                self.unknown_key(parent, entry, path);
                None
            }
        }
    }

    fn unknown_key(&mut self, parent: &str, entry: &Entry, path: &str) {
        let own = keys::find(parent.trim_end_matches(".*")).is_some_and(Key::is_own);
        let severity = if own { Severity::Error } else { Severity::Warning };
        let message = match path {
            "" => format!("unknown key {:?}", entry.key),
            _ => format!("unknown key {:?} in {path}", entry.key),
        };
        let mut finding = Finding::new(severity, "unknown-key", message).at(join(path, &entry.key), entry.key_span);
        finding.help = advice(parent, &entry.key);
        self.findings.push(finding);
    }

    fn duplicate(&mut self, key: &Key, entry: &Entry, path: &str) {
        let message = format!("{} is {} once more, in other letter case", entry.key, key.name());
        let help = Some("keep one of the two".into());
        self.error("duplicate-key", &join(path, &entry.key), entry.key_span, message, help);
    }

    /// What there is to say about a key for being there at all.
    fn remark(&mut self, key: &Key, entry: &Entry, path: &str) {
        let name = key.name();
        let mut say = |severity, code, message: String| {
            let finding = Finding::new(severity, code, message);
            self.findings.push(finding.at(join(path, &entry.key), entry.key_span));
        };
        if entry.key != name {
            let message = format!("{} is read as {name}; launchd's own spelling is safer", entry.key);
            say(Severity::Warning, "key-case", message);
        }
        if key.class == Class::Noted {
            say(Severity::Note, "noted-key", format!("{name} does nothing here. {}", key.summary));
        } else if key.available == Available::NotYet && !waits(key.parent()) {
            let message = format!("{name} is checked, but nothing acts on it yet");
            say(Severity::Warning, "not-yet", message);
        }
    }
}

/// Whether nothing acts yet on a whole dictionary: it says so once for all the keys in it.
fn waits(parent: &str) -> bool {
    keys::find(parent.trim_end_matches(".*")).is_some_and(|key| key.available == Available::NotYet)
}

fn advice(parent: &str, name: &str) -> Option<String> {
    if let Some(key) = keys::nearest(parent, name) {
        return Some(format!("the nearest known key is {}", key.name()));
    }
    keys::elsewhere(parent, name).map(|key| match key.parent() {
        "" => format!("{name} belongs at the top of the job file"),
        parent => format!("{name} belongs in {parent}"),
    })
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.into(),
        _ => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plist;

    /// What is found in a job file with this inside its dictionary, and how many bytes that takes.
    fn found(inside: &str) -> (Vec<&'static str>, usize) {
        let document = plist::read(format!("<plist><dict>{inside}</dict></plist>").as_bytes()).expect("a list");
        let mut findings = Vec::new();
        read(&document, &mut findings);
        let bytes = findings.iter().map(|finding| finding.message.len() + finding.key_path.len()).sum();
        (findings.iter().map(|finding| finding.code).collect(), bytes)
    }

    #[test]
    fn a_long_name_around_many_values_is_refused_once() {
        let long = "n".repeat(LONGEST_KEY_PATH);
        let settings: String =
            (0..4000).map(|index| format!("<key>{index}</key><date>2001-01-01T00:00:00Z</date>")).collect();
        for (key, inside) in [("Config", settings), ("Sockets", "<key>x</key><true/>".into())] {
            let body = format!("<key>{key}</key><dict><key>{long}</key><dict>{inside}</dict></dict>");
            let (codes, bytes) = found(&body);
            assert_eq!(codes, ["out-of-range"], "{key}");
            assert!(bytes < 1000, "{key}: {bytes} bytes");
        }
    }

    #[test]
    fn names_are_as_long_as_paths_may_be() {
        let variable = |length| format!("<key>PathState</key><dict><key>{}</key><true/></dict>", "/".repeat(length));
        for (length, codes) in [(LONGEST_PATH, &[][..]), (LONGEST_KEY_PATH, &["out-of-range"])] {
            let (found, _) = found(&format!("<key>KeepAlive</key><dict>{}</dict>", variable(length)));
            assert_eq!(found, codes, "{length}");
        }
    }

    #[test]
    fn a_path_is_no_longer_than_the_kernel_takes() {
        for (length, codes) in [(LONGEST_PATH, &[][..]), (LONGEST_PATH + 1, &["out-of-range"])] {
            let (found, _) = found(&format!("<key>Program</key><string>{}</string>", "/".repeat(length)));
            assert_eq!(found, codes, "{length}");
        }
    }
}
