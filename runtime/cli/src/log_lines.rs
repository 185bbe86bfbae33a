//! Lines of the log as a person reads them: when, who and which stream, then the text. On a terminal the text cannot
//! do more than be read and be coloured; elsewhere its bytes are not changed.

use wjob_model::record::{LogLine, start_number};
use wjob_model::terminal::Filter;

use crate::render;
use crate::when::Clock;

/// Ends a colour that a job began and did not end (ECMA-48 8.3.117).
const PLAIN: &str = "\u{1b}[0m";

/// Whose text it is: of this run, and this of its streams.
type Source = (Option<i64>, String);

/// Puts lines one below the other; pieces of a long line that follow each other stay one line.
#[derive(Debug)]
pub(crate) struct Lines {
    clock: Clock,
    terminal: bool,
    /// Whose line has not ended yet.
    open: Option<Source>,
}

impl Lines {
    /// For a terminal, or for anything else.
    pub fn new(clock: Clock, terminal: bool) -> Self {
        Self { clock, terminal, open: None }
    }

    /// What to print for the next line.
    pub fn show(&mut self, line: &LogLine) -> String {
        let source = (line.run, line.stream.clone());
        let mut text = match self.open.take() {
            Some(open) if open == source => String::new(),
            open => format!("{}{}", if open.is_some() { "\n" } else { "" }, self.head(line)),
        };
        text += &self.text(line);
        if line.continued {
            self.open = Some(source);
        } else {
            text.push('\n');
        }
        text
    }

    /// What to print at the end.
    pub fn finish(&mut self) -> &'static str {
        if self.open.take().is_some() { "\n" } else { "" }
    }

    fn head(&self, line: &LogLine) -> String {
        let time = self.clock.exact(&line.time);
        let job = line.label.as_ref().map(|label| format!("{label}{} ", run(line.run))).unwrap_or_default();
        format!("{} ", render::escape(&format!("{time} {job}{}:", line.stream)))
    }

    fn text(&self, line: &LogLine) -> String {
        if self.terminal { for_terminal(&line.text) } else { line.text.clone() }
    }
}

fn run(run: Option<i64>) -> String {
    run.map(|run| format!("[{}]", start_number(run))).unwrap_or_default()
}

/// Nothing in it can move the cursor: a text that could go back would write over whose it is.
fn for_terminal(text: &str) -> String {
    let mut filter = Filter::default();
    // Lines of some systems end in a carriage return and a line feed.
    let text = text.strip_suffix('\r').unwrap_or(text);
    let mut safe = filter.push(text.as_bytes());
    safe.extend(filter.finish());
    let safe = String::from_utf8_lossy(&safe);
    let mut safe = safe.replace('\r', "\\r").replace('\n', "\\n").replace('\u{8}', "\\x08");
    if safe.contains('\u{1b}') {
        safe += PLAIN;
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::when::standing;

    fn piece(stream: &str, text: &str, continued: bool) -> LogLine {
        LogLine {
            time: "2026-11-21T09:00:00.5Z".into(),
            label: Some("a.b".into()),
            run: Some(3),
            stream: stream.into(),
            text: text.into(),
            continued,
        }
    }

    fn shown(lines: &[LogLine], terminal: bool) -> String {
        let mut all = Lines::new(standing(), terminal);
        let mut text: String = lines.iter().map(|line| all.show(line)).collect();
        text += all.finish();
        text
    }

    #[test]
    fn a_line_says_when_who_and_what() {
        let of_job = LogLine { run: None, ..piece("wjobd", "started", false) };
        let of_none = LogLine { label: None, ..of_job.clone() };
        for (line, expected) in [
            (piece("out", "x", false), "2026-11-21 10:00:00.500 a.b[3] out: x\n"),
            (of_job, "2026-11-21 10:00:00.500 a.b wjobd: started\n"),
            (of_none, "2026-11-21 10:00:00.500 wjobd: started\n"),
        ] {
            assert_eq!(shown(&[line], false), expected);
        }
    }

    #[test]
    fn pieces_that_follow_each_other_are_one_line() {
        let (out, error) = ("2026-11-21 10:00:00.500 a.b[3] out: ", "2026-11-21 10:00:00.500 a.b[3] error: ");
        for (pieces, expected) in [
            (vec![("out", "a", true), ("out", "b", false)], format!("{out}ab\n")),
            (vec![("out", "a", true), ("error", "b", false)], format!("{out}a\n{error}b\n")),
            (
                vec![("out", "a", true), ("error", "b", false), ("out", "c", false)],
                format!("{out}a\n{error}b\n{out}c\n"),
            ),
            (vec![("out", "a", true)], format!("{out}a\n")),
            (vec![("out", "", false)], format!("{out}\n")),
        ] {
            let pieces: Vec<LogLine> =
                pieces.into_iter().map(|(stream, text, continued)| piece(stream, text, continued)).collect();
            assert_eq!(shown(&pieces, false), expected);
        }
    }

    #[test]
    fn a_terminal_is_shown_text_and_colours_alone() {
        for (text, on_terminal) in [
            ("gr\u{fc}n\t1", "gr\u{fc}n\t1"),
            ("\u{1b}[31mred", "\u{1b}[31mred\u{1b}[0m"),
            ("\u{1b}[2J\u{7}", "\\x1b[2J\\x07"),
            ("real\rfake\u{8}", "real\\rfake\\x08"),
            ("dos\r", "dos"),
            ("a\nb", "a\\nb"),
            ("\u{1b}", "\\x1b"),
        ] {
            let line = [piece("out", text, false)];
            let head = "2026-11-21 10:00:00.500 a.b[3] out: ";
            assert_eq!(shown(&line, true), format!("{head}{on_terminal}\n"));
            assert_eq!(shown(&line, false), format!("{head}{text}\n"));
        }
    }
}
