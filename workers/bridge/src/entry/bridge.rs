//! An entry of `bridges:`.

use fsm_core::{PolicyOverride, Vars};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{DependsOn, is_yes, yes};

/// A bridge, or with `for_each` one bridge per row: a template with variables, or the sections themselves.
///
/// Name, variables, location and `enabled` are rendered in a `for_each` entry only; elsewhere `{{` is plain text (T-2).
///
/// ```
/// use fsm_worker_bridge::BridgeEntry;
/// let entry: BridgeEntry = serde_json::from_str(
///     r#"{"name": "press-7", "template": "modbus-press", "variables": {"ip": "10.0.0.7"}}"#,
/// )?;
/// assert!(entry.enabled.is_none(), "which means true");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BridgeEntry {
    /// The rows, for an entry that makes one bridge per row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEach>,
    /// The bridge's name; different in each row.
    pub name: String,
    /// The name of a template; without one the sections stand here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// ISA-95 levels below the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<fsm_templating::Location>")]
    pub location: Option<Value>,
    /// The template's parameters, and what jq programs see as `$vars`.
    #[serde(default, skip_serializing_if = "Vars::is_empty")]
    pub variables: Vars,
    /// False keeps it resident in Stopped; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Switch>")]
    pub enabled: Option<Value>,
    /// Siblings it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependsOn>,
    /// What it overrides of its kind's policy.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: PolicyOverride,
    /// What is probed; without a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Value>,
    /// From the device to the namespace; with a template only `enabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<FlowSection>,
    /// From the namespace to the device; with a template only `enabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<FlowSection>,
}

/// True or false, or in a `for_each` a text that is rendered to it.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Switch {
    Flag(bool),
    Rendered(String),
}

/// The rows of a `for_each`. In a file `{file: PATH}` stands here, too; whoever loads the file puts the rows in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ForEach {
    /// The file that the rows came from; for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The rows: `item` in the rendered texts.
    #[serde(default)]
    pub rows: Vec<Value>,
}

impl ForEach {
    /// These rows.
    #[must_use]
    pub const fn new(rows: Vec<Value>) -> Self {
        Self { file: None, rows }
    }
}

/// A flow of a bridge: input, pipeline, output and options of a flow, and whether it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct FlowSection {
    /// False keeps the flow resident in Stopped.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// What the flow does.
    #[serde(flatten)]
    pub flow: Map<String, Value>,
}

impl Default for FlowSection {
    fn default() -> Self {
        Self { enabled: true, flow: Map::new() }
    }
}

fn is_default(policy: &PolicyOverride) -> bool {
    *policy == PolicyOverride::default()
}

impl BridgeEntry {
    /// A bridge of this name from this template.
    #[must_use]
    pub fn of_template(name: impl Into<String>, template: impl Into<String>) -> Self {
        Self { name: name.into(), template: Some(template.into()), ..Self::default() }
    }

    /// With these variables.
    #[must_use]
    pub fn with_variables(mut self, variables: Vars) -> Self {
        self.variables = variables;
        self
    }
}
