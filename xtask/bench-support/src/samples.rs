//! A series of measured values and the three numbers that a table shows of it.

use serde::{Deserialize, Serialize};

/// Measured values of one quantity, in the order of their size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<f64>", into = "Vec<f64>")]
pub struct Samples {
    sorted: Vec<f64>,
}

impl Samples {
    /// How many values there are.
    pub fn runs(&self) -> usize {
        self.sorted.len()
    }

    /// The smallest value; 0 without values.
    pub fn min(&self) -> f64 {
        self.sorted.first().copied().unwrap_or(0.0)
    }

    /// The largest value; 0 without values.
    pub fn max(&self) -> f64 {
        self.sorted.last().copied().unwrap_or(0.0)
    }

    /// The value in the middle (the lower of the two in an even series); 0 without values.
    pub fn median(&self) -> f64 {
        self.percentile(50.0)
    }

    /// The nearest-rank percentile: the smallest value that at least `percent` % of the values don't exceed.
    pub fn percentile(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.sorted.len() as f64).ceil() as usize;
        self.sorted.get(rank.clamp(1, self.sorted.len().max(1)) - 1).copied().unwrap_or(0.0)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self::from(values.into_iter().collect::<Vec<_>>())
    }
}

impl From<Vec<f64>> for Samples {
    fn from(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { sorted: values }
    }
}

impl From<Samples> for Vec<f64> {
    fn from(samples: Samples) -> Self {
        samples.sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_extremes_do_not_depend_on_the_order_of_runs() {
        let samples: Samples = [5.0, 1.0, 3.0].into_iter().collect();
        assert_eq!((samples.min(), samples.median(), samples.max()), (1.0, 3.0, 5.0));
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let samples: Samples = (1..=100).map(f64::from).collect();
        assert_eq!(samples.percentile(99.0), 99.0);
        assert_eq!(samples.percentile(100.0), 100.0);
        assert_eq!(samples.median(), 50.0);
    }

    #[test]
    fn no_value_is_zero_and_not_a_panic() {
        assert_eq!(Samples::default().median(), 0.0);
    }
}
