//! How verbs show things to a person: findings with the offending line, text that is safe for a terminal, one way to
//! write to stdout. It decides nothing; what it shows comes from files nobody trusts, so everything is escaped here.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use anyhow::Context as _;
use wjob_model::finding::{Finding, Severity, Span, line_and_column};
use wjob_model::terminal;

/// Longest line shown with a finding, in bytes. A longer one was not written by hand and helps nobody; line and column
/// still name the place. It also keeps ten thousand findings in a file of one line from drawing it ten thousand times.
const LONGEST_LINE: usize = 1000;

/// A finding as text: what, where with the line underlined, and what to do. Without a line end.
pub fn finding(file: &str, text: &[u8], finding: &Finding, colour: bool) -> String {
    let file = escape(file);
    let title = level(finding.severity).primary_title(escape(&finding.message)).id(finding.code);
    let mut group = at_place(Group::with_title(title), &file, text, finding);
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(escape_lines(help)));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Note => Level::NOTE,
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
    }
}

/// Adds the place: the line if it can be shown, else line and column, else the key path.
fn at_place<'a>(group: Group<'a>, file: &str, text: &[u8], finding: &Finding) -> Group<'a> {
    let file = file.to_owned();
    let Some(span) = finding.span else {
        let place = match finding.key_path.as_str() {
            "" => file,
            path => format!("{file}: {}", escape(path)),
        };
        return group.element(Origin::path(place));
    };
    let (line, column) = line_and_column(text, span.start);
    match excerpt(text, span) {
        Some((source, marked)) => group.element(
            Snippet::source(source).path(file).line_start(line).annotation(AnnotationKind::Primary.span(marked)),
        ),
        None => group.element(Origin::path(file).line(line).char_column(column)),
    }
}

/// The line a span begins on, made safe character by character so that columns stay, and the part of it to mark.
fn excerpt(text: &[u8], span: Span) -> Option<(String, Range<usize>)> {
    let start = span.start.min(text.len());
    let is_end = |byte: &u8| *byte == b'\n';
    let first = text[..start].iter().rposition(is_end).map_or(0, |end| end + 1);
    let mut last = text[start..].iter().position(is_end).map_or(text.len(), |end| start + end);
    if last - first > LONGEST_LINE {
        return None;
    }
    if last > start && text[last - 1] == b'\r' {
        last -= 1;
    }
    let end = span.end.clamp(start, last);
    let [before, marked, after] = [first..start, start..end, end..last].map(|range| {
        let part = String::from_utf8_lossy(&text[range]);
        part.chars().map(safe).collect::<String>()
    });
    let range = before.len()..before.len() + marked.len();
    Some((before + &marked + &after, range))
}

/// The character, or the replacement character where a terminal would obey it. Tabs stay: the renderer widens them.
fn safe(character: char) -> char {
    let mut buffer = [0; 4];
    let text: &str = character.encode_utf8(&mut buffer);
    if character == '\t' || escape(text) == text { character } else { char::REPLACEMENT_CHARACTER }
}

/// Text made safe for one line of a terminal: control characters and direction overrides are shown, not obeyed.
pub fn escape(text: &str) -> String {
    terminal::one_line(text)
}

/// The same for text of several lines, whose line ends and tabs are its own.
fn escape_lines(text: &str) -> String {
    let lines = text.lines().map(|line| escape(&line.replace('\t', "  ")));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether stdout wants colours: a terminal that has them, and nobody said no (no-color.org).
pub fn colour() -> bool {
    wants_colour(std::io::stdout().is_terminal())
}

fn wants_colour(terminal: bool) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    terminal && !refused && !dumb
}

/// Writes to stdout. A reader that has seen enough and left (`wjob keys | head`) is no fault.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(()),
    }
}

/// Whether stderr wants colours.
pub fn colour_of_errors() -> bool {
    wants_colour(std::io::stderr().is_terminal())
}

/// Text on stderr that is safe already. A closed stderr is no reason to fail.
pub fn complain_text(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// One line on stderr, made safe for a terminal.
pub fn complain(line: &str) {
    complain_lines(&[line.to_owned()]);
}

/// Lines on stderr, each made safe for a terminal. A closed stderr is no reason to fail.
pub fn complain_lines(lines: &[String]) {
    let mut text = String::new();
    for line in lines.iter().flat_map(|line| line.lines()) {
        text += &format!("wjob: {}\n", escape(line));
    }
    complain_text(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: usize, end: usize) -> Finding {
        Finding::new(Severity::Error, "test", "a\u{1b}[2J message").at("K", Some(Span { start, end }))
    }

    #[test]
    fn excerpts_hold_one_safe_line_and_the_marked_part() {
        let long = "x".repeat(LONGEST_LINE + 1);
        for (text, start, end, expected) in [
            ("ab\ncd\nef", 4, 5, Some(("cd", 1..2))),
            ("ab\ncd\nef", 4, 8, Some(("cd", 1..2))),
            ("ab\r\ncd", 0, 2, Some(("ab", 0..2))),
            ("", 0, 0, Some(("", 0..0))),
            ("ab", 7, 9, Some(("ab", 2..2))),
            ("a\u{1b}b\u{202e}c", 2, 3, Some(("a\u{fffd}b\u{fffd}c", 4..5))),
            (&long, 0, 1, None),
        ] {
            let found = excerpt(text.as_bytes(), Span { start, end });
            let expected = expected.map(|(line, range)| (line.to_owned(), range));
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn a_drawn_finding_names_the_place_and_is_safe() {
        let drawn = finding("job.plist", b"one\n\ttwo\x07", &at(5, 8), false);
        for part in ["error[test]: a\\u{1b}[2J message", "job.plist:2:2", "two", "^^^"] {
            assert!(drawn.contains(part), "{part:?} in {drawn}");
        }
        assert!(!drawn.contains(['\x07', '\x1b']));
    }

    #[test]
    fn a_finding_without_text_names_its_key() {
        let binary = Finding::new(Severity::Warning, "test", "odd").at("Grants.Paths[0]", None).help("first\n\tsecond");
        let drawn = finding("job.plist", b"", &binary, false);
        for part in ["warning[test]: odd", "job.plist: Grants.Paths[0]", "help: first", "  second"] {
            assert!(drawn.contains(part), "{part:?} in {drawn}");
        }
    }
}
