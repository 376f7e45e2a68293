//! An entry of `workers:`.

use fsm_core::{ChildName, PolicyOverride, StartWhen, Vars};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DependsOn, is_yes, yes};
use crate::hashed::Hashed;

/// A worker of any registered kind, or a group of workers.
///
/// Children belong to a group: `{name: hall-a, children: [...]}`. A kind that has children of its own makes them from its
/// config; `children` beside another kind than `group` is an error of that entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkerEntry {
    /// The worker's name.
    pub name: ChildName,
    /// Its kind; `group` by default.
    #[serde(default = "group", skip_serializing_if = "is_group")]
    pub kind: String,
    /// Its config, as its kind defines it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub config: Value,
    /// Its own variables.
    #[serde(default, skip_serializing_if = "Vars::is_empty")]
    pub variables: Vars,
    /// False keeps it resident in Stopped.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// Siblings it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependsOn>,
    /// The members of a group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Hashed<WorkerEntry>>,
    /// What it overrides of its kind's policy.
    #[serde(default)]
    pub policy: PolicyOverride,
    /// In which states or phases of its parent it runs.
    #[serde(default)]
    pub start_when: StartWhen,
}

pub(crate) const GROUP: &str = "group";

fn group() -> String {
    GROUP.into()
}

fn is_group(kind: &str) -> bool {
    kind == GROUP
}

impl WorkerEntry {
    /// A worker of this name and kind with an empty config.
    #[must_use]
    pub fn new(name: ChildName, kind: impl Into<String>) -> Self {
        Self {
            name,
            kind: kind.into(),
            config: Value::Null,
            variables: Vars::new(),
            enabled: true,
            depends_on: Vec::new(),
            children: Vec::new(),
            policy: PolicyOverride::default(),
            start_when: StartWhen::Always,
        }
    }

    /// With this config.
    #[must_use]
    pub fn with_config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }
}
