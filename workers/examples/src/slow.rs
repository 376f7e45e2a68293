//! `slow`: starts and looks that take as long as the config says, and end at once when they are cancelled.

use std::time::Duration;

use fsm_core::{Action, Config, HumanDuration, Observed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod handle;
mod state;
mod worker;

pub use handle::SlowHandle;
pub use state::SlowState;
pub use worker::Slow;

/// What takes how long. By default a start takes five seconds and a look no time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SlowConfig {
    /// How long a start takes.
    pub start_takes: HumanDuration,
    /// How a start spends this time.
    pub start_by: Spending,
    /// How long a look takes: a collection that takes longer than its timeout is given up.
    pub look_takes: HumanDuration,
    /// How many looks of an incarnation are slow; all of them when nothing is said.
    pub slow_looks: Option<u32>,
}

impl Default for SlowConfig {
    fn default() -> Self {
        Self {
            // Long enough to be seen at work, short enough to watch.
            start_takes: Duration::from_secs(5).into(),
            start_by: Spending::Waiting,
            look_takes: HumanDuration::default(),
            slow_looks: None,
        }
    }
}

impl SlowConfig {
    /// With starts that take this long.
    #[must_use]
    pub fn with_start_takes(mut self, time: impl Into<HumanDuration>) -> Self {
        self.start_takes = time.into();
        self
    }

    /// With starts that spend their time like this.
    #[must_use]
    pub fn with_start_by(mut self, how: Spending) -> Self {
        self.start_by = how;
        self
    }

    /// With looks that take this long, the first so many of them or all.
    #[must_use]
    pub fn with_look_takes(mut self, time: impl Into<HumanDuration>, looks: Option<u32>) -> Self {
        (self.look_takes, self.slow_looks) = (time.into(), looks);
        self
    }
}

impl Config for SlowConfig {}

/// How an action spends its time: three sorts of work, each with its own way to end at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spending {
    /// It waits: for its time, or for the cancel.
    #[default]
    Waiting,
    /// A task that it spawns does the work: a cancelled action tells the task, and waits for its end.
    Spawning,
    /// It holds a thread with blocking reads, one after the other: between two of them it looks at its token.
    Blocking,
}

/// What was seen of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SlowObserved {
    /// It is up.
    pub up: bool,
}

impl SlowObserved {
    /// It is up, or not.
    #[must_use]
    pub const fn new(up: bool) -> Self {
        Self { up }
    }
}

impl Observed<SlowConfig> for SlowObserved {}

/// What can be done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlowAction {
    /// Starts it on the runtime.
    Start,
    /// Starts it on a thread that it may block.
    StartBlocking,
    /// Stops it, at once.
    Stop,
}

impl Action for SlowAction {
    const NAMES: &'static [&'static str] = &["start", "start_blocking", "stop"];

    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::StartBlocking => "start_blocking",
            Self::Stop => "stop",
        }
    }
}
