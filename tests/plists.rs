//! Property lists that others wrote, and a dozen of ours: what is found in each, and that our reader takes from them
//! what the plist crate takes. The model is asked directly, without a process; how findings are shown is `check`'s.
//! The lists of others are not part of the repository: where they are missing, that part is skipped and says so.
//! Their findings are kept in `plists.snapshot`, so that a changed rule shows at once in which files it speaks.

use std::fs;
use std::path::{Path, PathBuf};

use wjob_model::finding::{Finding, Severity};
use wjob_model::keys;
use wjob_model::plist::{self as ours, Node};
use wjob_model::spec::{self, Context, Loaded};

use crate::harness;

/// The variable that has the snapshot written anew instead of compared.
const REWRITE: &str = "WJOB_SNAPSHOT";
/// How many lines of a difference are shown.
const SHOWN: usize = 10;
/// Well-formed lists of others that are refused all the same, and why.
const REFUSED: &[(&str, &str)] = &[("004.plist", "lines of a C preprocessor stand between the elements")];
/// Lists that the plist crate reads otherwise, and why.
const READ_OTHERWISE: &[(&str, &str)] =
    &[("ascii.plist", "the crate makes integers of unquoted digits; the format knows strings only")];

/// What is expected of a list of ours: severity, code and key path of each finding, in their order.
type Expected = &'static [(Severity, &'static str, &'static str)];

use Severity::{Error, Note, Warning};

#[rustfmt::skip]
const FIXTURES: &[(&str, Expected)] = &[
    ("ascii.plist", &[]),
    ("case.plist", &[
        (Warning, "key-case", "label"),
        (Warning, "key-case", "StartCalendarInterval.WeekDay"),
        (Error, "key-case", "limits"),
    ]),
    ("endless.plist", &[
        (Warning, "bare-name", "Program"),
        (Warning, "no-effect", "EnableGlobbing"),
        (Warning, "on-demand-and-keep-alive", "OnDemand"),
        (Warning, "endless", "KeepAlive.SuccessfulExit"),
        (Warning, "endless", "KeepAlive.Crashed"),
        (Warning, "endless", "KeepAlive.OtherJobEnabled.com.example.endless"),
        (Warning, "tilde", "StandardOutPath"),
        (Warning, "inetd-without-sockets", "inetdCompatibility"),
    ]),
    ("entities.plist", &[(Error, "internal-subset", "")]),
    ("full.plist", &[
        (Warning, "not-yet", "Grants.Services"),
        (Warning, "not-yet", "Limits.Message"),
    ]),
    ("macos.plist", &[
        (Note, "noted-key", "LaunchEvents"),
        (Warning, "not-yet", "StartOnMount"),
    ]),
    ("missing.plist", &[
        (Error, "missing-key", "Label"),
        (Error, "no-program", "Program"),
    ]),
    ("misspelt.plist", &[
        (Warning, "unknown-key", "WatchPath"),
        (Warning, "unknown-key", "SuccessfulExit"),
        (Warning, "unknown-key", "ServiceDescription"),
        (Error, "unknown-key", "Limits.Memoy"),
    ]),
    ("modes.plist", &[
        (Warning, "decimal-mode", "Umask"),
        (Warning, "decimal-mode", "Sockets.Listener.SockPathMode"),
    ]),
    ("refused.plist", &[
        (Error, "relative-path", "Grants.Paths[0]"),
        (Error, "protected-path", "Grants.Paths[1]"),
        (Error, "protected-path", "Grants.Paths[2]"),
        (Error, "read-only-inside-read-write", "Grants.Paths[4]"),
        (Error, "duplicate-guest-path", "Grants.Paths[5]"),
        (Error, "missing-key", "Grants.Paths[6]"),
        (Error, "wrong-endpoint", "Grants.Connect[0]"),
        (Error, "wrong-endpoint", "Grants.Connect[1]"),
        (Error, "not-yet", "Grants.Services"),
        (Error, "users-on-network-socket", "Grants.Users"),
        (Error, "out-of-range", "Limits.Memory"),
        (Error, "out-of-range", "SoftResourceLimits.NumberOfFiles"),
        (Error, "not-yet", "Isolation"),
    ]),
    ("schedule.plist", &[
        (Warning, "endless", "KeepAlive"),
        (Warning, "every-minute", "StartCalendarInterval[0]"),
        (Warning, "never", "StartCalendarInterval[1].Day"),
        (Note, "missing-day", "StartCalendarInterval[2].Day"),
    ]),
    ("twice.plist", &[(Error, "duplicate-key", "")]),
    ("types.plist", &[
        (Error, "wrong-type", "Label"),
        (Error, "wrong-type", "ProgramArguments"),
        (Error, "wrong-type", "RunAtLoad"),
        (Error, "wrong-type", "StartInterval"),
        (Error, "out-of-range", "Nice"),
        (Error, "wrong-value", "Umask"),
        (Error, "wrong-type", "KeepAlive"),
        (Error, "wrong-type", "EnvironmentVariables.RETRIES"),
    ]),
];

