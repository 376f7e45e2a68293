//! The last decisions of a node: a ring that grows on demand, so that a quiet node costs little. What the engine itself says
//! while it holds a node is no decision: that is in the events.

use fsm_core::erase::{StateIndex, StateInfo};
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

/// A decision as it is kept: the kind of the node knows the words.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) at: Moment,
    pub(crate) cause: CauseId,
    pub(crate) reason: Reason,
    pub(crate) state: StateIndex,
    /// The place of the action's name among those of its kind; more than there are for none.
    pub(crate) action: u8,
}

impl Kept {
    /// No action.
    pub(crate) const NO_ACTION: u8 = u8::MAX;

    /// With its words.
    pub(crate) fn entry(&self, states: &[StateInfo], actions: &[&'static str]) -> HistoryEntry {
        let state = states.get(self.state.get()).map_or("", |state| state.name);
        let action = actions.get(usize::from(self.action)).copied();
        HistoryEntry { action, ..HistoryEntry::new(self.at, self.cause, state, self.reason.clone()) }
    }
}

/// A ring of decisions.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: Vec<Kept>,
    /// Where the oldest entry is once the ring is full.
    start: u32,
}

impl History {
    pub(crate) fn push(&mut self, entry: Kept) {
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

    /// The newest.
    pub(crate) fn last(&self) -> Option<&Kept> {
        let (newer, older) = self.entries.split_at(self.start as usize);
        newer.last().or_else(|| older.last())
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Kept> {
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
            history.push(Kept {
                at: Moment::from_nanos(n),
                cause: CauseId::new(n),
                reason: "still".into(),
                state: StateIndex::default(),
                action: Kept::NO_ACTION,
            });
            assert_eq!(history.last().unwrap().at.as_nanos(), n);
        }
        let at: Vec<u64> = history.iter().map(|e| e.at.as_nanos()).collect();
        assert_eq!(at, (200 - HISTORY_LENGTH as u64..200).collect::<Vec<_>>());
        assert!(history.entries.capacity() <= HISTORY_LENGTH);
    }
}
