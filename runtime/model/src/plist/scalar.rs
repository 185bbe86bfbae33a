//! Single values: integers, reals, dates and base64 as XML and GNUstep's typed values write them, and the
//! dates of binary lists.
//! It knows no markup. Each accepts only what all common readers read alike, so a value that one of them
//! would round, wrap or cut is refused here.

use super::{fault, shown};
use crate::finding::{Finding, Span};

/// Smallest and largest integer a property list can hold in every format: signed or unsigned 64 bits.
const INTEGERS: std::ops::RangeInclusive<i128> = (i64::MIN as i128)..=(u64::MAX as i128);

/// Seconds from the Unix epoch to 2001-01-01T00:00:00Z, where binary dates count from.
const BINARY_EPOCH: f64 = 978_307_200.0;

/// A decimal integer, or an unsigned one in hexadecimal after `0x`.
pub(super) fn integer(text: &str, span: Option<Span>) -> Result<i128, Finding> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (number, digits, radix) = match hexadecimal {
        Some(digits) => (digits, digits, 16),
        None => (text, text.strip_prefix(['+', '-']).unwrap_or(text), 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        let message = format!("{} is not an integer; expected digits, as in 42", shown(text));
        return Err(fault("bad-integer", span, message));
    }
    // Only digits are left, so all that can go wrong is overflow.
    let value = i128::from_str_radix(number, radix).map_err(|_| out_of_range(text, span))?;
    in_range(value, span)
}

/// The integer, if a property list can hold it.
pub(super) fn in_range(value: i128, span: Option<Span>) -> Result<i128, Finding> {
    if INTEGERS.contains(&value) {
        return Ok(value);
    }
    Err(out_of_range(&value.to_string(), span))
}

fn out_of_range(text: &str, span: Option<Span>) -> Finding {
    let (least, most) = (INTEGERS.start(), INTEGERS.end());
    let message = format!("{} is out of range; expected {least} to {most}", shown(text));
    fault("integer-out-of-range", span, message)
}

/// A floating-point number; one too large to be held is refused instead of becoming infinite.
pub(super) fn real(text: &str, span: Option<Span>) -> Result<f64, Finding> {
    let overflowed = |value: &f64| value.is_infinite() && text.contains(|byte: char| byte.is_ascii_digit());
    text.parse::<f64>().ok().filter(|value| !overflowed(value)).ok_or_else(|| {
        let message = format!("{} is not a real number; expected one, as in 0.5", shown(text));
        fault("bad-real", span, message)
    })
}

/// `YYYY-MM-DDTHH:MM:SSZ`, checked against the calendar.
pub(super) fn date(text: &str, span: Option<Span>) -> Result<String, Finding> {
    let seconds = text.strip_suffix('Z').and_then(|moment| moment_seconds(moment, 'T'));
    seconds.map(|_| text.to_owned()).ok_or_else(|| {
        let expected = "expected a UTC date, as in 2001-01-31T23:59:59Z";
        fault("bad-date", span, format!("{} is not a date; {expected}", shown(text)))
    })
}

/// GNUstep's `YYYY-MM-DD HH:MM:SS +HHMM`, brought to UTC.
pub(super) fn gnustep_date(text: &str, span: Option<Span>) -> Result<String, Finding> {
    zoned_seconds(text).and_then(written_date).ok_or_else(|| {
        let expected = "expected a date, as in 2001-01-31 23:59:59 +0000";
        fault("bad-date", span, format!("{} is not a date; {expected}", shown(text)))
    })
}

/// The date of a binary list: seconds since 2001, the fraction dropped as the text form has none.
pub(super) fn binary_date(seconds: f64) -> Result<String, Finding> {
    let unix = (seconds + BINARY_EPOCH).floor();
    // The cast saturates, and NaN becomes 1970, so the bounds are checked on the number itself.
    let plausible = unix.abs() < 1e12;
    plausible.then(|| written_date(unix as i64)).flatten().ok_or_else(|| {
        let message = format!("a date {seconds} seconds from 2001; expected one in years 1 to 9999");
        fault("bad-date", None, message)
    })
}

