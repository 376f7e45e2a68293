//! `parent`: derives children from its config, starts them with itself, and is as healthy as they are.

use fsm_core::{ChildName, Config, Dependency, HumanDuration, PolicyOverride, Vars};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod state;
mod worker;

pub use state::ParentState;
pub use worker::Parent;

/// The children of a parent, in the order in which they are created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ParentConfig {
    /// The children.
    pub children: Vec<ParentChild>,
    /// Children that are not healthy after this long make the parent degraded instead of starting.
    pub start_within: HumanDuration,
}

impl Default for ParentConfig {
    fn default() -> Self {
        // The time in which a shipped kind starts, at most: the timeout of its start action.
        Self { children: Vec::new(), start_within: std::time::Duration::from_secs(30).into() }
    }
}

impl ParentConfig {
    /// With these children.
    #[must_use]
    pub fn new(children: impl IntoIterator<Item = ParentChild>) -> Self {
        Self { children: children.into_iter().collect(), ..Self::default() }
    }

    /// With this much time to start.
    #[must_use]
    pub fn with_start_within(mut self, time: impl Into<HumanDuration>) -> Self {
        self.start_within = time.into();
        self
    }
}

impl Config for ParentConfig {}

/// One child of a parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ParentChild {
    /// Its name.
    pub name: ChildName,
    /// Its kind.
    #[serde(default = "child")]
    pub kind: String,
    /// Its config.
    #[serde(default)]
    pub config: Value,
    /// Its own variables.
    #[serde(default)]
    pub variables: Vars,
    /// False keeps it resident in Stopped.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Siblings it waits for.
    #[serde(default)]
    pub depends_on: Vec<Dependency>,
    /// What it overrides of its kind's policy.
    #[serde(default)]
    pub policy: PolicyOverride,
}

fn child() -> String {
    "child".into()
}

const fn yes() -> bool {
    true
}

impl ParentChild {
    /// A child of this name and kind, with the config of its kind's defaults.
    #[must_use]
    pub fn new(name: ChildName, kind: impl Into<String>) -> Self {
        Self {
            name,
            kind: kind.into(),
            config: Value::Null,
            variables: Vars::new(),
            enabled: true,
            depends_on: Vec::new(),
            policy: PolicyOverride::default(),
        }
    }

    /// With this config.
    #[must_use]
    pub fn with_config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// With these variables of its own.
    #[must_use]
    pub fn with_variables(mut self, variables: Vars) -> Self {
        self.variables = variables;
        self
    }

    /// Enabled or kept in Stopped.
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Waits for a sibling.
    #[must_use]
    pub fn with_dependency(mut self, dependency: Dependency) -> Self {
        self.depends_on.push(dependency);
        self
    }

    /// With these overrides of its kind's policy.
    #[must_use]
    pub fn with_policy(mut self, policy: PolicyOverride) -> Self {
        self.policy = policy;
        self
    }
}
