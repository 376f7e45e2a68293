//! Leaving: children first, a last look, then the node is gone, or comes back as a new incarnation; and the end of the tree.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::erase::Slot;
use fsm_core::{ChildConfig, ChildSpec, Goal, Moment, NodePath, Phase, VariableBundle};
use serde::Serialize;

use super::arena::NONE;
use super::flags::Flags;
use super::{Engine, FIRST, Remembered};
use crate::effect::{Effect, What};
use crate::event::EventKind;

const FORCED: &str = "forced: it did not stop in time";

/// So many paths that left the tree are remembered; the oldest are forgotten first.
const KNOWN: usize = 65_536;

/// A shutdown under way.
#[derive(Debug)]
pub(crate) struct Stopping {
    began: Moment,
    within: Duration,
    /// By depth: the part of the whole time in which nodes there have to have stopped.
    shares: Vec<f64>,
    forced: Vec<NodePath>,
}

impl Stopping {
    /// The deadline of a node at this depth: the one global deadline, shared out so that children end before their parents.
    pub(crate) fn share(&self, depth: u16) -> Moment {
        let deepest = self.shares.last().copied().unwrap_or(1.0);
        let share = self.shares.get(depth as usize).copied().unwrap_or(deepest);
        self.began + self.within.mul_f64(share)
    }
}

/// Shares by depth, for the longest `stop_timeout` of each: a level gets what it needs of the whole, after those below it.
fn shares(longest: &[Duration]) -> Vec<f64> {
    let all: Duration = longest.iter().sum();
    let mut below = Duration::ZERO;
    let mut shares = vec![1.0; longest.len()];
    for (share, own) in shares.iter_mut().zip(longest).rev() {
        below += *own;
        if !all.is_zero() {
            *share = below.as_secs_f64() / all.as_secs_f64();
        }
    }
    shares
}

/// How a shutdown went (S-24).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How long it took.
    pub took: Duration,
    /// Every node that did not stop by itself.
    pub forced: Vec<NodePath>,
}

impl Engine {
    /// Whether this node or one above it is on its way out.
    pub(super) fn leaves(&self, index: u32) -> bool {
        let hot = self.arena.hot(index);
        hot.flags.has(Flags::LEAVING) || hot.goal == Goal::Remove
    }

    /// The node has to leave.
    pub(super) fn leave(&mut self, index: u32) {
        self.touch(index, super::Touched::Leaving);
        self.arena.hot_mut(index).flags.set(Flags::LEAVING);
        self.aim(index);
        self.mark(index);
    }

    /// A node that is at rest: it leaves when it is to leave, or rests with the reason why.
    pub(super) fn rest(&mut self, index: u32) {
        if self.arena.hot(index).goal == Goal::Remove {
            if self.has_children(index) {
                self.hold(index, "waiting for its children to leave");
            } else if self.wants_farewell(index) {
                self.say_farewell(index);
            } else if !self.waits_for_farewell(index) {
                self.finish(index);
            }
            return;
        }
        self.stop_collecting(index);
        if self.arena.hot(index).flags.has(Flags::FORCED) {
            self.hold(index, FORCED);
        } else if let (_, Some(reason)) = self.wanted(index) {
            self.hold(index, reason);
        }
        self.wake_for_trouble(index);
        let restart_at = self.arena.cold(index).trouble.as_ref().and_then(|t| t.restart_at);
        if let Some(at) = restart_at.filter(|at| *at > self.now) {
            self.wake_by(index, at);
        }
    }

    fn has_children(&self, index: u32) -> bool {
        self.arena.cold(index).supervisor.as_ref().is_some_and(|s| s.counts.total() > 0)
    }

    /// Whether a last observation is to be taken: best effort, and not of what was forced.
    fn wants_farewell(&self, index: u32) -> bool {
        let hot = self.arena.hot(index);
        hot.slot != Slot::NONE
            && hot.flags.has(Flags::OBSERVED)
            && !hot.flags.has(Flags::FORCED)
            && !self.said_farewell(index)
            && hot.flags.has(Flags::OBSERVES)
    }

    fn say_farewell(&mut self, index: u32) {
        let until = self.now + self.policy(index).collect_timeout();
        self.arena.cold_mut(index).trouble.get_or_insert_default().farewell = Some(until);
        self.collect_again(index);
        self.hold(index, "taking a last look before it leaves");
        self.wake_by(index, until);
    }

