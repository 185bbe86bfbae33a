//! How an attack ended, from the status and the words of its run, and whether its row allows that. What is seen besides
//! the run is `stage`'s to tell.

use super::table::Row;
use crate::harness::Ran;

/// What an attack says of itself when it achieved something (guests/hostile).
const THROUGH: &str = "got THROUGH";
/// How its line begins when it was held.
const HELD: &str = "held: ";

/// The status of a component of 0.2, or a module, that was held.
const HELD_STATUS: i32 = 3;
/// The same of a command of 0.3, which has no other.
const FAILED_STATUS: i32 = 1;
/// wjob's own statuses (`wjob error`).
const TRAP: i32 = 134;
const KILLED: i32 = 137;

/// How a run ended, in the words of the table; anything else in words of its own.
pub fn end(payload: &str, ran: &Ran) -> String {
    if ran.output().contains(THROUGH) {
        return "got through".into();
    }
    let said = ran.output().lines().any(|line| line.starts_with(HELD));
    match (payload, ran.status) {
        ("hostile", HELD_STATUS) | ("hostile3", FAILED_STATUS) if said => "held".into(),
        ("hostile" | "hostile3", status) if said => format!("held, with status {status}"),
        (_, HELD_STATUS) if !payload.starts_with("hostile") => "held".into(),
        (_, TRAP) if ran.stderr.contains("trap: ") => "trap".into(),
        (_, KILLED) => limit(&ran.stderr).map_or_else(|| "killed".into(), |limit| format!("limit:{limit}")),
        (_, status) => format!("status {status}"),
    }
}

/// How much is told of what was met.
const LONGEST: usize = 200;

/// Which wall a run met, as `WALL: how it showed`: what was seen, whatever was expected.
pub fn met(payload: &str, ran: &Ran) -> String {
    let end = end(payload, ran);
    let how = match end.as_str() {
        "held" => ran.output().lines().find(|line| line.starts_with(HELD)).map(ToOwned::to_owned),
        "trap" => ran.stderr.lines().find_map(|line| Some(line.split_once("trap: ")?.1.to_owned())),
        _ => holder(&ran.stderr),
    };
    let how = how.unwrap_or_else(|| format!("status {}", ran.status));
    let wall = match end.as_str() {
        "held" => "wasi",
        "trap" => "engine",
        limit => limit,
    };
    format!("{wall}: {}", how.chars().take(LONGEST).collect::<String>())
}

/// Who held the limit that a message names.
fn holder(message: &str) -> Option<String> {
    let (_, rest) = message.rsplit_once(" reached, ")?;
    rest.lines().next().map(ToOwned::to_owned)
}

/// The limit that a message names.
fn limit(message: &str) -> Option<&str> {
    let (_, rest) = message.rsplit_once("limit ")?;
    rest.split_once(" reached").map(|(limit, _)| limit)
}

/// The run ended as the row allows.
#[track_caller]
pub fn outcome(row: &Row, ran: &Ran) {
    let payload = row.payload.as_deref().unwrap_or_default();
    let end = end(payload, ran);
    assert!(
        row.ends.contains(&end),
        "{}: it {}: {end}, expected {}\n{}",
        row.name,
        row.what,
        row.ends.join(" or "),
        shortened(&ran.described())
    );
}

/// A flood need not be shown whole.
pub fn shortened(text: &str) -> String {
    const MOST: usize = 8_000;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{} ... ({} bytes)", &text[..at], text.len()),
        None => text.to_owned(),
    }
}

#[test]
fn ends_are_told_apart() {
    for (message, expected) in [
        ("wjob: x: limit CPUTime reached, held by the WASI wall", Some("CPUTime")),
        ("limit A reached\nlimit Memory reached, held by the kernel wall", Some("Memory")),
        ("limit of something else", None),
        ("", None),
    ] {
        assert_eq!(limit(message), expected, "{message}");
    }
    let told = "wjob: x: limit A reached, held by the kernel wall\n";
    assert_eq!(holder(told).as_deref(), Some("held by the kernel wall"));
    assert!(shortened(&"\u{fc}".repeat(10_000)).ends_with("(20000 bytes)"));
    assert_eq!(shortened("short"), "short");
}
