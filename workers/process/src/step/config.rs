//! What a step runs.

use fsm_core::{Config, DeriveError, NodePath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::settings;
use crate::tool::ToolId;
use crate::tool_kind::ToolConfig;

/// What a step runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StepConfig {
    /// A tool.
    Tool {
        /// The name that it is known and counted by; that of its node by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The program.
        run: Box<ToolConfig>,
    },
    /// An action of a live worker.
    Agent(StepAgent),
}

/// An action of a live worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StepAgent {
    /// The worker's path, such as `/edge-01/press-7/connection`.
    pub path: String,
    /// The action's name.
    pub action: String,
    /// What it is made of.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
}

impl StepAgent {
    /// Asks this worker for this action.
    pub fn new(path: impl Into<String>, action: impl Into<String>) -> Self {
        Self { path: path.into(), action: action.into(), input: Value::Null }
    }
}

impl Config for StepConfig {
    /// A step runs once in its life: with another config it is another one.
    fn needs_restart(&self, old: &Self) -> bool {
        self != old
    }
}

impl StepConfig {
    /// What serde can't see.
    pub(crate) fn check(&self) -> Result<(), DeriveError> {
        match self {
            Self::Tool { id, run } => {
                if let Some(Err(error)) = id.as_ref().map(ToolId::try_new) {
                    return Err(DeriveError::config(error.to_string()).at("tool.id"));
                }
                run.check().map_err(|error| settings::below(error, "tool.run"))
            }
            Self::Agent(agent) => match NodePath::try_new(&agent.path) {
                Ok(_) if agent.action.is_empty() => {
                    let what = "name the action that the worker is asked for, such as probe";
                    Err(DeriveError::config(what).at("agent.action"))
                }
                Ok(_) => Ok(()),
                Err(error) => Err(DeriveError::config(error.to_string()).at("agent.path")),
            },
        }
    }
}
