//! Nodes come into being: in the arena, with a cell of their kind, and with what is remembered of their path.

use std::sync::Arc;

use fsm_core::erase::Slot;
use fsm_core::{
    ChildConfig, ChildExtras, ChildSpec, DeriveError, Goal, Incarnation, Moment, NodeId, Phase, Policy,
    Reason, StartWhen, Target, merge,
};

use super::arena::{Cold, Hot, NONE};
use super::flags::Flags;
use super::{Engine, FIRST, Remembered};
use crate::effect::What;
use crate::event::EventKind;
use crate::history::History;
use crate::meter::Meter;

impl Engine {
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
        let error = self.arena.cold(index).trouble.as_ref().and_then(|trouble| trouble.invalid.clone());
        if let Some(error) = error {
            self.emit(index, EventKind::TemplateError { error: fsm_core::chain(&*error) });
        }
        self.meter.size(depth, 1);
        self.touch(index, super::Touched::Created);
        self.mark(index);
        id
    }

    /// Children added at run time, in another process or before their parent came back. One that can't be used any more is
    /// shown as invalid, as a declared one would be. A node that could not be made itself keeps them for its next life.
    pub(super) fn readopt(&mut self, index: u32, dynamic: Vec<Arc<ChildSpec>>) {
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
}

/// What a visit needs to know of a spec, so that it need not be fetched.
pub(super) fn note_spec(flags: &mut Flags, spec: &ChildSpec, own: Option<&Policy>, kind: Option<&Policy>) {
    flags.put(Flags::OWN_POLICY, own.is_some());
    flags.put(Flags::OBSERVES, own.or(kind).is_some_and(|policy| policy.interval().is_some()));
    let gated = |e: &ChildExtras| !e.depends_on.is_empty() || e.start_when != StartWhen::Always;
    flags.put(Flags::DISABLED, !spec.enabled);
    flags.put(Flags::GATED, spec.extras.as_deref().is_some_and(gated));
}

/// The policy of a node that overrides parts of its kind's; checked when the spec was typed.
pub(super) fn own_policy(spec: &ChildSpec, base: Option<Policy>) -> Option<Arc<Policy>> {
    let extras = spec.extras.as_ref()?;
    if extras.policy == fsm_core::PolicyOverride::default() {
        return None;
    }
    base?.with(&extras.policy).ok().map(Arc::new)
}
