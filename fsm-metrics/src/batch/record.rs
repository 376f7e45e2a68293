//! The engine's words for what it records: one method per thing that happens.

use std::time::Duration;

use fsm_core::Phase;

use super::{ENGINE, ScopeId, TickBatch};
use crate::catalogue::EngineMetric as E;
use crate::catalogue::NodeMetric as N;
use crate::layout::state_position;
use crate::words::{
    ChildChange, ChildHealth, Circuit, ObservationResult, PanicPlace, PanicType, ReconcileResult,
    ReloadResult, RenderStatus, RestartCause, TemplateErrorType,
};

/// A move of a node from one state to another. States are positions in `State::ALL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// The state it leaves, and its effective phase there.
    pub from: (usize, Phase),
    /// The state it enters, and its effective phase there.
    pub to: (usize, Phase),
    /// How long it was in the former.
    pub after: Duration,
}

/// The tree and its ticks.
impl TickBatch {
    /// A tick ended.
    pub fn tick(&mut self, took: Duration, overrun: bool) {
        self.observe(ENGINE, E::TickDuration, &[], took.as_secs_f64());
        if overrun {
            self.count(ENGINE, E::TickOverrunTotal, &[], 1);
        }
    }

    /// A tick evaluated so many nodes and left so many alone.
    pub fn evaluated(&mut self, nodes: u64, skipped: u64) {
        self.count(ENGINE, E::NodesEvaluatedTotal, &[], nodes);
        self.count(ENGINE, E::NodesSkippedTotal, &[], skipped);
    }

    /// The tree has so many levels now, and so many nodes more or fewer than before.
    pub fn hierarchy(&mut self, depth: usize, grown: i64) {
        self.raise(ENGINE, E::HierarchyDepth, &[], depth as f64);
        self.add(ENGINE, E::HierarchySize, &[], grown as f64);
    }

    /// A config was applied.
    pub fn config_generation(&mut self, generation: u64) {
        self.raise(ENGINE, E::ConfigGeneration, &[], generation as f64);
    }

    /// A reload of the config ended.
    pub fn config_reloaded(&mut self, result: ReloadResult) {
        self.count(ENGINE, E::ConfigReloadTotal, &[result as usize], 1);
    }

    /// A tick visited children of this supervisor, so many levels deep, from its own visit to the last one below it.
    pub fn propagated(&mut self, scope: ScopeId, depth: usize, took: Duration) {
        self.raise(scope, N::TickPropagationDepth, &[], depth as f64);
        self.observe(scope, N::TickPropagationDuration, &[], took.as_secs_f64());
    }
}

/// States and phases.
impl TickBatch {
    /// A node stands in its first state. `None` is a node that has no state yet, such as an invalid one.
    pub fn entered(&mut self, scope: ScopeId, state: Option<usize>, phase: Phase) {
        self.workers(scope, state, phase, 1.0);
    }

    /// A node is gone from its last state.
    pub fn left(&mut self, scope: ScopeId, state: Option<usize>, phase: Phase) {
        self.workers(scope, state, phase, -1.0);
    }

    /// A node moved.
    pub fn moved(&mut self, scope: ScopeId, moved: Moved) {
        let Moved { from, to, after } = moved;
        let position = |batch: &Self, state| state_position(batch.states(scope), Some(state));
        let (from_at, to_at) = (position(self, from.0), position(self, to.0));
        self.count(scope, N::StateTransitionsTotal, &[from_at, to_at], 1);
        self.observe(scope, N::StateDuration, &[from_at], after.as_secs_f64());
        self.add(scope, N::Workers, &[from_at, from.1 as usize], -1.0);
        self.add(scope, N::Workers, &[to_at, to.1 as usize], 1.0);
    }

    /// A node stays in its state, but a gate changed its effective phase.
    pub fn phase_changed(&mut self, scope: ScopeId, state: Option<usize>, from: Phase, to: Phase) {
        self.workers(scope, state, from, -1.0);
        self.workers(scope, state, to, 1.0);
    }

    fn workers(&mut self, scope: ScopeId, state: Option<usize>, phase: Phase, by: f64) {
        let state = state_position(self.states(scope), state);
        self.add(scope, N::Workers, &[state, phase as usize], by);
    }

    /// The number of states of a scope's kind.
    fn states(&self, scope: ScopeId) -> usize {
        let place = self.places.get(scope.0 as usize).and_then(Option::as_ref);
        place.and_then(super::Place::nodes).map_or(0, |(kind, _)| kind.0.shape.states.len())
    }
}

