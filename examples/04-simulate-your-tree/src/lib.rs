//! A pump that a controller keeps running, in a world of its own: what a tree needs to be simulated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fsm_core::{
    Action, ActionContext, ActionError, CollectContext, CollectError, Config, Decision, DeriveContext,
    DeriveError, DesiredState, Observed, Outcome, Phase, Policy, Snapshot, Sort, State, StopSnapshot,
    UserSpec, Worker, act, go, stay,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The world: a pump that turns or stands still, whoever watches. A clone is the same pump.
#[derive(Debug, Clone, Default)]
pub struct Hall {
    turns: Arc<AtomicBool>,
}

impl Hall {
    /// The pump stands still, whatever its controller wants.
    pub fn trip(&self) {
        self.turns.store(false, Ordering::SeqCst);
    }
}

/// Keeps the pump turning.
#[derive(Debug)]
pub struct Pump(pub Hall);

/// There is nothing to set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PumpConfig {}

impl Config for PumpConfig {}

/// What is seen of a pump.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PumpSeen {
    /// Whether it turns.
    pub turns: bool,
}

impl Observed<PumpConfig> for PumpSeen {}

/// What can be done to a pump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PumpAction {
    /// Lets it turn.
    Start,
    /// Lets it stand still.
    Stop,
}

impl Action for PumpAction {
    const NAMES: &'static [&'static str] = &["start", "stop"];
    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// Where a pump can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PumpState {
    /// It stands still.
    #[default]
    Stopped,
    /// It is started until it turns.
    TryingToStart,
    /// It turns.
    Running,
    /// It is stopped until it stands still.
    TryingToStop,
}

impl Worker for Pump {
    const KIND: &'static str = "pump";
    const POLICY: Policy = Policy::DEFAULT;
    type Config = PumpConfig;
    type Observed = PumpSeen;
    type State = PumpState;
    type Action = PumpAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<PumpConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<PumpConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<PumpSeen, CollectError> {
        Ok(PumpSeen { turns: self.0.turns.load(Ordering::SeqCst) })
    }

    async fn execute(&self, action: PumpAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        self.0.turns.store(action == PumpAction::Start, Ordering::SeqCst);
        Ok(())
    }
}

impl State<Pump> for PumpState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::TryingToStart, Self::Running, Self::TryingToStop];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TryingToStart => "TryingToStart",
            Self::Running => "Running",
            Self::TryingToStop => "TryingToStop",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToStart => Phase::Starting,
            Self::Running => Phase::Running,
            Self::TryingToStop => Phase::Stopping,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::TryingToStart | Self::TryingToStop => Sort::Trying,
            Self::Stopped | Self::Running => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, Pump>) -> Decision<Pump> {
        let turns = s.observed().turns;
        match self {
            Self::Stopped | Self::TryingToStop => go(Self::TryingToStart, "it should turn"),
            Self::TryingToStart if turns => go(Self::Running, "it turns"),
            Self::TryingToStart => act(PumpAction::Start, "it stands still"),
            Self::Running if turns => stay("it turns"),
            Self::Running => go(Self::TryingToStart, "it tripped"),
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Pump>) -> Decision<Pump> {
        let stopped =
            s.last_action().is_some_and(|last| last.name == "stop" && last.outcome == Outcome::Success);
        match (self, s.observed()) {
            (Self::Stopped, _) => stay("it stands still"),
            (Self::TryingToStart | Self::Running, _) => go(Self::TryingToStop, "told to stop"),
            (Self::TryingToStop, Some(PumpSeen { turns: false })) => go(Self::Stopped, "it stands still"),
            // What can't be seen is believed when the action says that it is done.
            (Self::TryingToStop, None) if stopped => go(Self::Stopped, "it was stopped"),
            (Self::TryingToStop, _) => act(PumpAction::Stop, "it turns"),
        }
    }
}
