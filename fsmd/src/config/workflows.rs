//! The section `workflows`: job trees that run to their end.

use std::sync::Arc;

use fsm_core::HumanDuration;
use fsm_templating::Template;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A job tree: steps that run to their end, each after those that it depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkflowEntry {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub id: String,
    /// What its input may hold, as for templates.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub parameters: IndexMap<String, Value>,
    /// What is run. Texts may hold `{{ … }}`, which see the input.
    #[schemars(length(min = 1))]
    pub steps: Vec<StepEntry>,
    /// How long all of it may take.
    #[serde(default = "timeout")]
    pub timeout: HumanDuration,
    /// What becomes of the other steps when one fails.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// One step of a workflow: either a tool or an action of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StepEntry {
    /// Its name, different from those of the others.
    pub name: String,
    /// The id of a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The path of a worker; then `action` says what it is to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The name of the worker's action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What it is to work on.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
    /// Steps that have to succeed before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
}

/// What becomes of the other steps when one fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Those that run are cancelled, those that wait are not begun.
    #[default]
    Stop,
    /// Those that don't depend on it go on.
    Continue,
}

fn timeout() -> HumanDuration {
    HumanDuration::new(std::time::Duration::from_secs(5 * 60))
}

/// A workflow that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    /// As it is written.
    pub(crate) entry: WorkflowEntry,
    /// Its parameters and steps, ready to be rendered.
    pub(crate) template: Template,
}

/// All workflows, by their ids, in declared order.
pub type Workflows = IndexMap<String, Arc<Workflow>>;
