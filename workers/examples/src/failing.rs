//! `failing`: starts that fail as often as the config says, and an uptime that ends. What supervision is for.

use std::time::Duration;

use fsm_core::{Action, Config, HumanDuration, Observed, RequestError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod handle;
mod state;
mod worker;

pub use handle::FailingHandle;
pub use state::FailingState;
pub use worker::Failing;

/// What fails, and how often. By default the first three starts do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FailingConfig {
    /// How many starts in a row fail before one succeeds.
    pub fails: Fails,
    /// After so many failed starts in a row it gives up and asks for a new incarnation, which counts from the beginning.
    pub restart_after: Option<u32>,
    /// From the incarnation after so many restarts on, starts succeed.
    pub healed_by_restarts: Option<u32>,
    /// It breaks down so often, each time when it has been up for `up_for`; each time starts fail anew.
    pub breakdowns: u32,
    /// How long it is up before it breaks down.
    pub up_for: HumanDuration,
}

impl Default for FailingConfig {
    fn default() -> Self {
        Self {
            fails: Fails::Times(3),
            restart_after: None,
            healed_by_restarts: None,
            breakdowns: 0,
            // Longer than a parent takes to see it up, short enough to watch.
            up_for: Duration::from_secs(5).into(),
        }
    }
}

impl FailingConfig {
    /// With so many failures before each success.
    #[must_use]
    pub fn with_fails(mut self, fails: Fails) -> Self {
        self.fails = fails;
        self
    }

    /// With a restart after so many failures in a row.
    #[must_use]
    pub fn with_restart_after(mut self, failures: u32) -> Self {
        self.restart_after = Some(failures);
        self
    }

    /// With starts that succeed after so many restarts.
    #[must_use]
    pub fn with_healed_by_restarts(mut self, restarts: u32) -> Self {
        self.healed_by_restarts = Some(restarts);
        self
    }

    /// With so many breakdowns, each after this long.
    #[must_use]
    pub fn with_breakdowns(mut self, breakdowns: u32, up_for: impl Into<HumanDuration>) -> Self {
        (self.breakdowns, self.up_for) = (breakdowns, up_for.into());
        self
    }
}

impl Config for FailingConfig {}

/// How many starts in a row fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fails {
    /// So many; the next one succeeds.
    Times(u32),
    /// All of them.
    Always,
}

/// What was seen of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailingObserved {
    /// It is up.
    pub up: bool,
    /// How often it broke down so far.
    pub breakdowns: u32,
}

impl FailingObserved {
    /// It is up, or not.
    #[must_use]
    pub const fn new(up: bool) -> Self {
        Self { up, breakdowns: 0 }
    }
}

impl Observed<FailingConfig> for FailingObserved {
    /// The count of breakdowns only measures.
    fn same_for_decisions(&self, old: &Self) -> bool {
        self.up == old.up
    }
}

/// What can be done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailingAction {
    /// Starts it, or fails, as the config says.
    Start,
    /// Stops it.
    Stop,
}

impl Action for FailingAction {
    const NAMES: &'static [&'static str] = &["start", "stop"];

    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }

    fn from_request(name: &str, _input: serde_json::Value) -> Result<Self, RequestError> {
        match name {
            "start" => Ok(Self::Start),
            "stop" => Ok(Self::Stop),
            other => Err(RequestError::Unknown { name: other.into(), known: Self::NAMES }),
        }
    }
}
