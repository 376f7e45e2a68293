//! What a bridge is told, finished by the application: its template or its sections, its whole location.

use std::sync::Arc;

use fsm_core::Config;
use fsm_templating::{Location, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::entry::FlowSection;

/// The config of one bridge.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BridgeConfig {
    /// What is rendered with the bridge's variables into the sections `connection`, `read` and `write`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Where the bridge stands: the agent's levels and its own.
    pub location: Arc<Location>,
    /// What is probed, without a template. Nothing in it is rendered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Value>,
    /// From the device to the namespace; with a template only `enabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<FlowSection>,
    /// From the namespace to the device; with a template only `enabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<FlowSection>,
}

impl Config for BridgeConfig {}

impl BridgeConfig {
    /// A bridge from a template.
    #[must_use]
    pub fn of_template(template: Template, location: Arc<Location>) -> Self {
        Self { template: Some(template), location, ..Self::default() }
    }

    /// Whether the flow of this section may run.
    pub(super) fn is_enabled(&self, section: &str) -> bool {
        let flow = if section == super::names::READ { &self.read } else { &self.write };
        flow.as_ref().is_none_or(|flow| flow.enabled)
    }
}
