//! Table tests of the property list readers: each rule, each bound, hostile input, and agreement with the
//! `plist` crate on lists that every reader takes alike.

mod ascii;
mod binary;
mod bounds;
mod xml;

use std::io::Cursor;

use super::*;

/// Whether our reading of a list is the `plist` crate's.
pub(crate) fn same_as_plist_crate(ours: &Node, theirs: &::plist::Value) -> bool {
    use ::plist::Value as Theirs;
    match (&ours.value, theirs) {
        (Value::Dictionary(ours), Theirs::Dictionary(theirs)) => {
            let same =
                |entry: &Entry| theirs.get(&entry.key).is_some_and(|value| same_as_plist_crate(&entry.value, value));
            ours.len() == theirs.len() && ours.iter().all(same)
        }
        (Value::Array(ours), Theirs::Array(theirs)) => {
            let mut pairs = ours.iter().zip(theirs);
            ours.len() == theirs.len() && pairs.all(|(ours, theirs)| same_as_plist_crate(ours, theirs))
        }
        (Value::String(ours), Theirs::String(theirs)) => ours == theirs,
        (Value::Integer(ours), Theirs::Integer(theirs)) => {
            let signed = theirs.as_signed().map(i128::from);
            Some(*ours) == signed.or(theirs.as_unsigned().map(i128::from))
        }
        (Value::Real(ours), Theirs::Real(theirs)) => ours == theirs,
        (Value::Boolean(ours), Theirs::Boolean(theirs)) => ours == theirs,
        (Value::Date(ours), Theirs::Date(theirs)) => *ours == theirs.to_xml_format(),
        (Value::Data(ours), Theirs::Data(theirs)) => ours == theirs,
        (Value::Uid(ours), Theirs::Uid(theirs)) => *ours == theirs.get(),
        _ => false,
    }
}

/// The code of the fault in this input.
fn code(input: impl AsRef<[u8]>) -> &'static str {
    match read(input.as_ref()) {
        Ok(_) => "no fault",
        Err(finding) => {
            assert_eq!(finding.severity, Severity::Error);
            finding.code
        }
    }
}

/// The value read from this input.
fn value(input: impl AsRef<[u8]>) -> Value {
    read(input.as_ref()).unwrap().root.value
}

/// An XML list with this inside `<plist>`.
fn plist(inside: &str) -> String {
    format!("<plist>{inside}</plist>")
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

/// A binary list of these objects; the first is the root, references have one byte.
fn binary(objects: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"bplist00".to_vec();
    let mut offsets = Vec::new();
    for object in objects {
        offsets.extend((bytes.len() as u16).to_be_bytes());
        bytes.extend(*object);
    }
    let table = bytes.len() as u64;
    bytes.extend(offsets);
    bytes.extend([0, 0, 0, 0, 0, 0, 2, 1]);
    bytes.extend((objects.len() as u64).to_be_bytes());
    bytes.extend(0_u64.to_be_bytes());
    bytes.extend(table.to_be_bytes());
    bytes
}

/// `{a: [true, "bcd"], e: -1}`
fn small_binary() -> Vec<u8> {
    let minus_one = [&[0x13_u8][..], &[0xff; 8]].concat();
    binary(&[&[0xd2, 1, 2, 3, 6], b"\x51a", b"\x51e", &[0xa2, 4, 5], &[0x09], b"\x53bcd", &minus_one])
}

const JOB: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- a job -->
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>com.example.ä</string>
    <key>ProgramArguments</key>
    <array>
        <string>/bin/echo</string>
        <string>a &amp; b &lt;&#233;&gt;</string>
        <string/>
    </array>
    <key>KeepAlive</key>
    <dict>
        <key>SuccessfulExit</key>
        <false/>
    </dict>
    <key>RunAtLoad</key>
    <true/>
    <key>Nice</key>
    <integer>-5</integer>
    <key>Large</key>
    <integer>18446744073709551615</integer>
    <key>Mask</key>
    <integer>0x1F</integer>
    <key>Ratio</key>
    <real>0.25</real>
    <key>Since</key>
    <date>2001-02-03T04:05:06Z</date>
    <key>Icon</key>
    <data>
    YWJj
    ZA==
    </data>
    <key>Nothing</key>
    <array/>
</dict>
</plist>
"#;

#[test]
fn xml_and_binary_read_as_the_plist_crate_reads_them() {
    let theirs = ::plist::Value::from_reader(Cursor::new(JOB)).unwrap();
    let ours = read(JOB.as_bytes()).unwrap();
    assert_eq!(ours.format, Format::Xml);
    assert!(same_as_plist_crate(&ours.root, &theirs), "{ours:?}");

    let mut bytes = Vec::new();
    theirs.to_writer_binary(&mut bytes).unwrap();
    let ours = read(&bytes).unwrap();
    assert_eq!(ours.format, Format::Binary);
    assert!(same_as_plist_crate(&ours.root, &theirs), "{ours:?}");
}

#[test]
fn nodes_are_found_by_key() {
    let root = read(JOB.as_bytes()).unwrap().root;
    let arguments = root.get("ProgramArguments").unwrap();
    assert_eq!(arguments.items().unwrap()[1].as_str(), Some("a & b <é>"));
    assert_eq!(arguments.value.type_name(), "array");
    assert_eq!(root.get("label"), None);
    assert_eq!(arguments.get("Label"), None);
    assert_eq!(root.entries().unwrap().len(), 11);
}

#[test]
fn the_format_is_told_by_the_first_characters() {
    for (input, expected) in [
        ("<plist><true/></plist>", Format::Xml),
        (" \n<plist><true/></plist>", Format::Xml),
        ("<!DOCTYPE plist><plist><true/></plist>", Format::Xml),
        ("\u{feff}<?xml version='1.0'?><plist><true/></plist>", Format::Xml),
        ("<0fbd77>", Format::Ascii),
        ("<>", Format::Ascii),
        ("<*BY>", Format::Ascii),
        ("{}", Format::Ascii),
        ("word", Format::Ascii),
    ] {
        assert_eq!(read(input.as_bytes()).unwrap().format, expected, "{input}");
    }
    assert_eq!(code("<dict><key>a</key><true/></dict>"), "missing-plist");
}

#[test]
fn empty_files_and_other_encodings_are_named() {
    let utf16: Vec<u8> = "<plist/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (input, expected) in [
        (&b""[..], "empty"),
        (b" \n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"// nothing", "malformed-ascii"),
        (&utf16, "wrong-encoding"),
        (b"\xff\xfe<\0", "wrong-encoding"),
        (b"\xfe\xff\0<", "wrong-encoding"),
        (b"\0\0\0<", "wrong-encoding"),
        (b"{ a = \"\xff\"; }", "wrong-encoding"),
        (b"<?xml version='1.0' encoding='UTF-16'?><plist><true/></plist>", "wrong-encoding"),
        (b"<?xml version='1.0' encoding='latin1'?><plist><true/></plist>", "wrong-encoding"),
        (b"<?xml version='1.0' encoding='utf-8'?><plist><true/></plist>", "no fault"),
        (b"<?xml version='1.0' encoding='US-ASCII'?><plist><true/></plist>", "no fault"),
        ("<?xml version='1.0' encoding='us-ascii'?><plist><string>ä</string></plist>".as_bytes(), "wrong-encoding"),
    ] {
        assert_eq!(code(input), expected, "{}", String::from_utf8_lossy(input));
    }
    let finding = read(&utf16).unwrap_err();
    assert!(finding.message.contains("UTF-16") && finding.message.contains("UTF-8"));
}
