//! What the engine wants of each node: run, stop, or leave; worked out from its parent's goal and its own conditions.

use std::sync::Arc;

use fsm_core::{ChildExtras, Condition, Goal, Moment, NodeId, Phase, Reason, Target};

use super::Engine;
use super::arena::NONE;
use super::flags::Flags;

impl Engine {
    /// Works out a node's goal and, when it changed, sets the node on its way; says whether it changed.
    pub(super) fn aim(&mut self, index: u32) -> bool {
        let (goal, _) = self.wanted(index);
        let before = self.arena.hot(index).goal;
        if self.arena.hot(index).flags.has(Flags::SPENT) {
            // Whether it counts as failed depends on who holds it back.
            self.refresh(index);
        }
        if goal == before {
            return false;
        }
        self.arena.hot_mut(index).goal = goal;
        self.arena.hot_mut(index).flags.set(Flags::GOALS);
        match goal {
            Goal::Run => self.set_off(index),
            Goal::Stop | Goal::Remove => {
                if before == Goal::Run {
                    self.cancel_action(index);
                }
            }
        }
        self.wake_dependencies(index);
        true
    }

    /// The goal, and why it isn't to run.
    pub(super) fn wanted(&self, index: u32) -> (Goal, Option<Reason>) {
        let (hot, cold) = (self.arena.hot(index), self.arena.cold(index));
        if hot.flags.has(Flags::LEAVING) {
            return (Goal::Remove, None);
        }
        if self.stopping.is_some() {
            return (Goal::Stop, Some(Reason::new("the tree is shutting down")));
        }
        if hot.parent != NONE {
            match self.arena.hot(hot.parent).goal {
                Goal::Run => {}
                Goal::Stop => return (Goal::Stop, Some(Reason::new("its parent is stopped"))),
                Goal::Remove => return (Goal::Remove, None),
            }
        }
        if let Some(trouble) = &cold.trouble {
            if let Some(who) = &trouble.stopped_by {
                return (Goal::Stop, Some(Reason::from(("stopped by {}: `start` ends it", who))));
            }
            if let Some(at) = trouble.restart_at.filter(|at| self.now < *at) {
                let text = if hot.flags.has(Flags::SPENT) {
                    "restart budget spent: tried again at {} after {} restarts"
                } else {
                    "restarts at {} (restart {})"
                };
                return (Goal::Stop, Some(Reason::from((text, at, trouble.restarts.len()))));
            }
        }
        if hot.flags.has(Flags::DISABLED) {
            return (Goal::Stop, Some(Reason::new("disabled in its spec")));
        }
        if cold.target == Target::Stopped {
            return (Goal::Stop, Some(Reason::new("its desired state is stopped")));
        }
        if !hot.flags.has(Flags::GATED) {
            return (Goal::Run, None);
        }
        self.wanted_among_siblings(index)
    }

    /// Whether somebody wants it to stand still; otherwise it is held back by what happened to it, or waits for others.
    pub(super) fn is_told_to_stop(&self, index: u32) -> bool {
        let (hot, cold) = (self.arena.hot(index), self.arena.cold(index));
        self.stopping.is_some()
            || hot.flags.any(&[Flags::LEAVING, Flags::DISABLED]) && !hot.flags.has(Flags::RESTARTING)
            || hot.parent != NONE && self.arena.hot(hot.parent).goal != Goal::Run
            || cold.trouble.as_ref().is_some_and(|trouble| trouble.stopped_by.is_some())
            || cold.target == Target::Stopped
            || hot.parent != NONE && !self.parent_state_allows(index)
    }

    /// `start_when` and `depends_on`.
    fn wanted_among_siblings(&self, index: u32) -> (Goal, Option<Reason>) {
        let (hot, cold) = (self.arena.hot(index), self.arena.cold(index));
        let Some(extras) = cold.spec.extras.as_ref().filter(|_| hot.parent != NONE) else {
            return (Goal::Run, None);
        };
        if !self.parent_state_allows(index) {
            let state = self.state_name(hot.parent);
            return (Goal::Stop, Some(Reason::from(("held while its parent is {}", state))));
        }
        for dependency in &extras.depends_on {
            if self.is_met(hot.parent, dependency.child.as_str(), dependency.condition) {
                continue;
            }
            // A later loss doesn't stop what runs, unless it is said to.
            if hot.goal == Goal::Run && !dependency.stop_when_unmet {
                continue;
            }
            let name = Arc::clone(dependency.child.shared());
            return (
                Goal::Stop,
                Some(Reason::from(("waiting until {} is {}", name, dependency.condition.as_str()))),
            );
        }
        (Goal::Run, None)
    }

    /// Whether `start_when` holds.
    fn parent_state_allows(&self, index: u32) -> bool {
        let (hot, cold) = (self.arena.hot(index), self.arena.cold(index));
        let parent = self.arena.hot(hot.parent);
        let holds = |extras: &ChildExtras| extras.start_when.holds(self.state_name(hot.parent), parent.phase);
        cold.spec.extras.as_deref().is_none_or(holds)
    }

