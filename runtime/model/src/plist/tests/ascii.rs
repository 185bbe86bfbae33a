//! The rules of the ASCII format.

use super::*;

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