    /// Whether the last look before removal was taken, or is being taken.
    pub(super) fn said_farewell(&self, index: u32) -> bool {
        self.arena.cold(index).trouble.as_ref().is_some_and(|trouble| trouble.farewell.is_some())
    }

    fn waits_for_farewell(&mut self, index: u32) -> bool {
        let until = self.arena.cold(index).trouble.as_ref().and_then(|t| t.farewell);
        match until.filter(|until| *until > self.now && self.arena.hot(index).flags.has(Flags::COLLECTING)) {
            Some(until) => {
                self.wake_by(index, until);
                true
            }
            None => false,
        }
    }

    pub(super) fn stop_collecting(&mut self, index: u32) {
        let node = self.arena.id(index);
        let hot = self.arena.hot_mut(index);
        hot.collect_at = Moment::FAR;
        if hot.flags.take(Flags::COLLECTING) {
            self.pending.push(Effect::CancelCollect { node });
        }
    }

    /// Gives up waiting for a node: its action is dropped, its tasks end, it counts as stopped.
    pub(super) fn force(&mut self, index: u32) {
        let node = self.arena.id(index);
        self.stop_collecting(index);
        if self.arena.hot_mut(index).flags.take(Flags::ACTING) {
            self.pending.push(Effect::Cancel { node, grace: Duration::ZERO });
            if let Some(activity) = &mut self.arena.cold_mut(index).activity {
                activity.running = None;
            }
        }
        self.pending.push(Effect::End { node });
        self.arena.hot_mut(index).flags.set(Flags::FORCED);
        let (scope, given) = (self.arena.hot(index).scope, self.policy(index).stop_timeout);
        self.meter.stop_timeout(scope);
        self.emit(index, EventKind::StopTimedOut { given });
        self.hold(index, FORCED);
        let path = self.arena.path(index);
        if let Some(stopping) = &mut self.stopping {
            stopping.forced.push(path);
        }
        self.refresh(index);
    }

    /// The node is done: it is removed, or comes back.
    pub(super) fn finish(&mut self, index: u32) {
        self.stop_collecting(index);
        if self.arena.hot(index).flags.has(Flags::RESTARTING)
            && let Some(spec) = self.spec_to_come_back(index)
        {
            self.reincarnate(index, spec);
            return;
        }
        debug_assert!(!self.has_children(index), "who has children stays until they are gone");
        debug_assert!(!self.arena.hot(index).flags.has(Flags::DUE), "its place may be taken by another");
        let node = self.arena.id(index);
        self.forget_need(node);
        self.pending.push(Effect::End { node });
        self.persist(index, What::Removed);
        self.emit(index, EventKind::NodeRemoved);
        self.remember_path(index);
        let hot = self.arena.hot(index).clone();
        if hot.slot != Slot::NONE {
            self.meter.leave(hot.scope, hot.state, hot.effective);
            self.kinds[hot.kind as usize].remove(hot.slot);
        }
        self.meter.size(hot.depth, -1);
        if hot.flags.has(Flags::PANIC_OPEN) {
            self.meter.circuit(hot.scope, false);
        }
        let Some(cold) = self.arena.remove(index) else { return };
        if hot.parent == NONE {
            self.root = None;
            // A root that removed itself is done until its spec changes, as any child is.
            let done = hot.flags.has(Flags::SELF_REMOVED) && self.root_spec.as_ref() == Some(&cold.spec);
            if let Some(spec) = self.root_spec.clone().filter(|_| self.stopping.is_none() && !done) {
                let variables = Arc::clone(&spec.variables);
                self.root = Some(self.plant(NONE, 0, spec, variables, Flags::default()));
            }
            return;
        }
        let rests = hot.flags.has(Flags::RESTS);
        if let Some(supervisor) = &mut self.arena.cold_mut(hot.parent).supervisor {
            *supervisor.counts.of(hot.effective) -= 1;
            supervisor.awake -= u32::from(!rests);
            supervisor.gone = true;
            if hot.flags.has(Flags::SELF_REMOVED) {
                match supervisor.dynamic.shift_remove(cold.name()) {
                    Some(_) => self.persist_dynamic(hot.parent),
                    None => {
                        supervisor.tombstones.insert(cold.name().clone(), cold.spec);
                    }
                }
            }
        }
        self.refresh(hot.parent);
        self.meter.children(self.arena.hot(hot.parent).scope, -1);
        self.arena.hot_mut(hot.parent).flags.set(Flags::MEMBERS);
        self.mark(hot.parent);
    }

