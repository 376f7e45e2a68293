//! What happened, for people and programs: a closed set of events with a stable JSON form (S-51).

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{CauseId, Moment, NodePath, Outcome, Phase};
use serde::Serialize;

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// When, on the driver's clock.
    pub at: Moment,
    /// What led to it.
    pub cause: CauseId,
    /// Which node; the root for events of the whole tree.
    pub path: NodePath,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
    /// How many events of this kind from this node were folded into this one.
    #[serde(skip_serializing_if = "is_zero")]
    pub folded: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A node was created.
    NodeCreated {
        /// Its kind.
        kind: Arc<str>,
    },
    /// A node left the tree.
    NodeRemoved,
    /// A worker moved to another state.
    StateTransition {
        /// From this state.
        from: &'static str,
        /// To this one.
        to: &'static str,
        /// Whose phase is this.
        phase: Phase,
        /// Why.
        reason: Arc<str>,
    },
    /// An action was asked for.
    ActionQueued {
        /// Its name.
        action: &'static str,
    },
    /// An action got its place in the pool.
    ActionStarted {
        /// Its name.
        action: &'static str,
    },
    /// An action ended.
    ActionEnded {
        /// Its name.
        action: &'static str,
        /// How.
        outcome: Outcome,
        /// From its start to its end.
        duration: Duration,
        /// What went wrong.
        error: Option<Arc<str>>,
    },
    /// An observation grew too old to be believed.
    ObservationStale {
        /// Its age.
        age: Duration,
    },
    /// A node is observed again.
    ObservationFresh,
    /// A collector was cancelled and started again.
    CollectorRestarted {
        /// Which restart since the last good observation.
        restart: u32,
    },
    /// A panic circuit opened.
    CircuitOpened {
        /// Panics inside the window.
        panics: usize,
    },
    /// A panic circuit closed.
    CircuitClosed,
    /// A spec, config or template can't be used.
    TemplateError {
        /// What is wrong.
        error: Arc<str>,
    },
    /// A reconcile changed the children of a node.
    PlanApplied {
        /// Children created.
        created: usize,
        /// Updated in place.
        updated: usize,
        /// Told to leave.
        removed: usize,
        /// Replaced by a new incarnation.
        restarted: usize,
    },
    /// A node is restarted.
    Restart {
        /// Why.
        cause: &'static str,
        /// How long the new incarnation is held back.
        back_off: Duration,
    },
    /// A node used up its restart budget and is probed slowly from now on.
    BudgetSpent {
        /// Restarts inside the window.
        restarts: usize,
    },
    /// What nodes need can't be reached: they are not asked for `next` until it can.
    IncidentOpened {
        /// What they need.
        key: Arc<str>,
        /// What the probe said.
        error: Arc<str>,
        /// How many need it; the event stands at the first of them.
        nodes: usize,
    },
    /// It has been out of reach for so long that people should look.
    IncidentEscalated {
        /// What nodes need.
        key: Arc<str>,
        /// What the last probe said.
        error: Arc<str>,
        /// Since when.
        down: Duration,
        /// Failed probes in a row.
        probes: u32,
        /// What to do.
        runbook: &'static str,
    },
    /// It can be reached again, or nobody needs it any more.
    IncidentClosed {
        /// What nodes need.
        key: Arc<str>,
        /// From the moment it opened.
        down: Duration,
        /// Whether it can be reached again.
        recovered: bool,
    },
    /// A worker panicked.
    Panic {
        /// In which method.
        r#where: &'static str,
        /// With which text.
        text: Arc<str>,
    },
    /// A pure function gave two answers to one question.
    PurityViolation {
        /// The reason it gave first.
        first: Arc<str>,
        /// And then.
        then: Arc<str>,
    },
    /// A node moves in circles without any new input; it is slowed down.
    Livelock {
        /// The state it is in.
        state: &'static str,
    },
    /// An operator told a node to stop.
    OverrideSet {
        /// Who.
        who: Arc<str>,
    },
    /// An operator's stop ended.
    OverrideCleared {
        /// Who ended it.
        who: Arc<str>,
    },
    /// The store can't keep up or fails; changes are kept back.
    StoreDegraded {
        /// Why.
        error: Arc<str>,
    },
    /// The store works again.
    StoreRecovered,
    /// A node did not stop in time and was forced.
    StopTimedOut {
        /// How long it was given.
        given: Duration,
    },
    /// A tick took too long.
    TickOverrun {
        /// How long.
        took: Duration,
    },
    /// An operator's command.
    Command {
        /// Who.
        who: Arc<str>,
        /// What.
        what: Arc<str>,
    },
}

impl EventKind {
    /// The event's name, as in its JSON form.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NodeCreated { .. } => "node_created",
            Self::NodeRemoved => "node_removed",
            Self::StateTransition { .. } => "state_transition",
            Self::ActionQueued { .. } => "action_queued",
            Self::ActionStarted { .. } => "action_started",
            Self::ActionEnded { .. } => "action_ended",
            Self::ObservationStale { .. } => "observation_stale",
            Self::ObservationFresh => "observation_fresh",
            Self::CollectorRestarted { .. } => "collector_restarted",
            Self::CircuitOpened { .. } => "circuit_opened",
            Self::CircuitClosed => "circuit_closed",
            Self::TemplateError { .. } => "template_error",
            Self::PlanApplied { .. } => "plan_applied",
            Self::Restart { .. } => "restart",
            Self::BudgetSpent { .. } => "budget_spent",
            Self::IncidentOpened { .. } => "incident_opened",
            Self::IncidentEscalated { .. } => "incident_escalated",
            Self::IncidentClosed { .. } => "incident_closed",
            Self::Panic { .. } => "panic",
            Self::PurityViolation { .. } => "purity_violation",
            Self::Livelock { .. } => "livelock",
            Self::OverrideSet { .. } => "override_set",
            Self::OverrideCleared { .. } => "override_cleared",
            Self::StoreDegraded { .. } => "store_degraded",
            Self::StoreRecovered => "store_recovered",
            Self::StopTimedOut { .. } => "stop_timed_out",
            Self::TickOverrun { .. } => "tick_overrun",
            Self::Command { .. } => "command",
        }
    }
}
