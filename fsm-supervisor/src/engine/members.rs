//! Membership: specs become child nodes, by a plan; one bad child is shown as invalid and hurts nobody else.

use std::sync::Arc;

use fsm_core::{ChildConfig, ChildName, ChildSpec, NodeId};

use fsm_metrics::ReconcileResult;
use fsm_metrics::trace::TARGET;
use tracing::{Level, Span, enabled, trace_span};

use super::arena::Supervisor;
use super::flags::Flags;
use super::{Engine, Stopwatch};
use crate::event::EventKind;
use crate::plan::{CurrentChild, PlanStep, ReconcilePlan, plan, plan_places};
use crate::planted::{self, Bug};

impl Engine {
    /// Makes the children what the last good specs say. Never gated: a failing parent can still remove a child.
    pub(super) fn reconcile(&mut self, index: u32, stopwatch: &dyn Stopwatch) {
        self.arena.hot_mut(index).flags.clear(Flags::MEMBERS);
        if self.arena.cold(index).supervisor.is_none() {
            return;
        }
        let began = stopwatch.nanos();
        let gone = self.sweep(index);
        if self.leaves(index) {
            // Nobody is created any more; the children leave by their goal.
            return;
        }
        let plan = self.plan_for(index, gone);
        let span = self.span_of(index, &plan);
        let _inside = span.enter();
        let names_changed = self.apply_plan(index, &plan);
        if names_changed || plan.reordered {
            self.restore_order(index);
        }
        self.find_gated(index, gone);
        let Some(supervisor) = &self.arena.cold(index).supervisor else { return };
        let invalid = supervisor.faults > 0;
        if !supervisor.gated.is_empty() {
            self.arena.hot_mut(index).flags.set(Flags::GOALS);
        }
        let result = match (plan.is_empty(), invalid) {
            (true, _) => ReconcileResult::Unchanged,
            (false, false) => ReconcileResult::Applied,
            (false, true) => ReconcileResult::Partial,
        };
        let scope = self.arena.hot(index).scope;
        self.meter.reconcile(scope, result, stopwatch.nanos().saturating_sub(began), &plan);
        if !plan.entries.is_empty() {
            self.emit(
                index,
                EventKind::PlanApplied {
                    created: plan.count(PlanStep::Create),
                    updated: plan.count(PlanStep::Update),
                    removed: plan.count(PlanStep::Remove),
                    restarted: plan.count(PlanStep::Restart),
                },
            );
        }
    }

    /// The span of a plan that changes something.
    fn span_of(&self, index: u32, plan: &ReconcilePlan) -> Span {
        if plan.entries.is_empty() || !enabled!(target: TARGET, Level::TRACE) {
            return Span::none();
        }
        let identity = self.identity(index);
        trace_span!(
            target: TARGET,
            "supervisor.reconcile",
            hierarchy_path = identity.path.as_str(),
            worker_type = identity.kind,
            created = plan.count(PlanStep::Create),
            updated = plan.count(PlanStep::Update),
            removed = plan.count(PlanStep::Remove),
            restarted = plan.count(PlanStep::Restart),
        )
    }

    /// Forgets children that are gone: one pass, whatever their number. Says whether any ended its life.
    fn sweep(&mut self, index: u32) -> bool {
        let Some(mut supervisor) = self.arena.cold_mut(index).supervisor.take() else { return false };
        let gone = std::mem::take(&mut supervisor.gone);
        if gone {
            supervisor.children.retain(|_, id| self.arena.lives(*id));
        }
        self.arena.cold_mut(index).supervisor = Some(supervisor);
        gone
    }

    /// The plan from what is there to the specs, those that leave and those added at run time considered.
    fn plan_for(&mut self, index: u32, gone: bool) -> ReconcilePlan {
        let Some(mut supervisor) = self.arena.cold_mut(index).supervisor.take() else {
            return ReconcilePlan::default();
        };
        let current = |id: &NodeId| {
            let index = id.index() as u32;
            let (hot, cold) = (self.arena.hot(index), self.arena.cold(index));
            let refused = cold.trouble.as_ref().is_some_and(|t| t.refused.is_some());
            let (leaving, dynamic) = (hot.flags.has(Flags::LEAVING), hot.flags.has(Flags::DYNAMIC));
            CurrentChild { spec: &cold.spec, leaving, dynamic, refused }
        };
        let needs_restart = |new: &ChildSpec, old: &ChildSpec| self.needs_restart(new, old);
        // Where only specs changed in their places nobody else need be looked at.
        let simple = !gone && supervisor.tombstones.is_empty() && supervisor.dynamic.is_empty();
        let places = supervisor.places.take().filter(|_| simple);
        let mut plan = match places {
            Some(places) => {
                let child = |name: &ChildName| supervisor.children.get(name).map(current);
                plan_places(child, &supervisor.specs, &places, &needs_restart)
            }
            None => {
                let children = supervisor.children.iter().map(|(name, id)| (name, current(id)));
                plan(children, &supervisor.specs, &needs_restart)
            }
        };
        plan.entries.retain(|entry| {
            let name = entry.name.as_str();
            match entry.step {
                PlanStep::Create => !is_buried(&supervisor, name),
                PlanStep::Update => !self.is_refused(&supervisor, name),
                PlanStep::Remove | PlanStep::Restart | PlanStep::Await => true,
            }
        });
        self.arena.cold_mut(index).supervisor = Some(supervisor);
        plan
    }

    pub(super) fn needs_restart(&self, new: &ChildSpec, old: &ChildSpec) -> bool {
        match (&new.config, &old.config, self.names.get(&*new.kind)) {
            (ChildConfig::Typed(new), ChildConfig::Typed(old), Some(kind)) => {
                self.kinds[*kind as usize].needs_restart(new.as_ref(), old.as_ref())
            }
            (ChildConfig::Raw(_), ..) | (ChildConfig::Typed(_), ..) => false,
        }
    }

