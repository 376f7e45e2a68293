//! Metrics of the nodes of a kind, labelled `supervisor_id` (the kind) and `path` (empty unless asked for, M-1).

use crate::buckets::{ACTION, LONG, OBSERVATION, TICK, WORK};
use crate::def::{Group, Init, MetricDef, Values, group};
use crate::words::{
    ChildChange, ChildHealth, Circuit, OUTCOMES, ObservationResult, PHASES, PanicPlace, PanicType,
    ReconcileResult, RenderStatus, RestartCause, TemplateErrorType,
};

use Values::{Actions, Closed, States};

const fn counter(name: &'static str) -> MetricDef {
    MetricDef::counter(name)
}
const fn gauge(name: &'static str) -> MetricDef {
    MetricDef::gauge(name, "")
}
const fn seconds(name: &'static str, buckets: &'static [f64]) -> MetricDef {
    MetricDef::seconds(name, buckets)
}

group! {
    /// Metrics of the nodes of a kind.
    NodeMetric(Group::Node) {
        /// Nodes whose circuit is open.
        CircuitOpen = gauge("fsm_circuit_open"),
            [circuit: Closed(Circuit::WORDS)], "a circuit opens or closes";
        /// Infrastructure circuits that closed again.
        InfrastructureRecoveryTotal = counter("fsm_infrastructure_recovery_total"),
            [], "an infrastructure circuit closes";
        /// How long infrastructure was down, from the moment its circuit opened.
        InfrastructureRecoveryDuration = seconds("fsm_infrastructure_recovery_duration_seconds", LONG),
            [], "an infrastructure circuit closes";
        /// Changes of children as their parent sees them.
        ChildHealthCheckTotal = counter("fsm_child_health_check_total"),
            [status: Closed(ChildHealth::WORDS)], "the roll-up of a child changes";
        /// Reconciles of a parent's children.
        ReconciliationTotal = counter("fsm_reconciliation_total"),
            [result: Closed(ReconcileResult::WORDS)], "each reconcile";
        /// How long a reconcile took.
        ReconciliationDuration = seconds("fsm_reconciliation_duration_seconds", WORK),
            [], "each reconcile";
        /// Children that a reconcile created, updated, removed or restarted.
        ChildrenChangedTotal = counter("fsm_children_changed_total"),
            [change: Closed(ChildChange::WORDS)], "each reconcile that changes a child";
        /// Children whose variables changed because their parent's did.
        VariablePropagationTotal = counter("fsm_variable_propagation_total"),
            [], "the variables of a child change";
        /// How long a render took.
        TemplateRenderingDuration = seconds("fsm_template_rendering_duration_seconds", WORK),
            [status: Closed(RenderStatus::WORDS)], "each render";
        /// Renders that gave no value.
        TemplateRenderingErrorsTotal = counter("fsm_template_rendering_errors_total"),
            [error_type: Closed(TemplateErrorType::WORDS)], "each failed render";
        /// Actions that the executor accepted.
        ActionQueuedTotal = counter("fsm_action_queued_total"),
            [action_type: Actions], "the executor accepts an action";
        /// Actions that wait for a place in the pool.
        ActionQueueSize = gauge("fsm_action_queue_size"),
            [], "an action is enqueued or dequeued";
        /// How long one attempt of an action took.
        ActionExecutionDuration = seconds("fsm_action_execution_duration_seconds", ACTION),
            [action_type: Actions, status: Closed(OUTCOMES)], "each attempt ends";
        /// Attempts that took longer than their timeout.
        ActionTimeoutTotal = counter("fsm_action_timeout_total"),
            [action_type: Actions], "an attempt times out";
        /// Further attempts after a failed one.
        ActionRetryTotal = counter("fsm_action_retry_total"),
            [action_type: Actions], "an attempt is tried again";
        /// How long an action waited for a place in the pool.
        ActionWait = seconds("fsm_action_wait_seconds", ACTION),
            [], "an action starts";
        /// Actions that run.
        ActionInFlight = gauge("fsm_action_in_flight"),
            [], "an action starts or ends";
        /// Actions that ran for twice their timeout because they can't be dropped.
        ActionStuckTotal = counter("fsm_action_stuck_total"),
            [action_type: Actions], "a blocking action reaches twice its timeout";
        /// Abandoned actions that still run.
        ActionLeaked = gauge("fsm_action_leaked"),
            [action_type: Actions], "a blocking action is abandoned, and when it ends after all";
        /// Direct children of the kind's nodes.
        ChildCount = gauge("fsm_child_count"),
            [], "a child is added or removed";
        /// Levels below a supervisor that the last tick visited, the deepest of the kind's nodes.
        TickPropagationDepth = MetricDef::maximum("fsm_tick_propagation_depth", ""),
            [], "each tick or wake-up that visits a child";
        /// From a supervisor's own visit to the end of the last visit below it in the same tick.
        TickPropagationDuration = seconds("fsm_tick_propagation_duration_seconds", TICK),
            [], "each tick or wake-up that visits a child";
        /// Moves from one state to another.
        StateTransitionsTotal = counter("fsm_state_transitions_total").at(Init::FirstSample),
            [from_state: States, to_state: States], "a node moves";
        /// Nodes in a state and an effective phase.
        Workers = gauge("fsm_workers").at(Init::OwnPhase),
            [state: States, phase: Closed(PHASES)], "a node enters or leaves a state or changes its effective phase";
        /// How long a node was in a state.
        StateDuration = seconds("fsm_state_duration_seconds", LONG),
            [state: States], "a node leaves a state";
        /// Collections of observed state.
        ObservationTotal = counter("fsm_observation_total"),
            [result: Closed(ObservationResult::WORDS)], "a collection ends";
        /// How long a collection took.
        ObservationDuration = seconds("fsm_observation_duration_seconds", OBSERVATION),
            [], "a collection ends";
        /// Age of the observation that an evaluation used.
        ObservationAge = seconds("fsm_observation_age_seconds", OBSERVATION),
            [], "a node is evaluated with an observation";
        /// Observations that became too old to be believed.
        ObservationStaleTotal = counter("fsm_observation_stale_total"),
            [], "a node turns stale";
        /// Collectors that were cancelled and started again.
        CollectorRestartsTotal = counter("fsm_collector_restarts_total"),
            [], "a collector is restarted";
        /// Panics that were caught.
        PanicRecoveryTotal = counter("fsm_panic_recovery_total"),
            [panic_type: Closed(PanicType::WORDS), where: Closed(PanicPlace::WORDS)], "a panic is caught";
        /// Nodes that were restarted.
        RestartsTotal = counter("fsm_restarts_total"),
            [cause: Closed(RestartCause::WORDS)], "a restart of a node is decided";
        /// Restart budgets that were spent.
        RestartBudgetSpentTotal = counter("fsm_restart_budget_spent_total"),
            [cause: Closed(RestartCause::WORDS)], "the last restart of a budget is taken";
        /// Abandoned collectors that still run.
        CollectorsLeaked = gauge("fsm_collectors_leaked"),
            [], "a blocking collector is abandoned, and when it ends after all";
        /// Nodes that were forced after their stop timeout.
        StopTimeoutsTotal = counter("fsm_stop_timeouts_total"),
            [], "a node is forced";
        /// Incidents of shared infrastructure that are open.
        IncidentsOpen = gauge("fsm_incidents_open"),
            [], "an incident opens or closes";
        /// Incidents that were escalated.
        EscalationsTotal = counter("fsm_escalations_total"),
            [], "an incident escalates";
    }
}
