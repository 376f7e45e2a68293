//! Membership: specs become child nodes, by a plan; one bad child is shown as invalid and hurts nobody else.

use std::sync::Arc;

use fsm_core::erase::Slot;
use fsm_core::{
    ChildConfig, ChildExtras, ChildName, ChildSpec, DeriveError, Goal, Incarnation, Moment, NodeId, Phase,
    Policy, Reason, StartWhen, Target, merge,
};

use fsm_metrics::ReconcileResult;

use super::arena::{Cold, Hot, NONE, Supervisor};
use super::flags::Flags;
use super::{Engine, FIRST, Remembered, Stopwatch};
use crate::effect::What;
use crate::event::EventKind;
use crate::history::History;
use crate::meter::Meter;
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
            let count = |step| plan.entries.iter().filter(|e| e.step == step).count();
            self.emit(
                index,
                EventKind::PlanApplied {
                    created: count(PlanStep::Create),
                    updated: count(PlanStep::Update),
                    removed: count(PlanStep::Remove),
                    restarted: count(PlanStep::Restart),
                },
            );
        }
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

    /// A new child in its initial state; due, to be derived and aimed in its own turn.
    pub(super) fn create(&mut self, parent: u32, spec: Arc<ChildSpec>, extra: Flags) {
        let position = self.arena.cold(parent).supervisor.as_ref().map_or(0, |s| s.children.len() as u32);
        let variables = merge(&self.arena.cold(parent).variables, &spec.variables);
        let name = spec.name.clone();
        let id = self.plant(parent, position, spec, variables, extra);
        let hot = self.arena.hot(id.index() as u32);
        let (effective, awake) = (hot.effective, !hot.flags.has(Flags::RESTS));
        let gated = hot.flags.has(Flags::GATED);
        let supervisor = self.arena.cold_mut(parent).supervisor.get_or_insert_default();
        supervisor.regate |= gated;
        *supervisor.counts.of(effective) += 1;
        supervisor.awake += u32::from(awake);
        supervisor.children.insert(name, id);
        if awake {
            self.refresh(parent);
        }
        self.meter.children(self.arena.hot(parent).scope, 1);
    }

    /// Puts a node into the arena.
    pub(super) fn plant(
        &mut self,
        parent: u32,
        position: u32,
        spec: Arc<ChildSpec>,
        variables: Arc<fsm_core::Vars>,
        extra: Flags,
    ) -> NodeId {
        let path = self.child_path(parent, &spec.name);
        let now_ms = self.config.epoch_ms + self.now.as_nanos() / 1_000_000;
        let known = self
            .known
            .swap_remove(&path)
            .unwrap_or_else(|| Remembered { created_at: now_ms, ..Remembered::default() });
        let depth = if parent == NONE { 0 } else { self.arena.hot(parent).depth + 1 };
        let kind = self.names.get(&*spec.kind).copied();
        let mut flags = extra;
        flags.set(Flags::DERIVE);
        flags.set(Flags::GOALS);
        let mut hot = Hot {
            incarnation: Incarnation::default(),
            parent,
            position,
            slot: Slot::NONE,
            scope: Meter::nowhere(),
            flags,
            kind: kind.unwrap_or(0),
            depth,
            state: fsm_core::erase::StateIndex::default(),
            phase: Phase::Stopped,
            effective: Phase::Degraded,
            goal: Goal::Stop,
            started: Moment::ZERO,
            taken: self.now,
            wake_at: Moment::FAR,
            collect_at: Moment::FAR,
        };
        let base = kind.map(|kind| *self.kinds[kind as usize].policy());
        let policy = own_policy(&spec, base);
        note_spec(&mut hot.flags, &spec, policy.as_deref(), base.as_ref());
        let mut trouble = None;
        if let Some(who) = known.stopped_by {
            trouble = Some(Box::new(super::arena::Trouble { stopped_by: Some(who), ..Default::default() }));
        }
        let mut cold = Cold {
            variables,
            target: Target::Running,
            desired: FIRST,
            observed_under: FIRST,
            reason: Reason::new("created"),
            entered_at: self.now,
            cause: self.cause,
            starts: known.starts + 1,
            attempts: 0,
            failures: 0,
            moves: 0,
            flurry: 0,
            created_at: known.created_at,
            policy,
            supervisor: None,
            activity: None,
            trouble,
            history: History::default(),
            spec,
        };
        if let (Some(kind), None, ChildConfig::Typed(config)) = (kind, &cold.spec.fault, &cold.spec.config) {
            let bundle = fsm_core::VariableBundle {
                user: Arc::clone(&cold.variables),
                global: Arc::clone(&self.global),
                internal: fsm_core::Internal::default(),
            };
            let (slot, state) = self.kinds[kind as usize].insert(config, &bundle);
            let info = self.kinds[kind as usize].states()[state.get()];
            hot.slot = slot;
            hot.state = state;
            hot.phase = info.phase;
            hot.effective = info.phase;
            hot.flags.put(Flags::ACTIVE, info.sort != fsm_core::Sort::Passive);
            hot.flags.put(Flags::STARTED, info.phase != Phase::Stopped);
            hot.flags.put(Flags::RESTS, info.phase.is_at_rest());
            hot.scope = self.meter.enter(kind, &path, state, info.phase);
        } else {
            hot.flags.clear(Flags::DERIVE);
            hot.flags.set(Flags::INVALID);
            hot.flags.set(Flags::RESTS);
            let error =
                cold.spec.fault.clone().unwrap_or_else(|| Arc::new(DeriveError::config("no usable config")));
            cold.trouble.get_or_insert_default().invalid = Some(error);
        }
        let created_at = cold.created_at;
        let id = self.arena.insert(hot, cold);
        let index = id.index() as u32;
        let kind: Arc<str> = Arc::from(&*self.arena.cold(index).spec.kind);
        self.persist(index, What::Identity { kind: Arc::clone(&kind), created_at });
        self.readopt(index, known.dynamic);
        self.emit(index, EventKind::NodeCreated { kind });
        self.meter.size(depth, 1);
        self.touch(index, super::Touched::Created);
        self.mark(index);
        id
    }

    /// Children added at run time, in another process or before their parent came back. One that can't be used any more is
    /// shown as invalid, as a declared one would be. A node that could not be made itself keeps them for its next life.
    fn readopt(&mut self, index: u32, dynamic: Vec<Arc<ChildSpec>>) {
        if dynamic.is_empty() {
            return;
        }
        if self.arena.hot(index).slot == Slot::NONE {
            let kept = Remembered { dynamic, ..Remembered::default() };
            self.known.insert(self.arena.path(index), kept);
            return;
        }
        for spec in dynamic {
            let typed = Arc::new(self.type_spec(index, &spec));
            let supervisor = self.arena.cold_mut(index).supervisor.get_or_insert_default();
            supervisor.dynamic.insert(spec.name.clone(), typed);
        }
        self.arena.hot_mut(index).flags.set(Flags::MEMBERS);
        self.persist_dynamic(index);
    }

    /// Stores which children were added at run time.
    pub(super) fn persist_dynamic(&mut self, index: u32) {
        let Some(supervisor) = &self.arena.cold(index).supervisor else { return };
        let children = supervisor.dynamic.values().map(Arc::clone).collect();
        self.persist(index, What::Dynamic { children });
    }

    /// A living node takes another spec in place.
    pub(super) fn update(&mut self, index: u32, spec: Arc<ChildSpec>) {
        let fault = spec.fault.clone();
        let never_made = self.arena.hot(index).slot == Slot::NONE;
        if never_made && fault.is_none() {
            // There is nothing to keep: the node starts over with its first good spec.
            self.arena.cold_mut(index).spec = spec;
            self.leave(index);
            self.mark(index);
            return;
        }
        if let Some(fault) = fault {
            self.set_invalid(index, DeriveError::clone(&fault));
            let cold = self.arena.cold_mut(index);
            if never_made {
                cold.spec = spec;
            } else {
                // The last good spec goes on.
                cold.trouble.get_or_insert_default().refused = Some(spec);
            }
            self.mark(index);
            return;
        }
        self.touch(index, super::Touched::Updated);
        let enabled_changed = self.arena.cold(index).spec.enabled != spec.enabled;
        self.take_spec(index, spec);
        if enabled_changed {
            // The config has the newer word (S-26).
            self.clear_override(index, "config".into());
        }
        self.forgive(index);
        let hot = self.arena.hot_mut(index);
        hot.flags.set(Flags::DERIVE);
        hot.flags.clear(Flags::HELD);
        self.mark(index);
    }

    /// Its spec changed where a living node can't follow: it leaves, and comes back under the new one. As a new incarnation
    /// if it is of the same kind, so that children added at run time come back with it (S-19); otherwise as another node.
    pub(super) fn start_over(&mut self, index: u32) {
        self.forgive(index);
        self.arena.hot_mut(index).flags.set(Flags::RESTARTING);
        self.leave(index);
        self.mark(index);
    }

    /// A spec and what follows from it: variables and policy.
    pub(super) fn take_spec(&mut self, index: u32, spec: Arc<ChildSpec>) {
        let hot = self.arena.hot(index);
        let (parent, scope) = (hot.parent, hot.scope);
        let base = *self.kinds[hot.kind as usize].policy();
        let policy = own_policy(&spec, Some(base));
        let was_gated = self.arena.hot(index).flags.has(Flags::GATED);
        // Before the flags change: they say whose policy counts.
        let (interval, freshness) = self.rhythm(index);
        let flags = &mut self.arena.hot_mut(index).flags;
        note_spec(flags, &spec, policy.as_deref(), Some(&base));
        let gated = was_gated || flags.has(Flags::GATED);
        if gated
            && let Some(supervisor) = self.arena.cold_if_alive(parent).and_then(|c| c.supervisor.as_mut())
        {
            supervisor.regate = true;
        }
        let inherited =
            if parent == NONE { Arc::default() } else { Arc::clone(&self.arena.cold(parent).variables) };
        let variables = merge(&inherited, &spec.variables);
        let cold = self.arena.cold_mut(index);
        cold.spec = spec;
        cold.policy = policy;
        if let Some(trouble) = &mut cold.trouble {
            trouble.refused = None;
        }
        let (new_interval, new_freshness) = self.rhythm(index);
        if new_freshness != freshness {
            self.check_fresh_anew(index);
        }
        if new_interval != interval
            && self.collects(index)
            && !self.arena.hot(index).flags.has(Flags::COLLECTING)
        {
            // The old rhythm may be far from its next beat.
            self.collect_again(index);
        }
        let cold = self.arena.cold_mut(index);
        if !Arc::ptr_eq(&cold.variables, &variables) && cold.variables != variables {
            cold.variables = variables;
            self.meter.variables(scope);
            self.inherit(index);
        }
    }

    /// Hands changed variables on to the children (S-17).
    fn inherit(&mut self, index: u32) {
        let children: Vec<u32> = match &self.arena.cold(index).supervisor {
            Some(supervisor) => supervisor
                .children
                .values()
                .filter(|id| self.arena.lives(**id))
                .map(|id| id.index() as u32)
                .collect(),
            None => return,
        };
        let inherited = Arc::clone(&self.arena.cold(index).variables);
        for child in children {
            let own = Arc::clone(&self.arena.cold(child).spec.variables);
            let variables = merge(&inherited, &own);
            if self.arena.cold(child).variables != variables {
                self.arena.cold_mut(child).variables = variables;
                self.arena.hot_mut(child).flags.set(Flags::DERIVE);
                self.forgive(child);
                self.meter.variables(self.arena.hot(child).scope);
                self.mark(child);
                self.inherit(child);
            }
        }
    }

    /// The root is the one node without a parent to declare it.
    pub(super) fn change_root(&mut self, spec: Arc<ChildSpec>) {
        let typed = self.type_spec(NONE, &spec);
        let Some(root) = self.root.filter(|root| self.arena.lives(*root)) else {
            let spec = Arc::new(typed);
            self.root_spec = Some(Arc::clone(&spec));
            let variables = Arc::clone(&spec.variables);
            self.root = Some(self.plant(NONE, 0, spec, variables, Flags::default()));
            return;
        };
        let index = root.index() as u32;
        let before = Arc::clone(&self.arena.cold(index).spec);
        if *before == typed {
            self.root_spec = Some(before);
            return;
        }
        let replaced = before.kind != typed.kind
            || before.name != typed.name
            || matches!((&typed.config, &before.config), (ChildConfig::Typed(new), ChildConfig::Typed(old))
                if self.kinds[self.arena.hot(index).kind as usize].needs_restart(new.as_ref(), old.as_ref()));
        let spec = Arc::new(typed);
        self.root_spec = Some(Arc::clone(&spec));
        if replaced {
            self.start_over(index);
        } else {
            self.update(index, spec);
        }
    }
}

