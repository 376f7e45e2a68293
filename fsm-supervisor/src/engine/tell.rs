//! What the engine tells: events, changes for the store, reasons and histories.

use fsm_core::{NodePath, Reason};

use super::Engine;
use crate::effect::{Change, Effect, What};
use crate::event::{Event, EventKind};
use crate::history::Kept;

impl Engine {
    pub(super) fn emit(&mut self, index: u32, kind: EventKind) {
        let path = self.arena.path(index);
        self.emit_at(path, kind);
    }

    pub(super) fn emit_at(&mut self, path: NodePath, kind: EventKind) {
        let event = Event { at: self.now, cause: self.cause, path, kind, folded: 0 };
        let event = if self.config.fold_repeats { self.folds.pass(event) } else { Some(event) };
        self.pending.extend(event.map(Effect::Emit));
    }

    pub(super) fn persist(&mut self, index: u32, what: What) {
        let change = Change {
            path: self.arena.path(index),
            incarnation: self.arena.hot(index).incarnation,
            at: self.now,
            cause: self.arena.cold(index).cause,
            what,
        };
        self.pending.push(Effect::Persist(change));
    }

    /// Remembers why a node is where it is. A new text is history, is stored, and is news for the parent; new arguments are not.
    pub(super) fn explain(&mut self, index: u32, reason: Reason) {
        if self.give_reason(index, reason) {
            self.remember(index, None);
        }
    }

    /// The same without history; says whether the text is new.
    pub(super) fn give_reason(&mut self, index: u32, reason: Reason) -> bool {
        let cold = self.arena.cold_mut(index);
        let same_text = cold.reason.same_text(&reason);
        if !same_text || cold.reason.args() != reason.args() {
            cold.reason = reason;
        }
        if same_text {
            return false;
        }
        self.persist_state(index);
        self.mark_parent(index);
        true
    }

    /// Writes the present state and reason into the history.
    pub(super) fn remember(&mut self, index: u32, action: Option<&'static str>) {
        let hot = self.arena.hot(index);
        let (state, at) = (hot.state, self.now);
        let names = self.kinds[hot.kind as usize].action_names();
        let place = action.and_then(|action| names.iter().position(|name| *name == action));
        let action = place.and_then(|place| u8::try_from(place).ok()).unwrap_or(Kept::NO_ACTION);
        let cold = self.arena.cold_mut(index);
        let last = cold.history.last().filter(|_| action == Kept::NO_ACTION);
        // After a hold the same decision comes again: that is no news.
        if !last.is_some_and(|last| last.says(state, &cold.reason)) {
            cold.history.push(Kept::new(at, cold.cause, state, &cold.reason, action));
        }
    }

    pub(super) fn persist_state(&mut self, index: u32) {
        let what = What::State {
            state: self.state_name(index),
            phase: self.arena.hot(index).effective,
            reason: self.arena.cold(index).reason.clone(),
        };
        self.persist(index, what);
    }
}
