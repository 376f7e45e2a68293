//! What the engine counts while it works: its own words for the batch of samples that is flushed once per round (M-2).

use std::any::Any;
use std::time::Duration;

use fsm_core::erase::{DynWorker, StateIndex};
use fsm_core::{DeriveErrorKind, Moment, NodePath, Phase};
use fsm_metrics::{
    ChildChange, ChildHealth, Circuit, Kind, KindShape, Metrics, MetricsError, Moved, ObservationResult,
    PanicPlace, PanicType, ReconcileResult, RestartCause, ScopeId, TickBatch,
};

use crate::engine::TickReport;
use crate::plan::{PlanStep, ReconcilePlan};

/// Counters of the engine.
#[derive(Debug)]
pub(crate) struct Meter {
    batch: TickBatch,
    /// In the order of the engine's kinds; empty when nothing is recorded.
    kinds: Vec<Kind>,
    /// How many nodes there are at each depth.
    depths: Vec<u32>,
    overrun: bool,
}

impl Meter {
    /// Records nothing.
    pub(crate) fn off() -> Self {
        Self { batch: TickBatch::off(), kinds: Vec::new(), depths: Vec::new(), overrun: false }
    }

    pub(crate) fn try_new(
        kinds: &[Box<dyn DynWorker>],
        metrics: &Metrics,
    ) -> Result<Self, (&'static str, MetricsError)> {
        let register = |kind: &dyn DynWorker| {
            metrics.register(KindShape::of_registered(kind)).map_err(|error| (kind.kind(), error))
        };
        let kinds = kinds.iter().map(|kind| register(&**kind)).collect::<Result<_, _>>()?;
        Ok(Self { batch: TickBatch::new(metrics), kinds, ..Self::off() })
    }

    pub(crate) const fn batch(&mut self) -> &mut TickBatch {
        &mut self.batch
    }

    /// Where the samples of an invalid node go.
    pub(crate) const fn nowhere() -> ScopeId {
        ScopeId::NOWHERE
    }

    pub(crate) fn ticked(&mut self, report: &TickReport, nodes: usize) {
        let overrun = std::mem::take(&mut self.overrun);
        self.batch.tick(Duration::from_nanos(report.nanos), overrun);
        self.batch.evaluated(report.evaluated, (nodes as u64).saturating_sub(report.evaluated));
    }

    pub(crate) const fn overrun(&mut self) {
        self.overrun = true;
    }

    /// A node is created in its first state.
    pub(crate) fn enter(&mut self, kind: u16, path: &NodePath, state: StateIndex, phase: Phase) -> ScopeId {
        let Some(kind) = self.kinds.get(kind as usize) else { return ScopeId::NOWHERE };
        let scope = self.batch.enter(kind, path.as_str());
        self.batch.entered(scope, Some(state.get()), phase);
        scope
    }

    /// A node is gone.
    pub(crate) fn leave(&mut self, scope: ScopeId, state: StateIndex, phase: Phase) {
        self.batch.left(scope, Some(state.get()), phase);
        self.batch.leave(scope);
    }

    /// A node stays but starts over: it leaves its last state ...
    pub(crate) fn left(&mut self, scope: ScopeId, state: StateIndex, phase: Phase) {
        self.batch.left(scope, Some(state.get()), phase);
    }

    /// ... and stands in its first one.
    pub(crate) fn entered(&mut self, scope: ScopeId, state: StateIndex, phase: Phase) {
        self.batch.entered(scope, Some(state.get()), phase);
    }

    pub(crate) fn moved(
        &mut self,
        scope: ScopeId,
        states: (StateIndex, StateIndex),
        phase: Phase,
        after: Duration,
    ) {
        let (from, to) = ((states.0.get(), phase), (states.1.get(), phase));
        self.batch.moved(scope, Moved { from, to, after });
    }

    pub(crate) fn phase(&mut self, scope: ScopeId, state: Option<StateIndex>, from: Phase, to: Phase) {
        self.batch.phase_changed(scope, state.map(StateIndex::get), from, to);
    }

    /// A child of this supervisor looks different.
    pub(crate) fn health(&mut self, parent: ScopeId, phase: Phase, stale: bool, invalid: bool) {
        let health = match phase {
            _ if invalid => ChildHealth::Error,
            _ if stale => ChildHealth::Stale,
            Phase::Running | Phase::Completed => ChildHealth::Healthy,
            Phase::Stopped => ChildHealth::Stopped,
            Phase::Starting | Phase::Degraded | Phase::Stopping => ChildHealth::Degraded,
        };
        self.batch.child_health(parent, health);
    }

