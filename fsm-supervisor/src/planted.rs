//! Bugs to be found: each breaks one promise of the engine, on request, so that the simulation can be seen to find it (K-5).
//!
//! They are compiled in with the feature `planted-bugs` only, and even then do nothing until a test plants one for its thread.
//! Without the feature the question for them is answered by a constant, so nothing of them is left.

/// One broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "planted-bugs"),
    expect(dead_code, unreachable_pub, reason = "asked about, never planted")
)]
pub enum Bug {
    /// Messages to a former incarnation reach the one that has its place now.
    NoIncarnationCheck,
    /// A node whose observation is stale isn't asked to stop.
    StaleBlocksStop,
    /// The result of an action that nobody waits for any more counts.
    LateResultAccepted,
    /// After an action the node goes on with what was seen before.
    OldObservationAccepted,
    /// A child that should go is dropped as it is.
    RemovedBeforeStopped,
    /// The place of an action that panicked is never given back.
    SlotLeakedOnPanic,
    /// One healthy moment gives the whole restart budget back.
    BudgetResetEarly,
    /// A panic circuit doesn't close by itself.
    CircuitStaysOpen,
    /// What is new about a node that is due already is forgotten.
    DirtyFlagLost,
    /// Children stay in the order in which they came, not as declared.
    ChildrenReordered,
}

#[cfg(feature = "planted-bugs")]
mod on {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    impl Bug {
        /// All of them.
        pub const ALL: [Self; 10] = [
            Self::NoIncarnationCheck,
            Self::StaleBlocksStop,
            Self::LateResultAccepted,
            Self::OldObservationAccepted,
            Self::RemovedBeforeStopped,
            Self::SlotLeakedOnPanic,
            Self::BudgetResetEarly,
            Self::CircuitStaysOpen,
            Self::DirtyFlagLost,
            Self::ChildrenReordered,
        ];
    }

    /// From now on this thread has this bug, or none.
    pub fn plant(bug: Option<Bug>) {
        fsm_executor::plant_leak_on_panic(bug == Some(Bug::SlotLeakedOnPanic));
        PLANTED.set(bug);
    }

    pub(crate) fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub(crate) use on::is;
#[cfg(feature = "planted-bugs")]
pub use on::plant;

/// Whether this bug was planted: never.
#[cfg(not(feature = "planted-bugs"))]
#[inline]
pub(crate) const fn is(_bug: Bug) -> bool {
    false
}
