//! What an operator can say about a tool that is part of the tree.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fsm_core::{Config, DeriveError, HumanDuration};
use fsm_templating::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::protocol::Protocol;
use crate::settings;
use crate::tool::Limits;

/// A program that is to run once, to its end.
///
/// ```
/// use fsm_worker_process::ToolConfig;
///
/// let config: ToolConfig = serde_json::from_str(r#"{"command": ["date", "-u"], "protocol": "raw"}"#)?;
/// assert_eq!(config.limits.timeout.get().as_secs(), 60);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ToolConfig {
    /// The program and its arguments; no shell sees them.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// How it is talked to.
    #[serde(default)]
    pub protocol: Protocol,
    /// What it is to work on.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
    /// A config that is part of its request.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub config: Value,
    /// Variables of its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Secret>,
    /// Names of the daemon's variables that it sees too: PATH, HOME, LANG, TZ and TMPDIR by default.
    #[serde(default = "settings::allowed")]
    pub allow_env: Vec<String>,
    /// The folder that it runs in, by default the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// What it may use.
    #[serde(default)]
    pub limits: ToolLimits,
}

/// What a tool may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ToolLimits {
    /// How long it may run.
    pub timeout: HumanDuration,
    /// Bytes on stdout; more of them end the run.
    pub stdout: u64,
    /// Bytes of stderr that are kept.
    pub stderr: u64,
    /// Bytes of the request on stdin.
    pub request: u64,
    /// Memory in bytes, held where there is a cgroup for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Time between the polite signal and the deadly one.
    pub grace: HumanDuration,
}

impl Default for ToolLimits {
    fn default() -> Self {
        let Limits { timeout, stdout, stderr, request, memory, grace } = Limits::default();
        Self { timeout: timeout.into(), stdout, stderr, request, memory, grace: grace.into() }
    }
}

impl From<&ToolLimits> for Limits {
    fn from(limits: &ToolLimits) -> Self {
        let ToolLimits { timeout, stdout, stderr, request, memory, grace } = limits.clone();
        Self { timeout: timeout.get(), stdout, stderr, request, memory, grace: grace.get() }
    }
}

impl Config for ToolConfig {}

impl ToolConfig {
    /// Runs this command, with defaults.
    pub fn new<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            protocol: Protocol::default(),
            input: Value::Null,
            config: Value::Null,
            env: BTreeMap::new(),
            allow_env: settings::allowed(),
            cwd: None,
            limits: ToolLimits::default(),
        }
    }

    /// What serde can't see.
    pub(crate) fn check(&self) -> Result<(), DeriveError> {
        settings::check_command(&self.command)?;
        settings::check_env(&self.allow_env, &self.env)
    }
}
