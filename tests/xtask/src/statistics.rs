//! Medians, percentiles and ratios of the benches' rounds. It measures nothing.
//! Ratios are taken round by round and then the median of them: a slow second hits both sides of one round.

use std::time::Duration;

/// The times of one contestant, one per round.
pub struct Times(Vec<f64>);

impl Times {
    /// No rounds yet.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a round.
    pub fn push(&mut self, elapsed: Duration) {
        self.0.push(elapsed.as_secs_f64() * 1000.0);
    }

    /// The value below which `percent` of the rounds lie, in milliseconds.
    pub fn percentile(&self, percent: f64) -> f64 {
        percentile(&self.0, percent)
    }

    /// How long a round took in terms of the same round of `other`: 1.2 = a fifth longer.
    pub fn ratio_to(&self, other: &Self) -> f64 {
        let ratios: Vec<f64> = self.0.iter().zip(&other.0).map(|(ours, theirs)| ours / theirs).collect();
        percentile(&ratios, 50.0)
    }
}

/// The values of one contestant, one per round; a round that failed has none.
#[derive(Default)]
pub struct Rounds(Vec<Option<f64>>);

impl Rounds {
    /// Adds a round.
    pub fn push(&mut self, value: Option<f64>) {
        self.0.push(value);
    }

    /// The value below which `percent` of the rounds lie; `None` = there are no values.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        some_percentile(&self.0.iter().flatten().copied().collect::<Vec<_>>(), percent)
    }

    /// What a value is in terms of the same round of `other`; `None` = there is nothing to divide.
    pub fn ratio_to(&self, other: &Self) -> Option<f64> {
        let pairs = self.0.iter().zip(&other.0).filter_map(|(ours, theirs)| ours.zip(*theirs));
        let ratios = pairs.map(|(ours, theirs)| ours / theirs).filter(|ratio| ratio.is_finite());
        some_percentile(&ratios.collect::<Vec<_>>(), 50.0)
    }
}

fn some_percentile(values: &[f64], percent: f64) -> Option<f64> {
    (!values.is_empty()).then(|| percentile(values, percent))
}

/// Linear between the two nearest ranks (Hyndman and Fan, definition 7); 0 when there are no values.
fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let rank = percent / 100.0 * last as f64;
    let below = sorted[rank.floor() as usize];
    let above = sorted[rank.ceil() as usize];
    below + (above - below) * rank.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_ranks() {
        for (values, percent, expected) in [
            (&[][..], 50.0, 0.0),
            (&[3.0], 90.0, 3.0),
            (&[4.0, 1.0, 2.0, 3.0], 50.0, 2.5),
            (&[1.0, 2.0, 3.0], 0.0, 1.0),
            (&[1.0, 2.0, 3.0], 100.0, 3.0),
        ] {
            assert_eq!(percentile(values, percent), expected, "{values:?}");
        }
    }

    #[test]
    fn a_slow_round_does_not_move_the_ratio() {
        let ours = Times(vec![2.0, 20.0, 2.0]);
        let theirs = Times(vec![1.0, 10.0, 1.0]);
        assert_eq!(ours.ratio_to(&theirs), 2.0);
    }

    #[test]
    fn rounds_without_a_value_or_a_divisor_are_left_out() {
        let ours = Rounds(vec![Some(2.0), None, Some(6.0), Some(8.0)]);
        let theirs = Rounds(vec![Some(1.0), Some(1.0), Some(0.0), Some(2.0)]);
        assert_eq!((ours.percentile(50.0), ours.ratio_to(&theirs)), (Some(6.0), Some(3.0)));
        assert_eq!((Rounds::default().percentile(50.0), ours.ratio_to(&Rounds::default())), (None, None));
    }
}