    pub(crate) fn children(&mut self, parent: ScopeId, by: i64) {
        self.batch.children(parent, by);
    }

    pub(crate) fn size(&mut self, depth: u16, by: i64) {
        let depth = depth as usize;
        if self.depths.len() <= depth {
            self.depths.resize(depth + 1, 0);
        }
        self.depths[depth] = self.depths[depth].saturating_add_signed(by as i32);
        let levels = self.depths.iter().rposition(|nodes| *nodes > 0).map_or(0, |deepest| deepest + 1);
        self.batch.hierarchy(levels, by);
    }

    pub(crate) fn reconcile(
        &mut self,
        scope: ScopeId,
        result: ReconcileResult,
        nanos: u64,
        plan: &ReconcilePlan,
    ) {
        self.batch.reconciled(scope, result, Duration::from_nanos(nanos));
        for (step, change) in [
            (PlanStep::Create, ChildChange::Created),
            (PlanStep::Update, ChildChange::Updated),
            (PlanStep::Remove, ChildChange::Removed),
            (PlanStep::Restart, ChildChange::Restarted),
        ] {
            let children = plan.entries.iter().filter(|entry| entry.step == step).count() as u64;
            if children > 0 {
                self.batch.children_changed(scope, change, children);
            }
        }
    }

    pub(crate) fn variables(&mut self, scope: ScopeId) {
        self.batch.variables_propagated(scope, 1);
    }

    pub(crate) fn render(&mut self, scope: ScopeId, took: Duration, error: Option<DeriveErrorKind>) {
        self.batch.rendered(scope, error.map_or(Ok(()), |error| Err(error.into())), took);
    }

    pub(crate) fn observation(&mut self, scope: ScopeId, result: ObservationResult, took: Duration) {
        self.batch.observed(scope, result, took);
    }

    pub(crate) fn observation_used(&mut self, scope: ScopeId, now: Moment, taken: Moment) {
        if scope != ScopeId::NOWHERE {
            self.batch.observation_used(scope, now.since(taken));
        }
    }

    pub(crate) fn stale(&mut self, scope: ScopeId) {
        self.batch.turned_stale(scope);
    }

    pub(crate) fn collector_restart(&mut self, scope: ScopeId) {
        self.batch.collector_restarted(scope);
    }

    pub(crate) fn panic(&mut self, scope: ScopeId, place: &'static str, panic: &(dyn Any + Send)) {
        let place = match place {
            "derive" => PanicPlace::Derive,
            "stop" => PanicPlace::Stop,
            _ => PanicPlace::Next,
        };
        self.batch.panicked(scope, PanicType::of(panic), place);
    }

    /// A collection panicked; only its text came back.
    pub(crate) fn panic_text(&mut self, scope: ScopeId, text: &str) {
        self.batch.panicked(scope, PanicType::of_message(text), PanicPlace::Collect);
    }

    pub(crate) fn action_panic(&mut self, scope: ScopeId, text: &str) {
        self.batch.panicked(scope, PanicType::of_message(text), PanicPlace::Action);
    }

    pub(crate) fn circuit(&mut self, scope: ScopeId, open: bool) {
        self.batch.circuit(scope, Circuit::Panic, open);
    }

    pub(crate) fn incident(&mut self, scope: ScopeId, open: bool) {
        self.batch.incident(scope, open);
    }

    pub(crate) fn infrastructure(&mut self, scope: ScopeId, is_cut_off: bool) {
        self.batch.circuit(scope, Circuit::Infrastructure, is_cut_off);
    }

    pub(crate) fn infrastructure_recovered(&mut self, scope: ScopeId, down: Duration) {
        self.batch.infrastructure_recovered(scope, down);
    }

    pub(crate) fn escalated(&mut self, scope: ScopeId) {
        self.batch.escalated(scope);
    }

    pub(crate) fn restart(&mut self, scope: ScopeId, cause: RestartCause, spent: bool) {
        self.batch.restarted(scope, cause);
        if spent {
            self.budget_spent(scope, cause);
        }
    }

    pub(crate) fn budget_spent(&mut self, scope: ScopeId, cause: RestartCause) {
        self.batch.restart_budget_spent(scope, cause);
    }

    pub(crate) fn stop_timeout(&mut self, scope: ScopeId) {
        self.batch.stop_timed_out(scope);
    }

    pub(crate) fn spread(&mut self, scope: ScopeId, depth: u16, nanos: u64) {
        self.batch.propagated(scope, depth as usize, Duration::from_nanos(nanos));
    }
}
