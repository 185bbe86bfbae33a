//! Amounts as a person reads them: times that passed, processor time, memory. What is exact is in the JSON.

/// Units of time, in seconds, from the longest.
const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
/// From here on processor time is told in seconds, in milliseconds.
const LONG: i64 = 10_000;
/// Bytes in a KiB.
const KIBIBYTE: i64 = 1 << 10;
/// Bytes in a MiB.
const MEBIBYTE: i64 = 1 << 20;

/// So many seconds, in the longest unit and the one after it.
pub(crate) fn seconds(seconds: u64) -> String {
    let first = UNITS.iter().position(|(length, _)| seconds >= *length).unwrap_or(UNITS.len() - 1);
    let mut left = seconds;
    let mut parts = Vec::new();
    for (length, name) in UNITS.iter().skip(first).take(2) {
        let count = left / length;
        left %= length;
        if count > 0 || parts.is_empty() {
            parts.push(format!("{count} {name}"));
        }
    }
    parts.join(" ")
}

/// So many milliseconds that passed.
pub(crate) fn milliseconds(milliseconds: i64) -> String {
    match u64::try_from(milliseconds) {
        Ok(milliseconds) if milliseconds >= 60_000 => seconds(milliseconds / 1000),
        _ if milliseconds >= LONG => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => format!("{milliseconds} ms"),
    }
}

/// So many bytes.
pub(crate) fn memory(bytes: i64) -> String {
    if bytes < 10 * MEBIBYTE { format!("{} KiB", bytes / KIBIBYTE) } else { format!("{} MiB", bytes / MEBIBYTE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_at_most_two_units() {
        for (count, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (185, "3 min 5 s"),
            (3_600, "1 h"),
            (3_659, "1 h"),
            (7_500, "2 h 5 min"),
            (90_000, "1 d 1 h"),
            (86_400 * 400, "400 d"),
        ] {
            assert_eq!(seconds(count), expected, "{count}");
        }
        for (count, expected) in
            [(-5, "-5 ms"), (0, "0 ms"), (9_999, "9999 ms"), (12_345, "12.3 s"), (61_000, "1 min 1 s")]
        {
            assert_eq!(milliseconds(count), expected, "{count}");
        }
    }

    #[test]
    fn memory_is_told_in_round_numbers() {
        for (bytes, expected) in [(0, "0 KiB"), (5 << 20, "5120 KiB"), (10 << 20, "10 MiB"), (3 << 30, "3072 MiB")] {
            assert_eq!(memory(bytes), expected, "{bytes}");
        }
    }
}
