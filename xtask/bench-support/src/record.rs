//! One line of a benchmark's output: the wire between a benchmark binary and `cargo xtask bench`.

use serde::{Deserialize, Serialize};

use crate::{Samples, Unit};

/// Begins each line that carries a record; every other line of a benchmark is for people.
pub const PREFIX: &str = "BENCH ";

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The target's id (`P1`), or a name of its own.
    pub id: String,
    /// What was measured, with its size: "tick with nothing changed, 1 000 000 workers".
    pub name: String,
    /// The unit of the samples and the target.
    pub unit: Unit,
    /// The measured values; empty if only gates matter.
    #[serde(default)]
    pub samples: Samples,
    /// What the median should reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// What must hold in every run, on every machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// Peers measured in the same run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratios: Vec<Ratio>,
    /// A word on the method or on what is missing ("mosquitto not installed").
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// The wanted side of a number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The median should not exceed it.
    AtMost(f64),
    /// The median should reach it.
    AtLeast(f64),
}

/// A number that noise can't move, and its bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// "allocations", "bytes per worker", "evaluations", "instructions".
    pub what: String,
    /// The counted number.
    pub value: u64,
    /// What it must be.
    pub bound: Bound,
}

/// What a gated number must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Not more than this.
    AtMost(u64),
    /// Exactly this: fewer evaluations than nodes changed is as wrong as more.
    Exactly(u64),
}

/// How many times as good as a peer, measured in the same run; above 1 is better than the peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The peer's name and version.
    pub peer: String,
    /// Ours over theirs for throughput, theirs over ours for cost.
    pub value: f64,
}

impl Gate {
    /// Whether the number keeps its bound.
    pub fn holds(&self) -> bool {
        match self.bound {
            Bound::AtMost(limit) => self.value <= limit,
            Bound::Exactly(wanted) => self.value == wanted,
        }
    }
}

impl Target {
    /// Whether `value` reaches it.
    pub fn met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl Record {
    /// A record without values, gates or target.
    pub fn new(id: &str, name: impl Into<String>, unit: Unit) -> Self {
        Self {
            id: id.to_owned(),
            name: name.into(),
            unit,
            samples: Samples::default(),
            target: None,
            gates: Vec::new(),
            ratios: Vec::new(),
            note: String::new(),
        }
    }

    /// Sets the measured values, in the record's unit.
    #[must_use]
    pub fn samples(mut self, samples: &Samples) -> Self {
        self.samples = samples.clone();
        self
    }

    /// Sets a single measured value.
    #[must_use]
    pub fn value(self, value: f64) -> Self {
        self.samples(&Samples::from(vec![value]))
    }

    /// The median should not exceed `limit`, in the record's unit. It is shown, never gated.
    #[must_use]
    pub fn at_most(mut self, limit: f64) -> Self {
        self.target = Some(Target::AtMost(limit));
        self
    }

    /// The median should reach `limit`, in the record's unit. It is shown, never gated.
    #[must_use]
    pub fn at_least(mut self, limit: f64) -> Self {
        self.target = Some(Target::AtLeast(limit));
        self
    }

    /// Fails `cargo xtask ci` if `value` exceeds `limit`. Only for numbers that noise can't move.
    #[must_use]
    pub fn gate(self, what: &str, value: u64, limit: u64) -> Self {
        self.bounded(what, value, Bound::AtMost(limit))
    }

    /// Fails `cargo xtask ci` if `value` is not exactly `wanted`. Only for numbers that noise can't move.
    #[must_use]
    pub fn gate_exactly(self, what: &str, value: u64, wanted: u64) -> Self {
        self.bounded(what, value, Bound::Exactly(wanted))
    }

    /// Adds a peer measured in the same run; `value` above 1 means better than the peer.
    #[must_use]
    pub fn ratio(mut self, peer: &str, value: f64) -> Self {
        self.ratios.push(Ratio { peer: peer.to_owned(), value });
        self
    }

    /// Adds a word on the method, or on what could not be measured here and why.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Prints the line that `cargo xtask bench` reads.
    ///
    /// # Panics
    /// If a value is not a finite number: it could be neither shown nor compared.
    pub fn print(&self) {
        assert!(
            self.samples.min().is_finite() && self.samples.max().is_finite(),
            "benchmark {} measured a value that is not a number",
            self.id
        );
        println!("{}", self.to_line());
    }

    /// The line without its line break.
    pub fn to_line(&self) -> String {
        format!("{PREFIX}{}", serde_json::json!(self))
    }

    /// Reads a line of a benchmark's output; `None` if it carries no record.
    ///
    /// # Errors
    /// If the line begins like a record and isn't one.
    pub fn from_line(line: &str) -> Option<Result<Self, serde_json::Error>> {
        line.strip_prefix(PREFIX).map(serde_json::from_str)
    }

    fn bounded(mut self, what: &str, value: u64, bound: Bound) -> Self {
        self.gates.push(Gate { what: what.to_owned(), value, bound });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_wire() {
        let record = Record::new("P2", "100 of 1 000 000 changed", Unit::Nanoseconds)
            .samples(&[3.0, 1.0, 2.0].into_iter().collect())
            .at_most(150_000.0)
            .gate_exactly("evaluations", 100, 100)
            .ratio("peer 1.0", 1.5)
            .note("cold caches");
        let read = Record::from_line(&record.to_line()).expect("a record line").expect("valid");
        assert_eq!(read, record);
    }

    #[test]
    fn other_output_carries_no_record_and_a_torn_line_is_an_error() {
        assert!(Record::from_line("warming up").is_none());
        assert!(Record::from_line("BENCH {\"id\":").expect("begins like a record").is_err());
    }

    #[test]
    fn too_few_evaluations_break_an_exact_gate() {
        let gate = |value, bound| Gate { what: "evaluations".into(), value, bound };
        assert!(!gate(99, Bound::Exactly(100)).holds());
        assert!(gate(99, Bound::AtMost(100)).holds());
        assert!(!gate(101, Bound::AtMost(100)).holds());
    }

    #[test]
    fn throughput_should_be_high_and_time_low() {
        assert!(Target::AtLeast(500.0).met_by(501.0));
        assert!(!Target::AtMost(500.0).met_by(501.0));
    }
}