/// A property list and its name.
struct List {
    name: String,
    bytes: Vec<u8>,
}

/// The lists of a folder, by name; none if there is no such folder.
fn lists(folder: &Path) -> Vec<List> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry of the folder").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|name| name == "plist"));
    paths.sort();
    paths.into_iter().map(|path| List { name: name_of(&path), bytes: read(&path) }).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn folder_of_others() -> PathBuf {
    harness::root().join("../shared/plists")
}

/// The lists of others; says so if they are not there.
fn of_others() -> Vec<List> {
    let folder = folder_of_others();
    let found = lists(&folder);
    if found.is_empty() {
        println!("skipped: there are no property lists of others in {}", folder.display());
    }
    found
}

/// Our own lists; says so if this is a copy of the repository without them.
fn of_ours() -> Vec<List> {
    let folder = harness::root().join("tests/plists");
    let found = lists(&folder);
    if found.is_empty() {
        println!("skipped: there are no property lists in {}", folder.display());
    }
    found
}

fn load(bytes: &[u8]) -> Loaded {
    spec::load(bytes, &Context { folder: "/jobs", home: "/home/user", uid: 1000 })
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Note => "note",
        Warning => "warning",
        Error => "error",
    }
}

/// A finding as a line of the snapshot.
fn line(name: &str, finding: &Finding) -> String {
    let Finding { severity, code, key_path, message, .. } = finding;
    let place = if key_path.is_empty() { String::new() } else { format!(" {key_path}") };
    format!("{name} {} {code}{place}: {}", word(*severity), message.replace('\n', "\\n"))
}

fn snapshot_of(lists: &[List]) -> String {
    let mut text = String::new();
    for list in lists {
        let findings = load(&list.bytes).findings;
        if findings.is_empty() {
            text += &format!("{} ok\n", list.name);
        }
        for finding in &findings {
            text += &line(&list.name, finding);
            text.push('\n');
        }
    }
    text
}

/// The first lines that only one of two texts has.
fn difference(before: &str, now: &str) -> String {
    let without = |text: &str, other: &str, mark: char| {
        let other: Vec<&str> = other.lines().collect();
        let lines = text.lines().filter(|line| !other.contains(line)).map(|line| format!("{mark} {line}"));
        lines.take(SHOWN).collect::<Vec<_>>()
    };
    [without(before, now, '-'), without(now, before, '+')].concat().join("\n")
}

#[test]
fn the_findings_of_others_lists_are_those_of_the_snapshot() {
    let lists = of_others();
    if lists.is_empty() {
        return;
    }
    let file = harness::root().join("tests/plists.snapshot");
    let now = snapshot_of(&lists);
    if std::env::var_os(REWRITE).is_some_and(|value| value == "write") {
        fs::write(&file, now).expect("the snapshot can be written");
        return;
    }
    let before = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        before == now,
        "the findings are not those of tests/plists.snapshot (- before, + now):\n{}\n\
         if they are right: {REWRITE}=write cargo test plists",
        difference(&before, &now)
    );
}

/// The rows of the index: name of the file, and whether other readers take it for well-formed.
fn index() -> Vec<(String, bool)> {
    let text = fs::read_to_string(folder_of_others().join("INDEX.tsv")).unwrap_or_default();
    let rows = text.lines().skip(1).filter_map(|row| {
        let columns: Vec<&str> = row.split('\t').collect();
        Some(((*columns.first()?).to_owned(), !columns.get(5)?.contains("UNPARSABLE")))
    });
    rows.collect()
}

#[test]
fn well_formed_lists_are_read_and_others_are_not() {
    let index = index();
    for list in of_others() {
        let read = ours::read(&list.bytes);
        let listed = index.iter().find(|(name, _)| *name == list.name);
        let well_formed = listed.unwrap_or_else(|| panic!("{} is not in INDEX.tsv", list.name)).1;
        let refused = REFUSED.iter().find(|(name, _)| *name == list.name);
        let expected = well_formed && refused.is_none();
        assert_eq!(read.is_ok(), expected, "{}: {:?} {refused:?}", list.name, read.err());
    }
}

#[test]
fn our_own_lists_have_the_findings_of_the_table() {
    let lists = of_ours();
    for list in &lists {
        let row = FIXTURES.iter().find(|(name, _)| *name == list.name);
        let (_, expected) = row.unwrap_or_else(|| panic!("{} is not in the table", list.name));
        let loaded = load(&list.bytes);
        let found: Vec<_> = loaded.findings.iter().map(|it| (it.severity, it.code, it.key_path.as_str())).collect();
        assert_eq!(found, *expected, "{}", list.name);
        let refused = expected.iter().any(|(severity, ..)| *severity == Error);
        assert_eq!(loaded.job.is_none(), refused, "{}", list.name);
    }
    assert!(lists.is_empty() || lists.len() == FIXTURES.len(), "a list of the table is missing");
}

