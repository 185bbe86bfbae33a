//! The rules of the XML format.

use super::*;

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
