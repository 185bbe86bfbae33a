//! Text in columns and sections. Cells are made safe for a terminal here, since most of them hold what a job file, a
//! guest or a supervisor said.

use crate::render;

/// What stands before a section's lines.
const INDENT: &str = "  ";
/// What stands between two columns.
const GAP: &str = "  ";

/// Rows whose columns begin below each other. The last column is as long as it likes.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let safe: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| render::escape(cell)).collect()).collect();
    let columns = safe.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| safe.iter().filter_map(|row| row.get(column)).map(|cell| length(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    safe.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| {
        let missing = width.saturating_sub(length(cell));
        format!("{cell}{:missing$}", "")
    });
    let line = cells.collect::<Vec<_>>().join(GAP);
    format!("{}\n", line.trim_end())
}

fn length(cell: &str) -> usize {
    cell.chars().count()
}

/// A title and rows below it, set in; nothing if there are no rows.
pub(crate) fn section(title: &str, rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let body = aligned(rows);
    let lines: String = body.lines().map(|line| format!("{INDENT}{line}\n")).collect();
    format!("{}\n{lines}", render::escape(title))
}

/// A title and texts below it, a line each; nothing if there are none.
pub(crate) fn list(title: &str, texts: &[String]) -> String {
    let rows: Vec<Vec<String>> = texts.iter().map(|text| vec![text.clone()]).collect();
    section(title, &rows)
}

/// A number, or a dash for none.
pub(crate) fn number(number: Option<i64>) -> String {
    number.map_or_else(|| "-".into(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&[&str]]) -> Vec<Vec<String>> {
        cells.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn columns_begin_below_each_other() {
        for (cells, expected) in [
            (&[&["a", "b"][..], &["long", "c"]][..], "a     b\nlong  c\n"),
            (&[&["\u{fc}\u{fc}", "b"], &["x", ""]], "\u{fc}\u{fc}  b\nx\n"),
            (&[&["a"], &["b", "c", "d"]], "a\nb  c  d\n"),
            (&[&["a\n\u{1b}[2J", "b"]], "a\\n\\u{1b}[2J  b\n"),
            (&[], ""),
        ] {
            assert_eq!(aligned(&rows(cells)), expected, "{cells:?}");
        }
    }

    #[test]
    fn sections_are_set_in_and_left_out_when_empty() {
        let pair = rows(&[&["name", "value"], &["n", "v"]]);
        assert_eq!(section("title", &pair), "title\n  name  value\n  n     v\n");
        assert_eq!(list("title", &["one\ttwo".into()]), "title\n  one\\ttwo\n");
        assert_eq!(list("title", &[]), "");
    }
}
