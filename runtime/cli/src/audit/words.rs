//! Audits as a person reads them: one in full, or several in their ranks. It judges nothing.

use wjob_model::control::{Audited, Exposure};

use crate::{render, table};

/// A line that adds nothing, and one that does.
const CLOSED: &str = "+";
const OPEN: &str = "-";

/// Each line with its mark, what would lower the score, and the score.
pub(super) fn in_full(audited: &Audited) -> String {
    let heading = ["", "Points", "Held by", "What"].map(str::to_owned).to_vec();
    let lines = audited.findings.iter().map(line);
    let table = table::aligned(&std::iter::once(heading).chain(lines).collect::<Vec<_>>());
    let changes = table::section("what would lower it", &changes(&audited.findings));
    let gap = if changes.is_empty() { "" } else { "\n" };
    let note = audited.note.iter().map(|note| format!("{}\n", render::escape(note))).collect::<String>();
    let Audited { label, score, level, walls, .. } = audited;
    let (label, level, walls) = (render::escape(label), render::escape(level), in_words(walls));
    format!("{table}{gap}{changes}\n{note}{label}: {score:.1} of 10, {level}; {walls}\n")
}

fn line(finding: &Exposure) -> Vec<String> {
    let mark = if is_open(finding) { OPEN } else { CLOSED };
    vec![mark.to_owned(), points(finding), finding.held.clone(), finding.words.clone()]
}

fn is_open(finding: &Exposure) -> bool {
    finding.points > 0.0
}

fn points(finding: &Exposure) -> String {
    if is_open(finding) { format!("{:.2}", finding.points) } else { String::new() }
}

/// What to change, the dearest first.
fn changes(findings: &[Exposure]) -> Vec<Vec<String>> {
    let mut open: Vec<&Exposure> = findings.iter().filter(|finding| is_open(finding)).collect();
    open.sort_by(|one, other| other.points.total_cmp(&one.points));
    open.iter().map(|finding| vec![points(finding), finding.id.clone(), finding.change.clone()]).collect()
}

fn in_words(walls: &str) -> String {
    match walls {
        "read back" => "its walls were read back from its current or last run".into(),
        "expected" => "its walls are those expected of a run here".into(),
        other => render::escape(other),
    }
}

/// Jobs in columns, with a heading.
pub(super) fn in_table(all: &[Audited]) -> String {
    let heading = ["Score", "Level", "Label", "Walls", "Most of it"].map(str::to_owned).to_vec();
    let rows = all.iter().map(|audited| {
        let Audited { label, score, level, walls, .. } = audited;
        vec![format!("{score:.1}"), level.clone(), label.clone(), walls.clone(), most(audited)]
    });
    table::aligned(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

/// The sentence that adds the most; or why it would not even start.
fn most(audited: &Audited) -> String {
    let worst = audited.findings.iter().filter(|finding| is_open(finding));
    // Of equals the first: the table begins with what matters most.
    let worst = worst.reduce(|worst, other| if other.points > worst.points { other } else { worst });
    audited.note.clone().or_else(|| worst.map(|finding| finding.words.clone())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(id: &str, points: f64, held: &str, words: &str) -> Exposure {
        let change = format!("change {id}");
        Exposure { id: id.into(), badness: 1, points, held: held.into(), words: words.into(), change }
    }

    fn audited(findings: Vec<Exposure>) -> Audited {
        let (level, walls) = ("OK".into(), "expected".into());
        Audited { label: "a.b".into(), score: 1.3, level, walls, note: None, findings }
    }

    #[test]
    fn one_in_full_has_its_lines_what_to_change_and_the_score() {
        let findings = vec![
            finding("root", 0.3, "both", "it runs as root"),
            finding("udp", 0.0, "both", "it has no UDP"),
            finding("paths", 1.0, "kernel", "it may change /srv"),
        ];
        let expected = "   Points  Held by  What
-  0.30    both     it runs as root
+          both     it has no UDP
-  1.00    kernel   it may change /srv

what would lower it
  1.00  paths  change paths
  0.30  root   change root

a.b: 1.3 of 10, OK; its walls are those expected of a run here
";
        assert_eq!(in_full(&audited(findings)), expected);
    }

    #[test]
    fn what_nothing_can_lower_has_no_list_and_a_note_is_said() {
        let bare = Audited { note: Some("it would not be started".into()), ..audited(vec![]) };
        let text = in_full(&bare);
        assert!(!text.contains("what would lower it"), "{text}");
        assert!(text.contains("\nit would not be started\na.b: 1.3 of 10"), "{text}");
    }

    #[test]
    fn ranks_name_the_first_of_what_adds_the_most() {
        let findings = vec![
            finding("a", 0.3, "both", "less"),
            finding("b", 1.0, "both", "most"),
            finding("c", 1.0, "both", "as much"),
        ];
        let none = Audited { label: "c".into(), score: 0.0, ..audited(vec![]) };
        let refused = Audited { label: "d".into(), note: Some("no start".into()), ..audited(findings.clone()) };
        let expected = "\
Score  Level  Label  Walls     Most of it
1.3    OK     a.b    expected  most
0.0    OK     c      expected
1.3    OK     d      expected  no start
";
        assert_eq!(in_table(&[audited(findings), none, refused]), expected);
    }
}
