//! Randomness without a generator: a number is a hash of what it is for, so that nothing depends on the order
//! of questions.

use std::f64::consts::PI;

/// A source of numbers that belong to one seed and one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// A source of its own for a part.
    pub(crate) fn of(self, part: u64) -> Self {
        Self(mix(self.0 ^ mix(part.wrapping_add(1))))
    }

    /// A source of its own for a named part.
    pub(crate) fn named(self, name: &str) -> Self {
        // FNV-1a: stable over releases, unlike the hashers of the standard library.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.of(hash)
    }

    /// A number from 0 up to 1.
    pub(crate) fn unit(self, index: u64) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.of(index).0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number from -1 to 1 that is mostly near 0.
    pub(crate) fn bell(self, index: u64) -> f64 {
        let source = self.of(index);
        (0..3).map(|part| source.unit(part) * 2.0 - 1.0).sum::<f64>() / 3.0
    }

    /// A curve from -1 to 1 over `at`, smooth, with a new direction at each whole number.
    pub(crate) fn smooth(self, at: f64) -> f64 {
        let cell = at.floor();
        let ease = (1.0 - ((at - cell) * PI).cos()) / 2.0;
        let corner = |index: f64| self.unit(index as u64) * 2.0 - 1.0;
        corner(cell) * (1.0 - ease) + corner(cell + 1.0) * ease
    }
}

/// The finaliser of splitmix64: every input bit moves every output bit.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fill_their_range_evenly() {
        let noise = Noise::new(7).named("press");
        let units: Vec<f64> = (0..10_000).map(|index| noise.unit(index)).collect();
        assert!(units.iter().all(|unit| (0.0..1.0).contains(unit)));
        let mean = units.iter().sum::<f64>() / units.len() as f64;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        let bells = (0..10_000).map(|index| noise.bell(index)).collect::<Vec<_>>();
        assert!(bells.iter().all(|bell| bell.abs() <= 1.0));
        let near = bells.iter().filter(|bell| bell.abs() < 0.33).count();
        assert!(near > 5_500, "{near} of 10 000 are near 0");
    }

    #[test]
    fn a_smooth_curve_has_no_steps() {
        let noise = Noise::new(1);
        let curve: Vec<f64> = (0..5_000).map(|step| noise.smooth(f64::from(step) / 500.0)).collect();
        assert!(curve.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.01));
        let (min, max) =
            curve.iter().fold((1.0_f64, -1.0_f64), |(min, max), at| (min.min(*at), max.max(*at)));
        assert!(max - min > 0.5, "it hardly moves: {min} to {max}");
    }
}
