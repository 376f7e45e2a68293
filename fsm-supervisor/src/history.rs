//! The last decisions of a node: a list that grows on demand, so that a quiet node costs little. What the engine itself says
//! while it holds a node is no decision: that is in the events.

use fsm_core::erase::{StateIndex, StateInfo};
use fsm_core::{Arg, CauseId, Moment, Reason};
use serde::Serialize;

/// A node keeps at most this many decisions (S-50).
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
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) at: Moment,
    pub(crate) cause: CauseId,
    text: &'static str,
    /// Apart, because most reasons have none.
    args: Option<Box<[Arg; 2]>>,
    pub(crate) state: StateIndex,
    /// The place of the action's name among those of its kind; more than there are for none.
    pub(crate) action: u8,
}

impl Kept {
    /// No action.
    pub(crate) const NO_ACTION: u8 = u8::MAX;

    pub(crate) fn new(at: Moment, cause: CauseId, state: StateIndex, reason: &Reason, action: u8) -> Self {
        let args = match reason.args() {
            [Arg::None, Arg::None] => None,
            args => Some(Box::new(args.clone())),
        };
        Self { at, cause, text: reason.text(), args, state, action }
    }

    /// Why.
    pub(crate) fn reason(&self) -> Reason {
        Reason::from((self.text, self.args.as_deref().cloned().unwrap_or_default()))
    }

    /// Whether it says the same, arguments apart.
    pub(crate) fn says(&self, state: StateIndex, reason: &Reason) -> bool {
        self.state == state && self.text == reason.text()
    }

    /// With its words.
    pub(crate) fn entry(&self, states: &[StateInfo], actions: &[&'static str]) -> HistoryEntry {
        let state = states.get(self.state.get()).map_or("", |state| state.name);
        let action = actions.get(usize::from(self.action)).copied();
        HistoryEntry { action, ..HistoryEntry::new(self.at, self.cause, state, self.reason()) }
    }
}

/// The last decisions, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History(Vec<Kept>);

impl History {
    pub(crate) fn push(&mut self, entry: Kept) {
        if self.0.len() == HISTORY_LENGTH {
            // Moving a few lines of memory costs little beside the event that goes with a decision; the start of a ring
            // would cost every node a word.
            self.0.remove(0);
        } else if self.0.len() == self.0.capacity() {
            // Two entries fit a quiet node; then the room doubles.
            self.0.reserve_exact(self.0.len().max(2));
        }
        self.0.push(entry);
    }

    /// The newest.
    pub(crate) fn last(&self) -> Option<&Kept> {
        self.0.last()
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.0.iter()
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
            let (at, cause) = (Moment::from_nanos(n), CauseId::new(n));
            let reason = Reason::from(("still at {}", n));
            history.push(Kept::new(at, cause, StateIndex::default(), &reason, Kept::NO_ACTION));
            assert_eq!(history.last().unwrap().reason(), reason);
            assert_eq!(history.last().unwrap().at.as_nanos(), n);
        }
        let at: Vec<u64> = history.iter().map(|e| e.at.as_nanos()).collect();
        assert_eq!(at, (200 - HISTORY_LENGTH as u64..200).collect::<Vec<_>>());
        assert!(history.0.capacity() <= HISTORY_LENGTH);
    }
}
