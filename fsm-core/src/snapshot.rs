//! The borrowed, immutable picture that `next` and `stop` decide from. It has no clock: time is asked by `reached`.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{ActionId, ChildrenView, Generation, Moment, Observed, Outcome, Whoami, Worker};

/// How the last action of a node ended (A-8).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ActionReport {
    /// Which request it was.
    pub id: ActionId,
    /// The action's name.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// Attempts made.
    pub attempts: u32,
    /// When the executor took it.
    pub started: Moment,
    /// From then to its end, back-off included.
    pub duration: Duration,
    /// What went wrong, in one line.
    pub error: Option<Arc<str>>,
    /// How long the other side asked to wait.
    pub retry_after: Option<Duration>,
}

impl ActionReport {
    /// A report of a run.
    #[must_use]
    pub const fn new(
        id: ActionId,
        name: &'static str,
        outcome: Outcome,
        started: Moment,
        duration: Duration,
    ) -> Self {
        Self { id, name, outcome, attempts: 1, started, duration, error: None, retry_after: None }
    }

    /// When it ended.
    #[must_use]
    pub fn ended(&self) -> Moment {
        self.started + self.duration
    }
}

/// When and under what an observation was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observation {
    /// When its collection started.
    pub started: Moment,
    /// When it was complete.
    pub taken: Moment,
    /// The generation of the desired state it was taken under.
    pub generation: Generation,
}

impl Observation {
    /// An observation taken between these moments.
    #[must_use]
    pub const fn new(started: Moment, taken: Moment, generation: Generation) -> Self {
        Self { started, taken, generation }
    }
    /// How long collecting took.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.taken.since(self.started)
    }
}

/// The untyped part of a snapshot. Engines make it; workers see it through [`Snapshot`] and [`StopSnapshot`].
pub struct SnapshotCore<'a> {
    /// Name, kind, path.
    pub whoami: Whoami<'a>,
    /// The moment this evaluation happens at. Never shown: see [`Snapshot::reached`].
    pub now: Moment,
    /// The earliest moment that was asked for and is not reached yet.
    pub wake: Cell<Option<Moment>>,
    /// The direct children.
    pub children: ChildrenView<'a>,
    /// How the last action ended.
    pub last_action: Option<&'a ActionReport>,
    /// Actions that ended in this state.
    pub attempts: u32,
    /// Of these, the failures in a row up to now.
    pub failures: u32,
    /// Until when the other side or the back-off asks to wait.
    pub retry_after: Option<Moment>,
    /// When this state was entered.
    pub entered_at: Moment,
    /// When and under what the observation was taken, if there is one.
    pub observation: Option<Observation>,
    /// The generation of the present desired state.
    pub desired: Generation,
}

impl SnapshotCore<'_> {
    fn reached(&self, moment: Moment) -> bool {
        let reached = moment <= self.now;
        if !reached {
            let earlier = self.wake.get().map_or(moment, |wake| wake.min(moment));
            self.wake.set(Some(earlier));
        }
        reached
    }
}

macro_rules! shared_accessors {
    () => {
        /// Name, kind, path, incarnation.
        #[must_use]
        pub fn whoami(&self) -> Whoami<'a> {
            self.core.whoami
        }
        /// The config to reach.
        #[must_use]
        pub fn config(&self) -> &'a W::Config {
            self.config
        }
        /// The direct children.
        #[must_use]
        pub fn children(&self) -> ChildrenView<'a> {
            self.core.children
        }
        /// How the last action of this incarnation ended.
        #[must_use]
        pub fn last_action(&self) -> Option<&'a ActionReport> {
            self.core.last_action
        }
        /// Actions that ended since this state was entered.
        #[must_use]
        pub fn attempts(&self) -> u32 {
            self.core.attempts
        }
        /// Of these, how many failed in a row up to now.
        #[must_use]
        pub fn consecutive_failures(&self) -> u32 {
            self.core.failures
        }
        /// Until when the last failure asks to wait. The engine keeps this pace by itself.
        #[must_use]
        pub fn retry_after(&self) -> Option<Moment> {
            self.core.retry_after
        }
        /// When this state was entered.
        #[must_use]
        pub fn entered_at(&self) -> Moment {
            self.core.entered_at
        }
        /// How often this path was started, this incarnation included.
        #[must_use]
        pub fn starts(&self) -> u32 {
            self.core.whoami.starts()
        }
        /// Whether this moment is reached. When it is not, the engine asks again at that moment.
        #[must_use]
        pub fn reached(&self, moment: Moment) -> bool {
            self.core.reached(moment)
        }
        /// Whether this state was entered at least this long ago. When not, the engine asks again then.
        #[must_use]
        pub fn in_state_for(&self, time: Duration) -> bool {
            self.core.reached(self.core.entered_at + time)
        }
    };
}

/// What `next` decides from: the observation is there and fresh.
///
/// It is borrowed, so it can't be changed or kept:
///
/// ```compile_fail
/// fn tamper<W: fsm_core::Worker>(s: &fsm_core::Snapshot<'_, W>, other: W::Config) {
///     *s.config() = other;
/// }
/// ```
pub struct Snapshot<'a, W: Worker> {
    core: &'a SnapshotCore<'a>,
    config: &'a W::Config,
    observed: &'a W::Observed,
}

impl<'a, W: Worker> Snapshot<'a, W> {
    /// For engines: the typed view.
    #[must_use]
    pub fn new(core: &'a SnapshotCore<'a>, config: &'a W::Config, observed: &'a W::Observed) -> Self {
        Self { core, config, observed }
    }

    shared_accessors!();

    /// The newest observation.
    #[must_use]
    pub fn observed(&self) -> &'a W::Observed {
        self.observed
    }

    /// When and under what it was taken; none for a kind without observation.
    #[must_use]
    pub fn observation(&self) -> Option<Observation> {
        self.core.observation
    }

    /// Whether the observation was taken under the present desired state.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.core.observation.is_none_or(|o| o.generation == self.core.desired)
    }

    /// The config that the outside world runs with, as observed.
    #[must_use]
    pub fn deployed(&self) -> Option<&'a W::Config> {
        self.observed.deployed()
    }
}

/// What `stop` decides from: the observation may be missing or old.
pub struct StopSnapshot<'a, W: Worker> {
    core: &'a SnapshotCore<'a>,
    config: &'a W::Config,
    observed: Option<&'a W::Observed>,
}

impl<'a, W: Worker> StopSnapshot<'a, W> {
    /// For engines: the typed view.
    #[must_use]
    pub fn new(core: &'a SnapshotCore<'a>, config: &'a W::Config, observed: Option<&'a W::Observed>) -> Self {
        Self { core, config, observed }
    }

    shared_accessors!();

    /// The observation, if one can be believed: after an action only one that was started after it.
    #[must_use]
    pub fn observed(&self) -> Option<&'a W::Observed> {
        self.observed
    }

    /// When and under what it was taken.
    #[must_use]
    pub fn observation(&self) -> Option<Observation> {
        self.core.observation
    }

    /// The config that the outside world runs with, as observed.
    #[must_use]
    pub fn deployed(&self) -> Option<&'a W::Config> {
        self.observed.and_then(Observed::deployed)
    }
}

impl<W: Worker> fmt::Debug for Snapshot<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("name", self.core.whoami.name()).finish_non_exhaustive()
    }
}

impl<W: Worker> fmt::Debug for StopSnapshot<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopSnapshot").field("name", self.core.whoami.name()).finish_non_exhaustive()
    }
}
