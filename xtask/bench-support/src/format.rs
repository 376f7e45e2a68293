//! Numbers as people read them: 1.25 ms, 43 800/s, 512 B.

use serde::{Deserialize, Serialize};

/// What a measured number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Time; the number is nanoseconds.
    Nanoseconds,
    /// Throughput; the number is things per second.
    PerSecond,
    /// Memory or size; the number is bytes.
    Bytes,
    /// Things counted: evaluations, nodes, instructions.
    Count,
    /// A quotient without a unit; a share of 1 is the whole.
    Ratio,
}

impl Unit {
    /// `value` with its unit, three significant digits.
    pub fn format(self, value: f64) -> String {
        match self {
            Self::Nanoseconds => scaled(value, &[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")]),
            Self::Bytes => scaled(
                value,
                &[(1024.0 * 1024.0 * 1024.0, "GiB"), (1024.0 * 1024.0, "MiB"), (1024.0, "KiB"), (1.0, "B")],
            ),
            Self::PerSecond => format!("{}/s", grouped(value)),
            Self::Count => grouped(value),
            Self::Ratio => format!("{value:.2}"),
        }
    }
}

fn scaled(value: f64, scales: &[(f64, &str)]) -> String {
    let (scale, unit) = scales
        .iter()
        .find(|(scale, _)| value.abs() >= *scale)
        .or(scales.last())
        .copied()
        .unwrap_or((1.0, ""));
    format!("{} {unit}", significant(value / scale))
}

fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unit: Unit, value: f64, expected: &str) {
        assert_eq!(unit.format(value), expected);
    }

    #[test]
    fn numbers_are_shown_in_the_unit_a_reader_expects() {
        check(Unit::Nanoseconds, 0.0, "0 ns");
        check(Unit::Nanoseconds, 0.7, "0.7 ns");
        check(Unit::Nanoseconds, 1_250_000.0, "1.25 ms");
        check(Unit::Nanoseconds, 10_000.0, "10 µs");
        check(Unit::Nanoseconds, 100_000_000_000.0, "100 s");
        check(Unit::Bytes, 898.0, "898 B");
        check(Unit::Bytes, 65_536.0, "64 KiB");
        check(Unit::PerSecond, 43_800.0, "43 800/s");
        check(Unit::Count, 1_000_000.0, "1 000 000");
        check(Unit::Ratio, 2.0, "2.00");
    }
}
