//! A worker that keeps a flag file: it raises the flag while it runs and lowers it when it stops. What is worth reading here
//! is `tests/checks.rs`: the model check and the idempotency check of a worker that is not one of the shipped ones.

use std::path::PathBuf;

use fsm_core::{
    Action, ActionContext, ActionError, CollectContext, CollectError, Config, Decision, DeriveContext,
    DeriveError, DesiredState, Observed, Outcome, Phase, Policy, Snapshot, Sort, State, StopSnapshot,
    UserSpec, Worker, act, go, stay,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind `flag`.
pub struct Flag;

/// Where the flag is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagConfig {
    /// The file that is there while the flag is up.
    pub file: PathBuf,
}

impl Config for FlagConfig {
    fn needs_restart(&self, old: &Self) -> bool {
        self != old
    }
}

/// What is seen of the flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagSeen {
    /// The file is there.
    pub up: bool,
}

impl Observed<FlagConfig> for FlagSeen {}

/// What can be done to the flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagAction {
    /// Makes the file, if it is not there.
    Raise,
    /// Removes the file, if it is there.
    Lower,
}

impl Action for FlagAction {
    const NAMES: &'static [&'static str] = &["raise", "lower"];
    fn name(&self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Lower => "lower",
        }
    }
}

/// The states of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FlagState {
    /// The flag is down. Waits for the goal to run.
    #[default]
    Down,
    /// Raises the flag until it is seen.
    TryingToRaise,
    /// The flag is up. Waits for its loss.
    Up,
    /// Lowers the flag until it is gone.
    TryingToLower,
}

impl State<Flag> for FlagState {
    const ALL: &'static [Self] = &[Self::Down, Self::TryingToRaise, Self::Up, Self::TryingToLower];

    fn name(self) -> &'static str {
        match self {
            Self::Down => "Down",
            Self::TryingToRaise => "TryingToRaise",
            Self::Up => "Up",
            Self::TryingToLower => "TryingToLower",
        }
    }
    fn phase(self) -> Phase {
        match self {
            Self::Down => Phase::Stopped,
            Self::TryingToRaise => Phase::Starting,
            Self::Up => Phase::Running,
            Self::TryingToLower => Phase::Stopping,
        }
    }
    fn sort(self) -> Sort {
        match self {
            Self::TryingToRaise | Self::TryingToLower => Sort::Trying,
            Self::Down | Self::Up => Sort::Passive,
        }
    }
    fn next(self, s: &Snapshot<'_, Flag>) -> Decision<Flag> {
        match self {
            Self::Down | Self::TryingToLower => go(Self::TryingToRaise, "told to run"),
            Self::TryingToRaise if s.observed().up => go(Self::Up, "the flag is up"),
            Self::TryingToRaise => act(FlagAction::Raise, "the flag is down"),
            Self::Up if s.observed().up => stay("the flag is up"),
            Self::Up => go(Self::TryingToRaise, "somebody took the flag down"),
        }
    }
    fn stop(self, s: &StopSnapshot<'_, Flag>) -> Decision<Flag> {
        let lowered =
            |last: &fsm_core::ActionReport| last.name == "lower" && last.outcome == Outcome::Success;
        match self {
            Self::Down => stay("the flag is down"),
            Self::TryingToRaise | Self::Up => go(Self::TryingToLower, "told to stop"),
            Self::TryingToLower => match s.observed() {
                Some(seen) if !seen.up => go(Self::Down, "the flag is down"),
                // Take this line away, and the model check says `blind-removal`.
                None if s.last_action().is_some_and(lowered) => go(Self::Down, "the flag was lowered"),
                Some(_) | None => act(FlagAction::Lower, "the flag may be up"),
            },
        }
    }
}

impl Worker for Flag {
    const KIND: &'static str = "flag";
    const POLICY: Policy = Policy::DEFAULT;
    type Config = FlagConfig;
    type Observed = FlagSeen;
    type State = FlagState;
    type Action = FlagAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<FlagConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<FlagConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(&self, cx: CollectContext<'_, Self>) -> Result<FlagSeen, CollectError> {
        let up = tokio::fs::try_exists(&cx.config().file)
            .await
            .map_err(|error| CollectError::new("can't look for the flag").with_source(error))?;
        Ok(FlagSeen { up })
    }

    async fn execute(&self, action: FlagAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        let file = &cx.config().file;
        let done = match action {
            FlagAction::Raise => tokio::fs::write(file, "").await,
            FlagAction::Lower => match tokio::fs::remove_file(file).await {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
        };
        done.map_err(|error| ActionError::transient("can't move the flag").with_source(error))
    }
}
