//! What an executor tells its owner: the start and end of actions, and of those that would not end.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{ActionId, ActionReport, Moment};

/// Which action, without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ActionRef<K> {
    /// The slot it holds.
    pub key: K,
    /// The id of its request.
    pub id: ActionId,
    /// Its name.
    pub name: &'static str,
    /// The tag of its request.
    pub tag: u32,
}

/// The end of an action. Each accepted action has exactly one; the slot is free by the time it is told, unless `leaked`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ended<K> {
    /// Which action.
    pub action: ActionRef<K>,
    /// How it ended. `started` is the moment it first got a place; an action that never got one ended with 0 attempts.
    pub report: ActionReport,
    /// It was abandoned: its thread is still busy and its slot stays taken until [`ExecutorEvent::LeakedEnded`] or
    /// [`release`](crate::Executor::release).
    pub leaked: bool,
}

/// What happened to an action.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ExecutorEvent<K> {
    /// Its first attempt got a place.
    Started {
        /// Which action.
        action: ActionRef<K>,
        /// When.
        at: Moment,
        /// How long it waited for the place.
        waited: Duration,
    },
    /// It ended.
    Ended(Ended<K>),
    /// A blocking attempt is at work for twice its timeout.
    Stuck {
        /// Which action.
        action: ActionRef<K>,
        /// How long the attempt has been running.
        running: Duration,
    },
    /// A blocking attempt was given up at three times its timeout, or after the grace of its cancel: its place is free again, its
    /// slot is not. The action's `Ended` follows.
    Abandoned {
        /// Which action.
        action: ActionRef<K>,
        /// How long the attempt had been running.
        running: Duration,
    },
    /// The thread of an abandoned attempt came back: nothing of it is left, its slot is free.
    LeakedEnded {
        /// Which action.
        action: ActionRef<K>,
    },
}

/// Takes the events of an executor, on whichever thread they happen. Must not block; no lock of the executor is held.
pub type EventSink<K> = Arc<dyn Fn(ExecutorEvent<K>) + Send + Sync>;

/// Tells the time of the owner's monotonic clock, for reports. All waiting is on tokio's clock.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// A clock that starts now and follows tokio's time, paused or not.
#[must_use]
pub fn tokio_clock() -> Clock {
    let start = tokio::time::Instant::now();
    Arc::new(move || Moment::after_start(start.elapsed()))
}
