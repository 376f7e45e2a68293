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