    /// The spec under which a restarting node comes back: the newest good one. None when it doesn't: its parent may have
    /// dropped or replaced it meanwhile.
    fn spec_to_come_back(&self, index: u32) -> Option<Arc<ChildSpec>> {
        let (hot, cold) = (self.arena.hot(index), self.arena.cold(index));
        let declared = if hot.parent == NONE {
            self.root_spec.as_ref().filter(|spec| spec.name == *cold.name())
        } else {
            let supervisor = self.arena.cold(hot.parent).supervisor.as_ref();
            let stays = supervisor.filter(|_| self.arena.hot(hot.parent).goal != Goal::Remove);
            stays.and_then(|s| {
                s.specs.get(cold.name().as_str()).or_else(|| s.dynamic.get(cold.name().as_str()))
            })
        };
        let declared = declared.filter(|spec| hot.slot != Slot::NONE && spec.kind == cold.spec.kind)?;
        Some(Arc::clone(if declared.fault.is_none() { declared } else { &cold.spec }))
    }

    fn remember_path(&mut self, index: u32) {
        if self.known.len() >= KNOWN {
            // Many at a time: each removal from the front moves all others.
            self.known.drain(..KNOWN / 4);
        }
        let path = self.arena.path(index);
        let dynamic = self.dynamic_to_come_back(index, &path);
        let cold = self.arena.cold(index);
        let stopped_by = cold.trouble.as_ref().and_then(|t| t.stopped_by.clone());
        let known = Remembered { starts: cold.starts, created_at: cold.created_at, stopped_by, dynamic };
        self.known.insert(path, known);
    }

    /// The children added at run time that come back with a node: when it leaves because one above it starts over, or could
    /// never be made.
    fn dynamic_to_come_back(&self, index: u32, path: &NodePath) -> Vec<Arc<ChildSpec>> {
        if self.arena.hot(index).slot == Slot::NONE {
            return self.known.get(path).map_or_else(Vec::new, |known| known.dynamic.clone());
        }
        let mut above = self.arena.hot(index).parent;
        while above != NONE && !self.arena.hot(above).flags.has(Flags::LEAVING) {
            above = self.arena.hot(above).parent;
        }
        let comes_back = above != NONE && self.arena.hot(above).flags.has(Flags::RESTARTING);
        let own = self.arena.hot(index).flags.has(Flags::LEAVING);
        match &self.arena.cold(index).supervisor {
            Some(supervisor) if comes_back && !own => supervisor.dynamic.values().map(Arc::clone).collect(),
            Some(_) | None => Vec::new(),
        }
    }

