//! One situation of a worker, as numbers: small, comparable, and cheap to keep by the hundred thousand.

use fsm_core::Outcome;

/// No observation.
pub(super) const UNSEEN: u8 = u8::MAX;
/// Longer ago than any deadline that a worker could mean: a year, in nanoseconds.
pub(super) const LONG: u64 = 31_536_000_000_000_000;
/// Booked wake-ups that are followed within one state before "long ago" stands for all further ones: more deadlines in one
/// state are states of their own.
pub(super) const MAX_WAITS: u8 = 4;

/// Everything that an answer can depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Situation {
    /// Place in `State::ALL`.
    pub(super) state: u8,
    /// Told to stop, or to run.
    pub(super) stop: bool,
    pub(super) config: u8,
    pub(super) seen: u8,
    /// The observation was taken under this config.
    pub(super) current: bool,
    pub(super) last: Option<Last>,
    /// Actions that ended in this state, counted up to the model's limit.
    pub(super) attempts: u8,
    /// The last of them that failed.
    pub(super) failures: u8,
    /// Nanoseconds since the state was entered.
    pub(super) entered: u64,
    /// Nanoseconds since the last action ended.
    pub(super) acted: u64,
    pub(super) waits: u8,
    /// Place in the list of children's states.
    pub(super) children: u32,
}

/// How the last action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Last {
    /// Place among the names of actions.
    pub(super) action: u8,
    pub(super) outcome: Outcome,
}

impl Situation {
    /// The same after a move.
    pub(super) fn moved(self, state: u8) -> Self {
        // Deadlines after an action are waited for in one state; in the next the action is of now or of long ago.
        let acted = if self.acted == 0 { 0 } else { LONG };
        Self { state, attempts: 0, failures: 0, entered: 0, waits: 0, acted, ..self }
    }

    /// The same after this long.
    pub(super) fn later(self, nanos: u64) -> Self {
        let entered = self.entered.saturating_add(nanos);
        if self.waits + 1 >= MAX_WAITS || entered >= LONG {
            return self.much_later();
        }
        let acted = if self.last.is_some() { self.acted.saturating_add(nanos).min(LONG) } else { 0 };
        Self { entered, acted, waits: self.waits + 1, ..self }
    }

    /// The same when every deadline has passed.
    pub(super) fn much_later(self) -> Self {
        let acted = if self.last.is_some() { LONG } else { 0 };
        Self { entered: LONG, acted, waits: MAX_WAITS, ..self }
    }

    /// The same after an action.
    pub(super) fn acted(self, action: u8, outcome: Outcome, most: u8) -> Self {
        let failures = match outcome {
            Outcome::Success => 0,
            Outcome::Failure | Outcome::Timeout | Outcome::Panic => (self.failures + 1).min(most),
            // As the engine counts: nobody knows how it would have ended.
            Outcome::Cancelled => self.failures,
        };
        let attempts = (self.attempts + 1).min(most);
        Self { last: Some(Last { action, outcome }), attempts, failures, acted: 0, ..self }
    }

    /// The same with another observation.
    pub(super) fn sees(self, seen: u8) -> Self {
        Self { seen, current: true, ..self }
    }
}
