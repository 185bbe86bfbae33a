//! A bench's table: wjob beside its peers, each with wjob's ratio to it and what the design asks of that ratio.
//! It measures nothing, and judges by ratios only: numbers of different runs or machines are not comparable.

use super::contest::Row;
use super::options::Options;
use super::ours;
use crate::machine::Machine;
use crate::peer::Missing;

/// Which of two values is the better one.
#[derive(Clone, Copy)]
pub enum Better {
    /// The higher one, as of rates.
    Higher,
    /// The lower one, as of times.
    Lower,
}

impl Better {
    fn reaches(self, ratio: f64, bound: f64) -> bool {
        match self {
            Self::Higher => ratio >= bound,
            Self::Lower => ratio <= bound,
        }
    }

    fn bound(self, bound: f64) -> String {
        match self {
            Self::Higher => format!("{bound:?}x"),
            Self::Lower => format!("at most {bound:?}x"),
        }
    }
}

/// What the values are.
pub struct Measure {
    /// Their unit.
    pub unit: &'static str,
    /// How many digits behind the point are worth printing.
    pub digits: usize,
    /// Which of two is better.
    pub better: Better,
}

/// What the design asks of wjob's ratio to a peer.
pub struct Must {
    /// The peer.
    pub peer: &'static str,
    /// The scenario.
    pub scenario: &'static str,
    /// The ratio it must reach.
    pub ratio: f64,
    /// The ratio it is to reach.
    pub aim: f64,
}

/// A bench that was run.
pub struct Comparison {
    /// Its name.
    pub bench: &'static str,
    /// What was measured.
    pub measure: Measure,
    /// What is asked.
    pub musts: &'static [Must],
    /// Contestants by scenario.
    pub rows: Vec<Row>,
    /// Peers that took no part.
    pub missing: Vec<Missing>,
    /// What one must know to read it: how it was run, and what was equal for all.
    pub notes: Vec<String>,
    /// Counted rounds.
    pub rounds: usize,
}

impl Comparison {
    /// Prints it; a fault only if musts are to be enforced.
    pub fn conclude(&self, options: &Options) -> anyhow::Result<()> {
        let machine = Machine::read();
        if options.json {
            println!("{}", self.object(&machine));
        } else {
            println!("{}{}", self.table(), self.below(&machine));
        }
        let missed = self.missed();
        anyhow::ensure!(!options.enforce || missed.is_empty(), "not what it must be: {}", missed.join("; "));
        Ok(())
    }

    /// wjob's value in terms of this row's, round by round. `None` = it is wjob's own, or there is nothing to divide.
    fn ratio(&self, row: &Row) -> Option<f64> {
        let ours = self.rows.iter().find(|ours| ours.name == ours::NAME && ours.scenario == row.scenario)?;
        if row.name == ours::NAME { None } else { ours.values.ratio_to(&row.values) }
    }

    fn must(&self, row: &Row) -> Option<&Must> {
        self.musts.iter().find(|must| must.peer == row.name && must.scenario == row.scenario)
    }

    /// The must and the aim, and what became of them.
    fn verdict(&self, row: &Row) -> Option<String> {
        let must = self.must(row)?;
        let better = self.measure.better;
        let words = |bound: f64, reached: &str, not: &str| match self.ratio(row) {
            Some(ratio) if better.reaches(ratio, bound) => format!("{}: {reached}", better.bound(bound)),
            Some(_) => format!("{}: {not}", better.bound(bound)),
            None => format!("{}: not compared", better.bound(bound)),
        };
        let aim = words(must.aim, "reached", "not reached");
        Some(format!("must {}; aim {aim}", words(must.ratio, "kept", "missed")))
    }

    /// Musts that were missed or could not be judged, and errors of wjob's own.
    fn missed(&self) -> Vec<String> {
        let missed = self.musts.iter().filter_map(|must| {
            let row = self.rows.iter().find(|row| must.peer == row.name && must.scenario == row.scenario);
            let what = format!("{}, {}: must {}", must.peer, must.scenario, self.measure.better.bound(must.ratio));
            match row.and_then(|row| self.ratio(row)) {
                Some(ratio) if self.measure.better.reaches(ratio, must.ratio) => None,
                Some(ratio) => Some(format!("{what}, is {ratio:.2}x")),
                None => Some(format!("{what}, was not compared")),
            }
        });
        let failed = self.rows.iter().filter(|row| row.name == ours::NAME && row.errors > 0);
        missed.chain(failed.map(|row| format!("{} errors of wjob with {}", row.errors, row.scenario))).collect()
    }

    fn table(&self) -> String {
        let ratio = format!("{} to it", ours::NAME);
        let mut text = line(self.measure.unit, ["median", "p10", "p90", &ratio, "errors"], "");
        let mut scenario = "";
        for row in &self.rows {
            if row.scenario != scenario {
                scenario = row.scenario;
                text += &format!("{scenario}\n");
            }
            text += &self.row(row);
        }
        text
    }

