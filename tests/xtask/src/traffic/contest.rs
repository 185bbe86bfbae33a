//! Rounds in which every contestant has its turn, each round beginning with another one: a slow minute of the machine
//! then hits all of them. It does not know what is measured.

use super::load::Load;
use crate::statistics::Rounds;
use crate::step::Steps;

/// What came out of one turn.
#[derive(Default)]
pub struct Measured {
    /// The value; `None` = there is none, because of an error.
    pub value: Option<f64>,
    /// How much went wrong.
    pub errors: u64,
    /// What went wrong first.
    pub fault: Option<String>,
}

impl Measured {
    /// A load as what was done in a second.
    pub fn rate(load: Load, seconds: f64) -> Self {
        Self { value: Some(load.done as f64 / seconds), errors: load.errors, fault: load.fault }
    }
}

/// A contestant in one of the scenarios.
pub struct Entrant<'a> {
    /// Its name.
    pub name: &'static str,
    /// The scenario's name.
    pub scenario: &'static str,
    /// Its turn.
    pub turn: Box<dyn FnMut() -> Measured + 'a>,
}

/// All turns of a contestant in one of the scenarios.
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// The scenario's name.
    pub scenario: &'static str,
    /// A value for each round.
    pub values: Rounds,
    /// How much went wrong in all of them.
    pub errors: u64,
    /// What went wrong first.
    pub fault: Option<String>,
}

impl Row {
    /// No turns yet.
    pub fn new(name: &'static str, scenario: &'static str) -> Self {
        Self { name, scenario, values: Rounds::default(), errors: 0, fault: None }
    }

    /// Adds a turn.
    pub fn add(&mut self, measured: Measured) {
        self.values.push(measured.value);
        self.errors += measured.errors;
        self.fault = self.fault.take().or(measured.fault);
    }
}

/// The scenarios, one after the other in each round, and what came out so far.
pub struct Contest<'a> {
    scenarios: Vec<Vec<(Entrant<'a>, Row)>>,
    begun: usize,
}

impl<'a> Contest<'a> {
    /// One that has not begun.
    pub fn new(scenarios: Vec<Vec<Entrant<'a>>>) -> Self {
        let with_row = |entrant: Entrant<'a>| {
            let row = Row::new(entrant.name, entrant.scenario);
            (entrant, row)
        };
        let scenarios = scenarios.into_iter().map(|entrants| entrants.into_iter().map(with_row).collect()).collect();
        Self { scenarios, begun: 0 }
    }

    /// All rounds, each a step.
    pub fn run(&mut self, steps: &mut Steps, warm_ups: usize, rounds: usize) -> anyhow::Result<()> {
        for _ in 0..warm_ups {
            steps.step("warming up", || {
                self.warm_up(1);
                Ok(())
            })?;
        }
        for _ in 0..rounds {
            steps.step("measuring", || {
                self.rounds(1);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Rounds that nobody counts: they fill caches and compile what is not compiled.
    pub fn warm_up(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.round(|_, _| ());
        }
    }

    /// Rounds that count.
    pub fn rounds(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.round(Row::add);
        }
    }

    /// What came out, by scenario.
    pub fn into_rows(self) -> Vec<Row> {
        self.scenarios.into_iter().flatten().map(|(_, row)| row).collect()
    }

    fn round(&mut self, count: impl Fn(&mut Row, Measured)) {
        for entrants in &mut self.scenarios {
            for turn in 0..entrants.len() {
                let index = (self.begun + turn) % entrants.len();
                let (entrant, row) = &mut entrants[index];
                count(row, (entrant.turn)());
            }
        }
        self.begun += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn every_round_begins_with_another_one_and_only_counted_ones_count() {
        let turns = RefCell::new(String::new());
        let order = &turns;
        let entrant = |name: &'static str, scenario: &'static str| Entrant {
            name,
            scenario,
            turn: Box::new(move || {
                order.borrow_mut().push_str(name);
                Measured { value: Some(order.borrow().len() as f64), errors: 1, fault: Some(name.into()) }
            }),
        };
        let mut contest =
            Contest::new(vec![vec![entrant("a", "few"), entrant("b", "few")], vec![entrant("c", "many")]]);
        contest.warm_up(1);
        contest.rounds(2);
        let rows = contest.into_rows();
        assert_eq!(order.borrow().as_str(), "abcbacabc");
        let found: Vec<_> = rows.iter().map(|row| (row.name, row.scenario, row.errors)).collect();
        assert_eq!(found, [("a", "few", 2), ("b", "few", 2), ("c", "many", 2)]);
        assert_eq!(rows[0].values.percentile(50.0), Some(6.0));
    }
}