/// What a visit needs to know of a spec, so that it need not be fetched.
fn note_spec(flags: &mut Flags, spec: &ChildSpec, own: Option<&Policy>, kind: Option<&Policy>) {
    flags.put(Flags::OWN_POLICY, own.is_some());
    flags.put(Flags::OBSERVES, own.or(kind).is_some_and(|policy| policy.interval().is_some()));
    let gated = |e: &ChildExtras| !e.depends_on.is_empty() || e.start_when != StartWhen::Always;
    flags.put(Flags::DISABLED, !spec.enabled);
    flags.put(Flags::GATED, spec.extras.as_deref().is_some_and(gated));
}

/// Whether the child of this name removed itself under the spec that declares it now.
fn is_buried(supervisor: &Supervisor, name: &str) -> bool {
    match (supervisor.tombstones.get(name), supervisor.specs.get(name)) {
        (Some(buried), Some(spec)) => Arc::ptr_eq(buried, spec) || **buried == **spec,
        (None, _) | (_, None) => false,
    }
}

/// The policy of a node that overrides parts of its kind's; checked when the spec was typed.
fn own_policy(spec: &ChildSpec, base: Option<Policy>) -> Option<Arc<Policy>> {
    let extras = spec.extras.as_ref()?;
    if extras.policy == fsm_core::PolicyOverride::default() {
        return None;
    }
    base?.with(&extras.policy).ok().map(Arc::new)
}