    fn row(&self, row: &Row) -> String {
        let digits = self.measure.digits;
        let [median, low, high] = [50.0, 10.0, 90.0].map(|percent| {
            row.values.percentile(percent).map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        });
        let ratio = self.ratio(row).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}x"));
        let errors = row.errors.to_string();
        let verdict = self.verdict(row).unwrap_or_default();
        line(&format!("  {}", row.name), [&median, &low, &high, &ratio, &errors], &verdict)
    }

    /// What stands below the table, without the end of its last line.
    fn below(&self, machine: &Machine) -> String {
        let faults = self.rows.iter().filter_map(|row| {
            let fault = row.fault.as_ref()?;
            Some(format!("{}, {}: {} errors, the first: {fault}", row.name, row.scenario, row.errors))
        });
        let missing = self.missing.iter().map(|absent| format!("not compared: {}: {}", absent.name, absent.advice));
        let last = format!("{} rounds; {}", self.rounds, machine.in_words());
        let lines = faults.chain(missing).chain(self.notes.iter().cloned()).chain([last]);
        lines.collect::<Vec<_>>().join("\n")
    }

    fn object(&self, machine: &Machine) -> serde_json::Value {
        let missing = |absent: &Missing| serde_json::json!({ "name": absent.name, "why": absent.advice });
        serde_json::json!({
            "bench": self.bench,
            "rounds": self.rounds,
            "unit": self.measure.unit,
            "results": self.rows.iter().map(|row| self.result(row)).collect::<Vec<_>>(),
            "missing": self.missing.iter().map(missing).collect::<Vec<_>>(),
            "notes": self.notes,
            "machine": machine.object(),
        })
    }

    fn result(&self, row: &Row) -> serde_json::Value {
        let (must, ratio) = (self.must(row), self.ratio(row));
        let reaches = |bound: f64| ratio.map(|ratio| self.measure.better.reaches(ratio, bound));
        serde_json::json!({
            "name": row.name,
            "scenario": row.scenario,
            "median": row.values.percentile(50.0),
            "p10": row.values.percentile(10.0),
            "p90": row.values.percentile(90.0),
            "ratio": ratio,
            "must": must.map(|must| must.ratio),
            "kept": must.and_then(|must| reaches(must.ratio)),
            "aim": must.map(|must| must.aim),
            "reached": must.and_then(|must| reaches(must.aim)),
            "errors": row.errors,
            "fault": row.fault,
        })
    }
}

/// Columns, with an end of line.
fn line(name: &str, [median, low, high, ratio, errors]: [&str; 5], verdict: &str) -> String {
    let text = format!("{name:<34}{median:>10}{low:>10}{high:>10}{ratio:>12}{errors:>8}  {verdict}");
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::contest::Measured;

    fn row(name: &'static str, values: &[f64], errors: u64) -> Row {
        let mut row = Row::new(name, "2 clients");
        for value in values {
            let fault = (errors > 0).then(|| "refused".to_owned());
            row.add(Measured { value: Some(*value), errors, fault });
        }
        row
    }

    fn comparison(better: Better, musts: &'static [Must], rows: Vec<Row>) -> Comparison {
        let measure = Measure { unit: "connections/s", digits: 0, better };
        Comparison { bench: "connections", measure, musts, rows, missing: Vec::new(), notes: Vec::new(), rounds: 2 }
    }

    const MUSTS: &[Must] = &[Must { peer: "inetd", scenario: "2 clients", ratio: 3.0, aim: 5.0 }];

    #[test]
    fn a_ratio_is_judged_by_its_must_and_its_aim() {
        for (better, theirs, expected, missed) in [
            (Better::Higher, 100.0, "must 3.0x: kept; aim 5.0x: reached", 0),
            (Better::Higher, 150.0, "must 3.0x: kept; aim 5.0x: not reached", 0),
            (Better::Higher, 300.0, "must 3.0x: missed; aim 5.0x: not reached", 1),
            (Better::Higher, 0.0, "must 3.0x: not compared; aim 5.0x: not compared", 1),
            (Better::Lower, 200.0, "must at most 3.0x: kept; aim at most 5.0x: reached", 0),
        ] {
            let rows = vec![row(ours::NAME, &[600.0, 600.0], 0), row("inetd", &[theirs, theirs], 0)];
            let comparison = comparison(better, MUSTS, rows);
            assert_eq!(comparison.verdict(&comparison.rows[1]).as_deref(), Some(expected));
            assert_eq!(comparison.missed().len(), missed, "{expected}");
            assert_eq!(comparison.verdict(&comparison.rows[0]), None);
        }
    }

    #[test]
    fn a_peer_that_is_missing_and_errors_of_wjob_count_as_missed() {
        let missed = comparison(Better::Higher, MUSTS, vec![row(ours::NAME, &[600.0], 2)]).missed();
        assert_eq!(missed, ["inetd, 2 clients: must 3.0x, was not compared", "2 errors of wjob with 2 clients"]);
    }

    #[test]
    fn the_table_has_a_line_for_each_contestant_below_its_scenario() {
        let rows = vec![row(ours::NAME, &[600.0, 604.0], 0), row("inetd", &[200.0, 200.0], 1)];
        let comparison = comparison(Better::Higher, MUSTS, rows);
        let table = comparison.table();
        let words: Vec<String> =
            table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            words,
            [
                "connections/s median p10 p90 wjob to it errors",
                "2 clients",
                "wjob 602 600 604 - 0",
                "inetd 200 200 200 3.01x 2 must 3.0x: kept; aim 5.0x: not reached",
            ]
        );
        let result = comparison.result(&comparison.rows[1]);
        assert_eq!((result["kept"].as_bool(), result["fault"].as_str()), (Some(true), Some("refused")));
    }
}
