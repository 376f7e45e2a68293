//! The last decisions of a node: a ring that grows on demand, so that a quiet node costs little.

use fsm_core::{CauseId, Moment, Reason};
use serde::Serialize;

/// A ring keeps at most this many decisions (S-50).
pub const HISTORY_LENGTH: usize = 64;

/// One decision worth remembering: a new state, a new reason text, or an action.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When.
    pub at: Moment,
    /// What made the node due.
    pub cause: CauseId,
    /// The state it was in then, or moved to.
    pub state: &'static str,
    /// The action it asked for, if it did.
    pub action: Option<&'static str>,
    /// Why.
    pub reason: Reason,
}

impl HistoryEntry {
    /// An entry about a state.
    #[must_use]
    pub const fn new(at: Moment, cause: CauseId, state: &'static str, reason: Reason) -> Self {
        Self { at, cause, state, action: None, reason }
    }
}

/// A ring of entries.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: Vec<HistoryEntry>,
    /// Where the oldest entry is once the ring is full.
    start: u32,
}

impl History {
    pub(crate) fn push(&mut self, entry: HistoryEntry) {
        if self.entries.len() < HISTORY_LENGTH {
            // Two entries fit a quiet node; then the ring doubles.
            if self.entries.len() == self.entries.capacity() {
                self.entries.reserve_exact(self.entries.len().max(2));
            }
            self.entries.push(entry);
        } else {
            self.entries[self.start as usize] = entry;
            self.start = (self.start + 1) % HISTORY_LENGTH as u32;
        }
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &HistoryEntry> {
        let (newer, older) = self.entries.split_at(self.start as usize);
        older.iter().chain(newer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: S-50, J7
    #[test]
    fn a_history_keeps_the_newest_and_stays_small() {
        let mut history = History::default();
        for n in 0..200 {
            history.push(HistoryEntry::new(
                Moment::from_nanos(n),
                CauseId::new(n),
                "Running",
                "still".into(),
            ));
        }
        let at: Vec<u64> = history.iter().map(|e| e.at.as_nanos()).collect();
        assert_eq!(at, (200 - HISTORY_LENGTH as u64..200).collect::<Vec<_>>());
        assert!(history.entries.capacity() <= HISTORY_LENGTH);
    }
}
