//! Property lists of the three formats, from bytes to a job and its walls. Whatever the bytes are: a finding is one
//! line about a place in the file, there is a job exactly if no finding is an error, no grant of it reaches wjob's own
//! folders or the kernel's, and what was read is written and read again as the same.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use plist::{Date, Dictionary, Integer, Uid, Value as Written};
use wjob_model::calendar::next;
use wjob_model::finding::{Severity, Span};
use wjob_model::grant::PathGrant;
use wjob_model::job::{Isolation, Job};
use wjob_model::plist::{self as list, MAX_BYTES, Node, Value};
use wjob_model::spec::{self, Context, Loaded};
use wjob_model::terminal::one_line;
use wjob_model::wall::{self, Machine};

const CONTEXT: Context<'static> = Context { folder: "/jobs", home: "/home/user", uid: 1000 };
/// Folders that no grant may be, hold or lie in.
const KEPT: [&str; 6] = ["/proc", "/sys", "/etc/wjob", "/var/lib/wjob", "/run/wjob", "/home/user/.config/wjob"];
/// The beginning of a job in XML, and in the ASCII format.
const XML: &str = "<plist><dict><key>Label</key><string>a.b</string><key>Program</key><string>/bin/a</string>";
const ASCII: &str = "{ Label = a.b; Program = \"/bin/a\"; ";
/// The beginning of every binary list.
const BINARY: &[u8] = b"bplist00";

/// The bytes as a file, and as the rest of a job in XML.
pub fn plist_xml(bytes: &[u8]) {
    check(bytes);
    check(&[XML.as_bytes(), bytes, b"</dict></plist>"].concat());
}

/// The bytes as a file, and as the rest of a job in the ASCII format.
pub fn plist_ascii(bytes: &[u8]) {
    check(bytes);
    check(&[ASCII.as_bytes(), bytes, b"}"].concat());
}

/// The bytes as a binary list, and as the objects of one whose table is in order.
pub fn plist_binary(bytes: &[u8]) {
    let bytes = bytes.strip_prefix(BINARY).unwrap_or(bytes);
    check(&[BINARY, bytes].concat());
    check(&with_table(bytes));
}

/// A binary list in whose table every byte begins an object, the first one the outermost: a table that is right by
/// chance is never met.
fn with_table(objects: &[u8]) -> Vec<u8> {
    let table = BINARY.len() + objects.len();
    let offsets = (BINARY.len()..table).flat_map(|offset| (offset as u32).to_be_bytes());
    let mut bytes = [BINARY, objects].concat();
    bytes.extend(offsets);
    bytes.extend([0, 0, 0, 0, 0, 0, 4, 1]);
    for number in [objects.len(), 0, table] {
        bytes.extend((number as u64).to_be_bytes());
    }
    bytes
}

fn check(bytes: &[u8]) {
    let text = str::from_utf8(bytes).ok();
    let Loaded { job, findings, .. } = spec::load(bytes, &CONTEXT);
    for finding in &findings {
        assert!(!finding.message.is_empty() && one_line(&finding.message) == finding.message, "{finding:?}");
        within(finding.span, bytes, text);
    }
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(job.is_none(), refused, "{findings:?}");
    if let Some(job) = job {
        walls(&job);
        written_job(&job);
    }
    if let Ok(document) = list::read(bytes) {
        places(&document.root, bytes, text);
        written_list(&document.root, bytes.len());
    }
}

/// A place is in the file, and in a text between characters.
fn within(span: Option<Span>, bytes: &[u8], text: Option<&str>) {
    let Some(Span { start, end }) = span else { return };
    assert!(start <= end && end <= bytes.len(), "{start}..{end} of {}", bytes.len());
    if let Some(text) = text {
        assert!(text.is_char_boundary(start) && text.is_char_boundary(end), "{start}..{end} of {text:?}");
    }
}

fn places(node: &Node, bytes: &[u8], text: Option<&str>) {
    within(node.span, bytes, text);
    for entry in node.entries().unwrap_or_default() {
        within(entry.key_span, bytes, text);
        places(&entry.value, bytes, text);
    }
    for item in node.items().unwrap_or_default() {
        places(item, bytes, text);
    }
}

/// The walls of a job can be planned, whatever it says, and only `Isolation` None does without.
fn walls(job: &Job) {
    for grant in job.opened() {
        let PathGrant { host, .. } = &grant;
        assert!(host.starts_with('/') && !host.split('/').any(|name| matches!(name, "." | "..")), "{grant:?}");
        let path = Path::new(host);
        let kept = KEPT.iter().find(|folder| path.starts_with(folder) || Path::new(folder).starts_with(path));
        assert_eq!(kept, None, "{grant:?}");
    }
    let machine =
        |under_root| Machine { uid: CONTEXT.uid, landlock_abi: 7, seccomp: true, namespaces: Ok(()), under_root };
    for (wasm, best_effort) in [(true, false), (false, false), (false, true)] {
        let machine = machine(!best_effort);
        if let Ok(plan) = wall::plan(job, "/bin/a", wasm, &machine, best_effort) {
            assert_eq!(plan.is_unwalled(), job.isolation == Isolation::None);
            assert_eq!(plan.seccomp, !plan.is_unwalled());
        }
    }
    let due = next(&job.launch.calendar, Timestamp::UNIX_EPOCH, &TimeZone::UTC);
    assert!(due.is_none_or(|due| due > Timestamp::UNIX_EPOCH));
}

/// A job is told to the next supervisor as it is.
fn written_job(job: &Job) {
    let told = postcard::to_stdvec(job).expect("a job that was read can be told");
    let heard: Job = postcard::from_bytes(&told).expect("a job that was told can be read");
    assert_eq!(heard, *job);
}

/// What was read of `length` bytes is read again as the same once the plist crate has written it.
fn written_list(root: &Node, length: usize) {
    // A text may take twice its bytes in UTF-16.
    if length > MAX_BYTES / 2 {
        return;
    }
    let mut bytes = Vec::new();
    value(root).to_writer_binary(&mut bytes).expect("a list that was read can be written");
    let again = list::read(&bytes).expect("a list that was written can be read");
    assert!(same(root, &again.root), "{root:?}\nwas written and read as\n{:?}", again.root);
}

/// The same value in the plist crate's words.
fn value(node: &Node) -> Written {
    match &node.value {
        Value::Dictionary(entries) => {
            let mut dictionary = Dictionary::new();
            for entry in entries {
                dictionary.insert(entry.key.clone(), value(&entry.value));
            }
            Written::Dictionary(dictionary)
        }
        Value::Array(items) => Written::Array(items.iter().map(value).collect()),
        Value::String(text) => Written::String(text.clone()),
        Value::Integer(number) => Written::Integer(integer(*number)),
        Value::Real(number) => Written::Real(*number),
        Value::Boolean(value) => Written::Boolean(*value),
        Value::Date(text) => Written::Date(Date::from_xml_format(text).expect("a date of the calendar")),
        Value::Data(bytes) => Written::Data(bytes.clone()),
        Value::Uid(number) => Written::Uid(Uid::new(*number)),
    }
}

fn integer(number: i128) -> Integer {
    let unsigned = || u64::try_from(number).expect("64 bits, signed or unsigned");
    i64::try_from(number).map_or_else(|_| unsigned().into(), Integer::from)
}

/// Whether two values are the same wherever they stand; a real is by its bits, as one that is no number equals none.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Dictionary(one), Value::Dictionary(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(one, other)| one.key == other.key && same(&one.value, &other.value))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Real(one), Value::Real(other)) => one.to_bits() == other.to_bits(),
        (one, other) => one == other,
    }
}
