//! `panicking`: panics where the config says, as often as it says. What a panic does to its node, and to nobody else.

use fsm_core::{Action, Config, Observed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod handle;
mod state;
mod worker;

pub use handle::PanickingHandle;
pub use state::PanickingState;
pub use worker::Panicking;

/// Where it panics, and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PanickingConfig {
    /// Where it panics.
    #[serde(rename = "in")]
    pub place: Place,
    /// How often an incarnation panics before it is well; each time when nothing is said.
    ///
    /// A derive is pure, so it can't count: in `derive` it panics as long as the config says so.
    #[serde(default)]
    pub times: Option<u32>,
}

impl PanickingConfig {
    /// Panics here, each time.
    #[must_use]
    pub const fn new(place: Place) -> Self {
        Self { place, times: None }
    }

    /// With so many panics.
    #[must_use]
    pub const fn with_times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

impl Config for PanickingConfig {}

/// Where a worker's code is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In `derive_desired_state`.
    Derive,
    /// In `collect_observed_state`.
    Collect,
    /// In `next`.
    Next,
    /// In `execute`, while it starts.
    Action,
    /// In `stop`, once it is down.
    Stop,
}

/// What was seen of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PanickingObserved {
    /// It is up.
    pub up: bool,
    /// What decides on this observation is to panic.
    pub panic: bool,
}

impl PanickingObserved {
    /// It is up, or not.
    #[must_use]
    pub const fn new(up: bool) -> Self {
        Self { up, panic: false }
    }

    /// And what decides on it is to panic.
    #[must_use]
    pub const fn with_panic(mut self) -> Self {
        self.panic = true;
        self
    }
}

impl Observed<PanickingConfig> for PanickingObserved {}

/// What can be done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PanickingAction {
    /// Starts it, or panics, as the config says.
    Start,
    /// Stops it.
    Stop,
}

impl Action for PanickingAction {
    const NAMES: &'static [&'static str] = &["start", "stop"];

    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}
