//! Medians, percentiles and ratios of the bench's times. It measures nothing.
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
}
