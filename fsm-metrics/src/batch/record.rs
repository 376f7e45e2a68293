//! The engine's words for what it records: one method per thing that happens.

use std::time::Duration;

use fsm_core::Phase;

use super::{ENGINE, ScopeId, TickBatch};
use crate::catalogue::EngineMetric as E;
use crate::catalogue::NodeMetric as N;
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
        let Some(mut pen) = self.pen(ENGINE) else { return };
        pen.observe(E::TickDuration, &[], took);
        if overrun {
            pen.count(E::TickOverrunTotal, &[], 1);
        }
    }

    /// A tick evaluated so many nodes and left so many alone.
    pub fn evaluated(&mut self, nodes: u64, skipped: u64) {
        let Some(mut pen) = self.pen(ENGINE) else { return };
        pen.count(E::NodesEvaluatedTotal, &[], nodes);
        pen.count(E::NodesSkippedTotal, &[], skipped);
    }

    /// The tree has so many levels now, and so many nodes more or fewer than before.
    pub fn hierarchy(&mut self, depth: usize, grown: i64) {
        let Some(mut pen) = self.pen(ENGINE) else { return };
        pen.raise(E::HierarchyDepth, &[], depth as f64);
        pen.add(E::HierarchySize, &[], grown as f64);
    }

    /// A config was applied.
    pub fn config_generation(&mut self, generation: u64) {
        let Some(mut pen) = self.pen(ENGINE) else { return };
        pen.raise(E::ConfigGeneration, &[], generation as f64);
    }

    /// A reload of the config ended.
    pub fn config_reloaded(&mut self, result: ReloadResult) {
        let Some(mut pen) = self.pen(ENGINE) else { return };
        pen.count(E::ConfigReloadTotal, &[result as usize], 1);
    }

    /// A tick visited children of this supervisor, so many levels deep, from its own visit to the last one below it.
    pub fn propagated(&mut self, scope: ScopeId, depth: usize, took: Duration) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.raise(N::TickPropagationDepth, &[], depth as f64);
        pen.observe(N::TickPropagationDuration, &[], took);
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
        let Some(mut pen) = self.pen(scope) else { return };
        let Moved { from, to, after } = moved;
        let (from_at, to_at) = (pen.state(Some(from.0)), pen.state(Some(to.0)));
        pen.count(N::StateTransitionsTotal, &[from_at, to_at], 1);
        pen.observe(N::StateDuration, &[from_at], after);
        pen.add(N::Workers, &[from_at, from.1 as usize], -1.0);
        pen.add(N::Workers, &[to_at, to.1 as usize], 1.0);
    }

    /// A node stays in its state, but a gate changed its effective phase.
    pub fn phase_changed(&mut self, scope: ScopeId, state: Option<usize>, from: Phase, to: Phase) {
        self.workers(scope, state, from, -1.0);
        self.workers(scope, state, to, 1.0);
    }

    fn workers(&mut self, scope: ScopeId, state: Option<usize>, phase: Phase, by: f64) {
        let Some(mut pen) = self.pen(scope) else { return };
        let state = pen.state(state);
        pen.add(N::Workers, &[state, phase as usize], by);
    }
}

/// Children and what they are made of.
impl TickBatch {
    /// A supervisor has so many children more or fewer.
    pub fn children(&mut self, scope: ScopeId, grown: i64) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.add(N::ChildCount, &[], grown as f64);
    }

    /// The roll-up of a child of this supervisor changed.
    pub fn child_health(&mut self, scope: ScopeId, health: ChildHealth) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::ChildHealthCheckTotal, &[health as usize], 1);
    }

    /// A reconcile ended.
    pub fn reconciled(&mut self, scope: ScopeId, result: ReconcileResult, took: Duration) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::ReconciliationTotal, &[result as usize], 1);
        pen.observe(N::ReconciliationDuration, &[], took);
    }

    /// A reconcile changed so many children in this way.
    pub fn children_changed(&mut self, scope: ScopeId, change: ChildChange, children: u64) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::ChildrenChangedTotal, &[change as usize], children);
    }

    /// The variables of so many children changed.
    pub fn variables_propagated(&mut self, scope: ScopeId, children: u64) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::VariablePropagationTotal, &[], children);
    }

    /// A render ended.
    pub fn rendered(&mut self, scope: ScopeId, result: Result<(), TemplateErrorType>, took: Duration) {
        let Some(mut pen) = self.pen(scope) else { return };
        let status = match result {
            Ok(()) => RenderStatus::Success,
            Err(why) => {
                pen.count(N::TemplateRenderingErrorsTotal, &[why as usize], 1);
                RenderStatus::Error
            }
        };
        pen.observe(N::TemplateRenderingDuration, &[status as usize], took);
    }
}

/// Observations.
impl TickBatch {
    /// A collection ended.
    pub fn observed(&mut self, scope: ScopeId, result: ObservationResult, took: Duration) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::ObservationTotal, &[result as usize], 1);
        pen.observe(N::ObservationDuration, &[], took);
    }

    /// An evaluation used an observation of this age.
    pub fn observation_used(&mut self, scope: ScopeId, age: Duration) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.observe(N::ObservationAge, &[], age);
    }

    /// A node turned stale.
    pub fn turned_stale(&mut self, scope: ScopeId) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::ObservationStaleTotal, &[], 1);
    }

    /// A collector was cancelled and started again.
    pub fn collector_restarted(&mut self, scope: ScopeId) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::CollectorRestartsTotal, &[], 1);
    }

    /// So many more, or fewer, abandoned collectors run.
    pub fn collectors_leaked(&mut self, scope: ScopeId, grown: i64) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.add(N::CollectorsLeaked, &[], grown as f64);
    }
}

/// Failures and what is done about them.
impl TickBatch {
    /// A circuit of a node opened or closed.
    pub fn circuit(&mut self, scope: ScopeId, circuit: Circuit, open: bool) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.add(N::CircuitOpen, &[circuit as usize], if open { 1.0 } else { -1.0 });
    }

    /// An infrastructure circuit closed after so long.
    pub fn infrastructure_recovered(&mut self, scope: ScopeId, down: Duration) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::InfrastructureRecoveryTotal, &[], 1);
        pen.observe(N::InfrastructureRecoveryDuration, &[], down);
    }

    /// An incident opened or closed.
    pub fn incident(&mut self, scope: ScopeId, open: bool) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.add(N::IncidentsOpen, &[], if open { 1.0 } else { -1.0 });
    }

    /// An incident was escalated.
    pub fn escalated(&mut self, scope: ScopeId) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::EscalationsTotal, &[], 1);
    }

    /// A panic was caught.
    pub fn panicked(&mut self, scope: ScopeId, panic: PanicType, place: PanicPlace) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::PanicRecoveryTotal, &[panic as usize, place as usize], 1);
    }

    /// A restart was decided.
    pub fn restarted(&mut self, scope: ScopeId, cause: RestartCause) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::RestartsTotal, &[cause as usize], 1);
    }

    /// The last restart of a budget was taken.
    pub fn restart_budget_spent(&mut self, scope: ScopeId, cause: RestartCause) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::RestartBudgetSpentTotal, &[cause as usize], 1);
    }

    /// A node was forced after its stop timeout.
    pub fn stop_timed_out(&mut self, scope: ScopeId) {
        let Some(mut pen) = self.pen(scope) else { return };
        pen.count(N::StopTimeoutsTotal, &[], 1);
    }
}
