//! What a worker decides: stay, move, act, leave or start over. One of them, never two at once.

use std::fmt;

use crate::{Reason, Signal, Worker};

/// One step of a worker: state XOR action XOR signal, by construction.
pub enum Step<W: Worker> {
    /// Stay in this state.
    Stay,
    /// Move to another state.
    Move(W::State),
    /// Stay in this state and run this action.
    Act(W::Action),
    /// The work is done: take this node out of the tree.
    Remove,
    /// This incarnation can't go on: start a new one.
    Restart,
}

/// A step and why it is taken.
#[must_use = "a decision does nothing unless it is returned to the engine"]
pub struct Decision<W: Worker> {
    step: Step<W>,
    reason: Reason,
}

impl<W: Worker> Decision<W> {
    /// Take this step for this reason.
    pub fn new(step: Step<W>, reason: impl Into<Reason>) -> Self {
        Self { step, reason: reason.into() }
    }

    /// The step.
    pub const fn step(&self) -> &Step<W> {
        &self.step
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The signal that the step amounts to.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        match self.step {
            Step::Stay | Step::Move(_) | Step::Act(_) => Signal::None,
            Step::Remove => Signal::NeedsRemoval,
            Step::Restart => Signal::NeedsRestart,
        }
    }

    /// Step and reason apart.
    pub fn into_parts(self) -> (Step<W>, Reason) {
        (self.step, self.reason)
    }
}

/// Stay in this state.
pub fn stay<W: Worker>(reason: impl Into<Reason>) -> Decision<W> {
    Decision::new(Step::Stay, reason)
}

/// Move to this state. Moving to the present state is staying.
pub fn go<W: Worker>(state: W::State, reason: impl Into<Reason>) -> Decision<W> {
    Decision::new(Step::Move(state), reason)
}

/// Run this action; the state stays until an observation shows its effect.
pub fn act<W: Worker>(action: W::Action, reason: impl Into<Reason>) -> Decision<W> {
    Decision::new(Step::Act(action), reason)
}

/// The work is done: leave the tree.
pub fn remove<W: Worker>(reason: impl Into<Reason>) -> Decision<W> {
    Decision::new(Step::Remove, reason)
}

/// Start over with a new incarnation in its initial state.
pub fn restart<W: Worker>(reason: impl Into<Reason>) -> Decision<W> {
    Decision::new(Step::Restart, reason)
}

impl<W: Worker> fmt::Debug for Step<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stay => f.write_str("Stay"),
            Self::Move(state) => write!(f, "Move({state:?})"),
            Self::Act(action) => write!(f, "Act({action:?})"),
            Self::Remove => f.write_str("Remove"),
            Self::Restart => f.write_str("Restart"),
        }
    }
}

impl<W: Worker> fmt::Debug for Decision<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} because {}", self.step, self.reason)
    }
}
