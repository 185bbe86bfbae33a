//! The rules of the binary format.

use super::*;

#[test]
fn hand_made_binary_reads_as_the_plist_crate_reads_it() {
    let bytes = small_binary();
    let theirs = ::plist::Value::from_reader(Cursor::new(&bytes)).unwrap();
    let ours = read(&bytes).unwrap().root;
    assert!(same_as_plist_crate(&ours, &theirs), "{ours:?}");
    assert!(!same_as_plist_crate(&ours, &true.into()));
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