    /// The node starts over in its place: a new cell, a new handle, nothing of the old life.
    fn reincarnate(&mut self, index: u32, spec: Arc<ChildSpec>) {
        let old = self.arena.id(index);
        let ChildConfig::Typed(config) = spec.config.clone() else { return };
        self.forget_need(old);
        self.take_spec(index, spec);
        self.pending.push(Effect::End { node: old });
        let (kind, slot, state) = {
            let hot = self.arena.hot(index);
            (hot.kind, hot.slot, hot.state)
        };
        let bundle = VariableBundle {
            user: Arc::clone(&self.arena.cold(index).variables),
            global: Arc::clone(&self.global),
            internal: fsm_core::Internal::default(),
        };
        let (scope, effective) = (self.arena.hot(index).scope, self.arena.hot(index).effective);
        self.meter.left(scope, state, effective);
        self.kinds[kind as usize].remove(slot);
        let (slot, state) = self.kinds[kind as usize].insert(&config, &bundle);
        let info = self.kinds[kind as usize].states()[state.get()];
        self.meter.entered(scope, state, effective);
        let id = self.arena.reincarnate(index);
        let now = self.now;
        let was_open = self.arena.hot(index).flags.has(Flags::PANIC_OPEN);
        let hot = self.arena.hot_mut(index);
        let mut flags = Flags::default();
        let own = [Flags::DUE, Flags::NEWS, Flags::DYNAMIC, Flags::RESTS, Flags::SPENT];
        for kept in own.into_iter().chain(Flags::OF_THE_SPEC) {
            flags.put(kept, hot.flags.has(kept));
        }
        for new in [Flags::DERIVE, Flags::GOALS, Flags::MEMBERS] {
            flags.set(new);
        }
        flags.put(Flags::ACTIVE, info.sort != fsm_core::Sort::Passive);
        flags.put(Flags::STARTED, info.phase != Phase::Stopped);
        hot.flags = flags;
        hot.slot = slot;
        hot.state = state;
        hot.phase = info.phase;
        hot.goal = Goal::Stop;
        hot.taken = now;
        hot.wake_at = Moment::FAR;
        if was_open {
            self.meter.circuit(scope, false);
        }
        let cold = self.arena.cold_mut(index);
        cold.desired = FIRST;
        cold.observed_under = FIRST;
        cold.starts += 1;
        cold.entered_at = now;
        cold.attempts = 0;
        cold.failures = 0;
        cold.moves = 0;
        cold.flurry = 0;
        cold.activity = None;
        if let Some(trouble) = cold.trouble.take() {
            cold.trouble = Some(Box::new(trouble.of_the_next_life()));
        }
        if let Some(supervisor) = &mut cold.supervisor {
            let dynamic = std::mem::take(&mut supervisor.dynamic);
            **supervisor = super::arena::Supervisor { dynamic, ..Default::default() };
        }
        let (name, created_at) = (cold.name().clone(), cold.created_at);
        let parent = self.arena.hot(index).parent;
        if parent == NONE {
            self.root = Some(id);
        } else {
            if let Some(supervisor) = &mut self.arena.cold_mut(parent).supervisor {
                supervisor.gone = true;
                if let Some(place) = supervisor.children.get_mut(&name) {
                    *place = id;
                }
                if let Some(place) = supervisor.gated.iter_mut().find(|g| **g == old) {
                    *place = id;
                }
            }
            // What was declared while it was leaving, and could not be taken, is looked at again.
            self.arena.hot_mut(parent).flags.set(Flags::MEMBERS);
            self.mark(parent);
        }
        let kind: Arc<str> = Arc::from(self.kind_name(index));
        self.persist(index, What::Identity { kind: Arc::clone(&kind), created_at });
        self.emit(index, EventKind::NodeCreated { kind });
        self.touch(index, super::Touched::Created);
        self.explain(index, "a new incarnation".into());
        self.refresh(index);
        self.mark(index);
    }

    /// Stops the whole tree.
    pub(super) fn shut_down(&mut self, within: Duration) {
        if self.stopping.is_none() {
            let mut longest: Vec<Duration> = Vec::new();
            for index in self.arena.indices() {
                let depth = self.arena.hot(index).depth as usize;
                longest.resize(longest.len().max(depth + 1), Duration::ZERO);
                longest[depth] = longest[depth].max(self.policy(index).stop_timeout);
            }
            let shares = shares(&longest);
            self.stopping = Some(Stopping { began: self.now, within, shares, forced: Vec::new() });
        }
        if let Some(root) = self.root.filter(|root| self.arena.lives(*root)) {
            let index = root.index() as u32;
            self.aim(index);
            self.mark(index);
        }
    }

    /// Stops waiting for anybody: what is not at rest is forced now.
    pub(super) fn force_all(&mut self) {
        if self.stopping.is_none() {
            self.shut_down(Duration::ZERO);
        }
        if let Some(stopping) = &mut self.stopping {
            stopping.within = Duration::ZERO;
        }
        let all: Vec<u32> = self.arena.indices().collect();
        for index in all {
            if !self.is_at_rest(index) || self.arena.hot(index).flags.has(Flags::ACTING) {
                self.aim(index);
                self.mark(index);
            }
        }
    }

    /// Whether a shutdown is complete.
    #[must_use]
    pub fn shutdown_report(&self) -> Option<ShutdownReport> {
        let stopping = self.stopping.as_ref()?;
        let done = match self.root.filter(|root| self.arena.lives(*root)) {
            None => true,
            Some(root) => {
                let index = root.index() as u32;
                let awake = self.arena.cold(index).supervisor.as_ref().map_or(0, |s| s.awake);
                self.is_at_rest(index) && awake == 0 && !self.arena.hot(index).flags.has(Flags::ACTING)
            }
        };
        done.then(|| ShutdownReport { took: self.now.since(stopping.began), forced: stopping.forced.clone() })
    }
}
