//! An entry of `dataflows:`.

use fsm_core::{ChildName, PolicyOverride, Vars};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{DependsOn, is_yes, yes};

/// A flow that belongs to no bridge. Nothing in it is rendered; its jq programs see its variables as `$vars`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DataflowEntry {
    /// The flow's name.
    pub name: ChildName,
    /// What its jq programs see as `$vars`.
    #[serde(default, skip_serializing_if = "Vars::is_empty")]
    pub variables: Vars,
    /// ISA-95 levels below the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<fsm_templating::Location>,
    /// False keeps it resident in Stopped.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// Siblings it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependsOn>,
    /// What it overrides of its kind's policy.
    #[serde(default)]
    pub policy: PolicyOverride,
    /// Input, pipeline, output and options of a flow.
    #[serde(flatten)]
    pub flow: Map<String, Value>,
}