    /// Whether the child of this name knows already that its spec can't be used.
    fn is_refused(&self, supervisor: &Supervisor, name: &str) -> bool {
        let Some(child) = supervisor.children.get(name).filter(|id| self.arena.lives(**id)) else {
            return false;
        };
        let refused = self.arena.cold(child.index() as u32).trouble.as_ref().and_then(|t| t.refused.as_ref());
        match (refused, supervisor.specs.get(name)) {
            (Some(refused), Some(spec)) => Arc::ptr_eq(refused, spec) || **refused == **spec,
            (None, _) | (_, None) => false,
        }
    }

    /// Carries a plan out; says whether nodes were added.
    fn apply_plan(&mut self, index: u32, plan: &ReconcilePlan) -> bool {
        let (mut created, mut ended) = (false, false);
        let creates = plan.entries.iter().filter(|entry| entry.step == PlanStep::Create).count();
        if let Some(supervisor) = &mut self.arena.cold_mut(index).supervisor
            && creates > supervisor.children.len()
        {
            // Many at once get what they need; a few more each time get room that grows.
            supervisor.children.reserve_exact(creates);
        }
        for entry in &plan.entries {
            let Some(supervisor) = self.arena.cold_mut(index).supervisor.as_mut() else { break };
            let child = supervisor.children.get(&entry.name).map(|id| id.index() as u32);
            let spec = supervisor.specs.get(entry.name.as_str()).map(Arc::clone);
            match (entry.step, child, spec) {
                (PlanStep::Create, _, Some(spec)) => {
                    supervisor.tombstones.shift_remove(&entry.name);
                    ended |= supervisor.dynamic.shift_remove(&entry.name).is_some();
                    self.create(index, spec, Flags::default());
                    created = true;
                }
                (PlanStep::Update, Some(child), Some(spec)) => {
                    ended |= supervisor.dynamic.shift_remove(&entry.name).is_some();
                    self.arena.hot_mut(child).flags.clear(Flags::DYNAMIC);
                    self.update(child, spec);
                }
                (PlanStep::Restart, Some(child), Some(_)) => {
                    ended |= supervisor.dynamic.shift_remove(&entry.name).is_some();
                    self.arena.hot_mut(child).flags.clear(Flags::DYNAMIC);
                    self.start_over(child);
                }
                (PlanStep::Remove, Some(child), _) => self.leave(child),
                (
                    PlanStep::Await
                    | PlanStep::Create
                    | PlanStep::Update
                    | PlanStep::Remove
                    | PlanStep::Restart,
                    ..,
                ) => {}
            }
        }
        if ended {
            self.persist_dynamic(index);
        }
        self.create_dynamic(index) || created
    }

    /// Children added at run time that are not there yet.
    fn create_dynamic(&mut self, index: u32) -> bool {
        let Some(supervisor) = self.arena.cold_mut(index).supervisor.as_mut() else { return false };
        let Supervisor { specs, tombstones, dynamic, children, .. } = &mut **supervisor;
        // A tombstone ends with the declaration that it is about.
        tombstones.retain(|name, _| specs.get(name.as_str()).is_some());
        let missing: Vec<_> = dynamic
            .values()
            .filter(|spec| !children.contains_key(spec.name.as_str()))
            .map(Arc::clone)
            .collect();
        let any = !missing.is_empty();
        for spec in missing {
            self.create(index, spec, Flags::DYNAMIC);
        }
        any
    }

    /// Declared children in declared order, then those that leave and those added at run time; positions follow.
    fn restore_order(&mut self, index: u32) {
        if planted::is(Bug::ChildrenReordered) {
            return;
        }
        let Some(mut supervisor) = self.arena.cold_mut(index).supervisor.take() else { return };
        let Supervisor { specs, children, .. } = &mut *supervisor;
        let ordered = children.len() >= specs.len()
            && specs.iter().zip(children.keys()).all(|(spec, name)| spec.name == *name);
        if !ordered {
            let mut rest = std::mem::take(children);
            children.reserve(rest.len());
            for spec in specs.iter() {
                if let Some((name, id)) = rest.get_key_value(&spec.name) {
                    children.insert(name.clone(), *id);
                }
            }
            rest.retain(|name, _| specs.get(name.as_str()).is_none());
            children.extend(rest);
        }
        for (position, id) in children.values().enumerate() {
            self.arena.hot_mut(id.index() as u32).position = position as u32;
        }
        self.arena.cold_mut(index).supervisor = Some(supervisor);
    }

    /// Notes which children have goals that depend on siblings or on this node's state.
    fn find_gated(&mut self, index: u32, gone: bool) {
        let Some(mut supervisor) = self.arena.cold_mut(index).supervisor.take() else { return };
        if !std::mem::take(&mut supervisor.regate) && (!gone || supervisor.gated.is_empty()) {
            self.arena.cold_mut(index).supervisor = Some(supervisor);
            return;
        }
        let is_gated = |id: &&NodeId| {
            self.arena.lives(**id) && self.arena.hot(id.index() as u32).flags.has(Flags::GATED)
        };
        supervisor.gated.clear();
        supervisor.gated.extend(supervisor.children.values().filter(is_gated).copied());
        self.arena.cold_mut(index).supervisor = Some(supervisor);
    }
}

/// Whether the child of this name removed itself under the spec that declares it now.
fn is_buried(supervisor: &Supervisor, name: &str) -> bool {
    match (supervisor.tombstones.get(name), supervisor.specs.get(name)) {
        (Some(buried), Some(spec)) => Arc::ptr_eq(buried, spec) || **buried == **spec,
        (None, _) | (_, None) => false,
    }
}
