//! Finds gaps: records are fed in the order in which they are kept, whatever backend keeps them (H-2).

use std::collections::HashMap;

use crate::record::{ChangeRecord, Subject, decode};
use crate::{Damage, Sequence, SyncId};

/// Looks at a history from its oldest record on.
#[derive(Debug)]
pub struct Verifier {
    next: SyncId,
    last: HashMap<Subject, Sequence>,
    damage: Vec<Damage>,
}

impl Verifier {
    /// For a history whose oldest record should be this one.
    #[must_use]
    pub fn new(oldest: SyncId) -> Self {
        Self { next: oldest, last: HashMap::new(), damage: Vec::new() }
    }

    /// The next record as it is kept.
    pub fn feed(&mut self, bytes: &[u8]) {
        match decode(self.next, bytes) {
            Ok(record) => self.accept(&record),
            Err(Damage::Misplaced { found, .. }) if found > self.next => {
                self.damage.push(Damage::Gap { missing: self.next });
                self.next = found;
                self.feed(bytes);
                return;
            }
            Err(damage) => self.damage.push(damage),
        }
        self.next = self.next.next();
    }

    fn accept(&mut self, record: &ChangeRecord) {
        let last = self.last.insert(record.subject.clone(), record.sequence);
        // The first one seen of a subject may be any: earlier ones were forgotten.
        let expected = last.map_or(record.sequence, Sequence::next);
        if record.sequence != expected {
            self.damage.push(Damage::SubjectGap {
                subject: record.subject.clone(),
                at: record.sync_id,
                expected,
                found: record.sequence,
            });
        }
    }

    /// What was found, in a history whose newest record should be this one.
    #[must_use]
    pub fn finish(mut self, newest: SyncId) -> Vec<Damage> {
        if self.next <= newest {
            self.damage.push(Damage::Gap { missing: self.next });
        }
        self.damage
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fsm_core::{CauseId, Generation, NodePath};

    use super::*;
    use crate::record::{Role, encode};
    use crate::{Delta, Timestamp};

    fn record(sync_id: u64, node: &str, sequence: u64) -> ChangeRecord {
        ChangeRecord {
            sync_id: SyncId::new(sync_id),
            subject: Subject::Node(NodePath::try_new(node).expect("a good path")),
            sequence: Sequence::new(sequence),
            incarnation: None,
            role: Role::Observed,
            generation: Generation::new(1),
            cause: CauseId::new(0),
            who: Arc::from("test"),
            when: Timestamp::new(0),
            delta: Delta::Removed,
        }
    }

    #[track_caller]
    fn check(records: &[ChangeRecord], newest: u64, expected: &[Damage]) {
        let mut verifier = Verifier::new(SyncId::new(5));
        records.iter().for_each(|record| verifier.feed(&encode(record).expect("it is JSON")));
        assert_eq!(verifier.finish(SyncId::new(newest)), expected);
    }

    // spec: H-2
    #[test]
    fn a_change_that_is_missing_among_those_of_its_node_is_found_though_no_id_is() {
        let good = [record(5, "/a", 9), record(6, "/b", 1), record(7, "/a", 10), record(8, "/b", 2)];
        check(&good, 8, &[]);
        let bad = [record(5, "/a", 9), record(6, "/b", 1), record(7, "/a", 11), record(8, "/b", 2)];
        let subject = bad[2].subject.clone();
        let (at, expected, found) = (SyncId::new(7), Sequence::new(10), Sequence::new(11));
        check(&bad, 8, &[Damage::SubjectGap { subject, at, expected, found }]);
    }

    // spec: H-2
    #[test]
    fn a_gap_is_named_by_its_first_missing_change_and_what_follows_is_still_looked_at() {
        let records = [record(5, "/a", 1), record(8, "/b", 1), record(9, "/b", 2)];
        let gap = |missing| Damage::Gap { missing: SyncId::new(missing) };
        check(&records, 9, &[gap(6)]);
        check(&records, 10, &[gap(6), gap(10)]);
        check(&[], 7, &[gap(5)]);
    }
}
