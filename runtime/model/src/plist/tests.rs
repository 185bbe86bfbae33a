//! Table tests of the property list readers: each rule, each bound, hostile input, and agreement with the
//! `plist` crate on lists that every reader takes alike.

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
fn hand_made_binary_reads_as_the_plist_crate_reads_it() {
    let bytes = small_binary();
    let theirs = ::plist::Value::from_reader(Cursor::new(&bytes)).unwrap();
    let ours = read(&bytes).unwrap().root;
    assert!(same_as_plist_crate(&ours, &theirs), "{ours:?}");
    assert!(!same_as_plist_crate(&ours, &true.into()));
}

#[test]
fn ascii_reads_as_the_plist_crate_reads_it() {
    let input = r#"// a job
        { Label = "com.example.ä"; /* two */ ProgramArguments = ( "/bin/echo", word, "a\n\"b\"\U00e9", );
          Nested = { Empty = {}; None = (); Octal = "\101"; }; }"#;
    let theirs = ::plist::Value::from_reader_ascii(Cursor::new(input)).unwrap();
    let ours = read(input.as_bytes()).unwrap();
    assert_eq!(ours.format, Format::Ascii);
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
fn xml_spans_are_exact() {
    let input = "\u{feff}<plist><dict><key>ä</key> <array><true/><string>x</string>\
         </array><key/><data></data></dict></plist>";
    let root = read(input.as_bytes()).unwrap().root;
    let at = |span: Option<Span>| &input[span.unwrap().start..span.unwrap().end];
    let entries = root.entries().unwrap();
    assert!(at(root.span).starts_with("<dict>") && at(root.span).ends_with("</dict>"));
    assert_eq!(at(entries[0].key_span), "ä");
    assert_eq!(at(entries[0].value.span), "<array><true/><string>x</string></array>");
    let items = entries[0].value.items().unwrap();
    assert_eq!((at(items[0].span), at(items[1].span)), ("<true/>", "<string>x</string>"));
    assert_eq!((at(entries[1].key_span), at(entries[1].value.span)), ("<key/>", "<data></data>"));
}

#[test]
fn ascii_spans_are_exact() {
    let input = "\u{feff}{ \"ä\" = ( x , <*I5> ); k /**/ = \"v\" ; }";
    let root = read(input.as_bytes()).unwrap().root;
    let at = |span: Option<Span>| &input[span.unwrap().start..span.unwrap().end];
    let entries = root.entries().unwrap();
    assert_eq!(at(root.span), &input[3..]);
    assert_eq!((at(entries[0].key_span), at(entries[0].value.span)), ("\"ä\"", "( x , <*I5> )"));
    let items = entries[0].value.items().unwrap();
    assert_eq!((at(items[0].span), at(items[1].span)), ("x", "<*I5>"));
    assert_eq!((at(entries[1].key_span), at(entries[1].value.span)), ("k", "\"v\""));
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

#[test]
fn xml_rules() {
    for (inside, expected) in [
        ("", "empty-plist"),
        ("<true/><true/>", "several-values"),
        ("<plist><true/></plist>", "malformed-xml"),
        ("x<true/>", "stray-text"),
        ("<dict>x</dict>", "stray-text"),
        ("<array>&#32;</array>", "stray-text"),
        ("<array><![CDATA[ ]]></array>", "stray-text"),
        ("<string>a<!-- b -->c</string>", "mixed-content"),
        ("<string>a<?b?>c</string>", "mixed-content"),
        ("<string><true/></string>", "mixed-content"),
        ("<dict><key><string>a</string></key><true/></dict>", "mixed-content"),
        ("<dict><key>a</key></dict>", "key-without-value"),
        ("<dict><key>a</key><key>b</key><true/></dict>", "key-without-value"),
        ("<array><key>a</key></array>", "key-without-value"),
        ("<dict><true/></dict>", "value-without-key"),
        ("<dict><key>a</key><true/><true/></dict>", "value-without-key"),
        ("<dict><key>a</key><true/><key>a</key><true/></dict>", "duplicate-key"),
        ("<dict><key>a</key><true/><key>A</key><true/></dict>", "no fault"),
        ("<null/>", "unknown-element"),
        ("<String/>", "unknown-element"),
        ("<set><true/></set>", "unknown-element"),
        ("<string xml:space='preserve'/>", "unknown-attribute"),
        ("<dict id='1'/>", "unknown-attribute"),
        ("<a:dict/>", "namespace"),
        ("<dict xmlns='x'/>", "namespace"),
        ("<integer/>", "bad-integer"),
        ("<integer> 1</integer>", "bad-integer"),
        ("<integer>18446744073709551616</integer>", "integer-out-of-range"),
        ("<real>x</real>", "bad-real"),
        ("<true>x</true>", "bad-boolean"),
        ("<false> </false>", "bad-boolean"),
        ("<date>2001-02-30T00:00:00Z</date>", "bad-date"),
        ("<data>YQ</data>", "bad-data"),
        ("<string>&foo;</string>", "entity"),
        ("<string>a & b</string>", "entity"),
        ("<string>&#xD800;</string>", "entity"),
        ("<string>&#1114112;</string>", "entity"),
        ("<string>&#0;</string>", "malformed-xml"),
        ("<string>\u{1}</string>", "malformed-xml"),
        ("<string>]]></string>", "malformed-xml"),
        ("<string>a</dict>", "malformed-xml"),
        ("<string>a", "malformed-xml"),
        ("<string", "malformed-xml"),
        ("<true/ >", "unknown-element"),
        ("<!-- a -- b --><true/>", "malformed-xml"),
        ("<!-- a", "malformed-xml"),
        ("<!ENTITY a 'b'><true/>", "malformed-xml"),
        ("<?xml version='1.0'?><true/>", "malformed-xml"),
        ("<!-- a --><?b c?><true></true>", "no fault"),
    ] {
        assert_eq!(code(plist(inside)), expected, "{inside}");
    }
}

#[test]
fn xml_rules_around_the_root() {
    for (input, expected) in [
        ("<!-- a -->", "missing-plist"),
        ("<plist version='1.0'><true/></plist><!-- end -->\n", "no fault"),
        ("<plist version='2.0'><true/></plist>", "unknown-attribute"),
        ("<plist version='1.0' version='1.0'><true/></plist>", "unknown-attribute"),
        ("<plist xmlns='http://example.com'><true/></plist>", "namespace"),
        ("<plist><true/></plist><plist><true/></plist>", "several-values"),
        ("<plist><true/></plist>x", "stray-text"),
        ("<plist><true/></plist></plist>", "malformed-xml"),
        ("<plist/>", "empty-plist"),
        ("<plist>", "malformed-xml"),
        ("\n<?xml version='1.0'?><plist><true/></plist>", "malformed-xml"),
        ("<?xml version='1.1'?><plist><true/></plist>", "malformed-xml"),
        ("<?xml encoding='UTF-8'?><plist><true/></plist>", "malformed-xml"),
        ("<?xml\nversion='1.0'?><plist><true/></plist>", "malformed-xml"),
        ("<!DOCTYPE html><plist><true/></plist>", "malformed-xml"),
        ("<!DOCTYPE plist><!DOCTYPE plist><plist><true/></plist>", "malformed-xml"),
        ("<plist><!DOCTYPE plist><true/></plist>", "malformed-xml"),
        ("<!DOCTYPE plist SYSTEM 'a]>b'><plist><true/></plist>", "no fault"),
        ("<!DOCTYPE plist []><plist><true/></plist>", "internal-subset"),
        ("<!DOCTYPE plist SYSTEM 'file:///etc/passwd'><plist><string>&a;</string></plist>", "entity"),
    ] {
        assert_eq!(code(input), expected, "{input}");
    }
}

#[test]
fn entity_declarations_are_refused_whatever_they_declare() {
    let mut laughs = String::from("<!DOCTYPE plist [<!ENTITY l0 'lol'>");
    for level in 1..10 {
        let references = format!("&l{};", level - 1).repeat(10);
        laughs += &format!("<!ENTITY l{level} '{references}'>");
    }
    laughs += "]><plist><string>&l9;</string></plist>";
    let external = "<!DOCTYPE plist [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>\
         <plist><string>&a;</string></plist>";
    for input in [laughs.as_str(), external] {
        assert_eq!(code(input), "internal-subset");
    }
}

#[test]
fn xml_text_is_decoded() {
    for (inside, expected) in [
        ("<string>&lt;&#x41;&#66;&amp;&apos;&quot;</string>", text("<AB&'\"")),
        ("<string> a <![CDATA[<&b]]> c</string>", text(" a <&b c")),
        ("<string>a\r\nb</string>", text("a\nb")),
        ("<string></string>", text("")),
        ("<integer>0xff</integer>", Value::Integer(255)),
        ("<data> YQ\n== </data>", Value::Data(b"a".to_vec())),
        ("<true></true>", Value::Boolean(true)),
    ] {
        assert_eq!(value(plist(inside)), expected, "{inside}");
    }
}

#[test]
fn a_duplicate_key_is_reported_at_the_second_with_both_lines() {
    let xml = "<plist>\n<dict>\n<key>a</key><true/>\n<key>a</key><true/>\n</dict>\n</plist>";
    let finding = read(xml.as_bytes()).unwrap_err();
    assert_eq!(finding.span.map(|span| span.start), xml.rfind("a</key>"));
    assert!(finding.message.contains("line 3") && finding.message.contains("line 4"));

    let ascii = "{ a = 1;\n\n \"a\" = 2; }";
    let finding = read(ascii.as_bytes()).unwrap_err();
    assert_eq!(finding.code, "duplicate-key");
    assert_eq!(finding.span.map(|span| span.start), ascii.find('"'));
    assert!(finding.message.contains("line 1") && finding.message.contains("line 3"));
}

#[test]
fn ascii_values() {
    for (input, expected) in [
        ("80", text("80")),
        ("a_$+/:.-Z9", text("a_$+/:.-Z9")),
        ("/usr//lib", text("/usr//lib")),
        (r#""""#, text("")),
        (r#""a\n\t\r\"\\\101\U00E9\Ud83d\UDCA9""#, text("a\n\t\r\"\\Aé💩")),
        ("\"ä // no comment\"", text("ä // no comment")),
        ("<0f BD\n77>", Value::Data(vec![0x0f, 0xbd, 0x77])),
        ("<>", Value::Data(vec![])),
        ("()", Value::Array(vec![])),
        ("{}", Value::Dictionary(vec![])),
        ("<*I-5>", Value::Integer(-5)),
        ("<*BY>", Value::Boolean(true)),
        ("<*BN>", Value::Boolean(false)),
        ("<*R0.5>", Value::Real(0.5)),
        ("<*D2001-01-01 00:00:00 +0000>", Value::Date("2001-01-01T00:00:00Z".into())),
        ("/* a */ word // b", text("word")),
        ("/**/word", text("word")),
    ] {
        assert_eq!(value(input), expected, "{input}");
    }
    let texts = |input: &str| -> Vec<Value> {
        let Value::Array(items) = value(input) else { panic!("{input}") };
        items.into_iter().map(|item| item.value).collect()
    };
    assert_eq!(texts("(a, b,)"), texts("( a,/**/b )"));
}

#[test]
fn ascii_rules() {
    for (input, expected) in [
        ("a b", "malformed-ascii"),
        ("a;", "malformed-ascii"),
        ("{ a = b }", "malformed-ascii"),
        ("{ a; }", "malformed-ascii"),
        ("{ a = ; }", "malformed-ascii"),
        ("{ = b; }", "malformed-ascii"),
        ("{ (a) = b; }", "malformed-ascii"),
        ("{ a = b; ", "malformed-ascii"),
        ("{ \"a\": 1 }", "malformed-ascii"),
        ("(a b)", "malformed-ascii"),
        ("(a,,b)", "malformed-ascii"),
        ("(,)", "malformed-ascii"),
        ("(a", "malformed-ascii"),
        ("'a'", "malformed-ascii"),
        ("\"a", "malformed-ascii"),
        ("\"a\\", "bad-escape"),
        ("/* a", "malformed-ascii"),
        ("/*/ a", "malformed-ascii"),
        ("{ a = <0f", "malformed-ascii"),
        ("ä", "malformed-ascii"),
        (r#""\q""#, "bad-escape"),
        (r#""\12""#, "bad-escape"),
        (r#""\200""#, "bad-escape"),
        (r#""\400""#, "bad-escape"),
        (r#""\u00e9""#, "bad-escape"),
        (r#""\U12""#, "bad-escape"),
        (r#""\UD83D""#, "bad-escape"),
        (r#""\UDCA9\UD83D""#, "bad-escape"),
        (r#""\UD83D\U0041""#, "bad-escape"),
        ("\"\\Uäää\"", "bad-escape"),
        ("\"\\1ä\"", "bad-escape"),
        ("(<0f0>)", "bad-data"),
        ("(<0g>)", "bad-data"),
        ("<*Ix>", "bad-integer"),
        ("<*I18446744073709551616>", "integer-out-of-range"),
        ("<*BX>", "bad-boolean"),
        ("<*Rx>", "bad-real"),
        ("<*D2001-01-01>", "bad-date"),
        ("<*X>", "malformed-ascii"),
        ("<*>", "malformed-ascii"),
    ] {
        assert_eq!(code(input), expected, "{input}");
    }
}

#[test]
fn binary_values() {
    let wide = |marker: u8, number: i128| [&[marker][..], &number.to_be_bytes()].concat();
    for (object, expected) in [
        (&[0x08][..], Value::Boolean(false)),
        (&[0x09], Value::Boolean(true)),
        (&[0x10, 0xff], Value::Integer(255)),
        (&[0x11, 1, 0], Value::Integer(256)),
        (&[0x12, 0xff, 0xff, 0xff, 0xff], Value::Integer(0xffff_ffff)),
        (&[0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe], Value::Integer(-2)),
        (&wide(0x14, u64::MAX.into()), Value::Integer(u64::MAX.into())),
        (&wide(0x14, -1), Value::Integer(-1)),
        (&[0x22, 0x3f, 0, 0, 0], Value::Real(0.5)),
        (&[0x23, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0], Value::Real(0.5)),
        (&[0x33, 0, 0, 0, 0, 0, 0, 0, 0], Value::Date("2001-01-01T00:00:00Z".into())),
        (&[0x42, 1, 2], Value::Data(vec![1, 2])),
        (b"\x52ab", text("ab")),
        (b"\x5f\x10\x02ab", text("ab")),
        (&[0x62, 0xd8, 0x3d, 0xdc, 0xa9], text("💩")),
        (&[0x81, 1, 2], Value::Uid(258)),
        (&[0xa0], Value::Array(vec![])),
        (&[0xd0], Value::Dictionary(vec![])),
    ] {
        assert_eq!(value(binary(&[object])), expected, "{object:02x?}");
    }
}

#[test]
fn binary_rules() {
    let wide = [&[0x14_u8][..], &(i128::from(u64::MAX) + 1).to_be_bytes()].concat();
    let endless = [&[0x33_u8][..], &f64::INFINITY.to_be_bytes()].concat();
    let long = [&[0x5f_u8, 0x13][..], &[0xff; 8]].concat();
    let many = [&[0xdf_u8, 0x13, 0x7f][..], &[0xff; 7]].concat();
    for (object, expected) in [
        (&[0x00][..], "unsupported-value"),
        (&[0x0f], "unsupported-value"),
        (&[0x15, 0], "unsupported-value"),
        (&[0x21, 0, 0], "unsupported-value"),
        (&[0x32, 0, 0, 0, 0], "unsupported-value"),
        (b"\x71a", "unsupported-value"),
        (&[0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0], "unsupported-value"),
        (&[0xc0], "unsupported-value"),
        (&[0xf0], "unsupported-value"),
        (&wide, "integer-out-of-range"),
        (&endless, "bad-date"),
        (&[0x51, 0x80], "bad-string"),
        (&[0x61, 0xd8, 0x3d], "bad-string"),
        (&[0x61, 0xdc, 0xa9], "bad-string"),
        (&[0xd1, 0, 0], "key-not-string"),
        (&[0xa1, 9], "malformed-binary"),
        (&[0x13, 0], "malformed-binary"),
        (&[0x52, 0x41], "malformed-binary"),
        (&[0x5f], "malformed-binary"),
        (&[0x5f, 0x51], "malformed-binary"),
        (&[0x5f, 0x14], "malformed-binary"),
        (&[0xd1, 0], "malformed-binary"),
        (&long, "malformed-binary"),
        (&many, "malformed-binary"),
    ] {
        assert_eq!(code(binary(&[object])), expected, "{object:02x?}");
    }
    assert_eq!(code(binary(&[&[0xd2, 1, 1, 2, 2], b"\x51a", &[9]])), "duplicate-key");
}

#[test]
fn binary_trailers_are_checked() {
    let good = binary(&[&[0x09]]);
    let end = good.len();
    assert_eq!(code(&good), "no fault");
    for (from_end, byte) in [
        (26, 0),   // offset size
        (26, 9),   // offset size
        (26, 1),   // table shorter than the space it has
        (25, 0),   // reference size
        (25, 9),   // reference size
        (17, 2),   // object count
        (24, 255), // object count
        (9, 1),    // top object
        (1, 8),    // table in the header
        (1, 255),  // table
        (8, 255),  // table
        (33, 7),   // object in the header
        (33, 9),   // object in the table
        (end, 0),  // magic
        (end - 6, b'1'),
    ] {
        let mut bytes = good.clone();
        bytes[end - from_end] = byte;
        let expected = if from_end == end { "wrong-encoding" } else { "malformed-binary" };
        assert_eq!(code(&bytes), expected, "{from_end} {byte}");
    }
}

#[test]
fn binary_faults_carry_their_key_path() {
    let bytes = binary(&[&[0xd1, 1, 2], b"\x51a", &[0xa2, 3, 4], &[0xd1, 1, 5], &[9], &[0]]);
    let finding = read(&bytes).unwrap_err();
    assert_eq!((finding.code, finding.key_path.as_str()), ("unsupported-value", "a[0].a"));
    assert_eq!(finding.span, None);
}

#[test]
fn size_is_bounded_before_anything_is_read() {
    let mut input = plist("<true/>");
    input.extend(std::iter::repeat_n(' ', MAX_BYTES - input.len()));
    assert_eq!(code(&input), "no fault");
    input.push(' ');
    assert_eq!(code(&input), "too-large");
}

#[test]
fn values_are_bounded_in_each_format() {
    let ascii = |count: usize| format!("({})", "a,".repeat(count));
    let xml = |count: usize| plist(&format!("<array>{}</array>", "<true/>".repeat(count)));
    let entries = |count: usize| -> String {
        let entry = |index: usize| format!("<key>{index}</key><true/>");
        plist(&format!("<dict>{}</dict>", (0..count).map(entry).collect::<String>()))
    };
    let binary = |count: usize| {
        let mut array = vec![0xaf, 0x11];
        array.extend((count as u16).to_be_bytes());
        array.extend(std::iter::repeat_n(1, count));
        binary(&[&array, &[0x09]])
    };
    for (count, expected) in [(MAX_VALUES - 1, "no fault"), (MAX_VALUES, "too-many-values")] {
        assert_eq!(code(ascii(count)), expected);
        assert_eq!(code(xml(count)), expected);
        assert_eq!(code(entries(count)), expected);
        assert_eq!(code(binary(count)), expected);
    }
}

#[test]
fn depth_is_bounded_in_each_format() {
    let nested = |open: &str, leaf: &str, close: &str, depth: usize| open.repeat(depth) + leaf + &close.repeat(depth);
    let chain = |depth: u8| {
        let mut objects: Vec<Vec<u8>> = (1..=depth).map(|next| vec![0xa1, next]).collect();
        objects.push(vec![0x09]);
        binary(&objects.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    for (depth, expected) in [(MAX_DEPTH, "no fault"), (MAX_DEPTH + 1, "too-deep")] {
        assert_eq!(code(plist(&nested("<array>", "<true/>", "</array>", depth))), expected);
        assert_eq!(code(plist(&nested("<dict><key>a</key>", "<true/>", "</dict>", depth))), expected);
        assert_eq!(code(nested("(", "a", ")", depth)), expected);
        assert_eq!(code(nested("{ a = ", "b", "; }", depth)), expected);
        assert_eq!(code(chain(depth as u8)), expected);
    }
    for input in [nested("(", "", ")", 100_000), nested("{a=", "b", ";}", 100_000)] {
        assert_eq!(code(input), "too-deep");
    }
    assert_eq!(code(plist(&nested("<array>", "", "", 100_000))), "too-deep");
    assert_eq!(code(plist(&nested("<x>", "", "", 100_000))), "unknown-element");
    assert_eq!(code(plist(&nested("<string>", "", "", 100_000))), "mixed-content");
}

#[test]
fn small_binary_lists_that_unfold_without_end_are_refused() {
    let itself = binary(&[&[0xa1, 0]]);
    assert_eq!(code(itself), "too-deep");
    let in_dictionary = binary(&[&[0xd1, 1, 0], b"\x51a"]);
    assert_eq!(code(in_dictionary), "too-deep");

    let arrays: Vec<Vec<u8>> = (1..=9).map(|next| [&[0xaa_u8][..], &[next; 10]].concat()).collect();
    let mut objects: Vec<&[u8]> = arrays.iter().map(Vec::as_slice).collect();
    objects.push(&[0x09]);
    let bomb = binary(&objects);
    assert!(bomb.len() < 181, "{}", bomb.len());
    assert_eq!(code(bomb), "too-many-values");
}

#[test]
fn a_shared_string_counts_each_time_it_is_used() {
    let mut string = vec![0x5f, 0x12];
    string.extend(60_000_u32.to_be_bytes());
    string.extend(std::iter::repeat_n(b'a', 60_000));
    let array = |count: u8| {
        let references = vec![1_u8; count.into()];
        [&[0xaf, 0x10, count][..], &references].concat()
    };
    assert_eq!(code(binary(&[&array(17), &string])), "no fault");
    assert_eq!(code(binary(&[&array(18), &string])), "too-large");
}

/// Reads and, where it is refused, checks that the finding can be drawn over the input.
fn read_soundly(bytes: &[u8]) -> bool {
    match read(bytes) {
        Ok(_) => true,
        Err(finding) => {
            let span = finding.span.unwrap_or(Span { start: 0, end: 0 });
            assert!(span.start <= span.end && span.end <= bytes.len(), "{finding:?} {bytes:?}");
            assert!(finding.severity == Severity::Error && !finding.message.is_empty());
            false
        }
    }
}

/// How many of all inputs that differ from this one in one byte are read.
fn mutants_read(original: &[u8]) -> usize {
    let mut bytes = original.to_vec();
    let mut read = 0;
    for index in 0..original.len() {
        for byte in 0..=255 {
            bytes[index] = byte;
            read += usize::from(read_soundly(&bytes));
        }
        bytes[index] = original[index];
    }
    read
}

#[test]
fn truncated_and_mutated_lists_are_read_or_refused() {
    let xml = "<?xml version=\"1.0\"?><plist><dict><key>a</key><array><integer>1</integer>\
         <string>&lt;ä</string></array></dict></plist>";
    let ascii = "{ a = ( b, \"\\101ä\", <0f> ); /* c */ d = <*I5>; }";
    for original in [small_binary(), xml.into(), ascii.into()] {
        assert!(read_soundly(&original));
        for length in 0..original.len() {
            let part = &original[..length];
            // The beginning of "bplist" is a word of an ASCII list.
            let word = !part.is_empty() && b"bplis".starts_with(part);
            assert_eq!(read_soundly(part), word, "{length} bytes of {original:?}");
        }
        let mutants = mutants_read(&original);
        assert!(mutants >= original.len() && mutants < original.len() * 256, "{mutants}");
    }
}
