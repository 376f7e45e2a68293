//! The sections of a config file that the application takes, as they are written.

use fsm_core::Vars;
use fsm_templating::Template;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Agent, ApplicationConfig};
use crate::entry::{BridgeEntry, DataflowEntry, WorkerEntry};
use crate::hashed::Hashed;

/// The sections `agent`, `variables`, `templates`, `bridges`, `dataflows` and `workers`.
///
/// Whoever loads a file takes the other sections out, puts the rows of files into `for_each`, and compiles the templates
/// from the document first: reading them here then finds these, with their places in the file.
///
/// ```
/// use fsm_worker_bridge::application::Sections;
/// let sections: Sections = serde_json::from_value(serde_json::json!({
///     "agent": {"name": "edge-01", "location": {"enterprise": "acme"}},
///     "variables": {"broker": "mqtt://127.0.0.1:1883"},
///     "templates": {"press": {"connection": {"tcp": {"host": "{{ ip }}", "port": 502}}}},
///     "bridges": [{"name": "press-7", "template": "press", "variables": {"ip": "10.0.0.7"}}],
/// }))?;
/// let (config, global) = sections.into_config();
/// assert_eq!(global["broker"], "mqtt://127.0.0.1:1883");
/// assert_eq!(config.len(), 1);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Sections {
    /// The machine.
    pub agent: Agent,
    /// What every template sees as `global.*`.
    #[serde(default)]
    pub variables: Vars,
    /// Templates by name.
    #[serde(default)]
    pub templates: IndexMap<String, Template>,
    /// Bridges.
    #[serde(default)]
    pub bridges: Vec<Hashed<BridgeEntry>>,
    /// Flows that belong to no bridge.
    #[serde(default)]
    pub dataflows: Vec<Hashed<DataflowEntry>>,
    /// Workers of any kind.
    #[serde(default)]
    pub workers: Vec<Hashed<WorkerEntry>>,
}

impl Sections {
    /// No entries.
    #[must_use]
    pub fn new(agent: Agent) -> Self {
        Self {
            agent,
            variables: Vars::new(),
            templates: IndexMap::new(),
            bridges: Vec::new(),
            dataflows: Vec::new(),
            workers: Vec::new(),
        }
    }

    /// The config of the root, and the global variables, which are the whole tree's.
    #[must_use]
    pub fn into_config(mut self) -> (ApplicationConfig, Vars) {
        let global = std::mem::take(&mut self.variables);
        (ApplicationConfig::new(self), global)
    }
}