#[test]
fn every_finding_says_where_and_in_one_line() {
    for list in of_ours().into_iter().chain(of_others()) {
        for finding in load(&list.bytes).findings {
            let shown = line(&list.name, &finding);
            assert!(!finding.message.contains('\n') && !finding.message.is_empty(), "{shown}");
            let placed = finding.span.is_some_and(|span| span.start <= span.end && span.end <= list.bytes.len());
            assert!(placed, "no place in the text: {shown}");
        }
    }
}

#[test]
fn the_full_list_has_every_key_of_our_own() {
    let Some(full) = of_ours().into_iter().find(|list| list.name == "full.plist") else {
        return;
    };
    let document = ours::read(&full.bytes).expect("full.plist is a property list");
    for key in keys::all().iter().filter(|key| key.is_own()) {
        let names: Vec<&str> = key.path.split('.').collect();
        assert!(has(&document.root, &names), "full.plist has no {}", key.path);
    }
}

/// Whether a value has something at this path; `*` is any item or name.
fn has(node: &Node, names: &[&str]) -> bool {
    let Some((name, rest)) = names.split_first() else {
        return true;
    };
    if *name != "*" {
        return node.get(name).is_some_and(|value| has(value, rest));
    }
    let items = node.items().unwrap_or_default().iter();
    let values = node.entries().unwrap_or_default().iter().map(|entry| &entry.value);
    items.chain(values).any(|value| has(value, rest))
}

#[test]
fn a_binary_list_means_what_its_text_means() {
    for list in of_ours().iter().filter(|list| matches!(list.name.as_str(), "full.plist" | "refused.plist")) {
        let value = plist::Value::from_reader_xml(list.bytes.as_slice()).expect("a property list");
        let mut binary = Vec::new();
        value.to_writer_binary(&mut binary).expect("a binary property list");
        let (text, binary) = (load(&list.bytes), load(&binary));
        assert_eq!(binary.format, Some(ours::Format::Binary));
        assert_eq!(text.job, binary.job, "{}", list.name);
        assert_eq!(without_places(&text), without_places(&binary), "{}", list.name);
    }
}

/// Findings without their places, which binary lists do not have, in an order that does not depend on them.
fn without_places(loaded: &Loaded) -> Vec<String> {
    let mut lines: Vec<String> = loaded.findings.iter().map(|finding| line("", finding)).collect();
    lines.sort();
    lines
}

#[test]
fn our_reader_and_the_plist_crate_read_the_same() {
    for list in of_ours().into_iter().chain(of_others()) {
        let theirs = plist::Value::from_reader(std::io::Cursor::new(&list.bytes));
        let (Ok(document), Ok(theirs)) = (ours::read(&list.bytes), theirs) else {
            continue;
        };
        let same = same(&document.root, &theirs);
        let expected = !READ_OTHERWISE.iter().any(|(name, _)| *name == list.name);
        assert_eq!(same, expected, "{}\nours: {:#?}\ntheirs: {theirs:#?}", list.name, document.root);
    }
}

/// Whether two readings are of the same value. Dictionaries have no order.
fn same(node: &Node, theirs: &plist::Value) -> bool {
    match (&node.value, theirs) {
        (ours::Value::Dictionary(entries), plist::Value::Dictionary(theirs)) => {
            let each = |entry: &ours::Entry| theirs.get(&entry.key).is_some_and(|value| same(&entry.value, value));
            entries.len() == theirs.len() && entries.iter().all(each)
        }
        (ours::Value::Array(items), plist::Value::Array(theirs)) => {
            items.len() == theirs.len() && items.iter().zip(theirs).all(|(item, value)| same(item, value))
        }
        (ours::Value::String(text), plist::Value::String(theirs)) => text == theirs,
        (ours::Value::Integer(number), plist::Value::Integer(theirs)) => Some(*number) == whole(*theirs),
        (ours::Value::Real(number), plist::Value::Real(theirs)) => {
            number == theirs || (number.is_nan() && theirs.is_nan())
        }
        (ours::Value::Boolean(value), plist::Value::Boolean(theirs)) => value == theirs,
        (ours::Value::Date(date), plist::Value::Date(theirs)) => *date == theirs.to_xml_format(),
        (ours::Value::Data(bytes), plist::Value::Data(theirs)) => bytes == theirs,
        (ours::Value::Uid(number), plist::Value::Uid(theirs)) => *number == theirs.get(),
        _ => false,
    }
}

fn whole(number: plist::Integer) -> Option<i128> {
    number.as_signed().map(i128::from).or_else(|| number.as_unsigned().map(i128::from))
}
