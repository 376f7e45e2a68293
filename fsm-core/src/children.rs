//! What a parent sees of its direct children (S-35).

use std::fmt;

use crate::{Moment, Phase, Reason};

/// How many children are in which effective phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChildrenCounts {
    /// Effective phase Running.
    pub healthy: u32,
    /// Stopped.
    pub stopped: u32,
    /// Completed.
    pub completed: u32,
    /// All else.
    pub degraded: u32,
}

impl ChildrenCounts {
    /// All children.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.healthy + self.stopped + self.completed + self.degraded
    }

    /// The counter that a child of this effective phase belongs to.
    pub const fn of(&mut self, phase: Phase) -> &mut u32 {
        match phase {
            Phase::Running => &mut self.healthy,
            Phase::Stopped => &mut self.stopped,
            Phase::Completed => &mut self.completed,
            Phase::Starting | Phase::Degraded | Phase::Stopping => &mut self.degraded,
        }
    }
}

/// One child as its parent sees it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ChildView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its effective phase: a stale, gated or invalid child is Degraded whatever its state says.
    pub phase: Phase,
    /// The name of its state; empty for an invalid child that never had one.
    pub state: &'static str,
    /// Why it is there.
    pub reason: &'a Reason,
    /// Since when it is in this state.
    pub since: Moment,
    /// Its observation is too old to be believed.
    pub stale: bool,
    /// One of its circuits is open.
    pub circuit_open: bool,
    /// Its spec can't be used.
    pub invalid: bool,
}

impl<'a> ChildView<'a> {
    /// A child in this state; the flags are off.
    #[must_use]
    pub const fn new(
        name: &'a str,
        phase: Phase,
        state: &'static str,
        reason: &'a Reason,
        since: Moment,
    ) -> Self {
        Self { name, phase, state, reason, since, stale: false, circuit_open: false, invalid: false }
    }
}

/// Where a view looks things up; engines implement it.
pub trait ChildrenSource {
    /// The child with this name.
    fn get(&self, name: &str) -> Option<ChildView<'_>>;
    /// The child at this place in declared order; none behind the last.
    fn at(&self, index: usize) -> Option<ChildView<'_>>;
}

/// No children.
impl ChildrenSource for () {
    fn get(&self, _name: &str) -> Option<ChildView<'_>> {
        None
    }
    fn at(&self, _index: usize) -> Option<ChildView<'_>> {
        None
    }
}

/// The direct children of the node that is asked.
#[derive(Clone, Copy)]
pub struct ChildrenView<'a> {
    counts: ChildrenCounts,
    source: &'a dyn ChildrenSource,
}

impl<'a> ChildrenView<'a> {
    /// For engines: a view with these counts over this source.
    pub fn new(counts: ChildrenCounts, source: &'a dyn ChildrenSource) -> Self {
        Self { counts, source }
    }

    /// A view of no children.
    #[must_use]
    pub fn none() -> ChildrenView<'static> {
        ChildrenView { counts: ChildrenCounts::default(), source: &() }
    }

    /// The child with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ChildView<'a>> {
        self.source.get(name)
    }

    /// The children in declared order. Costs a look-up each; the counts are free.
    pub fn iter(&self) -> impl Iterator<Item = ChildView<'a>> + use<'a> {
        let source = self.source;
        (0..).map_while(move |index| source.at(index))
    }

    /// All counts.
    #[must_use]
    pub const fn counts(&self) -> ChildrenCounts {
        self.counts
    }
    /// Children whose effective phase is Running.
    #[must_use]
    pub const fn healthy(&self) -> u32 {
        self.counts.healthy
    }
    /// Children that are Stopped.
    #[must_use]
    pub const fn stopped(&self) -> u32 {
        self.counts.stopped
    }
    /// Children that are Completed.
    #[must_use]
    pub const fn completed(&self) -> u32 {
        self.counts.completed
    }
    /// Children that are neither healthy, stopped nor completed.
    #[must_use]
    pub const fn degraded(&self) -> u32 {
        self.counts.degraded
    }
    /// How many children there are.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.counts.total()
    }
    /// Whether there are no children.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Whether every child is healthy; true without children.
    #[must_use]
    pub const fn all_healthy(&self) -> bool {
        self.counts.healthy == self.len()
    }
    /// Whether every child is stopped; true without children.
    #[must_use]
    pub const fn all_stopped(&self) -> bool {
        self.counts.stopped == self.len()
    }
}

impl fmt::Debug for ChildrenView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts.fmt(f)
    }
}
