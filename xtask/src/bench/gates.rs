//! Which gates must be there, and which do not hold.

use bench_support::{Bound, Record};

/// Gates that the targets promise. Without this list a gate could vanish with the benchmark that had it.
const PROMISED: [(&str, &str); 10] = [
    ("P1", "evaluations"),
    ("P1", "allocations"),
    ("P2", "evaluations beyond the changed ones"),
    ("P3", "allocations"),
    ("P4", "bytes"),
    ("P6", "nodes visited"),
    ("P7", "visits"),
    ("P10", "evaluations"),
    ("P10", "allocations per collection"),
    ("P12", "evaluations"),
];

/// Gates that don't hold, in words.
pub(crate) fn broken(records: &[Record]) -> Vec<String> {
    let mut broken = Vec::new();
    for record in records {
        for gate in record.gates.iter().filter(|gate| !gate.holds()) {
            let bound = match gate.bound {
                Bound::AtMost(limit) => format!("at most {limit}"),
                Bound::Exactly(wanted) => format!("exactly {wanted}"),
            };
            broken.push(format!(
                "{} ({}): {} {}, must be {bound}",
                record.id, record.name, gate.value, gate.what
            ));
        }
    }
    broken
}

/// Promised gates that no record has, in words.
pub(crate) fn missing(records: &[Record]) -> Vec<String> {
    let has = |id: &str, what: &str| {
        records.iter().any(|record| record.id == id && record.gates.iter().any(|gate| gate.what == what))
    };
    let missing = PROMISED.iter().filter(|(id, what)| !has(id, what));
    missing.map(|(id, what)| format!("{id}: no benchmark has the gate `{what}`")).collect()
}

#[cfg(test)]
mod tests {
    use bench_support::Unit;

    use super::*;

    fn record(id: &str) -> Record {
        Record::new(id, "case", Unit::Nanoseconds).value(1.0)
    }

    #[test]
    fn a_gate_that_does_not_hold_is_told_with_its_numbers() {
        let records =
            [record("P1").gate("allocations", 3, 0), record("P2").gate_exactly("evaluations", 100, 100)];
        assert_eq!(broken(&records), ["P1 (case): 3 allocations, must be at most 0"]);
    }

    #[test]
    fn a_missed_time_is_no_broken_gate() {
        assert!(broken(&[record("P1").at_most(0.5)]).is_empty());
    }

    #[test]
    fn a_promised_gate_can_not_vanish() {
        let all: Vec<_> = PROMISED.iter().map(|(id, what)| record(id).gate(what, 0, 0)).collect();
        assert!(missing(&all).is_empty());
        assert_eq!(missing(&all[1..]), ["P1: no benchmark has the gate `evaluations`"]);
    }
}