/// Children and what they are made of.
impl TickBatch {
    /// A supervisor has so many children more or fewer.
    pub fn children(&mut self, scope: ScopeId, grown: i64) {
        self.add(scope, N::ChildCount, &[], grown as f64);
    }

    /// The roll-up of a child of this supervisor changed.
    pub fn child_health(&mut self, scope: ScopeId, health: ChildHealth) {
        self.count(scope, N::ChildHealthCheckTotal, &[health as usize], 1);
    }

    /// A reconcile ended.
    pub fn reconciled(&mut self, scope: ScopeId, result: ReconcileResult, took: Duration) {
        self.count(scope, N::ReconciliationTotal, &[result as usize], 1);
        self.observe(scope, N::ReconciliationDuration, &[], took.as_secs_f64());
    }

    /// A reconcile changed so many children in this way.
    pub fn children_changed(&mut self, scope: ScopeId, change: ChildChange, children: u64) {
        self.count(scope, N::ChildrenChangedTotal, &[change as usize], children);
    }

    /// The variables of so many children changed.
    pub fn variables_propagated(&mut self, scope: ScopeId, children: u64) {
        self.count(scope, N::VariablePropagationTotal, &[], children);
    }

    /// A render ended.
    pub fn rendered(&mut self, scope: ScopeId, result: Result<(), TemplateErrorType>, took: Duration) {
        let status = match result {
            Ok(()) => RenderStatus::Success,
            Err(why) => {
                self.count(scope, N::TemplateRenderingErrorsTotal, &[why as usize], 1);
                RenderStatus::Error
            }
        };
        self.observe(scope, N::TemplateRenderingDuration, &[status as usize], took.as_secs_f64());
    }
}

/// Observations.
impl TickBatch {
    /// A collection ended.
    pub fn observed(&mut self, scope: ScopeId, result: ObservationResult, took: Duration) {
        self.count(scope, N::ObservationTotal, &[result as usize], 1);
        self.observe(scope, N::ObservationDuration, &[], took.as_secs_f64());
    }

    /// An evaluation used an observation of this age.
    pub fn observation_used(&mut self, scope: ScopeId, age: Duration) {
        self.observe(scope, N::ObservationAge, &[], age.as_secs_f64());
    }

    /// A node turned stale.
    pub fn turned_stale(&mut self, scope: ScopeId) {
        self.count(scope, N::ObservationStaleTotal, &[], 1);
    }

    /// A collector was cancelled and started again.
    pub fn collector_restarted(&mut self, scope: ScopeId) {
        self.count(scope, N::CollectorRestartsTotal, &[], 1);
    }

    /// So many more, or fewer, abandoned collectors run.
    pub fn collectors_leaked(&mut self, scope: ScopeId, grown: i64) {
        self.add(scope, N::CollectorsLeaked, &[], grown as f64);
    }
}

/// Failures and what is done about them.
impl TickBatch {
    /// A circuit of a node opened or closed.
    pub fn circuit(&mut self, scope: ScopeId, circuit: Circuit, open: bool) {
        self.add(scope, N::CircuitOpen, &[circuit as usize], if open { 1.0 } else { -1.0 });
    }

    /// An infrastructure circuit closed after so long.
    pub fn infrastructure_recovered(&mut self, scope: ScopeId, down: Duration) {
        self.count(scope, N::InfrastructureRecoveryTotal, &[], 1);
        self.observe(scope, N::InfrastructureRecoveryDuration, &[], down.as_secs_f64());
    }

    /// An incident opened or closed.
    pub fn incident(&mut self, scope: ScopeId, open: bool) {
        self.add(scope, N::IncidentsOpen, &[], if open { 1.0 } else { -1.0 });
    }

    /// An incident was escalated.
    pub fn escalated(&mut self, scope: ScopeId) {
        self.count(scope, N::EscalationsTotal, &[], 1);
    }

    /// A panic was caught.
    pub fn panicked(&mut self, scope: ScopeId, panic: PanicType, place: PanicPlace) {
        self.count(scope, N::PanicRecoveryTotal, &[panic as usize, place as usize], 1);
    }

    /// A restart was decided.
    pub fn restarted(&mut self, scope: ScopeId, cause: RestartCause) {
        self.count(scope, N::RestartsTotal, &[cause as usize], 1);
    }

    /// The last restart of a budget was taken.
    pub fn restart_budget_spent(&mut self, scope: ScopeId, cause: RestartCause) {
        self.count(scope, N::RestartBudgetSpentTotal, &[cause as usize], 1);
    }

    /// A node was forced after its stop timeout.
    pub fn stop_timed_out(&mut self, scope: ScopeId) {
        self.count(scope, N::StopTimeoutsTotal, &[], 1);
    }
}