/// Seconds since the Unix epoch of `YYYY-MM-DD HH:MM:SS +HHMM`.
fn zoned_seconds(text: &str) -> Option<i64> {
    let (moment, zone) = text.split_at_checked(19)?;
    let (sign, zone) = match zone.strip_prefix(" +") {
        Some(zone) => (1, zone),
        None => (-1, zone.strip_prefix(" -")?),
    };
    let (hours, minutes) = zone.split_at_checked(2)?;
    let offset = field(hours, 2, 0..=14)? * 3600 + field(minutes, 2, 0..=59)? * 60;
    Some(moment_seconds(moment, ' ')? - sign * offset)
}

/// Seconds since the Unix epoch of `YYYY-MM-DD`, `separator`, `HH:MM:SS`.
fn moment_seconds(text: &str, separator: char) -> Option<i64> {
    let (day, time) = text.split_once(separator)?;
    let mut day = day.split('-');
    let year = field(day.next()?, 4, 1..=9999)?;
    let month = field(day.next()?, 2, 1..=12)?;
    let date = field(day.next()?, 2, 1..=days_in(year, month))?;
    let mut time = time.split(':');
    let hour = field(time.next()?, 2, 0..=23)?;
    let minute = field(time.next()?, 2, 0..=59)?;
    let second = field(time.next()?, 2, 0..=59)?;
    let ended = day.next().is_none() && time.next().is_none();
    ended.then(|| days_to(year, month, date) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// A number of exactly `width` digits, in a range.
fn field(text: &str, width: usize, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let digits = text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse::<i64>().ok()).flatten()?;
    range.contains(&number).then_some(number)
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the Unix epoch to a day of the Gregorian calendar; counted in years that begin in March, so
/// that the leap day is the last.
fn days_to(year: i64, month: i64, date: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + date - 1;
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    days + day_of_year - 719_468
}

/// A moment as `YYYY-MM-DDTHH:MM:SSZ`, if its year has four digits.
fn written_date(seconds: i64) -> Option<String> {
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, date) = calendar_day(days);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    (1..=9999).contains(&year).then(|| format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// The inverse of `days_to`: year, month, day.
fn calendar_day(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, date)
}

/// Base64 with padding; white space may stand anywhere.
pub(super) fn base64(text: &str, span: Option<Span>) -> Result<Vec<u8>, Finding> {
    let symbols: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    decode_base64(&symbols).ok_or_else(|| {
        let message = format!("{} is not base64; expected it with padding", shown(text.trim()));
        fault("bad-data", span, message)
    })
}

fn decode_base64(symbols: &[u8]) -> Option<Vec<u8>> {
    let padding = symbols.iter().rev().take_while(|symbol| **symbol == b'=').count();
    if !symbols.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for symbol in &symbols[..symbols.len() - padding] {
        bits = (bits << 6) | sextet(*symbol)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(((bits >> held) & 0xff) as u8);
            bits &= (1 << held) - 1;
        }
    }
    // Bits left over belong to no byte; readers that check them refuse the text, others do not.
    (bits == 0).then_some(bytes)
}

fn sextet(symbol: u8) -> Option<u32> {
    let value = match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("+7", Ok(7)),
            ("007", Ok(7)),
            ("0xfF", Ok(255)),
            ("-9223372036854775808", Ok(i64::MIN.into())),
            ("18446744073709551615", Ok(u64::MAX.into())),
            ("0xffffffffffffffff", Ok(u64::MAX.into())),
            ("-9223372036854775809", Err("integer-out-of-range")),
            ("18446744073709551616", Err("integer-out-of-range")),
            ("0x10000000000000000", Err("integer-out-of-range")),
            ("9999999999999999999999999999999999999999999", Err("integer-out-of-range")),
            ("", Err("bad-integer")),
            ("-", Err("bad-integer")),
            ("+-1", Err("bad-integer")),
            ("0x", Err("bad-integer")),
            ("0x-1", Err("bad-integer")),
            ("-0x1", Err("bad-integer")),
            ("1.0", Err("bad-integer")),
            (" 1", Err("bad-integer")),
            ("1_000", Err("bad-integer")),
        ] {
            assert_eq!(integer(text, None).map_err(|finding| finding.code), expected, "{text:?}");
        }
    }

    #[test]
    fn reals() {
        for (text, expected) in [("0.5", 0.5), ("-1e3", -1000.0), ("7", 7.0), ("inf", f64::INFINITY)] {
            assert_eq!(real(text, None), Ok(expected), "{text:?}");
        }
        assert!(real("nan", None).is_ok_and(f64::is_nan));
        for text in ["", ".", " 1", "1,5", "0x1", "1e999"] {
            assert_eq!(real(text, None).unwrap_err().code, "bad-real", "{text:?}");
        }
    }

    #[test]
    fn dates_follow_the_calendar() {
        for text in ["2001-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "9999-12-31T00:00:00Z"] {
            assert_eq!(date(text, None).as_deref(), Ok(text));
        }
        for text in [
            "",
            "2001-01-01",
            "2001-01-01T00:00:00",
            "2001-01-01 00:00:00Z",
            "2001-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2001-13-01T00:00:00Z",
            "2001-01-00T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2001-01-01T24:00:00Z",
            "2001-01-01T00:00:60Z",
            "2001-1-01T00:00:00Z",
            "2001-01-01T00:00:00.5Z",
            "2001-01-01-01T00:00:00Z",
            "+001-01-01T00:00:00Z",
        ] {
            assert_eq!(date(text, None).unwrap_err().code, "bad-date", "{text:?}");
        }
    }

    #[test]
    fn binary_dates_count_from_2001() {
        for (seconds, expected) in [
            (0.0, "2001-01-01T00:00:00Z"),
            (0.9, "2001-01-01T00:00:00Z"),
            (-0.5, "2000-12-31T23:59:59Z"),
            (-978_307_200.0, "1970-01-01T00:00:00Z"),
            (709_171_200.0, "2023-06-23T00:00:00Z"),
            (-26_438_400.0, "2000-03-01T00:00:00Z"),
            (-26_438_401.0, "2000-02-29T23:59:59Z"),
        ] {
            assert_eq!(binary_date(seconds).as_deref(), Ok(expected), "{seconds}");
        }
        for seconds in [f64::NAN, f64::INFINITY, 1e300, -1e11, 3e11] {
            assert_eq!(binary_date(seconds).unwrap_err().code, "bad-date", "{seconds}");
        }
    }

    #[test]
    fn days_and_calendar_are_inverse() {
        for days in (-700_000..2_900_000).step_by(97) {
            let (year, month, date) = calendar_day(days);
            assert!((1..=days_in(year, month)).contains(&date), "{days}");
            assert_eq!(days_to(year, month, date), days);
        }
    }

    #[test]
    fn gnustep_dates_are_brought_to_utc() {
        for (text, expected) in [
            ("2001-01-01 00:00:00 +0000", Some("2001-01-01T00:00:00Z")),
            ("2001-01-01 00:30:00 +0130", Some("2000-12-31T23:00:00Z")),
            ("2001-01-01 00:00:00 -0800", Some("2001-01-01T08:00:00Z")),
            ("2001-01-01 00:00:00", None),
            ("2001-01-01 00:00:00 0000", None),
            ("2001-01-01 00:00:00 +00:00", None),
            ("ääääääääääääääääää", None),
        ] {
            assert_eq!(gnustep_date(text, None).ok().as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn base64_is_strict_about_padding() {
        for (text, expected) in [
            ("", Some(&b""[..])),
            ("YQ==", Some(b"a")),
            ("YWI=", Some(b"ab")),
            (" YW\n\tJj ", Some(b"abc")),
            ("+/+/", Some(&[0xfb, 0xff, 0xbf])),
            ("YQ", None),
            ("YQ=", None),
            ("Y===", None),
            ("====", None),
            ("YR==", None),
            ("Y=Q=", None),
            ("YQ==YQ==", None),
            ("Y*Jj", None),
        ] {
            assert_eq!(base64(text, None).ok().as_deref(), expected, "{text:?}");
        }
    }
}
