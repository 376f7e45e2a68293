//! Jitter without randomness: the same seed, name and attempt give the same wait (J6).

use std::time::Duration;

/// A number in 0..1 that depends on these only.
pub(super) fn chance(seed: u64, whose: &str, attempt: u64) -> f64 {
    let mut hash = seed ^ 0x9e37_79b9_7f4a_7c15;
    for byte in whose.bytes().chain(attempt.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // The upper bits of an FNV hash are its good ones.
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// `base` doubled `failures - 1` times, at most `cap`, ±20 % by chance.
pub(super) fn jittered(failures: u32, base: Duration, cap: Duration, chance: f64) -> Duration {
    let doubled =
        base.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(cap);
    doubled.mul_f64(0.8 + 0.4 * chance).min(cap)
}
