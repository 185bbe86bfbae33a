//! Size, depth and number of values in each format, lists that unfold, and mutants of good ones.

use super::*;

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