    fn is_met(&self, parent: u32, sibling: &str, condition: Condition) -> bool {
        let sibling =
            self.arena.cold(parent).supervisor.as_ref().and_then(|s| s.children.get(sibling).copied());
        let Some(sibling) = sibling.filter(|id| self.arena.lives(*id)) else { return false };
        let hot = self.arena.hot(sibling.index() as u32);
        match condition {
            Condition::Started => hot.flags.has(Flags::STARTED),
            Condition::Healthy => hot.effective == Phase::Running,
            Condition::Completed => hot.effective == Phase::Completed,
        }
    }

    /// A node that was held or stopped is to run.
    fn set_off(&mut self, index: u32) {
        if let Some(trouble) = &mut self.arena.cold_mut(index).trouble {
            trouble.stop_deadline = None;
            trouble.stop_retry = None;
            trouble.yield_until = None;
        }
        if self.arena.hot(index).flags.has(Flags::FORCED) {
            // What a forced worker left behind is not trusted: it runs as a new incarnation, once its children are gone.
            self.arena.hot_mut(index).flags.set(Flags::RESTARTING);
            self.leave(index);
            return;
        }
        if self.arena.hot_mut(index).flags.take(Flags::SPENT) {
            self.refresh(index);
        }
        // While it rested nobody looked: only what is seen from now on counts.
        let now = self.now;
        let rested = self.is_at_rest(index);
        let hot = self.arena.hot_mut(index);
        if rested && hot.flags.take(Flags::OBSERVED) {
            hot.flags.clear(Flags::STALE);
            hot.taken = now;
            self.refresh(index);
        }
    }

    /// Works out the goals of all children.
    pub(super) fn goals_of_children(&mut self, index: u32) {
        let all = self.arena.hot_mut(index).flags.take(Flags::GOALS);
        let mut at = 0;
        loop {
            let supervisor = self.arena.cold(index).supervisor.as_deref();
            let child = supervisor.and_then(|s| {
                if all { s.children.get_index(at).map(|(_, id)| *id) } else { s.gated.get(at).copied() }
            });
            let Some(child) = child else { break };
            if self.arena.lives(child) && self.aim(child.index() as u32) {
                self.mark(child.index() as u32);
            }
            at += 1;
        }
    }

    /// The first child that still lives it up, in reverse declared order: who is to stop first.
    pub(super) fn first_awake_child(&self, index: u32) -> Option<u32> {
        let supervisor = self.arena.cold(index).supervisor.as_deref()?;
        if supervisor.awake == 0 {
            return None;
        }
        let awake = |id: &&NodeId| self.arena.lives(**id) && !self.rests(**id);
        supervisor.children.values().rev().find(awake).map(|id| id.index() as u32)
    }

    fn rests(&self, node: NodeId) -> bool {
        self.arena.hot(node.index() as u32).flags.has(Flags::RESTS)
    }

    /// A sibling that has to stop before this node, because it depends on it; none once this node has waited long enough.
    pub(super) fn first_awake_dependent(&mut self, index: u32) -> Option<u32> {
        let parent = self.arena.hot(index).parent;
        if parent == NONE {
            return None;
        }
        let name = self.arena.cold(index).name();
        let supervisor = self.arena.cold(parent).supervisor.as_deref()?;
        let dependent = supervisor.gated.iter().copied().find(|id| {
            self.arena.lives(*id)
                && self.arena.hot(id.index() as u32).goal != Goal::Run
                && !self.rests(*id)
                && self.arena.cold(id.index() as u32).spec.depends_on().iter().any(|d| d.child == *name)
        })?;
        let (now, timeout) = (self.now, self.policy(index).stop_timeout);
        let share = self.stopping.as_ref().map(|s| s.share(self.arena.hot(index).depth).since(now) / 2);
        let limit = now + share.map_or(timeout, |share| timeout.min(share));
        let trouble = self.arena.cold_mut(index).trouble.get_or_insert_default();
        let until = *trouble.yield_until.get_or_insert(limit);
        if now >= until {
            return None;
        }
        self.wake_by(index, until);
        Some(dependent.index() as u32)
    }

    /// A node's goal or rest changed: siblings that wait for it with their own stop look again.
    pub(super) fn wake_dependencies(&mut self, index: u32) {
        let (hot, cold) = (self.arena.hot(index), self.arena.cold(index));
        if hot.parent == NONE || !hot.flags.has(Flags::GATED) {
            return;
        }
        let Some(supervisor) = self.arena.cold(hot.parent).supervisor.as_deref() else { return };
        let names = cold.spec.depends_on().iter();
        let waiting: Vec<u32> = names
            .filter_map(|dependency| supervisor.children.get(dependency.child.as_str()))
            .filter(|id| self.arena.lives(**id) && !self.rests(**id))
            .map(|id| id.index() as u32)
            .filter(|sibling| self.arena.hot(*sibling).goal != Goal::Run)
            .collect();
        for sibling in waiting {
            self.mark(sibling);
        }
    }

    /// Until when this node has to have stopped; set when it is first asked for.
    pub(super) fn stop_deadline(&mut self, index: u32) -> Moment {
        let depth = self.arena.hot(index).depth;
        let timeout = self.policy(index).stop_timeout;
        let own = self.now + timeout;
        let share = self.stopping.as_ref().map_or(Moment::FAR, |stopping| stopping.share(depth));
        let trouble = self.arena.cold_mut(index).trouble.get_or_insert_default();
        let deadline = trouble.stop_deadline.unwrap_or(own).min(share);
        trouble.stop_deadline = Some(deadline);
        deadline
    }
}
